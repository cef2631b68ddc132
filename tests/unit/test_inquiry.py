# SPDX-License-Identifier: MIT
"""When the question why is asked: not before all have reported whose evidence it looks at."""

from failhook.changes.stage import NAME
from failhook.diagnose import stage
from failhook.incident import Evidence, Status
from failhook.pipeline import _Haul, _Inquiry
from failhook.systemd.unit import UnitState
from tests.unit import samples


def _asked_after(collectors: list[str], reported: list[str]) -> bool:
    haul = _Haul()
    haul.evidence += [Evidence(name, Status.OK) for name in reported]
    unit = UnitState("a.service", {})
    inquiry = _Inquiry(samples.incident(), unit, haul, stage.Own(), collectors)
    return inquiry.collector() is not None


def test_it_waits_for_what_changed_too() -> None:
    collectors = [NAME, *stage.SOURCES, "processes"]
    assert not _asked_after(collectors, [*stage.SOURCES, "processes"])
    assert not _asked_after(collectors, [NAME, *stage.SOURCES[1:]])
    assert _asked_after(collectors, [NAME, *stage.SOURCES])  # what is for people it does not need


def test_nobody_is_awaited_who_is_not_there() -> None:
    assert _asked_after(["journal"], ["journal"])
    assert _asked_after([], [])
