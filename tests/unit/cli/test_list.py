# SPDX-License-Identifier: MIT
"""``failhook list``: newest first, repeats in one line, filters, and nothing that steers."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.cells import cell_len

from failhook.cli import list as listing
from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.list import moment
from failhook.incident import Phase, Stage, State, Verdict
from failhook.store import counts
from failhook.store.incidents import Store
from tests.unit.cli.conftest import CommandLine
from tests.unit.samples import AT, incident
from tests.unit.test_incident import CONTRACT

NOW = AT
_UNIT = re.compile(r"\S+\.(?:service|mount)")
HOSTILE = "\x1b]0;owned\x07 \x9b31m \u202egnorw\u202c \u2066x\u2069 a\nb\r\u2028c\x7f \ufeff\u200b"


def _units(out: str) -> list[str]:
    """The UNIT column."""
    return [found[0] for line in out.splitlines()[1:] if (found := _UNIT.search(line))]


def test_nothing_failed(failhook: CommandLine) -> None:
    said = failhook("list")
    assert (said.code, said.out) == (0, "")
    assert "Nothing has failed" in said.err
    assert failhook("list", "--json").document == {"schema": 1, "incidents": []}
    failhook.add()
    said = failhook("list", "--unit", "b")
    assert (said.code, said.out, said.err) == (0, "", "Nothing matches.\n")
    assert failhook("list", "--unit", "b", "--json").document["incidents"] == []


def test_one_line_each_newest_first(failhook: CommandLine) -> None:
    for number, unit in enumerate(["a.service", "b.mount", "c@x.service"]):
        failhook.add(number, unit=unit)
    said = failhook("list")
    assert said.out.splitlines()[0].split() == ["WHEN", "UNIT", "WHY", "TIMES", "STATE", "ID"]
    assert _units(said.out) == ["c@x.service", "b.mount", "a.service"]
    assert "  reason 2  " in said.out  # the unit and that it failed have columns of their own
    assert incident(2, unit="c@x.service").id[:6] in said.out


def test_repeats_share_a_line_that_counts_them(failhook: CommandLine) -> None:
    for number in range(5):
        failhook.add(number, "a.service failed: the same")
    failhook.add(9, "b.service failed", unit="b.service")
    out = failhook("list").out
    assert _units(out) == ["b.service", "a.service"]
    assert [line.split()[-3] for line in out.splitlines()[1:]] == ["1", "5"]
    assert len(_units(failhook("list", "--every").out)) == 6
    assert len(failhook("list", "--json").document["incidents"]) == 6


def test_one_that_is_being_looked_at_has_a_line_of_its_own(failhook: CommandLine) -> None:
    for number in range(2):
        failhook.add(number, verdict=None, stage=Stage.RECORDED)
    out = failhook("list").out
    assert out.count("being looked at") == 2


@pytest.mark.parametrize(
    ("words", "units"),
    [
        (["--unit", "acme-1.service"], ["acme-1.service"]),
        (["--unit", "acme-1"], ["acme-1.service"]),
        (["--unit", "acme-*"], ["acme-2.service", "acme-1.service"]),
        (["--unit", "acme-?"], ["acme-2.service", "acme-1.service"]),
        (["--unit", "acme-[2-9]"], ["acme-2.service"]),
        (["--unit", "*.mount"], ["srv.mount"]),
        (["--unit", "ACME-1"], []),
        (["--unit", "' OR 1=1 --"], []),
        (["--state", "recovered"], ["acme-2.service"]),
        (["--state", "open", "--unit", "acme*"], ["acme-1.service"]),
        (["--since", "2026-11-21T23:00:00Z"], ["srv.mount", "acme-2.service"]),
        (["--since", "2026-11-21 23:00"], ["srv.mount", "acme-2.service"]),
        (["--since", "2026-11-22"], ["srv.mount"]),
        (["-n", "1"], ["srv.mount"]),
    ],
)
def test_filters(failhook: CommandLine, words: list[str], units: list[str]) -> None:
    failhook.add(1, unit="acme-1.service")
    failhook.add(2, unit="acme-2.service", state=State.RECOVERED)
    failhook.add(3, unit="srv.mount")
    assert _units(failhook("list", *words).out) == units
    found = failhook("list", *words, "--json").document["incidents"]
    assert [one["unit"] for one in found] == units


def test_more_than_is_asked_for_is_said(failhook: CommandLine) -> None:
    for number in range(60):
        failhook.add(number)
    said = failhook("list")
    assert len(_units(said.out)) == 50
    assert "older ones: failhook list --limit 500" in said.err
    assert len(_units(failhook("list", "--limit", "60").out)) == 60
    assert failhook("list", "--limit", "60").err == ""
    assert len(failhook("list", "--json").document["incidents"]) == 60


@pytest.mark.parametrize("limit", ["0", "-5", "many", "1.5"])
def test_a_limit_that_is_none(failhook: CommandLine, limit: str) -> None:
    failhook.add()
    for words in ([], ["--json"]):
        said = failhook("list", f"--limit={limit}", *words)
        assert (said.code, said.out) == (2, "")


@pytest.mark.parametrize(
    "text",
    ["soon", "", "Tomorrow", "12", "2026-13-01", "-5d", "9" * 400 + "d", "9" * 25 + "d"],
)
def test_a_time_that_is_none(failhook: CommandLine, text: str) -> None:
    failhook.add()
    said = failhook("list", f"--since={text}")
    assert (said.code, said.out) == (2, "")
    assert "is no time" in said.err


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2h", NOW - 7200),
        ("3 d", NOW - 3 * 86400),
        ("90s ago", NOW - 90),
        ("5min", NOW - 300),
        ("1w", NOW - 604800),
        ("2026-11-21T20:00:00Z", NOW - 6577.25),
        ("2026-11-21T21:00:00+01:00", NOW - 6577.25),
        ("2026-11-21T20:00", NOW - 6577.25),
        ("today", NOW - 78577.25),
        ("Yesterday", NOW - 78577.25 - 86400),
    ],
)
def test_times_as_people_write_them(monkeypatch: pytest.MonkeyPatch, text: str, at: float) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert moment(text, NOW) == pytest.approx(at, abs=1e-3)


def test_yesterday_where_the_clock_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        noon = datetime(2026, 10, 25, 11, 0, tzinfo=UTC).timestamp()  # summer time ended that night
        assert moment("today", noon) == datetime(2026, 10, 24, 22, 0, tzinfo=UTC).timestamp()
        assert moment("yesterday", noon) == datetime(2026, 10, 23, 22, 0, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_not_a_time_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        moment("soon", NOW)


@pytest.mark.parametrize("same_time", [False, True])
def test_more_than_a_page(
    failhook: CommandLine, monkeypatch: pytest.MonkeyPatch, same_time: bool
) -> None:
    monkeypatch.setattr(listing, "_PAGE", 4)
    at: dict[str, Any] = {"first_seen": AT} if same_time else {}
    for number in range(15):
        failhook.add(number, unit=f"u{number:02d}.service", **at)
    units = _units(failhook("list", "--limit", "100").out)
    assert sorted(units) == [f"u{number:02d}.service" for number in range(15)]


def test_json_is_the_contract_without_evidence(failhook: CommandLine) -> None:
    failhook.add(1)
    one = failhook.add(2, "it was \u202e 日本 \x1b")
    newest, older = failhook("list", "--json").document["incidents"]
    assert newest["id"] == one.id
    assert newest.keys() >= CONTRACT - {"evidence"}
    assert "evidence" not in newest
    assert newest["verdict"]["summary"] == "it was \u202e 日本 \x1b"
    assert older["first_seen"] == "2026-11-21T22:49:37.250000Z"


def test_what_a_log_line_holds_never_steers_the_terminal(failhook: CommandLine) -> None:
    """`CommandLine` looks at every character that is printed."""
    failhook.add(1, HOSTILE, dying_words=(HOSTILE,), host=HOSTILE)
    assert "\\x1b]0;owned\\x07" in failhook("list").out
    assert len(failhook("list").out.splitlines()) == 2
    (one,) = failhook("list", "--json").document["incidents"]
    assert one["verdict"]["summary"] == HOSTILE
    assert one["dying_words"] == [HOSTILE]


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize("unit", ["a.service", "x" * 90 + ".service", "日" * 3 + ".service"])
def test_it_fits_the_terminal(
    failhook: CommandLine, monkeypatch: pytest.MonkeyPatch, columns: int, unit: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    failhook.add(1, "why " * 60, unit=unit, phase=Phase.JOB_TIMEOUT)
    lines = failhook("list").out.splitlines()
    assert max(cell_len(line) for line in lines) <= columns
    assert len(lines) == 2
    assert incident(1, unit=unit).id[:6] in lines[1]
    assert "job timeout" in lines[1]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"phase": Phase.GAVE_UP}, "gave up"),
        ({"phase": Phase.RESTARTING, "attempt": 2, "attempts": 5}, "restart 2/5"),
        ({"phase": Phase.RESTARTING}, "restarting"),
        ({"phase": Phase.GAVE_UP, "state": State.RECOVERED}, "recovered"),
    ],
)
def test_what_became_of_it(failhook: CommandLine, changes: dict[str, Any], word: str) -> None:
    failhook.add(1, **changes)
    assert f" {word} " in failhook("list").out


def test_counts_outlive_the_incidents(failhook: CommandLine) -> None:
    one = failhook.add(1, "a.service failed: the same")
    failhook.add(2, "a.service failed: the same")
    failhook("forget", one.id)
    (row,) = failhook("list").out.splitlines()[1:]
    assert row.split()[-3] == "2"
    store = Store(failhook.where)
    tally = counts.tally(store, str(one.signature))
    store.close()
    assert tally is not None
    assert tally.count == 2


def test_a_verdict_without_the_units_name_in_front(failhook: CommandLine) -> None:
    failhook.add(1, verdict=Verdict("port 3000 is held by grafana (pid 812)"))
    assert " port 3000 is held by grafana (pid 812) " in failhook("list").out
