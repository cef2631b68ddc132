# SPDX-License-Identifier: MIT
"""Units that have to be active or must not have failed, asked of a systemd that plays its part."""

import time

import pytest

from failhook.boot.check import units
from failhook.boot.check.probe import Found
from failhook.config.model import BootChecks
from failhook.hook import BOOT_CHECK
from tests.unit.collect.bench import Programs


def _look(checks: BootChecks, limit_s: float = 1.0) -> Found:
    (probe,) = units.probes(checks)
    return probe.look(limit_s)


def _active(programs: Programs, *properties: str) -> Found:
    lines = "\\n".join(("Id=db.service", *properties))
    programs.add("systemctl", f"printf '{lines}\\n'")
    return _look(BootChecks(active=("db.service",)))


@pytest.mark.parametrize("state", ["active", "reloading", "refreshing"])
def test_one_that_runs(programs: Programs, state: str) -> None:
    found = _active(programs, "LoadState=loaded", f"ActiveState={state}")
    assert (found.ok, found.detail) == (True, "db.service is active")


def _since(seconds: float) -> str:
    return f"ActiveEnterTimestampMonotonic={int((time.monotonic() - seconds) * 1e6)}"


def test_one_that_was_restarted_and_stays_up(programs: Programs) -> None:
    state = ("LoadState=loaded", "ActiveState=active", "NRestarts=2", _since(6))
    assert _active(programs, *state).ok
    assert len(programs.calls) == 1


def test_one_that_crashes_again_and_again_is_not_active(programs: Programs) -> None:
    state = ("LoadState=loaded", "ActiveState=active", "NRestarts=3", _since(1))
    found = _active(programs, *state)
    assert not found.ok
    assert found.detail == "db.service was restarted 3 times and has not stayed up for 5 s"
    assert len(programs.calls) > 1  # it may have come to stay


@pytest.mark.parametrize(
    ("properties", "detail"),
    [
        (("Result=exit-code", "ExecMainCode=1", "ExecMainStatus=1"), " (exit status 1)"),
        (("Result=exit-code", "ExecMainCode=0", "ExecMainStatus=0"), " (exit-code)"),
        (("Result=signal", "ExecMainCode=2", "ExecMainStatus=9"), " (killed by KILL)"),
        (("Result=core-dump", "ExecMainCode=3", "ExecMainStatus=11"),
         " (killed by SEGV, core dumped)"),
        (("Result=timeout",), " (timeout)"),
        (("Result=start-limit-hit",), " (start-limit-hit)"),
        ((), ""),
    ],
)  # fmt: skip
def test_one_that_failed(programs: Programs, properties: tuple[str, ...], detail: str) -> None:
    found = _active(programs, "LoadState=loaded", "ActiveState=failed", *properties)
    assert (found.ok, found.detail) == (False, f"db.service is failed{detail}")
    assert len(programs.calls) == 1  # it is not waited for


@pytest.mark.parametrize(
    ("load", "detail"), [("not-found", "does not exist"), ("masked", "is masked")]
)
def test_one_that_is_not_there(programs: Programs, load: str, detail: str) -> None:
    found = _active(programs, f"LoadState={load}", "ActiveState=inactive")
    assert (found.ok, found.detail) == (False, f"db.service {detail}")


def test_one_that_nobody_starts_is_not_waited_for(programs: Programs) -> None:
    found = _active(programs, "LoadState=loaded", "ActiveState=inactive")
    assert (found.ok, found.detail) == (False, "db.service is inactive")
    assert len(programs.calls) == 1


@pytest.mark.parametrize(
    ("state", "detail"),
    [
        (("ActiveState=activating", "SubState=auto-restart"), "still starting (auto-restart)"),
        (("ActiveState=inactive", "SubState=dead", "Job=77"), "still starting (dead)"),
    ],
)
def test_one_that_is_still_starting_is_waited_for_until_the_limit(
    programs: Programs, state: tuple[str, ...], detail: str
) -> None:
    found = _active(programs, "LoadState=loaded", *state)
    assert (found.ok, found.detail) == (False, f"db.service is {detail}")
    assert len(programs.calls) > 1


def test_one_that_comes_up_while_it_is_waited_for(programs: Programs) -> None:
    flag = programs.log.with_name("asked")
    programs.add(
        "systemctl",
        f'state=activating; [ ! -e "{flag}" ] || state=active; : >"{flag}"\n'
        'printf "Id=db.service\\nLoadState=loaded\\nActiveState=$state\\n"',
    )
    assert _look(BootChecks(active=("db.service",)), limit_s=20).ok
    assert len(programs.calls) == 2


def test_a_systemd_that_does_not_answer(programs: Programs) -> None:
    programs.add("systemctl", "exit 1")
    found = _look(BootChecks(active=("db.service",)))
    assert (found.ok, found.detail) == (False, "db.service: systemd does not answer")


# -- none of them has failed ----------------------------------------------------------------------


def _rows(*rows: str) -> str:
    listed = "\\n".join(rows)
    shown = "printf 'Id=data.mount\\nResult=timeout\\n'"
    return f"case \"$*\" in *list-units*) printf '{listed}\\n';; *) {shown};; esac"


ALL = BootChecks(not_failed=("*.mount", "*.service"), may_fail=("fwupd*.service",))
OTHERS = (
    "swapfile.swap loaded failed failed Swap",
    "fwupd-refresh.service loaded failed failed Refresh",
    f"{BOOT_CHECK} loaded failed failed Check",
    "x.timer loaded activating waiting X",
    "user@1000.service loaded failed failed User Manager for UID 1000",
)


def test_none_has_failed(programs: Programs) -> None:
    programs.add("systemctl", _rows(*OTHERS))
    found = _look(ALL)
    assert (found.ok, found.detail) == (True, "none has failed")


def test_the_first_that_failed_in_words_and_the_others_by_name(programs: Programs) -> None:
    mine = ("data.mount loaded failed failed Data", "b.service not-found failed failed b")
    programs.add("systemctl", _rows(*OTHERS, *mine))
    found = _look(ALL)
    assert (found.ok, found.detail) == (False, "data.mount is failed (timeout) (and b.service)")


def test_what_is_still_starting_at_the_limit_has_not_failed(programs: Programs) -> None:
    programs.add("systemctl", _rows("slow.service loaded activating start Slow"))
    found = _look(ALL)
    assert (found.ok, found.detail) == (True, "none has failed; still starting: slow.service")
    assert len(programs.calls) > 1


def test_a_list_that_cannot_be_had_is_no_good_news(programs: Programs) -> None:
    found = _look(ALL)
    assert not found.ok
    assert "systemd does not say what failed" in found.detail
