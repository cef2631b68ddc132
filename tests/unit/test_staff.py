# SPDX-License-Identifier: MIT
"""Workers: who gets a job, what becomes of one who fails, and who leaves."""

import contextlib
import errno
import os
import selectors
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook import places, staff, worker
from failhook.config.model import Configuration
from failhook.gather.lane import Crews
from failhook.places import Places
from failhook.staff import NO_SPACE, Ended, Staff
from failhook.worker import Job


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file into which the workers write who had which job."""
    path = tmp_path / "told"
    path.touch()

    def run(_: Places, __: Configuration, job: Job, *, concurrency: int, crews: object) -> None:
        with path.open("a") as file:
            file.write(f"{os.getpid()} {job.unit} {concurrency}\n")
        if job.unit == "full.service":
            raise OSError(errno.ENOSPC, "no space")
        if job.unit == "bad.service":
            raise ValueError("bad")
        if job.unit == "hangs.service":
            time.sleep(60)
        if job.unit == "fds.service":
            names = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 64) if _is_open(fd)]
            path.write_text("\n".join(names))

    monkeypatch.setattr(worker, "run", run)
    monkeypatch.setattr(worker, "STEPS", ())
    monkeypatch.setattr(staff, "_warm_head", lambda: None)
    return path


def _is_open(fd: int) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


@pytest.fixture
def crowd(tmp_path: Path, told: Path) -> Iterator[Staff]:
    """Hires with what `told` and the test have put in place."""
    crowd = Staff(places.Places(tmp_path / "run", tmp_path / "state", ()), Configuration(), 2)
    yield crowd
    crowd.close(kill=True)
    with contextlib.suppress(ChildProcessError):  # tests that follow count our children
        while True:
            os.waitpid(-1, 0)


def do(crowd: Staff, unit: str, limit_s: float = 20.0) -> Ended:
    """Give a job and wait for its end, as the runner does."""
    crowd.give(Job(unit), limit_s)
    return wait(crowd)


def wait(crowd: Staff) -> Ended:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for ended in crowd.ended():
            return ended
        time.sleep(0.01)
    raise AssertionError("nobody came to an end")


def pids(told: Path) -> list[int]:
    return [int(line.split()[0]) for line in told.read_text().splitlines()]


def test_one_after_the_other_is_done_by_the_same(crowd: Staff, told: Path) -> None:
    assert do(crowd, "a.service") == Ended(Job("a.service"), 0)
    assert do(crowd, "b.service").code == 0
    first, second = pids(told)
    assert first == second


def test_who_fails_is_gone_and_the_reason_is_known(crowd: Staff, told: Path) -> None:
    assert do(crowd, "bad.service").code == 1
    assert do(crowd, "full.service").code == NO_SPACE
    assert do(crowd, "a.service").code == 0
    assert len(set(pids(told))) == 3


def test_two_at_a_time_and_the_second_with_one_lane(crowd: Staff, told: Path) -> None:
    crowd.give(Job("hangs.service"), 20.0)
    full = [crowd.is_full]
    crowd.give(Job("a.service"), 20.0)
    assert [*full, crowd.is_full] == [False, True]
    assert {job.unit for job in crowd.busy} == {"hangs.service", "a.service"}
    assert wait(crowd).job.unit == "a.service"
    until = time.monotonic() + 10
    while told.read_text().count("\n") < 2 and time.monotonic() < until:
        time.sleep(0.01)
    shares = dict(line.split()[1:] for line in told.read_text().splitlines())
    assert shares == {"hangs.service": "3", "a.service": "1"}


def test_one_that_is_not_the_last_to_wait_has_one_lane(crowd: Staff, told: Path) -> None:
    crowd.give(Job("a.service"), 20.0, in_storm=True)
    assert wait(crowd).code == 0
    assert do(crowd, "b.service").code == 0
    assert [line.split()[1:] for line in told.read_text().splitlines()] == [
        ["a.service", "1"],
        ["b.service", "3"],
    ]


def test_in_a_storm_one_process_collects_and_judges(
    crowd: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"

    def run(_: Places, __: Configuration, job: Job, *, concurrency: int, crews: Crews) -> None:
        with kept.open("a") as file:
            file.write(f"{job.unit} {crews.collectors is crews.causes}\n")

    monkeypatch.setattr(worker, "run", run)
    crowd.give(Job("a.service"), 20.0, in_storm=True)
    assert wait(crowd).code == 0
    assert do(crowd, "b.service").code == 0
    assert kept.read_text() == "a.service True\nb.service False\n"


def test_a_storm_finds_no_lane_of_a_quiet_time(
    crowd: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that collected side by side would sit beside the one that does it now."""
    seen = tmp_path / "seen"

    def run(_: Places, __: Configuration, job: Job, *, concurrency: int, crews: Crews) -> None:
        if concurrency > 1 and crews.collectors is not None:
            crews.collectors.renew(3)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        with seen.open("a") as file:
            file.write(f"{job.unit} {len(children)}\n")

    monkeypatch.setattr(worker, "run", run)
    assert do(crowd, "a.service").code == 0
    crowd.give(Job("b.service"), 20.0, in_storm=True)
    assert wait(crowd).code == 0
    counted = dict(line.split() for line in seen.read_text().splitlines())
    assert int(counted["a.service"]) - int(counted["b.service"]) == 3


def test_no_more_processes_are_kept_than_have_work(
    crowd: Staff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"

    def run(_: Places, __: Configuration, job: Job, *, concurrency: int, crews: Crews) -> None:
        assert crews.collectors is not None
        crews.collectors.renew(9)
        with kept.open("a") as file:
            file.write(f"{job.unit} {concurrency} {len(crews.collectors._idle)}\n")
        if job.unit == "hangs.service":
            time.sleep(60)

    monkeypatch.setattr(worker, "run", run)
    crowd.give(Job("hangs.service"), 20.0)
    assert do(crowd, "a.service").code == 0
    assert "a.service 1 1\n" in kept.read_text()


def test_who_is_stuck_is_killed(crowd: Staff, told: Path) -> None:
    ended = do(crowd, "hangs.service", limit_s=0.2)
    assert ended.code == -signal.SIGKILL
    assert not crowd.is_full


def test_who_is_killed_while_he_waits_costs_one_try(crowd: Staff, told: Path) -> None:
    do(crowd, "a.service")
    os.kill(pids(told)[0], signal.SIGKILL)
    codes = [do(crowd, "b.service").code for _ in range(2)]
    assert codes[1] == 0


def test_nobody_serves_for_ever(crowd: Staff, told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "MOST_JOBS", 2)
    for _ in range(4):
        assert do(crowd, "a.service").code == 0
    first, second, third, fourth = pids(told)
    assert first == second != third == fourth


def test_the_runner_is_woken_and_nothing_of_his_is_held(
    crowd: Staff, told: Path, tmp_path: Path
) -> None:
    with selectors.DefaultSelector() as selector, (tmp_path / "secret").open("w"):
        crowd.wake(selector)
        crowd.give(Job("fds.service"), 20.0)
        assert selector.select(20)
        assert wait(crowd).code == 0
        assert "secret" not in told.read_text()
        assert "socket:" in told.read_text()
        crowd.close(kill=False)


def test_all_leave_when_the_runner_does(crowd: Staff, told: Path) -> None:
    do(crowd, "a.service")
    crowd.close(kill=False)
    (pid,) = pids(told)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_who_got_a_job_before_all_was_imported_does_so_afterwards(
    crowd: Staff, tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cold runner's first job waits for no import; the second finds them all."""
    steps = tmp_path / "steps"

    def step() -> None:
        with steps.open("a") as file:
            file.write(f"{os.getpid()} {len(told.read_text().splitlines())}\n")

    def is_waited_for(*_: object) -> tuple[list[int], list[int], list[int]]:
        return ([] if told.read_text() else [1]), [], []

    monkeypatch.setattr(worker, "STEPS", (step, step))
    monkeypatch.setattr("failhook.staff.select.select", is_waited_for)
    for unit in ("a.service", "b.service", "c.service"):
        assert do(crowd, unit).code == 0
    first, *others = pids(told)
    assert {first} == set(others)
    assert steps.read_text().splitlines() == [f"{first} 1", f"{first} 1"]
