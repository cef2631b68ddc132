# SPDX-License-Identifier: MIT
"""Which entries belong to the failed run, and what is said to be missing."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import journal as collector
from failhook.collect.journal import COLLECTOR
from failhook.collector import Context
from failhook.incident import Process
from failhook.systemd import history, journal
from tests.unit.collect.bench import BASE, DATA, RUN, VERSIONS, Gave, Programs, context, run

US = 1_000_000
FAILED = 1795301107.0


def _entry(message: str, at: float = FAILED, /, **fields: str) -> dict[str, str]:
    return {
        "__CURSOR": f"{at}{message}",
        "__REALTIME_TIMESTAMP": str(round(at * US)),
        "_TRANSPORT": "journal",
        "_UID": "0",
        "_PID": "2007",
        "_COMM": "talker",
        "MESSAGE": message,
    } | fields


def _own(message: str, at: float = FAILED, /, **fields: str) -> dict[str, str]:
    return _entry(message, at, _SYSTEMD_INVOCATION_ID=RUN, _SYSTEMD_UNIT="talker.service", **fields)


def _export(entries: list[dict[str, str]]) -> bytes:
    """As journalctl has it, newest first."""
    blocks = ["".join(f"{k}={v}\n" for k, v in each.items()) + "\n" for each in entries]
    return "".join(reversed(blocks)).encode()


class _Journal:
    """Answers for the three questions and the sync."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self.programs = programs
        self._files = {name: directory / name for name in ("run", "before", "strays")}
        for path in self._files.values():
            path.write_bytes(b"")
        self.sync = "exit 0"

    def answer(self, name: str, content: bytes | list[dict[str, str]]) -> None:
        """What one of the questions gets."""
        data = content if isinstance(content, bytes) else _export(content)
        self._files[name].write_bytes(data)

    def collect(self, given: Context) -> Gave:
        """Run the collector."""
        run_, before, strays = (shlex.quote(str(path)) for path in self._files.values())
        script = f"""case "$*" in
            *--sync*) {self.sync} ;;
            *_TRANSPORT=syslog*) cat {strays} ;;
            *--until*) cat {before} ;;
            *) cat {run_} ;;
        esac"""
        self.programs.add("journalctl", script)
        return run(COLLECTOR, given)

    @property
    def questions(self) -> list[str]:
        """The calls that are no sync."""
        return [call for call in self.programs.calls if "--sync" not in call]


@pytest.fixture
def stored(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Journal:
    """A journal on disk."""
    monkeypatch.setattr(journal, "_machine_id", lambda: "m")
    (tmp_path / "journal" / "m").mkdir(parents=True)
    (tmp_path / "journal" / "m" / "system.journal").touch()
    monkeypatch.setattr(
        journal.storage_problem, "__defaults__", ((tmp_path / "journal", tmp_path / "none"),)
    )
    return _Journal(programs, tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_failure(stored: _Journal, version: str) -> None:
    data = (DATA / version / "talker.export").read_bytes()
    recorded = json.loads((DATA / version / "talker.json").read_text().splitlines()[0])
    invocation = recorded["INVOCATION_ID"]
    stored.answer("run", data)
    gave = stored.collect(context(replace(BASE, invocation_id=invocation)))
    assert gave.problems == []
    assert set(gave.items) == {"journal/journal.txt", "journal/journal.json"}
    lines = gave.text("journal/journal.txt").splitlines()
    assert lines[0].endswith("systemd[1]: Started talker.service - Talks and dies.")
    assert lines[-1].endswith("systemd[1]: talker.service: Failed with result 'exit-code'.")
    assert any(line.endswith("]: \\x1b[31mred\\x1b[0m and \\u202e bidi") for line in lines)
    expected = (DATA / version / "talker.json").read_text().splitlines()[::-1]
    got = gave.text("journal/journal.json").splitlines()
    assert [json.loads(line) for line in got] == [json.loads(line) for line in expected]


def test_what_failhook_said_of_an_earlier_failure_is_no_evidence(stored: _Journal) -> None:
    """The action ``journal`` names the unit; but nobody else hides lines by a field of ours."""
    ours = {"UNIT": "talker.service", "FAILHOOK_ID": "7f3a", "SYSLOG_IDENTIFIER": "failhook"}
    told = _entry("port 80 is held by caddy", FAILED - 1, **ours)
    foreign = _entry("not root", FAILED - 1, **{**ours, "_UID": "54321"})
    stored.answer("run", [told, foreign, _entry("never ran", UNIT="talker.service")])
    gave = stored.collect(context(replace(BASE, invocation_id=None)))
    text = gave.text("journal/journal.txt")
    assert "caddy" not in text
    assert "not root" in text
    assert "never ran" in text
    stored.answer("run", [_own("last words")])
    stored.answer("before", [told, _entry("an earlier word", FAILED - 1)])
    gave = stored.collect(context())
    everything = "".join(item.data.decode() for item in gave.items.values())
    assert "caddy" not in everything
    assert "an earlier word" in everything


def test_the_questions(stored: _Journal) -> None:
    stored.collect(context(properties={"LogNamespace": "ns", "UID": "33"}))
    boot = f"_BOOT_ID={BASE.boot_id}"
    before, run_, strays = sorted(
        stored.questions, key=lambda call: ("_TRANSPORT=syslog" in call, "--until" not in call)
    )
    assert f"_SYSTEMD_INVOCATION_ID={RUN} + INVOCATION_ID={RUN} _UID=0 +" in run_
    assert f"+ OBJECT_SYSTEMD_INVOCATION_ID={RUN} _UID=0 +" in run_
    assert f"COREDUMP_UNIT=talker.service {boot} + _PID=2007 {boot} +" in run_
    assert "--namespace=+ns" in run_
    assert "--since" not in run_  # an invocation needs no clock
    assert f"-- _SYSTEMD_UNIT=talker.service {boot} + UNIT=talker.service _UID=0 {boot}" in before
    assert "--until=@1795301106.900000" in before
    assert f"-- _TRANSPORT=syslog _UID=33 {boot} + _TRANSPORT=journal _UID=33 {boot} +" in strays
    syncs = [call for call in stored.programs.calls if "--sync" in call]
    assert syncs == ["journalctl --sync", "journalctl --namespace=ns --sync"]


def test_what_was_synced_before_is_not_synced_again(stored: _Journal) -> None:
    end = _entry("Failed.", INVOCATION_ID=RUN, _UID="0", _PID="1", MESSAGE_ID=history.UNIT_RESULT)
    stored.answer("run", [_own("mine"), end])
    gave = stored.collect(replace(context(properties={"LogNamespace": "ns"}), synced=True))
    assert gave.text("journal/journal.txt").count("\n") == 2
    syncs = [call for call in stored.programs.calls if "--sync" in call]
    assert syncs == ["journalctl --namespace=ns --sync"]
    assert len(stored.questions) == 3


def test_a_sync_before_the_end_was_logged_is_done_again(stored: _Journal, tmp_path: Path) -> None:
    """systemd logs the end when our hook has left: the first sync may come before that."""
    end = _entry("Failed.", INVOCATION_ID=RUN, _UID="0", _PID="1", MESSAGE_ID=history.UNIT_RESULT)
    stored.answer("run", [_own("mine")])
    (tmp_path / "later").write_bytes(_export([_own("mine"), end]))
    stored.sync = f"cp {shlex.quote(str(tmp_path / 'later'))} {shlex.quote(str(tmp_path / 'run'))}"
    gave = stored.collect(replace(context(), synced=True))
    assert gave.text("journal/journal.txt").count("\n") == 2
    assert gave.text("journal/journal.json").count('"MESSAGE":"Failed."') == 1
    assert len([call for call in stored.programs.calls if "--sync" in call]) == 1


def test_the_user_manager(stored: _Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1000)
    monkeypatch.setattr("failhook.collect.journal._wait_unsynced", lambda context: None)
    stored.sync = "echo denied >&2; exit 1"
    stored.answer("run", [_own("mine"), _entry("about", USER_INVOCATION_ID=RUN, _UID="1000")])
    gave = stored.collect(context(user=True))
    assert gave.problems == []  # it may not sync before systemd 258: nothing to report
    assert gave.text("journal/journal.txt").count("\n") == 2
    run_ = next(call for call in stored.questions if "--until" not in call)
    assert f"+ USER_INVOCATION_ID={RUN} _UID=1000 +" in run_
    assert "COREDUMP_USER_UNIT=talker.service" in run_


def test_what_never_ran(stored: _Journal) -> None:
    stored.answer("run", [_entry("Dependency failed for talker.service", _PID="1")])
    gave = stored.collect(
        context(replace(BASE, invocation_id=None, main=Process(), first_seen=1000.0))
    )
    assert "Dependency failed" in gave.text("journal/journal.txt")
    (question,) = stored.questions
    assert "--since=@940.000000" in question
    assert f"-- UNIT=talker.service _UID=0 _BOOT_ID={BASE.boot_id} +" in question


def test_forged_entries_are_not_of_the_run(stored: _Journal) -> None:
    stored.answer(
        "run",
        [
            _own("mine"),
            _entry("forged", INVOCATION_ID=RUN, _UID="1000", _PID="5", _SYSTEMD_UNIT="x.service"),
            _entry("core", COREDUMP_UNIT="talker.service", COREDUMP_PID="2007", _UID="1000"),
            _entry("dropped", MESSAGE_ID=journal.DROPPED, N_DROPPED="5"),
        ],
    )
    gave = stored.collect(context())
    assert gave.problems == []
    assert [line.split(": ")[1] for line in gave.text("journal/journal.txt").splitlines()] == [
        "mine"
    ]


def test_the_core_of_the_run_is_of_the_run(stored: _Journal) -> None:
    by = {"_SYSTEMD_UNIT": "systemd-coredump@1-2-0.service", "_UID": "997", "_PID": "3000"}
    core = by | {"COREDUMP_UNIT": "talker.service", "COREDUMP_ENVIRON": "SECRET=x"}
    stored.answer(
        "run",
        [
            _entry("of an earlier run", FAILED - 900, COREDUMP_PID="1", **core),
            _entry("of this run", COREDUMP_PID="2007", COREDUMP="core", **core),
        ],
    )
    gave = stored.collect(context())
    assert "of this run" in gave.text("journal/journal.txt")
    assert "earlier" not in gave.text("journal/journal.txt")
    assert "SECRET" not in gave.text("journal/journal.json")
    assert json.loads(gave.text("journal/journal.json"))["COREDUMP"] == "[left out by failhook]"


def test_lines_that_lost_their_unit(stored: _Journal) -> None:
    lost = _entry("by syslog", FAILED - 0.01, _TRANSPORT="syslog")
    stored.answer(
        "run",
        [
            _entry("pid of long ago", FAILED - 500),
            lost,
            _entry("kernel", _TRANSPORT="kernel"),
            _own("mine"),
        ],
    )
    stored.answer(
        "strays",
        [
            lost,
            _entry("of another unit", _SYSTEMD_CGROUP="/x", _SYSTEMD_UNIT="x.service"),
            _entry("(sd-listen), of another unit", _TRANSPORT="journal", UNIT="x.socket"),
            _entry("logger", FAILED - 0.02, _PID="2009", _TRANSPORT="syslog"),
        ],
    )
    gave = stored.collect(context())
    lines = gave.text("journal/lost.txt").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["logger", "by syslog"]


def test_who_speaks_as_another_unit_as_well_is_that_ones(stored: _Journal) -> None:
    """``logger -t backup`` of another unit: of some of its lines journald still knew the unit."""
    others = {"SYSLOG_IDENTIFIER": "backup", "_TRANSPORT": "syslog"}
    program = {"SYSLOG_IDENTIFIER": "talker", "_TRANSPORT": "syslog"}
    placed = {"_SYSTEMD_CGROUP": "/x", "_SYSTEMD_UNIT": "x.service"}
    stored.answer(
        "strays",
        [
            _entry("without its unit", FAILED - 0.03, **others),
            _entry("with its unit", FAILED - 0.02, **others, **placed),
            _entry("of a second instance", FAILED - 0.02, **program, **placed),
            _entry("of a child", FAILED - 0.01, **program),
            _entry("of nobody", FAILED - 0.01, _TRANSPORT="syslog"),
        ],
    )
    lines = stored.collect(context()).text("journal/lost.txt").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["of a child", "of nobody"]


def test_lines_that_journald_saw_too_late_to_know_the_run(stored: _Journal) -> None:
    late = {"_SYSTEMD_UNIT": "talker.service", "_TRANSPORT": "stdout"}
    stored.answer("run", [_entry("of the main process", **late)])
    stored.answer(
        "strays",
        [
            _entry("of a child", _PID="2010", **late),
            _entry("of the main process", **late),
            _own("of the run"),
        ],
    )
    gave = stored.collect(context())
    assert gave.text("journal/journal.txt").endswith(": of the main process\n")
    assert gave.text("journal/lost.txt").endswith("[2010]: of a child\n")
    assert gave.text("journal/lost.txt").count("\n") == 1


def test_output_that_journald_saw_too_late_to_know_the_users_unit(stored: _Journal) -> None:
    """The user manager does not tell journald whose output it is, as PID 1 does."""
    mine = {"_UID": str(os.getuid()), "_TRANSPORT": "stdout"}
    child = _entry("of a child", FAILED - 0.02, _PID="2010", **mine)
    others = _entry("of another's", FAILED - 0.03, **(mine | {"_UID": "4711"}))
    elsewhere = _entry("of a session", FAILED - 0.03, _SYSTEMD_CGROUP="/x", **mine)
    stored.answer("run", [others, elsewhere, _entry("of the main process", **mine)])
    stored.answer("strays", [child, elsewhere])
    gave = stored.collect(replace(context(), user=True))
    assert gave.text("journal/journal.txt").endswith(": of the main process\n")
    assert gave.text("journal/journal.txt").count("\n") == 1
    assert gave.text("journal/lost.txt").endswith("[2010]: of a child\n")
    assert gave.text("journal/lost.txt").count("\n") == 1
    strays = next(call for call in stored.questions if "_TRANSPORT=syslog" in call)
    assert f"+ _TRANSPORT=stdout _UID={os.getuid()} _BOOT_ID=" in strays

    stored.answer("run", [_entry("of the main process", **mine)])
    assert "journal/journal.txt" not in stored.collect(context()).items


def test_a_look_back(stored: _Journal) -> None:
    others = [_entry(f"{n}", 100.0 + n, _SYSTEMD_INVOCATION_ID="b" * 32) for n in range(150)]
    stored.answer("before", [*others, _own("mine"), _entry("about", INVOCATION_ID=RUN, _PID="1")])
    gave = stored.collect(context())
    lines = gave.text("journal/before.txt").splitlines()
    assert [line.split(": ")[1] for line in lines] == [str(n) for n in range(50, 150)]


def test_the_dying_words_stay_and_the_front_is_cut(
    stored: _Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "TEXT_BYTES", 8 << 10)
    monkeypatch.setattr(collector, "JSON_BYTES", 4 << 10)
    stored.answer("run", [_own(f"line {n}", FAILED + n / US) for n in range(10_000)])
    gave = stored.collect(context())
    for path, limit in (("journal/journal.txt", 8 << 10), ("journal/journal.json", 4 << 10)):
        item = gave.items[path]
        assert limit - 400 < len(item.data) <= limit
        assert item.truncated
        assert f"cut from the front at {limit >> 10} KiB" in (item.reason or "")
        assert b"line 9999" in item.data.splitlines()[-1]


def test_a_message_of_64_mib(stored: _Journal, programs: Programs) -> None:
    head = "".join(f"{k}={v}\n" for k, v in _own("").items() if k != "MESSAGE")
    stored.answer("run", (head + "MESSAGE=words ").encode() + b"x" * (64 << 20) + b" last\n\n")
    gave = stored.collect(context())
    text = gave.text("journal/journal.txt")
    assert "words xxx" in text
    assert "bytes left out by failhook" in text
    assert text.endswith("xx last\n")
    assert len(text) < 70_000


@pytest.mark.parametrize(
    ("sync", "said"),
    [
        ("exit 0", None),
        ("echo refused >&2; exit 1", "the last lines may be missing: journalctl ended with"),
        ("sleep 60", "the last lines may be missing: journalctl did not finish within 1."),
    ],
)
def test_sync_is_bounded_and_its_failure_said(
    stored: _Journal, sync: str, said: str | None
) -> None:
    stored.sync = sync
    stored.answer("run", [_own("mine")])
    gave = stored.collect(context())
    assert gave.text("journal/journal.txt").endswith("mine\n")
    assert [problem[: len(said or "")] for problem in gave.problems] == ([said] if said else [])


def test_suppressed_lines_are_said(stored: _Journal) -> None:
    by = {"_TRANSPORT": "driver", "MESSAGE_ID": journal.DROPPED}
    stored.answer(
        "run",
        [
            _own("mine"),
            _entry("Suppressed 575 messages from talker.service", N_DROPPED="575", **by),
            _entry("Suppressed 99 messages from other.service", N_DROPPED="99", **by),
        ],
    )
    (problem,) = stored.collect(context()).problems
    assert "journald suppressed 575 lines of the unit" in problem


def test_a_burst_may_have_been_suppressed(stored: _Journal) -> None:
    stored.answer("run", [_own("x", FAILED + n / US) for n in range(10_000)])
    (problem,) = stored.collect(context()).problems
    assert "10000 lines within 30 s" in problem


def test_no_line_and_no_journal(
    stored: _Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert stored.collect(context()).problems == ["the journal has no line of this run"]
    monkeypatch.setattr(journal.storage_problem, "__defaults__", ((tmp_path / "none",),))
    (problem,) = stored.collect(context()).problems
    assert "keeps no journal" in problem
