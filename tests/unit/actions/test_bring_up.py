# SPDX-License-Identifier: MIT
"""Restart, start, stop, reset-failed: when they act, when they leave a unit alone."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from failhook import proc, testing
from failhook.action import Outcome
from failhook.actions import bring_up, control, dependents, reset_failed, restart, start, stop
from failhook.incident import Process
from failhook.systemd.jobs import Removed
from failhook.systemd.unit import UnitState
from tests.unit.actions.conftest import RUN_AFTER, Systemd

_STOPPED = "9d1aaa27d60140bd96365438aad20286"
QUICK: dict[str, object] = {"healthy_after": 0}


def _restart(raw: dict[str, object] | None = None, **changes: Any) -> Outcome:
    about = testing.incident(first_seen=time.time() - 60)
    incident = changes.pop("incident", about)
    return testing.run(restart.ACTION, QUICK | (raw or {}), incident=incident, **changes)


def test_a_failed_unit_is_started_anew(systemd: Systemd) -> None:
    systemd.comes_up()
    outcome = _restart()
    assert (outcome.ok, outcome.helped) == (True, True)
    assert outcome.detail.startswith("gitea.service is well 0.")
    assert outcome.data["healthy_after_s"] >= 0
    assert systemd.asked == [
        "systemctl reset-failed -- gitea.service",
        "systemctl --no-block --job-mode=fail restart -- gitea.service",
    ]


def test_the_start_limit_stays_if_that_is_said(systemd: Systemd) -> None:
    systemd.comes_up()
    assert _restart({"reset_failed": False}).helped
    assert [one.split()[3] for one in systemd.asked] == ["restart"]


def test_it_fails_again(systemd: Systemd) -> None:
    systemd.comes_up(ActiveState="failed", Result="exit-code", ExecMainCode="1", ExecMainStatus="3")
    outcome = _restart()
    assert (outcome.ok, outcome.helped, outcome.final) == (False, False, False)
    assert "it failed again: exit status 3" in outcome.detail


def test_it_fails_again_and_systemd_goes_on(systemd: Systemd) -> None:
    systemd.comes_up(ActiveState="activating", SubState="auto-restart", Result="signal")
    outcome = _restart()
    assert outcome.helped is False
    assert "it failed again: signal" in outcome.detail


def test_it_never_gets_ready(systemd: Systemd) -> None:
    systemd.comes_up(ActiveState="activating", SubState="start")
    outcome = _restart(deadline_s=4.0)
    assert outcome.helped is False
    assert "did not become active in time" in outcome.detail


def test_a_oneshot_that_ended_with_success_is_well(systemd: Systemd) -> None:
    systemd.shows(Type="oneshot")
    systemd.comes_up(ActiveState="inactive", Type="oneshot", ConditionResult="yes")
    outcome = _restart({"healthy_after": "20s"})  # there is nothing to stay up for
    assert outcome.helped
    assert "it ended with success" in outcome.detail


def test_a_service_that_ends_is_not_well(systemd: Systemd) -> None:
    systemd.comes_up(ActiveState="inactive")
    outcome = _restart()
    assert outcome.helped is False


def test_an_unmet_condition_is_told(systemd: Systemd) -> None:
    systemd.comes_up(ActiveState="inactive", ConditionResult="no", ConditionTimestamp="Thu …")
    assert "Condition" in _restart().detail


def test_a_check_decides(systemd: Systemd, tmp_path: Path) -> None:
    systemd.comes_up()
    flag = tmp_path / "flag"
    check = {"command": ["test", "-e", str(flag)], "interval": 0.05}
    outcome = _restart({"check": check}, deadline_s=5.0)
    assert outcome.helped is False
    assert "test ended with status 1" in outcome.detail
    flag.touch()
    (systemd.programs.directory / "systemctl.started").unlink()
    outcome = _restart({"check": check}, deadline_s=5.0)
    assert outcome.helped
    assert "test says well" in outcome.detail


def test_health_takes_as_long_as_was_said(systemd: Systemd) -> None:
    systemd.comes_up()
    began = time.monotonic()
    assert _restart({"healthy_after": 0.7}).helped
    assert time.monotonic() - began >= 0.7


def test_who_was_started_again_meanwhile_did_not_stay_up() -> None:
    def sight(run: str) -> control.Sight:
        shown = {"ActiveState": "active", "InvocationID": run}
        return control.Sight(UnitState("a.service", shown))

    found = bring_up._Health(0.0)
    assert bring_up._judge(sight("2"), sight("1"), found, 1.0) is True
    assert bring_up._judge(sight("3"), sight("1"), found, 2.0) is False
    assert "started again" in found.problem


def test_a_dry_run_asks_nothing(systemd: Systemd) -> None:
    outcome = _restart(
        {"delay": "5s", "jitter": "0%", "healthy_after": "20s", "check": {"tcp": "[::1]:5432"}},
        dry_run=True,
    )
    assert outcome.ok
    assert outcome.detail == (
        "would restart gitea.service, after 5.0 s, clear its start limit, "
        "and wait until it was active for 20 s, and ::1:5432 answers"
    )
    assert systemd.asked == []


def test_a_time_limit_that_is_too_short_is_said_before(systemd: Systemd) -> None:
    outcome = _restart({"delay": "20s", "healthy_after": "20s"}, deadline_s=30.0)
    assert (outcome.ok, outcome.final) == (False, True)
    assert "raise timeout" in outcome.detail
    assert systemd.asked == []


def test_a_refused_job_is_told(systemd: Systemd) -> None:
    systemd.refuses("Failed to restart gitea.service: Transaction is destructive.")
    outcome = _restart()
    assert (outcome.ok, outcome.helped) == (False, None)
    assert "Transaction is destructive" in outcome.detail


# -- never against a person, nor against systemd --------------------------------------------------


def _left_alone(outcome: Outcome, why: str) -> None:
    assert outcome.ok
    assert outcome.helped is None
    assert outcome.data == {"left_out": True}
    assert outcome.detail.startswith("left alone: ")
    assert why in outcome.detail


@pytest.mark.parametrize("action", [restart.ACTION, start.ACTION, stop.ACTION])
def test_a_machine_that_goes_down(systemd: Systemd, action: Any) -> None:
    systemd.manager("stopping")
    _left_alone(testing.run(action, {}), "going down")
    systemd.manager("maintenance")
    _left_alone(testing.run(action, {}), "rescue")
    assert systemd.asked == []


def test_a_masked_unit(systemd: Systemd) -> None:
    systemd.shows(LoadState="masked")
    _left_alone(_restart(), "masked")
    systemd.shows(UnitFileState="masked-runtime")
    _left_alone(_restart(), "masked")


def test_a_queued_stop(systemd: Systemd) -> None:
    systemd.jobs("77 other.service start waiting", "78 gitea.service stop running")
    _left_alone(_restart(), "a stop job is queued")
    assert systemd.asked == []


def test_a_queued_start_of_somebody_else(systemd: Systemd) -> None:
    systemd.jobs("78 gitea.service start running")
    _left_alone(_restart(), "a start job is queued")


@pytest.mark.parametrize("sub", ["auto-restart", "auto-restart-queued"])
def test_what_systemd_restarts_itself(systemd: Systemd, sub: str) -> None:
    systemd.shows(ActiveState="activating", SubState=sub, Restart="on-failure")
    _left_alone(_restart(), "systemd restarts gitea.service itself (Restart=on-failure)")


def test_what_runs_again_already(systemd: Systemd) -> None:
    systemd.shows(ActiveState="active", InvocationID=RUN_AFTER)
    outcome = _restart()
    assert (outcome.ok, outcome.helped, outcome.data) == (True, True, {"already": True})
    assert "well already" in outcome.detail
    _left_alone(_restart({"check": {"command": ["false"]}}), "false ended with status 1")
    systemd.shows(ActiveState="activating", InvocationID=RUN_AFTER)
    _left_alone(_restart(), "being started again already")


def test_a_unit_that_failed_while_it_reloaded_is_restarted(systemd: Systemd) -> None:
    systemd.shows(ActiveState="active")  # in the same run
    systemd.comes_up()
    assert _restart().helped
    assert [one.split()[3] for one in systemd.asked] == ["restart"]


def test_somebody_stopped_it_since(systemd: Systemd) -> None:
    systemd.shows(ActiveState="inactive", Result="success", InvocationID="")
    _left_alone(_restart(), "stopped by somebody since")
    systemd.says_in_journal({"MESSAGE": "Stopped it.", "JOB_TYPE": "stop", "_PID": "1"})
    _left_alone(_restart(), "stopped by somebody since at ")
    assert "--no-pager" in systemd.programs.calls[-1]
    assert f"MESSAGE_ID={_STOPPED}" in systemd.programs.calls[-1]
    assert systemd.asked == []


def test_a_restart_job_of_systemd_is_no_stop(systemd: Systemd) -> None:
    systemd.says_in_journal({"MESSAGE": "Stopped it.", "JOB_TYPE": "restart", "_PID": "1"})
    about = testing.incident(first_seen=time.time() - 60)
    assert control.stopped_since(about, user=False) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"invocation_id": None},  # never ran: a dependency failed
        {"actions": ({"type": "reset-failed", "state": "done"},)},
        {"actions": ({"type": "stop", "state": "done"},)},
    ],
)
def test_inactive_for_another_reason(systemd: Systemd, changes: dict[str, Any]) -> None:
    systemd.shows(ActiveState="inactive", Result="success", InvocationID="")
    systemd.comes_up()
    assert _restart(incident=testing.incident(first_seen=time.time() - 60, **changes)).helped


def test_a_unit_that_systemd_forgets_at_once(systemd: Systemd) -> None:
    systemd.shows(ActiveState="inactive", InvocationID="", CollectMode="inactive-or-failed")
    systemd.comes_up()
    assert _restart().helped
    systemd.says_in_journal({"MESSAGE": "Stopped it.", "JOB_TYPE": "stop", "_PID": "1"})
    (systemd.programs.directory / "systemctl.started").unlink()
    _left_alone(_restart(), "stopped by somebody since at ")


def test_a_stop_in_the_delay_wins(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about a failed unit changes; what is heard of is that its job has ended."""

    class Hears:
        def __init__(self, *, user: bool) -> None:
            self.looked = 0

        def take(self) -> list[Removed]:
            self.looked += 1
            return [Removed(5, "gitea.service", "done")] if self.looked > 1 else []

        def close(self) -> None:
            pass

    monkeypatch.setattr("failhook.systemd.jobs.watch", Hears)
    began = time.monotonic()
    _left_alone(_restart({"delay": "9s"}), "stopped by somebody since")
    assert time.monotonic() - began < 6  # and it does not wait for the rest
    assert systemd.asked == []


def test_another_unit_that_does_not_run_is_not_restarted(systemd: Systemd) -> None:
    systemd.shows("spare.service", ActiveState="inactive", InvocationID="")
    _left_alone(_restart({"unit": "spare.service"}), "does not run and did not fail")
    systemd.comes_up("spare.service")
    assert testing.run(start.ACTION, QUICK | {"unit": "spare.service"}).helped


def test_another_unit_that_runs_is_restarted(systemd: Systemd) -> None:
    systemd.shows("redis.service", ActiveState="active", InvocationID="2" * 32)
    systemd.comes_up("redis.service")
    assert _restart({"unit": "redis.service"}).helped
    assert testing.run(start.ACTION, QUICK | {"unit": "redis.service"}).data == {"already": True}


@pytest.mark.parametrize("action", [restart.ACTION, start.ACTION, stop.ACTION, reset_failed.ACTION])
def test_a_unit_that_is_none(systemd: Systemd, action: Any) -> None:
    outcome = testing.run(action, {"unit": "nope.service"})
    assert (outcome.ok, outcome.final) == (False, True)
    assert outcome.detail == "systemd knows no unit nope.service"


@pytest.mark.parametrize("action", [restart.ACTION, start.ACTION, stop.ACTION, reset_failed.ACTION])
def test_a_systemd_that_does_not_answer(systemd: Systemd, action: Any) -> None:
    systemd.programs.add("systemctl", "exit 1")
    outcome = testing.run(action, {})
    assert (outcome.ok, outcome.final) == (False, False)
    assert "does not answer" in outcome.detail


def test_the_users_manager_is_asked(systemd: Systemd) -> None:
    systemd.comes_up()
    about = testing.incident(manager="user")
    assert _restart(incident=about, user=True).helped
    assert all(" --user " in one for one in systemd.programs.calls if "systemctl" in one)


# -- how long -------------------------------------------------------------------------------------


def test_the_delay_grows_with_every_time(systemd: Systemd, tmp_path: Path) -> None:
    raw = {"delay": "2s", "backoff": 3, "max_delay": "10s", "jitter": "0%"}
    request = testing.request(restart.ACTION, raw, state=tmp_path)
    delays = []
    for _ in range(4):
        delays.append(bring_up._delay(request, "gitea.service"))
        bring_up._note(request, "gitea.service")
    assert delays == [2.0, 6.0, 10.0, 10.0]
    assert bring_up._delay(request, "other.service") == 2.0


def test_what_was_an_hour_ago_or_is_in_the_future_is_forgotten(tmp_path: Path) -> None:
    raw = {"delay": "2s", "backoff": 2, "jitter": "0%"}
    request = testing.request(restart.ACTION, raw, state=tmp_path)
    now = time.time()
    kept = {"gitea.service": [now - 4000, now - 10, now + 5000]}
    (tmp_path / "earlier.json").write_text(json.dumps(kept))
    assert bring_up._delay(request, "gitea.service") == 4.0
    for broken in ("{", "[]", '{"gitea.service": 5}', '{"gitea.service": ["x"]}'):
        (tmp_path / "earlier.json").write_text(broken)
        assert bring_up._delay(request, "gitea.service") == 2.0


def test_jitter_makes_it_longer_by_its_share_at_most(tmp_path: Path) -> None:
    request = testing.request(restart.ACTION, {"delay": "10s", "jitter": "50%"}, state=tmp_path)
    delays = [bring_up._delay(request, "gitea.service") for _ in range(50)]
    assert all(10.0 <= delay <= 15.0 for delay in delays)
    assert len(set(delays)) > 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"backoff": 0.5}, "factor from 1"),
        ({"backoff": "2"}, "factor from 1"),
        ({"delay": "soon"}, "no duration"),
        ({"check": {"udp": "x"}}, "no check"),
        ({"depends": True}, "not known"),
    ],
)
def test_wrong_options(raw: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(restart.ACTION, raw)


# -- what goes with it ----------------------------------------------------------------------------


def test_what_went_down_with_it_comes_up_again(systemd: Systemd) -> None:
    """Those that ended when it failed; not those that were down before, nor those that run."""
    about = testing.incident(first_seen=1000.0, main=Process(exited=1000.0))
    systemd.shows(RequiredBy="bound.service early.service", BoundBy="bound.service")
    systemd.comes_up()
    at, before = "Thu 1970-01-01 00:16:41.000000 UTC", "Thu 1970-01-01 00:10:00.000000 UTC"
    systemd.shows("bound.service", ActiveState="inactive", ActiveExitTimestamp=at)
    systemd.comes_up("bound.service")
    systemd.shows("early.service", ActiveState="inactive", ActiveExitTimestamp=before)
    systemd.programs.add("systemctl", _SEVERAL + _script(systemd))
    outcome = _restart({"dependents": True}, incident=about)
    assert outcome.helped
    assert outcome.data["dependents"] == ["bound.service"]
    assert outcome.data["dependents_down"] == []
    assert "with it bound.service" in outcome.detail
    assert systemd.asked[-1] == "systemctl --no-block --job-mode=fail start -- bound.service"


def test_the_order_of_after() -> None:
    after = {"c": ["b", "x"], "a": [], "b": ["a"], "d": ["e"], "e": ["d"]}
    found = dependents.in_order(after)
    assert found[:3] == ["a", "b", "c"]
    assert sorted(found) == ["a", "b", "c", "d", "e"]


# Several units in one call: a block for each, with an empty line between them.
_SEVERAL = """
case "$*" in *show*" -- "*" "*)
    first=1; seen=
    for unit; do
        if [ "$seen" ]; then [ "$first" ] || echo; first=; sh "$0" show --no-pager -- "$unit"; fi
        [ "$unit" != -- ] || seen=1
    done; exit ;;
esac
"""


def _script(systemd: Systemd) -> str:
    return (
        (systemd.programs.directory / "systemctl").read_text().partition("\n")[2].partition("\n")[2]
    )


# -- stop and reset-failed ------------------------------------------------------------------------


def test_stopping(systemd: Systemd) -> None:
    systemd.shows(ActiveState="activating", SubState="auto-restart")
    body = _script(systemd).replace("*) : ;;", '*stop*) : >"$0.started" ;;\n*) : ;;')
    systemd.programs.add("systemctl", body)
    systemd.shows(after=True, ActiveState="inactive")
    outcome = testing.run(stop.ACTION, {})
    assert outcome.ok
    assert outcome.detail == "gitea.service is stopped"
    assert systemd.asked == ["systemctl --no-block --job-mode=fail stop -- gitea.service"]


def test_stopping_what_is_stopped_or_was_started_anew(systemd: Systemd) -> None:
    assert testing.run(stop.ACTION, {}).detail == "gitea.service is stopped already"
    systemd.shows(ActiveState="active", InvocationID=RUN_AFTER, NRestarts="0")
    _left_alone(testing.run(stop.ACTION, {}), "started anew since")
    systemd.shows(ActiveState="active", InvocationID=RUN_AFTER, NRestarts="2")
    assert testing.run(stop.ACTION, {}, dry_run=True).detail == "would stop gitea.service"
    assert systemd.asked == []


def test_clearing_the_failed_state(systemd: Systemd) -> None:
    assert "would clear" in testing.run(reset_failed.ACTION, {}, dry_run=True).detail
    assert systemd.asked == []
    assert testing.run(reset_failed.ACTION, {}).ok
    assert systemd.asked == ["systemctl reset-failed -- gitea.service"]
    systemd.shows(ActiveState="active")
    assert "nothing to clear" in testing.run(reset_failed.ACTION, {}).detail


def test_left_overs_are_counted_where_there_is_no_cgroup(tmp_path: Path) -> None:
    assert control.processes_in("/system.slice/x.service", [str(tmp_path)]) == 0
    inner = tmp_path / "system.slice/x.service/inner"
    inner.mkdir(parents=True)
    (inner.parent / "cgroup.procs").write_text("12\n13\n")
    (inner / "cgroup.procs").write_text("14\n")
    assert control.processes_in("/system.slice/x.service", [str(tmp_path)]) == 3


def test_names_in_a_sentence() -> None:
    assert control.summary(["a"]) == "a"
    assert control.summary(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_a_job_is_never_asked_for_with_a_shell(systemd: Systemd) -> None:
    odd = "a$(touch x);`b`.service"
    systemd.shows(odd)
    systemd.comes_up(odd)
    _restart({"unit": odd})
    assert systemd.asked[-1].endswith(f"-- {odd}")
    assert isinstance(
        control.ask(testing.request(restart.ACTION, {}), "start", odd), proc.Completed
    )
