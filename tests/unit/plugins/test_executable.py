# SPDX-License-Identifier: MIT
"""What an executable gets, and what becomes of what it says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from failhook import isolate, testing
from failhook.action import Outcome
from failhook.actions import variables
from failhook.plugins import executable
from failhook.secret import SecretError
from tests.unit.plugins.conftest import Etc


def act(etc: Etc, body: str, raw: dict[str, object] | None = None, **changes: Any) -> Outcome:
    """The outcome of a script as an action, run as failhook runs it."""
    action = executable.action("lamp", etc.script("actions/lamp", body))
    return testing.run_isolated(action, raw or {}, **changes).outcome


@pytest.mark.parametrize(
    ("body", "ok", "final", "detail"),
    [
        ("echo one; echo two", True, False, "two"),
        ("exit 0", True, False, "done"),
        ("echo no lamp; exit 3", False, True, "no lamp"),
        ("echo no lamp >&2; exit 1", False, True, "no lamp"),
        ("exit 9", False, True, "status 9"),
        ("echo busy; exit 75", False, False, "busy"),
        ("kill -SEGV $$", False, False, "ended by SIGSEGV"),
        ("echo tried; kill -KILL $$", False, False, "ended by SIGKILL: tried"),
        (r"printf 'a\033[31mb\000\n'", True, False, "a\\x1b[31mb\\x00"),
    ],
)
def test_the_exit_status_is_the_outcome(
    etc: Etc, body: str, ok: bool, final: bool, detail: str
) -> None:
    outcome = act(etc, body)
    assert (outcome.ok, outcome.final, outcome.detail) == (ok, final, detail)


def test_the_incident_as_variables(etc: Etc, tmp_path: Path) -> None:
    out = tmp_path / "env"
    outcome = act(
        etc,
        f"env >{out}",
        {"lamp-colour": "red", "times": 3, "loud": True, "rooms": ["a", "b c"], "share": 0.5},
        attempt=2,
        bundle=tmp_path / "bundle.tar.gz",
        state=tmp_path,
        message=testing.message(),
    )
    assert outcome.ok, outcome.detail
    given = dict(line.partition("=")[::2] for line in out.read_text().splitlines() if "=" in line)
    ours = {name: value for name, value in given.items() if name.startswith("FAILHOOK_")}
    assert ours.pop("FAILHOOK_SUMMARY").startswith("gitea.service failed to start: port 3000")
    about = variables.of(testing.incident())
    assert ours.pop("FAILHOOK_ADVICE") == about["FAILHOOK_ADVICE"] != ""
    assert ours == {
        "FAILHOOK_ID": "7f3a5c1e9b20",
        "FAILHOOK_HOST": testing.incident().host,
        "FAILHOOK_BOOT_ID": testing.incident().boot_id,
        "FAILHOOK_EXIT_STATUS_NAME": "",
        "FAILHOOK_STATE": "open",
        "FAILHOOK_SIGNATURE": testing.incident().signature,
        "FAILHOOK_UNIT": "gitea.service",
        "FAILHOOK_INVOCATION_ID": "9d3f0c5a7b1e4d2c8a6f1b3e5d7c9a10",
        "FAILHOOK_RESULT": "exit-code",
        "FAILHOOK_EXIT_CODE": "exited",
        "FAILHOOK_EXIT_STATUS": "1",
        "FAILHOOK_PHASE": "gave-up",
        "FAILHOOK_CAUSE": "port-in-use",
        "FAILHOOK_COUNT": "14",
        "FAILHOOK_MANAGER": "system",
        "FAILHOOK_ACTION": "lamp",
        "FAILHOOK_REQUEST_ID": "7f3a5c1e9b20-lamp-1",
        "FAILHOOK_ATTEMPT": "2",
        "FAILHOOK_DRY_RUN": "",
        "FAILHOOK_EVENT": "incident.opened",
        "FAILHOOK_BUNDLE": str(tmp_path / "bundle.tar.gz"),
        "FAILHOOK_STATE_DIRECTORY": str(tmp_path),
        "FAILHOOK_OPTION_LAMP_COLOUR": "red",
        "FAILHOOK_OPTION_TIMES": "3",
        "FAILHOOK_OPTION_LOUD": "true",
        "FAILHOOK_OPTION_ROOMS": "a",  # and "b c" on the next line
        "FAILHOOK_OPTION_SHARE": "0.5",
    }
    assert "LC_ALL" in given
    assert not {"FAILHOOK_TEST", "PYTEST_CURRENT_TEST", "LD_PRELOAD"} & set(given)


def test_the_incident_as_json(etc: Etc, tmp_path: Path) -> None:
    out = tmp_path / "stdin"
    assert act(etc, f"cat >{out}", {"lamp": "red"}, message=testing.message()).ok
    document = json.loads(out.read_text())
    assert document["schema"] == 1
    assert document["incident"] == testing.incident().to_json()
    assert document["request"]["options"] == {"lamp": "red"}
    assert document["request"]["message"]["type"] == "incident.opened"


def test_hostile_text_stays_text(etc: Etc, tmp_path: Path) -> None:
    """Unit names and verdicts hold what somebody logged (anchors T14, T17)."""
    out = tmp_path / "summary"
    hostile = "$(touch /tmp/x); `id` \0 \n\u2028 %s " + "x" * 200_000 + "\ud800"
    verdict = testing.incident().verdict
    assert verdict is not None
    incident = testing.incident(
        unit="a\\x2d$(id);.service", exit_status="\ud800", verdict=type(verdict)(hostile)
    )
    outcome = act(etc, f'printf "%s" "$FAILHOOK_SUMMARY" >{out}', incident=incident)
    assert outcome.ok, outcome.detail
    assert out.read_text().startswith("$(touch /tmp/x); `id`      %s xxx")
    assert len(out.read_text()) < 5000


def test_a_dry_run_starts_only_what_knows_of_it(etc: Etc, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    unaware = act(etc, f"touch {mark}", dry_run=True)
    assert unaware.ok
    assert "does not know FAILHOOK_DRY_RUN" in unaware.detail
    assert not mark.exists()
    aware = act(etc, f'[ -n "$FAILHOOK_DRY_RUN" ] || touch {mark}; echo would', dry_run=True)
    assert aware.detail == "would"
    assert not mark.exists()


def test_secrets_by_reference(etc: Etc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("correct horse battery\n")
    key.chmod(0o600)
    outcome = act(
        etc,
        'echo "I got $FAILHOOK_OPTION_KEY"; cat | grep -c horse; exit 0',
        {"key": {"file": str(key)}},
    )
    assert outcome.detail == "0"  # it is not in the document
    said = act(etc, 'echo "I got $FAILHOOK_OPTION_KEY"', {"key": {"file": str(key)}})
    assert said.detail == "I got [masked:secret]"
    key.unlink()
    missing = act(etc, "exit 0", {"key": {"file": str(key)}})
    assert not missing.ok
    assert "No such file" in missing.detail
    with pytest.raises(SecretError):
        testing.run(
            executable.action("lamp", etc.script("actions/lamp", "")), {"key": {"env": "NO_SUCH"}}
        )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"a b": "x"}, "a b is no name for an option"),
        ({"a-b": "x", "a_b": "y"}, "a_b is the same as a-b"),
        ({"a": {"b": {"c": 1}}}, "a is no secret"),
        ({"a": [["x"]], "b": "x\0"}, "b is no text"),
        ({"a": "x" * 40_000}, "a is no text"),
        ({"a": [{"b": 1}]}, "a is no text"),
    ],
)
def test_options_that_are_no_texts(etc: Etc, raw: dict[str, object], said: str) -> None:
    action = executable.action("lamp", etc.script("actions/lamp", ""))
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(action, raw)


def test_a_hanging_one_hears_sigterm_and_is_quoted(etc: Etc) -> None:
    began = time.monotonic()
    outcome = act(
        etc, "trap 'echo cleaned up; exit 3' TERM; echo began; sleep 60 & wait", deadline_s=0.5
    )
    assert outcome.detail == "did not finish within 0.5 s and was ended; its last words: cleaned up"
    assert not outcome.final
    assert time.monotonic() - began < 5


def test_one_that_ignores_sigterm_is_killed_and_quoted(etc: Etc) -> None:
    outcome = act(etc, "trap '' TERM; echo began; sleep 60", deadline_s=0.3)
    assert outcome.detail == "did not finish within 0.3 s and was ended; its last words: began"


def test_one_that_prints_without_end(etc: Etc) -> None:
    outcome = act(etc, "while :; do echo and on; done", deadline_s=0.5)
    assert not outcome.ok
    assert outcome.detail.startswith("did not finish within 0.5 s")


def test_one_that_does_not_read(etc: Etc) -> None:
    long = testing.incident(dying_words=("x" * 1000,) * 2000)
    assert act(etc, "exec <&-; echo ok", incident=long).detail == "ok"


def test_no_interpreter(etc: Etc) -> None:
    path = etc.script("actions/lamp", "")
    path.write_text("#!/no/such/interpreter\n")
    report = testing.run_isolated(executable.action("lamp", path), {})
    assert isinstance(report, isolate.Report)
    assert not report.outcome.ok
    assert "No such file" in report.outcome.detail


def test_its_summary_is_its_first_comment(etc: Etc) -> None:
    body = "# SPDX-License-Identifier: MIT\n#\n# Switches a lamp on\n# more\n"
    assert executable.action("x", etc.script("actions/x", body)).summary == "Switches a lamp on"
    for other in ("echo # no\n", "", "\n# late\n"):
        path = etc.script("actions/x", other)
        assert executable.action("x", path).summary == "an executable"
    assert executable.action("x", Path("/no/such")).summary == "an executable"


# -- collectors -----------------------------------------------------------------------------------


def test_what_a_collector_prints_is_evidence(etc: Etc) -> None:
    path = etc.script("collectors/lamps", 'echo "$FAILHOOK_UNIT"; grep -o \'"schema": 1\'')
    found = testing.run_collector(executable.collector("lamps", path))
    assert found.text("lamps/output.txt") == 'gitea.service\n"schema": 1\n'
    assert found.problems == []


def test_a_collector_that_fails_keeps_what_it_had(etc: Etc) -> None:
    path = etc.script("collectors/lamps", "echo one; echo broken >&2; exit 2")
    found = testing.run_collector(executable.collector("lamps", path))
    assert found.text("lamps/output.txt") == "one\n"
    assert found.text("lamps/errors.txt") == "broken\n"
    assert found.problems == [f"{path} ended with status 2: broken"]
    path = etc.script("collectors/lamps", "echo broken >&2; exit 2")
    found = testing.run_collector(executable.collector("lamps", path))
    assert found.items == {}
    assert found.problems == [f"{path} ended with status 2: broken"]


def test_a_collector_without_end_is_cut(etc: Etc) -> None:
    path = etc.script("collectors/lamps", "while :; do echo and on; done")
    found = testing.run_collector(executable.collector("lamps", path))
    item = found.items["lamps/output.txt"]
    assert item.truncated
    assert len(item.data) <= executable.COLLECTOR_BYTES
