# SPDX-License-Identifier: MIT
"""How the previous boot ended."""

import json
import time

import pytest

from failhook.collect import boot
from failhook.collect.boot import COLLECTOR
from failhook.systemd import journal
from tests.unit.collect.bench import Programs, context, run


def _answer(programs: Programs, *entries: str) -> None:
    text = "\n\n".join(f"__REALTIME_TIMESTAMP=5000000\n{entry}" for entry in entries)
    programs.add("journalctl", f"cat <<'END'\n{text}\n\nEND")


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    """This boot is a minute old."""
    monkeypatch.setattr(boot, "_started", lambda: time.time() - 60)


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize(
    "last",
    [
        f"_UID=0\nMESSAGE_ID={journal.JOURNAL_STOPPED}\nMESSAGE=Journal stopped",
        f"MESSAGE_ID={journal.SHUTDOWN}\nMESSAGE=System is powering down.",
        "_UID=0\nUNIT=reboot.target\nJOB_RESULT=done\nMESSAGE=Reached target",
        "_UID=0\nMESSAGE=Shutting down.",
    ],
)
def test_an_orderly_end(programs: Programs, last: str) -> None:
    _answer(programs, last, "_UID=0\nMESSAGE=before")
    gave = run(COLLECTOR, context())
    assert "orderly way" in json.loads(gave.text("boot/boot.json"))["previous"]
    assert set(gave.items) == {"boot/boot.txt", "boot/boot.json"}
    assert "--boot=-1" in programs.calls[0]


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize(
    "last",
    [
        "_UID=0\nMESSAGE=in the middle of something",
        f"_UID=1000\nMESSAGE_ID={journal.SHUTDOWN}\nMESSAGE=forged",
        "_UID=0\n_TRANSPORT=stdout\nMESSAGE=Shutting down.",
    ],
)
def test_a_crash(programs: Programs, last: str) -> None:
    _answer(programs, last, "_UID=0\nMESSAGE=before")
    gave = run(COLLECTOR, context())
    assert "without a shutdown" in gave.text("boot/boot.txt")
    lines = gave.text("boot/previous.txt").splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("before")


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "not in the journal"),
        (
            "echo 'No journal boot entry found for the specified boot (-1).' >&2; exit 1",
            "not in the",
        ),
        ("echo broken >&2; exit 1", "not known: journalctl ended with status 1: broken"),
        ("sleep 60", "not known: journalctl did not finish within 2."),
    ],
)
def test_nothing_is_known(programs: Programs, script: str, said: str) -> None:
    programs.add("journalctl", script)
    assert said in run(COLLECTOR, context()).text("boot/boot.txt")


def test_not_looked_at(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_started", lambda: time.time() - 8 * 86400)
    assert "older than a week" in run(COLLECTOR, context()).text("boot/boot.txt")
    monkeypatch.setattr(boot, "_started", lambda: time.time() - 60)
    assert "not looked at\n" in run(COLLECTOR, context(user=True)).text("boot/boot.txt")
    assert programs.calls == []


def test_the_start_of_this_boot() -> None:
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(time.time() - uptime - boot._started()) < 60
