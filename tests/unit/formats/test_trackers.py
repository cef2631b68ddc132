# SPDX-License-Identifier: MIT
"""GitHub and GitLab: one issue for a thread, whatever is repeated; nothing in it commands."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from failhook import testing
from failhook.formats import github, gitlab, markdown
from failhook.formats.form import Call, Form, Rejected, Verdict
from failhook.message import Event, Message
from tests.unit.formats import samples


class Service:
    """Remembers issues as both services do."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.issues: list[dict[str, Any]] = []
        self.fail: dict[str, int] = {}  # by the end of a path
        self.lose = False  # the answer to a making

    def send(self, call: Call) -> Any:
        path = call.url.partition("?")[0]
        document = json.loads(call.body) if call.body else {}
        self.calls.append((call.method, path, document))
        for end, status in self.fail.items():
            if path.endswith(end):
                return SimpleNamespace(status=status, body=b"{}")
        if path.endswith("/issues") and call.method == "POST":
            number = len(self.issues) + 1
            self.issues.append({"number": number, "iid": number, **document})
            if self.lose:
                raise ConnectionError
            return self._said(201, self.issues[-1])
        if path.endswith("/issues"):
            return self._said(200, self.issues[::-1])
        return self._said(200, {})

    def _said(self, status: int, document: Any) -> Any:
        return SimpleNamespace(status=status, body=json.dumps(document).encode())

    @property
    def made(self) -> list[str]:
        return [f"{method} {path.rpartition('ops')[2]}" for method, path, _ in self.calls]


FORMS = [pytest.param(github.FORM, id="github"), pytest.param(gitlab.FORM, id="gitlab")]


def _talk(form: Form, service: Service, message: Message, **changes: Any) -> Verdict:
    assert form.converse is not None
    return form.converse(message, samples.settings(form, **changes), service.send)


@pytest.mark.parametrize("form", FORMS)
def test_a_thread_from_its_beginning_to_its_end(form: Form) -> None:
    service = Service()
    opened = _talk(form, service, testing.message(id="m1"))
    assert opened.memory == {"number": 1, "last": "m1"}
    escalated = _talk(
        form, service, testing.message(Event.ESCALATED, id="m2"), memory=opened.memory
    )
    assert escalated.memory == {"number": 1, "last": "m2"}
    closed = _talk(
        form, service, testing.message(Event.RECOVERED, id="m3"), memory=escalated.memory
    )
    assert closed.memory == {}
    assert len(service.issues) == 1
    states = [one for _, _, one in service.calls if "state" in one or "state_event" in one]
    assert [next(iter(one.values())) for one in states] in (
        ["open", "closed"],
        ["reopen", "close"],
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_got_lost_makes_no_second_issue(form: Form) -> None:
    service = Service()
    service.lose = True
    with pytest.raises(ConnectionError):
        _talk(form, service, testing.message(id="m1"))
    again = _talk(form, service, testing.message(id="m1"), attempt=2)
    assert again.memory is not None
    assert again.memory["number"] == 1
    assert len(service.issues) == 1


@pytest.mark.parametrize("form", FORMS)
def test_the_same_message_is_added_once(form: Form) -> None:
    service = Service()
    memory: Any = {"number": 1, "last": "m2"}
    _talk(form, service, testing.message(Event.ESCALATED, id="m2"), memory=memory)
    assert not [one for one in service.made if one.endswith(("comments", "notes"))]


@pytest.mark.parametrize("form", FORMS)
def test_what_may_be_done_twice_comes_before_what_may_not(form: Form) -> None:
    service = Service()
    service.fail = {"/issues/1": 503}
    memory: Any = {"number": 1, "last": "m1"}
    with pytest.raises(Rejected) as caught:
        _talk(form, service, testing.message(Event.RECOVERED, id="m2"), memory=memory)
    assert caught.value.answer.status == 503
    assert not [one for one in service.made if one.endswith(("comments", "notes"))]


@pytest.mark.parametrize("form", FORMS)
def test_a_recovery_without_an_issue_makes_none(form: Form) -> None:
    service = Service()
    assert _talk(form, service, testing.message(Event.RECOVERED)).ok
    assert service.issues == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"number": "x"}', b"<html>", b"[" * 99999])
def test_an_answer_without_an_issue_is_a_failure(form: Form, body: bytes) -> None:
    service = Service()
    service.send = lambda call: SimpleNamespace(status=201, body=body)  # type: ignore[method-assign]
    assert not _talk(form, service, testing.message()).ok


def test_addresses() -> None:
    service = Service()
    _talk(github.FORM, service, testing.message())
    _talk(gitlab.FORM, service, testing.message(), project="group/sub/web")
    assert [path for _, path, _ in service.calls] == [
        "https://api.github.com/repos/ops/web/issues",
        "https://gitlab.com/api/v4/projects/group%2Fsub%2Fweb/issues",
    ]


@pytest.mark.parametrize("message", samples.HOSTILE, ids=lambda one: one.event)
def test_nothing_of_a_machine_is_outside_of_the_code(message: Message) -> None:
    lines = markdown.body(message).splitlines()
    fence = lines[0].removesuffix("text")
    assert set(fence) == {"`"}
    end = lines.index(fence, 1)
    inside = "\n".join(lines[1:end])
    assert fence not in inside
    assert lines[end + 1 :] == ["", markdown.marker(message)]
    assert len(markdown.title(message, 200)) <= 200
    assert "\n" not in markdown.title(message, 200)
    assert len(markdown.body(message)) < 65_536


def test_a_thread_cannot_end_the_marker() -> None:
    message = testing.message(thread="x --> <script>")
    assert markdown.marker(message) == "<!-- failhook:x_--___script_ -->"
