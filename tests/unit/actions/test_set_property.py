# SPDX-License-Identifier: MIT
"""Other limits until the next boot: what is set, how far, and how often."""

from pathlib import Path
from typing import Any

import pytest

from failhook import testing
from failhook.action import Outcome
from failhook.actions import set_property
from failhook.incident import Incident
from tests.unit.actions.conftest import Systemd

GIB = 1 << 30


def _set(properties: dict[str, str], **more: Any) -> Outcome:
    raw: dict[str, object] = {"properties": properties}
    raw |= {name: more.pop(name) for name in list(more) if name in ("max", "once", "unit")}
    return testing.run(set_property.ACTION, raw, **more)


@pytest.mark.parametrize(
    ("wanted", "shown", "value"),
    [
        ({"MemoryHigh": "2G"}, {"MemoryHigh": str(GIB)}, f"MemoryHigh={2 * GIB}"),
        ({"MemoryHigh": "+25%"}, {"MemoryHigh": str(GIB)}, f"MemoryHigh={GIB + GIB // 4}"),
        ({"MemoryHigh": "-50%"}, {"MemoryHigh": str(GIB)}, f"MemoryHigh={GIB // 2}"),
        ({"MemoryMax": "infinity"}, {"MemoryMax": str(GIB)}, "MemoryMax=infinity"),
        ({"TasksMax": "200"}, {"TasksMax": "100"}, "TasksMax=200"),
        ({"TasksMax": "+10%"}, {"TasksMax": "100"}, "TasksMax=110"),
        ({"CPUQuota": "50%"}, {"CPUQuotaPerSecUSec": "infinity"}, "CPUQuota=50%"),
        ({"CPUQuota": "+100%"}, {"CPUQuotaPerSecUSec": "1s 500ms"}, "CPUQuota=300%"),
        ({"CPUWeight": "50"}, {"CPUWeight": "[not set]"}, "CPUWeight=50"),
        ({"IOWeight": "+100%"}, {"IOWeight": "[not set]"}, "IOWeight=200"),
    ],
)
def test_values(
    systemd: Systemd, wanted: dict[str, str], shown: dict[str, str], value: str
) -> None:
    systemd.shows(**{"ActiveState": "active", **shown})  # type: ignore[arg-type]
    outcome = _set(wanted)
    assert outcome.ok
    assert systemd.asked == [f"systemctl set-property --runtime -- gitea.service {value}"]
    name = next(iter(wanted))
    assert outcome.data["properties"][name]["after"] == value.partition("=")[2]
    assert "until the next boot" in outcome.detail


def test_what_was_in_force_is_recorded(systemd: Systemd) -> None:
    systemd.shows(MemoryHigh=str(GIB), MemoryMax="infinity")
    outcome = _set({"MemoryHigh": "2G", "MemoryMax": "3G"})
    assert outcome.data["properties"] == {
        "MemoryHigh": {"before": str(GIB), "after": str(2 * GIB)},
        "MemoryMax": {"before": "infinity", "after": str(3 * GIB)},
    }


def test_a_bound_for_what_is_relative(systemd: Systemd) -> None:
    systemd.shows(MemoryHigh=str(GIB))
    assert _set({"MemoryHigh": "+900%"}, max={"MemoryHigh": "1536M"}).ok
    assert systemd.asked[-1].endswith(f"MemoryHigh={1536 << 20}")
    systemd.shows(MemoryHigh=str(1536 << 20))
    outcome = _set({"MemoryHigh": "+25%"}, max={"MemoryHigh": "1536M"})
    assert outcome.ok
    assert "as far as it may go" in outcome.detail
    assert len(systemd.asked) == 1


@pytest.mark.parametrize("shown", ["infinity", str((1 << 64) - 1), ""])
def test_what_is_not_limited_is_not_raised(systemd: Systemd, shown: str) -> None:
    systemd.shows(MemoryHigh=shown)
    outcome = _set({"MemoryHigh": "+25%"})
    assert outcome.ok
    assert "is not limited" in outcome.detail
    assert systemd.asked == []


def test_what_is_so_already(systemd: Systemd) -> None:
    systemd.shows(MemoryHigh=str(GIB), CPUQuotaPerSecUSec="500ms")
    assert "is 50% already" in _set({"MemoryHigh": "1G", "CPUQuota": "50%"}).detail
    assert systemd.asked == []


def test_once_for_each_unit_and_boot(systemd: Systemd, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    systemd.shows(MemoryHigh=str(GIB))
    systemd.shows("other.service", MemoryHigh=str(GIB))
    assert _set({"MemoryHigh": "+25%"}, state=state).data.get("left_out") is None
    again = _set({"MemoryHigh": "+25%"}, state=state)
    assert (again.ok, again.data) == (True, {"left_out": True})
    assert _set({"MemoryHigh": "+25%"}, state=state, unit="other.service").data["properties"]
    assert _set({"MemoryHigh": "+25%"}, state=state, once=False).data["properties"]
    next_boot: Incident = testing.incident(boot_id="f" * 32)
    assert _set({"MemoryHigh": "+25%"}, state=state, incident=next_boot).data["properties"]
    assert len(systemd.asked) == 4


def test_what_did_not_work_may_be_tried_again(systemd: Systemd, tmp_path: Path) -> None:
    systemd.shows(MemoryHigh=str(GIB))
    shows = (systemd.programs.directory / "systemctl").read_text()
    systemd.programs.add(
        "systemctl",
        'case "$*" in *set-property*) echo "Unit is not there" >&2; exit 1;; esac\n'
        + shows.partition("\n")[2],
    )
    outcome = _set({"MemoryHigh": "+25%"}, state=tmp_path)
    assert (outcome.ok, outcome.final) == (False, False)
    assert "Unit is not there" in outcome.detail
    assert not _set({"MemoryHigh": "+25%"}, state=tmp_path).ok  # and not left out


def test_a_dry_run(systemd: Systemd, tmp_path: Path) -> None:
    systemd.shows(MemoryHigh=str(GIB))
    outcome = _set({"MemoryHigh": "2G"}, dry_run=True, state=tmp_path)
    assert outcome.detail == (
        f"would set for gitea.service until the next boot: MemoryHigh {GIB} -> {2 * GIB}"
    )
    assert systemd.asked == []
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "is missing"),
        ({"properties": {}}, "sets nothing"),
        ({"properties": {"ExecStart": "x"}}, "'ExecStart' is none of"),
        ({"properties": {"MemoryHigh": "lots"}}, "no value of it"),
        ({"properties": {"MemoryHigh": "1G\nX=1"}}, "no value of it"),
        ({"properties": {"CPUWeight": "20000"}}, "no value of it"),
        ({"properties": {"CPUQuota": "1G"}}, "no value of it"),
        ({"properties": {"MemoryHigh": 5}}, "table of texts"),
        ({"properties": {"MemoryHigh": "1G"}, "max": {"MemoryHigh": "+5%"}}, "no absolute"),
    ],
)
def test_wrong_options(raw: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(set_property.ACTION, raw)
