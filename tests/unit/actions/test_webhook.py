# SPDX-License-Identifier: MIT
"""A webhook: what is sent, what an answer means, and that no secret is said."""

import base64
import errno
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from failhook import testing
from failhook.action import Outcome
from failhook.actions import http_options, table
from failhook.actions.memory import Memory
from failhook.actions.webhook import ACTION
from failhook.formats import table as formats
from failhook.http_client import Client, Reach
from failhook.message import Event
from tests.unit import receiver as to
from tests.unit.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
TOKEN = "xoxb-very-secret-token"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections of their own for every test."""
    clients: dict[Reach, Client] = {}
    monkeypatch.setattr(http_options, "_clients", clients)
    yield
    for one in clients.values():
        one.close()


def _run(there: Receiver, path: str = "/hook", **options: Any) -> Outcome:
    changes = {
        name: options.pop(name)
        for name in ("message", "state", "attempt", "dry_run", "deadline_s")
        if name in options
    }
    return testing.run(ACTION, {"url": there.url(path), **options}, **changes)


class TestOptions:
    """What goes together is checked before anything fails."""

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            ({}, "needs url"),
            ({"url": "https://x.example", "format": "sms"}, "none of"),
            ({"format": "pagerduty"}, "routing_key"),
            ({"format": "opsgenie"}, "api_key"),
            ({"format": "github", "token": "x"}, "project"),
            ({"format": "slack"}, "url or token"),
            ({"format": "slack", "token": "x"}, "url or channel"),
            ({"format": "template", "url": "https://x.example"}, "template or template_file"),
            ({"url": "https://x.example", "format": "discord", "secret": "x"}, "not signed"),
            (
                {
                    "url": "https://x.example",
                    "format": "template",
                    "template": "a",
                    "template_file": "/a",
                },
                "leave out one",
            ),
            (
                {"url": "https://x.example", "format": "template", "template": "{% if %}"},
                "template is wrong",
            ),
            ({"url": "https://x.example", "key_file": "/k"}, "cert_file"),
            ({"url": "https://x.example", "headers": {"X Y": "z"}}, "name of a header"),
            ({"url": "https://x.example", "headers": {"Host": "z"}}, "by failhook itself"),
            ({"url": "https://x.example", "headers": "X: y"}, "no table"),
            ({"url": 5}, "no secret"),
        ],
    )
    def test_mistakes(self, raw: dict[str, object], said: str) -> None:
        with pytest.raises(testing.OptionsWrong, match=said):
            testing.request(ACTION, raw)

    def test_secrets_are_not_in_what_python_prints(self) -> None:
        bound, _ = table.bind(
            ACTION,
            {"url": "https://x.example/very-secret", "secret": [SECRET, "raw-very-secret"]},
        )
        assert "very-secret" not in repr(bound)
        assert SECRET not in repr(bound)


def test_it_is_signed_as_the_reference_library_verifies(tmp_path: Path) -> None:
    other = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
    (tmp_path / "key").write_text(other + "\n")
    (tmp_path / "key").chmod(0o600)
    with Receiver() as there:
        outcome = _run(there, secret=[SECRET, {"file": str(tmp_path / "key")}])
    assert outcome.ok
    (asked,) = there.asked
    for secret in (SECRET, other):
        found = Webhook(secret).verify(asked.body, asked.headers)
        assert found == json.loads(asked.body)
    assert asked.headers["webhook-id"] == "msg_7f3a5c1e9b20_tell-ops_1"
    assert asked.headers["content-type"] == "application/json"


def test_a_repeat_has_the_same_id_and_a_fresh_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(to.status(500)) as there:
        _run(there, secret=SECRET)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 100)
        _run(there, secret=SECRET, attempt=2)
    first, again = (asked.headers for asked in there.asked)
    assert first["webhook-id"] == again["webhook-id"]
    assert int(again["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 100
    assert first["webhook-signature"] != again["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "ok", "gone", "about"),
    [
        (200, True, False, None),
        (202, True, False, None),
        (204, True, False, None),
        (301, False, False, None),
        (307, False, False, None),
        (400, False, False, "message"),
        (401, False, False, None),
        (404, False, False, None),
        (408, False, False, None),
        (410, False, True, None),
        (413, False, False, "message"),
        (422, False, False, "message"),
        (425, False, False, None),
        (429, False, False, None),
        (500, False, False, None),
        (502, False, False, None),
        (504, False, False, None),
    ],
)
def test_what_a_status_means(status: int, ok: bool, gone: bool, about: str | None) -> None:
    with Receiver(to.status(status, b"because", Location="http://127.0.0.1/")) as there:
        outcome = _run(there)
    assert (outcome.ok, outcome.gone, outcome.final) == (ok, gone, False)
    assert outcome.data.get("about") == about
    assert f"HTTP {status}" in outcome.detail
    assert len(there.asked) == 1


@pytest.mark.parametrize(
    ("value", "least", "most"), [("7", 7, 7), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0)]
)
def test_retry_after(value: str, least: float, most: float) -> None:
    with Receiver(to.status(429, Retry_After=value)) as there:
        outcome = _run(there)
    assert outcome.retry_after_s is not None
    assert least <= outcome.retry_after_s <= most


@pytest.mark.parametrize(
    "answer",
    [
        to.status(403, f"no {TOKEN} for /services/T0/very-secret-path".encode()),
        to.status(404, b"x" * 99 + b"/services/T0/very-secret-path"),
        to.hang_up,
        to.status(302, Location="/services/T0/very-secret-path"),
        to.raw(b"rubbish\r\n\r\n"),
    ],
)
def test_no_secret_is_said(answer: to.Answer, caplog: pytest.LogCaptureFixture) -> None:
    with Receiver(answer) as there, caplog.at_level(logging.DEBUG):
        outcome = _run(
            there,
            "/services/T0/very-secret-path",
            headers={"Authorization": f"Bearer {TOKEN}"},
            secret=SECRET,
        )
    assert there.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert not outcome.ok
    for secret in ("very-secret", TOKEN, SECRET, "127.0.0.1"):
        assert secret not in outcome.detail
        if secret != "127.0.0.1":
            assert secret not in str(outcome.data)
    ours = [one for one in caplog.records if one.name.startswith("failhook")]
    assert "very-secret" not in "".join(one.getMessage() for one in ours)


def test_an_answer_that_moves_the_cursor_is_harmless() -> None:
    with Receiver(to.status(500, b"\x1b[2J\x1b]0;owned\x07 a\r\nb \xff" * 99)) as there:
        outcome = _run(there)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) < 200


def test_the_whole_try_has_a_limit() -> None:
    answer = to.dribble(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
    with Receiver(answer) as there:
        begun = time.monotonic()
        outcome = _run(there, deadline_s=0.6)
    assert time.monotonic() - begun < 3
    assert "within" in outcome.detail


def test_one_connection_for_many_messages() -> None:
    with Receiver() as there:
        for _ in range(4):
            assert _run(there).ok
        assert there.connections == 1


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "ü\u2028"])
def test_a_header_cannot_bring_another(value: str) -> None:
    with Receiver() as there:
        outcome = _run(there, headers={"X-Ours": value})
    assert not outcome.ok or "x-evil" not in there.asked[0].headers
    assert "x-evil" not in str(there.asked)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ({"file": "/nonexistent/key"}, "/nonexistent/key"),
        ({"credential": "no-such"}, "no credential no-such"),
        ({"env": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
    ],
)
def test_a_secret_that_is_missing_is_named(secret: object, said: str) -> None:
    with Receiver() as there:
        outcome = _run(there, secret=secret)
        url = testing.run(ACTION, {"url": secret})
    for one in (outcome, url):
        assert (one.ok, one.final, said in one.detail) == (False, False, True)
    assert there.asked == []


def test_a_signing_key_that_is_none(tmp_path: Path) -> None:
    with Receiver() as there:
        outcome = _run(there, secret="whsec_***")
    assert "base64" in outcome.detail
    assert there.asked == []


class TestTemplate:
    """The administrator's own text."""

    def test_it_is_sent(self) -> None:
        with Receiver() as there:
            outcome = _run(
                there, format="template", template='{"text": {{ summary }}}', method="PUT"
            )
        assert outcome.ok
        assert there.asked[0].method == "PUT"
        assert json.loads(there.asked[0].body) == {"text": testing.message().summary}
        assert "webhook-id" in there.asked[0].headers

    def test_it_is_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text("{{ unit }} <{{ host }}>")
        with Receiver() as there:
            assert _run(
                there,
                format="template",
                template_file=str(tmp_path / "t"),
                template_kind="text",
            ).ok
        assert there.asked[0].body == b"gitea.service <web1.example>"

    def test_a_mistake_in_it_is_about_the_message(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_text('{"a": {{ nothing_such }}}')
        with Receiver() as there:
            outcome = _run(there, format="template", template_file=str(tmp_path / "t"))
            gone = _run(there, format="template", template_file=str(tmp_path / "none"))
        assert outcome.data["about"] == "message"
        assert "nothing_such" in outcome.detail
        assert "none" in gone.detail
        assert there.asked == []


class TestThreads:
    """What is learned from an answer serves the next message of the thread."""

    def test_an_issue_is_made_once_and_closed(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {"format": "github", "token": TOKEN, "project": "ops/web"}
        with Receiver(to.status(201, b'{"number": 7}')) as there:
            first = _run(there, "", state=tmp_path, **options)
            over = testing.message(Event.RECOVERED, id="m2")
            there.always = to.status(200, b"{}")
            second = _run(there, "", state=tmp_path, message=over, **options)
        assert (first.detail, second.detail) == ("issue 7", "issue 7, closed")
        assert [f"{one.method} {one.path}" for one in there.asked] == [
            "POST /repos/ops/web/issues",
            "PATCH /repos/ops/web/issues/7",
            "POST /repos/ops/web/issues/7/comments",
        ]
        assert Memory(tmp_path).get(over.thread) == {}

    def test_a_reply_in_slack(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {"format": "slack", "token": TOKEN, "channel": "C1"}
        with Receiver(to.status(200, b'{"ok": true, "ts": "17.5"}')) as there:
            there.always = to.status(200, b'{"ok": true, "ts": "18.0"}')
            _run(there, state=tmp_path, **options)
            _run(there, state=tmp_path, message=testing.message(Event.GAVE_UP), **options)
        first, second = (json.loads(one.body) for one in there.asked)
        assert "thread_ts" not in first
        assert second["thread_ts"] == "17.5"

    def test_told_is_told_where_the_disk_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would be told again at every try, in a new issue each time."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("failhook.files.write", full)
        options: dict[str, Any] = {"format": "github", "token": TOKEN, "project": "ops/web"}
        with Receiver(to.status(201, b'{"number": 7}')) as there:
            outcome = _run(there, "", state=tmp_path, **options)
        assert (outcome.ok, outcome.detail) == (True, "issue 7")

    def test_a_no_that_comes_with_200(self, tmp_path: Path) -> None:
        with Receiver(to.status(200, b'{"ok": false, "error": "invalid_auth"}')) as there:
            outcome = _run(there, format="slack", token=TOKEN, channel="C1", state=tmp_path)
        assert not outcome.ok
        assert "invalid_auth" in outcome.detail

    def test_a_call_in_between_that_fails(self, tmp_path: Path) -> None:
        with Receiver(to.status(503, Retry_After="9")) as there:
            outcome = _run(there, "", format="gitlab", token=TOKEN, project="a/b", state=tmp_path)
        assert (outcome.ok, outcome.retry_after_s) == (False, 9.0)


@pytest.mark.parametrize("name", formats.NAMES)
def test_a_dry_run_sends_nothing_and_says_what(name: str) -> None:
    options: dict[str, Any] = {"token": TOKEN, "channel": "c", "project": "a/b"}
    if name == "template":
        options["template"] = '{"x": {{ summary }}}'
    with Receiver() as there:
        outcome = _run(
            there,
            "/very-secret",
            format=name,
            dry_run=True,
            routing_key=TOKEN,
            api_key=TOKEN,
            **options,
        )
        assert there.asked == []
    assert outcome.ok
    assert outcome.detail.startswith("would ")
    assert TOKEN not in outcome.detail
    assert "very-secret" not in outcome.detail


def test_without_a_message_there_is_nothing_to_do() -> None:
    request = testing.request(ACTION, {"url": "https://x.example"})
    import dataclasses

    assert ACTION.run(dataclasses.replace(request, message=None)).final


class TestMemory:
    """What is known of threads is bounded and may be lost."""

    def test_it_is_kept_and_forgotten(self, tmp_path: Path) -> None:
        Memory(tmp_path).put("t", {"number": 1})
        assert Memory(tmp_path).get("t") == {"number": 1}
        Memory(tmp_path).put("t", {})
        assert Memory(tmp_path).get("t") == {}
        assert oct((tmp_path / "threads.json").stat().st_mode)[-3:] == "600"

    def test_the_oldest_go(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("failhook.actions.memory.MOST", 3)
        memory = Memory(tmp_path)
        for number in range(4):
            memory.put(f"t{number}", {"number": number})
        memory.put("t1", {"number": 9})
        memory.put("t5", {"number": 5})
        assert [name for name in ("t0", "t1", "t2", "t3", "t5") if memory.get(name)] == [
            "t1",
            "t3",
            "t5",
        ]

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"t": 5}', b'{"t": {"known": 5}}', b"\xff"])
    def test_a_damaged_file_is_begun_anew(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "threads.json").write_bytes(content)
        memory = Memory(tmp_path)
        assert memory.get("t") == {}
        memory.put("t", {"a": 1})
        assert memory.get("t") == {"a": 1}

    def test_without_a_place_nothing_is_kept(self) -> None:
        Memory(None).put("t", {"a": 1})
        assert Memory(None).get("t") == {}
