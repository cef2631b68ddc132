# SPDX-License-Identifier: MIT
"""Counts for Prometheus: what is counted, how it is written, and that it only grows."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import testing
from failhook.action import Outcome
from failhook.actions import metrics
from failhook.actions.metrics import Counts
from failhook.incident import Incident, JsonObject, Phase, State

_SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (\S+)'
)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Strictly as the exposition format says: every family once, HELP and TYPE before samples."""
    assert text.endswith("\n")
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    types: dict[str, str] = {}
    family = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in types
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family
            types[name] = kind
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            suffixes = ("_sum", "_count") if types[family] == "summary" else ("",)
            assert match[1] in [family + suffix for suffix in suffixes]
            labels = tuple((found[1], _raw(found[2])) for found in _LABEL.finditer(match[2]))
            assert (match[1], labels) not in samples
            samples[match[1], labels] = float(match[3])
    return samples


def _raw(value: str) -> str:
    return re.sub(r'\\[\\"n]', lambda found: _ESCAPES[found[0]], value)


class Told:
    """Tells the action of incidents and reads the file."""

    def __init__(self, base: Path) -> None:
        self.directory, self.state = base / "textfile", base / "state"
        self.directory.mkdir()
        self.state.mkdir()

    def tell(self, incident: Incident, **raw: Any) -> Outcome:
        """Run the action."""
        options = {"directory": str(self.directory), **raw}
        return testing.run(metrics.ACTION, options, incident=incident, state=self.state)

    def value(self, name: str, unit: str = "gitea.service", **more: str) -> float | None:
        """A sample of the file."""
        found = parse((self.directory / "failhook.prom").read_text())
        return found.get((f"failhook_{name}", (("unit", unit), *more.items())))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_failure_and_its_recovery(told: Told) -> None:
    first = testing.incident(id="1", first_seen=1000.0, phase=Phase.RESTARTING)
    second = replace(first, id="2", first_seen=1100.0)
    assert told.tell(first).ok
    assert told.tell(first).ok  # a second try
    assert told.tell(second).ok
    assert told.value("failures_total") == 2
    assert told.value("restarts_total", by="systemd") == 2
    assert told.value("open") == 1
    assert told.value("last_failure_timestamp_seconds") == 1100
    assert told.tell(replace(second, state=State.RECOVERED, recovered_at=1250.5)).ok
    assert told.tell(replace(second, state=State.RECOVERED, recovered_at=1250.5)).ok
    assert told.value("open") == 0
    assert told.value("recovered_total") == 1
    assert told.value("time_to_recover_seconds_sum") == 250.5  # since the first of them
    assert told.value("time_to_recover_seconds_count") == 1


def test_a_failure_that_nobody_waits_for(told: Told) -> None:
    told.tell(testing.incident(id="1", phase=Phase.STOPPED, state=State.CLOSED))
    assert (told.value("failures_total"), told.value("open")) == (1, 0)
    open_one = testing.incident(id="2")
    told.tell(open_one)
    assert told.value("open") == 1
    told.tell(replace(open_one, state=State.CLOSED))
    assert (told.value("open"), told.value("recovered_total")) == (0, 0)


def test_an_older_one_that_is_closed_ends_nothing(told: Told) -> None:
    older = testing.incident(id="1", first_seen=1000.0)
    newer = replace(older, id="2", first_seen=1100.0)
    told.tell(older)
    told.tell(newer)
    told.tell(replace(older, state=State.CLOSED))
    assert told.value("open") == 1


def test_restarts_of_ours(told: Told) -> None:
    steps: list[JsonObject] = [
        {"type": "restart", "state": "done"},
        {"type": "start", "state": "failed"},
        {"type": "restart", "state": "left-out"},
        {"type": "restart", "state": "dry-run"},
        {"type": "mail", "state": "done"},
    ]
    incident = testing.incident(actions=tuple(steps[:1]))
    told.tell(incident)
    assert told.value("restarts_total", by="failhook") == 1
    told.tell(replace(incident, actions=tuple(steps)))
    told.tell(replace(incident, actions=tuple(steps)))
    assert told.value("restarts_total", by="failhook") == 2


def test_everybody_may_read_it_and_it_is_written_whole(told: Told) -> None:
    before = os.umask(0o077)
    try:
        told.tell(testing.incident())
    finally:
        os.umask(before)
    assert (told.directory / "failhook.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in told.directory.iterdir()] == ["failhook.prom"]
    assert (told.state / "counts.json").stat().st_mode & 0o777 == 0o600


def test_units_beyond_the_limit_count_together(told: Told) -> None:
    for number in range(5):
        told.tell(
            testing.incident(id=f"a{number}", unit=f"u{number}.service", first_seen=number + 1.0),
            units=2,
        )
    found = parse((told.directory / "failhook.prom").read_text())
    units = {dict(labels)["unit"] for _, labels in found}
    assert units == {"u3.service", "u4.service", "other"}
    assert told.value("failures_total", "other") == 3
    assert sum(value for (name, _), value in found.items() if name.endswith("failures_total")) == 5


def test_what_is_remembered_is_bounded() -> None:
    units: dict[str, Counts] = {}
    for number in range(500):
        metrics.count(units, testing.incident(id=str(number)), 10)
    assert len(units["gitea.service"].incidents) <= 32
    assert units["gitea.service"].failures == 500


def test_damaged_counts_begin_anew(told: Told) -> None:
    for broken in (
        "",
        "{",
        "[]",
        '{"a": 1}',
        '{"a": {"failures": "NaN"}}',
        '{"a": {"incidents": 1}}',
    ):
        (told.state / "counts.json").write_text(broken)
        outcome = told.tell(testing.incident())
        assert outcome.ok
        assert "begin anew" in outcome.detail
        assert told.value("failures_total") == 1


def test_a_dry_run_writes_nothing(told: Told) -> None:
    outcome = testing.run(
        metrics.ACTION, {"directory": str(told.directory)}, state=told.state, dry_run=True
    )
    assert "would write the counts of 1 units" in outcome.detail
    assert list(told.directory.iterdir()) == list(told.state.iterdir()) == []


def test_no_directory_no_file(told: Told) -> None:
    outcome = testing.run(metrics.ACTION, {"directory": str(told.directory / "none")})
    assert (outcome.ok, outcome.final) == (False, True)
    assert "prometheus-node-exporter" in outcome.detail


@pytest.mark.parametrize("name", ["x.txt", "../x.prom", ".x.prom", "a/b.prom"])
def test_a_name_that_the_collector_would_not_read(name: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=r"\.prom"):
        testing.request(metrics.ACTION, {"file": name})


@given(st.text(max_size=60))
def test_every_unit_name_makes_a_sound_file(unit: str) -> None:
    units: dict[str, Counts] = {}
    metrics.count(units, testing.incident(unit=unit), 10)
    found = parse(metrics.exposition(units))
    sound = unit.encode("utf-8", "replace").decode()
    assert found["failhook_failures_total", (("unit", sound),)] == 1


def test_counts_survive_the_file(told: Told) -> None:
    incident = testing.incident(id="1", unit='odd "\\x2d\n.service')
    told.tell(incident)
    kept = json.loads((told.state / "counts.json").read_text())
    assert kept[incident.unit]["failures"] == 1
    told.tell(replace(incident, id="2"))
    assert told.value("failures_total", incident.unit) == 2
