# SPDX-License-Identifier: MIT
"""Asking journalctl, and what is made of its entries."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import proc
from failhook.systemd import journal
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query
from tests.unit.collect.bench import DATA, VERSIONS, Programs


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A directory for a fake journalctl."""
    fakes = Programs(tmp_path)
    monkeypatch.setattr(proc, "SEARCH_PATH", fakes.path(proc.SEARCH_PATH))
    return fakes


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    journal._second.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    journal._second.cache_clear()


def _entry(**fields: str | bytes) -> Entry:
    return Entry(1795301106.5, fields)


def test_the_command_asks_for_everything_newest_first() -> None:
    query = Query(("A=1", "+", "B=-x"), since=-5.0, until=7.25, namespace="n", max_entries=3)
    assert query.argv() == [
        "journalctl", "--no-pager", "--quiet", "--all", "--output=export", "--reverse",
        "--since=@0.000000", "--until=@7.250000", "--namespace=+n", "--lines=3",
        "--", "A=1", "+", "B=-x",
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_entries_come_oldest_first(journalctl: Programs, version: str) -> None:
    data = DATA / version / "talker.export"
    journalctl.add("journalctl", f"cat '{data}'")
    expected = [json.loads(line)["__CURSOR"] for line in _lines(version)]
    got = [entry.text("__CURSOR") for entry in journal.read(["A=1"])]
    assert got == expected[::-1]


def _lines(version: str) -> list[str]:
    return (DATA / version / "talker.json").read_text().splitlines()


def test_a_bound_cuts_the_oldest_and_ends_journalctl(journalctl: Programs) -> None:
    entry = "MESSAGE=" + "x" * 1000
    journalctl.add("journalctl", f'while printf "%s\\n\\n" "{entry}"; do :; done')
    reading = journal.ask(Query(("A=1",)), max_bytes=100_000, timeout_s=20)
    assert reading.cut
    assert reading.problem is None
    assert len(reading.entries) == 100_000 // 1007


def test_a_slow_journal_gives_what_it_had(journalctl: Programs) -> None:
    journalctl.add("journalctl", 'printf "MESSAGE=new\\n\\nMESSAGE=ol"; sleep 60')
    started = time.monotonic()
    reading = journal.ask(Query(("A=1",)), timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert [entry.text("MESSAGE") for entry in reading.entries] == ["new"]
    assert reading.cut
    assert "did not finish" in (reading.problem or "")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", None),  # nothing matches
        ("echo broken >&2; exit 1", "journalctl ended with status 1: broken"),
        ("kill -SEGV $$", "journalctl ended with status -11"),
    ],
)
def test_what_went_wrong_is_said(journalctl: Programs, script: str, said: str | None) -> None:
    journalctl.add("journalctl", script)
    assert journal.ask(Query(("A=1",))).problem == said


def test_no_journalctl_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "SEARCH_PATH", str(tmp_path))
    assert "could not be started" in (journal.ask(Query(())).problem or "")
    assert "could not be started" in (journal.sync() or "")
    assert journal.read(["A=1"]) == []


def test_sync_is_bounded(journalctl: Programs) -> None:
    journalctl.add("journalctl", "sleep 60")
    started = time.monotonic()
    assert "did not finish within 0." in (journal.sync("n", timeout_s=0.2) or "")
    assert time.monotonic() - started < 2
    assert journalctl.calls == ["journalctl --namespace=n --sync"]


def test_text_is_like_journalctls(utc: None) -> None:
    entry = _entry(SYSLOG_IDENTIFIER="acme", _PID="7", MESSAGE="one\n\ttwo\n\n")
    assert journal.to_text(entry) == (
        "2026-11-21T22:45:06.500000+00:00 acme[7]: one\n        \ttwo\n"
    )
    assert journal.to_text(_entry(_COMM="c", SYSLOG_PID="9")).endswith("+00:00 c[9]: \n")
    sent = _entry(_SOURCE_REALTIME_TIMESTAMP="1795301106000001")
    assert journal.to_text(sent) == "2026-11-21T22:45:06.000001+00:00 ?: \n"


def test_text_cannot_steer_a_terminal() -> None:
    hostile = b"\x1b]0;x\x07 \xff \r\n \xe2\x80\xae \xc2\x9b"
    text = journal.to_text(_entry(_COMM=b"\x1bc", MESSAGE=hostile))
    assert "\\x1bc: \\x1b]0;x\\x07 \\xff \\x0d\n         \\u202e \\x9b\n" in text
    assert "\x1b" not in text


@given(st.binary(max_size=200))
def test_no_message_escapes_its_lines(message: bytes) -> None:
    line = journal.to_text(_entry(_COMM="c", MESSAGE=message))
    assert line.endswith("\n")
    first, *others = line[:-1].split("\n")
    assert all(other.startswith("        ") for other in others)
    assert all(c.isprintable() or c == "\t" or not c.isascii() for c in first)


def test_a_time_far_off_is_a_number() -> None:
    assert journal.stamp(1e17).startswith("@100000000000000000.")


def test_storage_is_judged_by_its_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_machine_id", lambda: "m")
    persistent, volatile = tmp_path / "var", tmp_path / "run"
    places = (persistent, volatile)
    assert "keeps no journal" in (journal.storage_problem(places) or "")
    (volatile / "m").mkdir(parents=True)
    assert "not readable" in (journal.storage_problem(places) or "")
    (volatile / "m" / "system.journal").touch()
    assert "volatile" in (journal.storage_problem(places) or "")
    (persistent / "m").mkdir(parents=True)
    assert "volatile" in (journal.storage_problem(places) or "")  # not flushed to it
    (persistent / "m" / "system.journal").touch()
    assert journal.storage_problem(places) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_journal_of_others_is_not_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_machine_id", lambda: "m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "system.journal").touch(mode=0)
    assert "not readable" in (journal.storage_problem((tmp_path,)) or "")
