# SPDX-License-Identifier: MIT
"""Does a unit run well?"""

import json

import pytest

from failhook.changes.healthy import patience, runs_well
from failhook.incident import rfc3339
from failhook.store.index import Row
from failhook.systemd.unit import UnitState

NOW = 1_800_000_000.0


def at(seconds_ago: float) -> str:
    """As `systemctl show --timestamp=us+utc` has it."""
    text = rfc3339(NOW - seconds_ago)
    assert text is not None
    return "Fri " + text.replace("T", " ").replace("Z", " UTC")


def state(**properties: str) -> UnitState:
    known = {"LoadState": "loaded", "Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0"}
    return UnitState("a.service", known | properties)


@pytest.mark.parametrize(
    ("properties", "well"),
    [
        ({"ActiveState": "active", "ActiveEnterTimestamp": at(11)}, True),
        ({"ActiveState": "active", "ActiveEnterTimestamp": at(9)}, False),
        ({"ActiveState": "active"}, False),
        ({"ActiveState": "activating", "ActiveEnterTimestamp": at(99)}, False),
        ({"ActiveState": "failed", "Result": "exit-code"}, False),
        ({"ActiveState": "inactive", "Type": "oneshot"}, True),
        ({"ActiveState": "inactive", "Type": "oneshot", "Result": "exit-code"}, False),
        ({"ActiveState": "inactive", "Type": "oneshot", "ExecMainStatus": "3"}, False),
        ({"ActiveState": "inactive", "Type": "oneshot", "ExecMainCode": "0"}, False),
        ({"ActiveState": "inactive", "Type": "simple"}, False),
        (
            {
                "ActiveState": "inactive",
                "Type": "simple",
                "ExecMainCode": "2",
                "ExecMainStatus": "15",
                "ExecMainStartTimestamp": at(60),
                "ExecMainExitTimestamp": at(10),
            },
            True,
        ),
        (
            {
                "ActiveState": "inactive",
                "Type": "simple",
                "ExecMainCode": "2",
                "ExecMainStatus": "9",
                "ExecMainStartTimestamp": at(60),
                "ExecMainExitTimestamp": at(10),
            },
            False,
        ),
    ],
)
def test_runs_well(properties: dict[str, str], well: bool) -> None:
    assert runs_well(state(**properties), NOW, 10.0) is well
    assert runs_well(state(**properties, LoadState="not-found"), NOW, 10.0) is False


def test_a_clean_stop_that_was_reported_is_one() -> None:
    ended = state(ActiveState="inactive", Type="simple")
    assert runs_well(ended, NOW, 10.0, told=True)
    assert not runs_well(state(ActiveState="inactive", Result="signal"), NOW, 10.0, told=True)


def test_one_that_crashes_every_minute_does_not_run_well_in_between() -> None:
    def row(unit: str, ago: float, lasted: float) -> Row:
        main = {"started": rfc3339(NOW - ago - lasted), "exited": rfc3339(NOW - ago)}
        document = json.dumps({"main": main})
        return Row(unit, unit, unit, NOW - ago, "open", "done", None, False, 0, document)

    rows = [row("a", 10, 60), row("a", 100, 900), row("b", 20, 1), row("c", 90_000, 60)]
    rows.append(row("d", 5, 1e6))
    assert patience(rows, NOW) == {"a": 120.0, "b": 10.0, "d": 3600.0}
