# SPDX-License-Identifier: MIT
"""Taking the machine down: what speaks against it, what is made safe before, what is asked for."""

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from failhook import places as layout
from failhook import testing
from failhook.action import Outcome
from failhook.actions import system, table
from failhook.boot import endings, going_down, guards, running
from failhook.boot.endings import Ending
from failhook.boot.guards import Guards, pause_left
from failhook.places import Places
from failhook.queue import Item, Queue
from failhook.systemd import upgrade
from failhook.systemd.boot import boot_id
from tests.unit.actions.conftest import RUN_AFTER, Systemd

_DAY = 86400.0
_SYNC = "sync --file-system"


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: Systemd) -> Places:
    """A machine that has been up for long, with programs that do nothing."""
    found = Places(run=tmp_path / "run", state=tmp_path / "state", configuration=())
    for module in (going_down, guards):
        monkeypatch.setattr(module.layout, "find", lambda *, user: found)
    for module in (going_down, guards):
        monkeypatch.setattr(module, "up_s", lambda: 10 * _DAY)
    monkeypatch.setattr(upgrade, "_LOCKS", ())
    monkeypatch.setattr(upgrade, "_PACMAN", str(tmp_path / "none"))
    for name in ("sync", "wall", "busctl", "systemd-run"):
        systemd.programs.add(name, ":")
    systemd.programs.add("journalctl", ":")
    return found


def _down(options: dict[str, Any] | None = None, **request: Any) -> Outcome:
    incident = testing.incident(boot_id=boot_id(), **request.pop("incident", {}))
    return testing.run(system.ACTION, options or {}, incident=incident, **request)


def _calls(systemd: Systemd) -> list[str]:
    return [one for one in systemd.programs.calls if " show " not in one]


# -- what is asked for ----------------------------------------------------------------------------


def test_everything_is_safe_before_systemd_is_asked(where: Places, systemd: Systemd) -> None:
    outcome = _down()
    assert outcome.ok
    assert outcome.detail == "asked systemd for reboot"
    calls = _calls(systemd)
    order = [
        next(n for n, one in enumerate(calls) if word in one)
        for word in ("is-system-running", "busctl", "journalctl --sync", _SYNC, "wall", "--no-wall")
    ]
    assert order == sorted(order)
    assert calls[-1].startswith(
        "systemctl --no-block --no-wall --message=failhook: gitea.service failed"
    )
    assert calls[-1].endswith(" reboot")
    (ending,) = endings.read(where)
    assert (ending.how, ending.unit, ending.boot_id) == ("reboot", "gitea.service", boot_id())
    assert ending.reason.startswith("gitea.service failed to start: port 3000")
    assert not ending.failed
    # the next boot has something to tell, whoever else wrote that down or did not
    assert [one.boot_id for one in running.boots(where)] == [boot_id()]


@pytest.mark.parametrize(
    ("value", "call"),
    [
        ("poweroff", " poweroff"),
        ("reboot-force", " --force reboot"),
        ("exit", " exit"),
        ("soft-reboot", " soft-reboot"),
        ("halt-force", " --force halt"),
        ("kexec", " kexec"),
    ],
)
def test_each_value(where: Places, systemd: Systemd, value: str, call: str) -> None:
    assert _down({"action": value}).ok
    assert _calls(systemd)[-1].endswith(call)


def test_at_once_is_done_by_a_service_of_its_own(where: Places, systemd: Systemd) -> None:
    """Our own has no power to reboot without systemd (CAP_SYS_BOOT)."""
    assert _down({"action": "poweroff-immediate"}).ok
    assert _calls(systemd)[-1].endswith("-- systemctl --force --force poweroff")
    assert _calls(systemd)[-1].startswith("systemd-run --quiet --no-block")


def test_what_this_systemd_does_not_have(
    where: Places, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going_down, "version", lambda: 252)
    outcome = _down({"action": "soft-reboot"})
    assert (outcome.ok, outcome.final) == (False, True)
    assert "needs systemd 254; this is 252" in outcome.detail
    assert _down({"action": "poweroff"}).ok


def test_none_does_nothing(where: Places, systemd: Systemd) -> None:
    assert _down({"action": "none"}).ok
    assert endings.read(where) == ()
    assert systemd.asked == []


def test_a_dry_run_leaves_no_trace(where: Places, systemd: Systemd) -> None:
    outcome = _down(dry_run=True)
    assert outcome.ok
    assert outcome.detail.startswith("would ask systemd for reboot: gitea.service failed")
    assert systemd.asked == []
    assert endings.read(where) == ()


def test_an_unknown_value_is_a_mistake_in_the_configuration() -> None:
    options, mistakes = table.bind(system.ACTION, {"action": "rebot"})
    assert options is None
    assert [one.key for one in mistakes] == ["action"]
    assert '"reboot-immediate"' in mistakes[0].message or "reboot-immediate" in mistakes[0].message


def test_systemd_refuses(where: Places, systemd: Systemd) -> None:
    systemd.programs.add(
        "systemctl",
        'case "$*" in *is-system-running*) echo running ;; *" show "*) ;;'
        ' *) echo "Call failed" >&2; exit 1 ;; esac',
    )
    outcome = _down()
    assert not outcome.ok
    assert "systemd refused reboot: systemctl ended with status 1: Call failed" in outcome.detail
    assert [one.failed for one in endings.read(where)] == [True]
    assert endings.of_boot(endings.read(where), boot_id()) is None


def test_no_record_no_reboot(where: Places, systemd: Systemd) -> None:
    where.state.mkdir()
    (where.state / "boots").write_text("in the way")
    outcome = _down()
    assert not outcome.ok
    assert "not without a record" in outcome.detail
    assert systemd.asked == []


def test_messages_that_are_due_go_first(
    where: Places, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of this incident that wait for a dead receiver are not waited for."""
    monkeypatch.setattr(going_down, "_MESSAGES_S", 0.3)
    outbox = Queue(where.outbox)
    where.state.mkdir()
    outbox.make()
    mine = testing.incident().id
    for name, later in (
        (f"{mine}-opened-a", 0.0),
        (f"{mine}-opened-b", 4e9),
        ("other-opened-a", 0.0),
    ):
        outbox.put(
            Item(
                id=name, action="tell", kind="message", incident="x", created=1.0, not_before=later
            )
        )
    began = time.monotonic()
    outcome = _down()
    assert outcome.detail.endswith("; 1 messages wait in the outbox")
    assert time.monotonic() - began >= 0.3
    outbox.done(next(path for path in outbox.waiting() if mine in path.name))
    assert "wait in the outbox" not in _down().detail


# -- what speaks against it -----------------------------------------------------------------------


def test_of_an_ordinary_user(where: Places, systemd: Systemd) -> None:
    for incident in (
        testing.incident(manager="user", boot_id=boot_id()),
        testing.incident(boot_id=boot_id()),
    ):
        user = incident.manager == "system"
        outcome = testing.run(system.ACTION, {}, incident=incident, user=user)
        assert (outcome.ok, outcome.final) == (False, True)
        assert "ordinary user" in outcome.detail
    assert systemd.asked == []


def test_the_failure_is_of_an_earlier_boot(where: Places, systemd: Systemd) -> None:
    outcome = testing.run(system.ACTION, {}, incident=testing.incident())
    assert outcome.data == {"left_out": True}
    assert "booted again since" in outcome.detail
    assert systemd.asked == []


def test_the_unit_is_well_again(where: Places, systemd: Systemd) -> None:
    systemd.shows(ActiveState="active", InvocationID=RUN_AFTER)
    assert _down().detail == "left alone: gitea.service is well again"
    systemd.shows(ActiveState="active")  # the run that failed: a failed reload, a watchdog
    assert _down().detail == "asked systemd for reboot"
    systemd.shows(ActiveState="failed", InvocationID=RUN_AFTER)
    assert _down({"pause": 0}).detail == "asked systemd for reboot"


@pytest.mark.parametrize(("state", "word"), [("stopping", "going down"), ("maintenance", "rescue")])
def test_the_manager(where: Places, systemd: Systemd, state: str, word: str) -> None:
    systemd.manager(state)
    outcome = _down()
    assert outcome.data == {"left_out": True}
    assert word in outcome.detail
    assert systemd.asked == []


def test_an_inhibitor_puts_it_off(where: Places, systemd: Systemd) -> None:
    rows = (
        '["sleep:shutdown","backup","writes a tape","block",0,1],["shutdown","x","y","delay",0,2]'
    )
    systemd.programs.add("busctl", f"""echo '{{"type":"a(ssssuu)","data":[[{rows}]]}}'""")
    outcome = _down()
    assert (outcome.ok, outcome.final) == (False, False)
    assert outcome.retry_after_s == 60.0
    assert "inhibited by backup (writes a tape)" in outcome.detail
    systemd.programs.add("busctl", "echo rubbish")
    assert guards.inhibitors() == []
    assert _down().ok


def test_an_upgrade_puts_it_off(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "in_progress", lambda: "dpkg")
    outcome = _down()
    assert outcome.retry_after_s == 60.0
    assert "package upgrade is in progress (dpkg)" in outcome.detail


def test_a_machine_that_was_just_booted(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "up_s", lambda: 100.0)
    outcome = _down({"min_uptime": "5min"})
    assert not outcome.ok
    assert outcome.retry_after_s == 200.0
    assert _down({"min_uptime": "90s"}).ok


def test_somebody_is_logged_in(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = SimpleNamespace(name="ann", terminal="pts/0")
    monkeypatch.setattr(psutil, "users", lambda: [ann])
    outcome = _down({"unless_logged_in": True})
    assert outcome.retry_after_s == 60.0
    assert "ann is logged in" in outcome.detail
    assert _down().ok


def test_the_second_one_has_to_wait(where: Places, systemd: Systemd) -> None:
    assert _down({"pause": "10min"}).ok
    asked = len(systemd.asked)
    outcome = _down({"pause": "10min"}, id="another")
    assert not outcome.ok
    assert outcome.retry_after_s is not None
    assert len(systemd.asked) == asked


def test_a_damaged_record_counts_as_a_reboot_just_now(
    where: Places, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (where.state / "boots").mkdir(parents=True)
    (where.state / "boots/endings.json").write_text("{")
    monkeypatch.setattr(guards, "up_s", lambda: 400.0)
    outcome = _down({"pause": "10min"})
    assert "is damaged" in outcome.detail
    assert outcome.retry_after_s == 200.0
    monkeypatch.setattr(guards, "up_s", lambda: 700.0)
    assert _down({"pause": "10min"}).ok
    assert len(endings.read(where)) == 1


def _ending(at: float, **more: Any) -> Ending:
    return replace(Ending(at, "b", 1.0, "reboot", "r"), **more)


@pytest.mark.parametrize(
    ("ago", "up", "left"),
    [
        ([], 1e6, 0.0),
        ([100.0], 50.0, 500.0),
        ([700.0], 50.0, -100.0),
        ([4000.0, 100.0], 50.0, 1100.0),
        ([9000.0, 4000.0, 100.0], 50.0, 2300.0),
        ([2 * _DAY, 100.0], 50.0, 500.0),  # of the day before yesterday
        ([-3600.0], 50.0, 550.0),  # the clock was set back over the reboot
        ([10.0], 300.0, 300.0),  # no ending is younger than this boot
        ([100.0 + n for n in range(20)], 50.0, 12 * 3600.0 - 100.0),
    ],
)
def test_the_pause_grows(ago: list[float], up: float, left: float) -> None:
    past = [_ending(1e9 - one) for one in ago]
    assert pause_left(past, Guards(pause_s=600.0), 1e9, up) == pytest.approx(left)


def test_what_was_refused_counts_for_nothing() -> None:
    assert pause_left([_ending(1e9 - 1, failed=True)], Guards(), 1e9, 5.0) == 0.0


# -- the record -----------------------------------------------------------------------------------


def test_a_record_is_replaced_by_its_own_step_only(where: Places) -> None:
    first = _ending(1.0, step="a", boot_id="b1")
    for one in (first, _ending(2.0, step="b", boot_id="b1"), replace(first, failed=True)):
        endings.remember(where, one)
    assert [(one.step, one.failed) for one in endings.read(where)] == [("b", False), ("a", True)]
    assert endings.of_step(endings.read(where), "a") is None
    found = endings.of_boot(endings.read(where), "b1")
    assert found is not None
    assert found.step == "b"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"endings": [{}]}', '{"endings": [{"at": NaN}]}', "{" * 99]
)
def test_a_damaged_record(where: Places, text: str) -> None:
    (where.state / "boots").mkdir(parents=True)
    (where.state / "boots/endings.json").write_text(text)
    with pytest.raises(endings.Damaged):
        endings.read(where)
    assert endings.known(where) == ()


def test_the_places_are_those_of_the_system(where: Places) -> None:
    assert layout.find(user=False) == where
