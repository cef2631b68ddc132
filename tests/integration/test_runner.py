# SPDX-License-Identifier: MIT
"""The runner: storms, loops, kills at any point, full disks. Nothing lost, nothing twice."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

import failhook
from failhook import hook
from failhook.incident import State
from failhook.staff import Staff
from failhook.worker import FULL_IN_A_ROW, MAX_TRIES, Job
from tests.integration.machine import Machine, wait_for
from tests.integration.small_disk import mounted
from tests.unit.samples import record, run_id


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    yield one
    one.end()


def test_one_failure(machine: Machine) -> None:
    machine.trigger()
    machine.run()
    (one,) = machine.check()
    assert (one.unit, one.invocation_id, one.count) == ("a.service", run_id(1), 1)
    assert {item.name for item in one.evidence} == {"stand-in", "diagnose"}
    assert one.bundle is not None
    assert one.verdict is not None
    assert "WARNING" in machine.log.read_text()
    assert f"failhook show {one.id}" in machine.log.read_text()


def test_both_triggers_of_a_run_are_one_incident(machine: Machine) -> None:
    machine.trigger()
    machine.also_on_failure("a.service", 1)
    machine.run()
    (one,) = machine.check()
    assert {note.kind for note in one.triggers} == {"stop-post", "on-failure"}


def test_the_second_trigger_comes_while_the_first_is_worked_on(machine: Machine) -> None:
    """Neither may undo what the other wrote: the runner records, a worker packs."""
    machine.collect("sleep 0.5; echo evidence")
    machine.also_on_failure("a.service", 1)
    running = machine.start()
    wait_for(lambda: list(machine.where.incidents.glob("2*")), what="the incident")
    time.sleep(0.2)
    machine.trigger()
    assert running.wait() == 0
    (one,) = machine.check()
    assert {note.kind for note in one.triggers} == {"stop-post", "on-failure"}
    assert one.bundle is not None


def test_a_storm_of_different_units(machine: Machine) -> None:
    for number in range(200):
        machine.trigger(f"storm-{number}.service", number)
    machine.run(timeout_s=120)
    incidents = machine.check()
    assert len(incidents) == 200
    assert all(one.bundle is not None for one in incidents)
    assert {one.count for one in incidents} == {1}


def test_a_loop_of_one_unit_is_folded(machine: Machine) -> None:
    """Every run is there and counted; the first few and the last have their evidence."""
    for number in range(150):
        machine.trigger("loop.service", number)
    machine.run(timeout_s=120)
    incidents = machine.check()
    assert len(incidents) == 150
    assert len({(one.signature, one.dying_words) for one in incidents}) == 1
    assert [one.count for one in incidents] == list(range(1, 151))
    with_bundle = [number for number, one in enumerate(incidents) if one.bundle is not None]
    assert with_bundle[:FULL_IN_A_ROW] == list(range(FULL_IN_A_ROW))
    assert with_bundle[-1] == 149
    assert len(with_bundle) <= 12
    told = [one.problems for one in incidents if one.bundle is None]
    assert [problems[0] for problems in told if "a repeat" not in problems[0]] == []
    assert sum("a repeat of" in problems[0] for problems in told) >= 130
    assert [one.state for one in incidents].count(State.OPEN) == 1
    assert incidents[-1].state is State.OPEN


def test_a_loop_that_goes_on_while_it_is_worked_on(machine: Machine) -> None:
    running = machine.start(idle_s=0.5, LOOP_PAUSE_S=0.3)
    for number in range(60):
        machine.trigger("loop.service", number)
        time.sleep(0.02)
    assert running.wait(30) == 0
    incidents = machine.check()
    assert [one.count for one in incidents] == list(range(1, 61))
    assert sum(one.bundle is not None for one in incidents) <= 20


def test_what_is_a_storm(machine: Machine, tmp_path: Path) -> None:
    """More units wait than the one that is worked on, or it is the same one again and again."""
    told = tmp_path / "told"

    class Told(Staff):
        def give(self, job: Job, limit_s: float, *, in_storm: bool = False) -> None:
            with told.open("a") as file:
                file.write(f"{job.unit} {in_storm}\n")
            super().give(job, limit_s, in_storm=in_storm)

    machine.trigger("alone.service")
    machine.run(Staff=Told)
    assert told.read_text() == "alone.service False\n"
    for unit in ("a.service", "b.service"):
        machine.trigger(unit)
    machine.run(Staff=Told)
    assert told.read_text().splitlines()[1:] == ["a.service True", "b.service False"]
    running = machine.start(idle_s=0.5, LOOP_PAUSE_S=0.1, Staff=Told)
    for number in range(20):
        machine.trigger("loop.service", number)
        time.sleep(0.1)
    assert running.wait(30) == 0
    looped = [line for line in told.read_text().splitlines() if line.startswith("loop")]
    assert looped[0] == "loop.service False"
    assert looped[FULL_IN_A_ROW:] == ["loop.service True"] * len(looped[FULL_IN_A_ROW:])
    assert len(looped) > FULL_IN_A_ROW


@pytest.mark.parametrize("many_wait", [False, True])
def test_in_a_storm_each_worker_runs_one_program_at_a_time(
    machine: Machine, tmp_path: Path, many_wait: bool
) -> None:
    """Alone it asks systemd and journald side by side, for the bundle to be there soon."""
    calls = tmp_path / "calls"
    call = f"echo + >>{calls}; sleep 0.1; echo - >>{calls}"
    machine.programs.add("systemctl", f"{call}; echo LoadState=loaded; echo Requires=b.service")
    machine.programs.add("journalctl", call)
    machine.collect("echo evidence", "journal", "unit", "failed", "system", "kernel")

    class Waiting(Staff):
        def give(self, job: Job, limit_s: float, *, in_storm: bool = False) -> None:
            super().give(job, limit_s, in_storm=many_wait)

    machine.trigger()
    machine.run(Staff=Waiting)
    steps = [1 if line == "+" else -1 for line in calls.read_text().split()]
    assert len(steps) > 10
    at_a_time = max(accumulate(steps))
    assert at_a_time == 1 if many_wait else at_a_time > 2


def test_a_second_worker_is_ready_while_a_unit_loops(machine: Machine) -> None:
    """What else fails then need not wait for one that imports all it needs."""
    running = machine.start(idle_s=1.0, LOOP_PAUSE_S=0.2, SETTLE_S=9.0)  # nobody looks around
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    workers = []
    for number in range(15):
        machine.trigger("loop.service", number)
        time.sleep(0.1)
        workers.append(len(children.read_text().split()))
    assert workers[0] <= 1
    assert max(workers) == 2
    assert running.wait(30) == 0
    assert len(machine.check()) == 15


def test_a_different_ending_in_a_loop_has_its_evidence(machine: Machine) -> None:
    for number in range(30):
        changes = {}
        if number == 15:
            env = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "SEGV"}
            changes = {"env": env | {"INVOCATION_ID": run_id(number)}}
        machine.trigger("loop.service", number, **changes)
    machine.run()
    (odd,) = [one for one in machine.check() if one.result == "signal"]
    assert odd.bundle is not None
    assert odd.count == 1


def test_a_clean_stop_ends_what_was_open(machine: Machine) -> None:
    machine.trigger("a.service", 1)
    machine.trigger("b.service", 2)
    machine.run()
    assert machine.where.open_list.read_text() == "a.service\nb.service\n"
    assert machine.where.open_list.stat().st_mode & 0o777 == 0o644
    hook.write_spool(
        str(machine.where.run),
        json.dumps(record("a.service", 9, kind="clean-stop", realtime=time.time(), env={})),
    )
    machine.run()
    assert {one.unit: one.state for one in machine.check()} == {
        "a.service": State.RECOVERED,
        "b.service": State.OPEN,
    }
    assert machine.where.open_list.read_text() == "b.service\n"


# -- killed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again(machine: Machine, seed: int) -> None:
    """SIGKILL to workers, and to all as systemd does it: each trigger ends in one incident."""
    chance = random.Random(seed)
    machine.collect("sleep 0.01; echo evidence")
    number, kills = 0, 0
    while kills < 40:
        for _ in range(chance.randrange(0, 5)):
            number += 1
            unit = chance.choice(
                ["loop.service", f"unit-{number}.service", f"u{number % 7}.service"]
            )
            machine.trigger(unit, number)
            if chance.random() < 0.4:
                machine.also_on_failure(unit, number)
        running = machine.start(idle_s=0.5)
        for _ in range(chance.randrange(1, 4)):
            time.sleep(chance.choice([0.0, 0.002, 0.01, 0.05, 0.1, 0.3]) * chance.random())
            how = chance.choice(["worker", "worker", "all"])
            running.kill(how, chance)
            kills += 1
            if how != "worker":
                break
        running.kill_all()
    machine.run(timeout_s=90)
    incidents = machine.check()
    assert number > 20
    assert all(one.verdict is not None for one in incidents)
    # orphans of a killed runner are done as well: nobody writes any more
    before = {one.id: one for one in incidents}
    time.sleep(0.3)
    assert {one.id: one for one in machine.check()} == before


def test_a_worker_that_always_dies_is_given_up(machine: Machine) -> None:
    """The others are not kept waiting by it."""
    machine.trigger("bad.service", 1)
    machine.trigger("good.service", 2)
    machine.collect("kill -9 $(ps -o ppid= -p $PPID)")
    machine.run()
    bad, good = machine.check()
    assert {bad.unit, good.unit} == {"bad.service", "good.service"}
    for one in (bad, good):
        assert one.tries == MAX_TRIES
        assert f"collecting failed {MAX_TRIES} times" in one.problems
        assert one.bundle is None
        assert one.verdict is not None


def test_a_trigger_that_kills_every_worker_is_set_aside(machine: Machine) -> None:
    """Asking about it is what kills: there is no incident yet that could count the tries."""
    machine.programs.add(
        "systemctl", 'case "$*" in *" -p "*) ;; *bad.service) kill -9 $PPID;; esac'
    )
    key = machine.trigger("bad.service", 1, kind="on-failure", env={})
    machine.trigger("good.service", 2)
    running = machine.start()
    assert running.wait() == 0
    assert (machine.where.set_aside / f"{key}.json").exists()
    assert f"working on it failed {MAX_TRIES} times" in machine.log.read_text()
    assert [one.unit for one in machine.incidents()] == ["good.service"]
    assert os.listdir(machine.where.spool) == []


def test_asked_to_stop_it_is_gone_at_once_and_goes_on_later(machine: Machine) -> None:
    machine.collect("sleep 30; echo evidence")
    for number in range(5):
        machine.trigger(f"u{number}.service", number)
    running = machine.start()
    wait_for(running.workers, what="a worker")
    time.sleep(0.3)
    workers = running.workers()
    start = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
    assert time.monotonic() - start < 1.0
    wait_for(lambda: not set(workers) & set(running.others()), what="the end of its workers")
    running.kill_all()  # what the workers had started: systemd ends it with the service's cgroup
    assert machine.where.unfinished.exists()
    machine.collect("echo evidence")
    machine.run()
    assert len(machine.check()) == 5


def test_a_worker_that_hangs_is_killed(machine: Machine) -> None:
    machine.trigger()
    running = machine.start(_GRACE_S=-9.7)
    wait_for(running.workers, what="a worker")
    (worker,) = running.workers()
    os.kill(worker, signal.SIGSTOP)
    assert running.wait(15) == 0
    assert "its worker is stuck and is killed" in machine.log.read_text()
    machine.check()


# -- rubbish and refusals -------------------------------------------------------------------------


def test_rubbish_in_the_spool_is_set_aside(machine: Machine) -> None:
    spool = machine.where.spool
    (spool / "1.json").write_text("{ not json")
    (spool / "2.json").write_text('{"schema": 99}')
    os.mkfifo(spool / "3.json")
    (spool / "4.json").symlink_to("/etc/hostname")
    (spool / "5.json").mkdir()
    machine.trigger()
    (spool / "6.tmp").write_text("of somebody else")
    machine.run()
    assert os.listdir(spool) == ["6.tmp"]
    (spool / "6.tmp").unlink()
    assert sorted(os.listdir(machine.where.set_aside)) == ["1.json", "2.json"]
    assert len(machine.check()) == 1


def test_what_waited_through_a_shutdown(machine: Machine) -> None:
    key = machine.trigger("late.service", 1, boot_id="f" * 32)
    machine.where.kept_spool.mkdir(parents=True)
    kept = machine.where.kept_spool / f"{key}-shutdown.json"
    (machine.where.spool / f"{key}.json").rename(kept)
    machine.expected[f"{key}-shutdown"] = machine.expected.pop(key)
    machine.run()
    (one,) = machine.check()
    assert (one.boot_id, one.phase, one.state) == ("f" * 32, "shutdown", "closed")
    assert os.listdir(machine.where.kept_spool) == []


def test_a_pattern_that_is_refused_costs_nobody_his_evidence(machine: Machine) -> None:
    path = machine.where.configuration[0] / "zz.toml"
    (machine.where.configuration[0] / "conf.d").mkdir()
    path = machine.where.configuration[0] / "conf.d" / "bad.toml"
    path.write_text("[mask]\nbad = '(a+)+$'\ngood = 'evidence'\n[collect]\nskipp = 1\n")
    machine.trigger()
    machine.run()
    (one,) = machine.check()
    assert one.bundle is not None
    assert one.tries == 1
    log = machine.log.read_text()
    assert "bad.toml:2: mask.bad: " in log
    assert "bad.toml:5: collect.skipp: is not known (did you mean 'skip'?)" in log


# -- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small(machine: Machine) -> Iterator[Machine]:
    """The history is on a file system of 4 MiB."""
    with mounted(machine.where.state, 4 << 20):
        yield machine


def _fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while stream.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("kind", ["stop-post", "on-failure"])
def test_a_full_disk_keeps_the_spool(small: Machine, kind: str) -> None:
    """The hooks' spool is on a tmpfs: nothing that was accepted is lost, whichever way it came."""
    small.run()
    (small.where.state / "reserve").unlink()
    filler = _fill(small.where.state)
    for number in range(5):
        if kind == "stop-post":
            small.trigger(f"u{number}.service", number)
        else:
            small.also_on_failure(f"u{number}.service", number)
    running = small.start()
    time.sleep(2.5)
    assert running.wait(0) is None
    assert len(os.listdir(small.where.spool)) + len(small.incidents()) >= 5
    assert not small.where.set_aside.exists()
    assert len(small.log.read_text().splitlines()) < 200
    filler.unlink()
    assert running.wait(30) == 0
    incidents = small.check()
    assert len(incidents) == 5


def test_a_full_disk_with_rubbish_in_the_spool(small: Machine) -> None:
    small.run()
    (small.where.state / "reserve").unlink()
    filler = _fill(small.where.state)
    (small.where.spool / "1.json").write_text("rubbish")
    small.trigger()
    running = small.start()
    time.sleep(1.5)
    assert len(small.log.read_text().splitlines()) < 100
    filler.unlink()
    assert running.wait(30) == 0
    assert len(small.check()) == 1
    assert os.listdir(small.where.set_aside) == ["1.json"]


def test_the_reserve_is_there_for_the_first_failure(small: Machine) -> None:
    small.run()
    assert (small.where.state / "reserve").exists()
    filler = _fill(small.where.state)
    small.trigger()
    running = small.start()
    wait_for(small.incidents, what="an incident on a full disk")
    filler.unlink()
    assert running.wait(30) == 0
    small.check()


def test_a_disk_that_is_read_only_for_a_while(small: Machine) -> None:
    small.trigger("before.service", 1)
    small.run()
    state = str(small.where.state)
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)
    small.trigger("during.service", 2)
    small.also_on_failure("handled.service", 3)
    running = small.start()
    time.sleep(1.0)
    assert running.wait(0) is None
    assert len(os.listdir(small.where.spool)) == 2
    subprocess.run(["mount", "-o", "remount,rw", state], check=True)
    assert running.wait(30) == 0
    assert len(small.check()) == 3


def test_a_read_only_history_can_still_be_read(small: Machine) -> None:
    small.trigger()
    small.run()
    state = str(small.where.state)
    subprocess.run(["mount", "-o", "remount,ro", state], check=True)
    for words in (["list"], ["show"], ["list", "--json"], ["bundle"]):
        done = _command(small, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    (small.where.index).exists()
    done = _command(small, "note", "last", "x")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


# -- as systemd starts it -------------------------------------------------------------------------


def _script(machine: Machine) -> list[str]:
    """``python -m failhook`` with other places and programs."""
    root = Path(failhook.__file__).parents[1]
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(root)!r})\n"
        "from pathlib import Path\n"
        "from failhook import places, proc, runner\n"
        f"here = Path({str(machine.where.run.parent)!r})\n"
        f"user = {machine.where.user}\n"
        "made = places.Places(here / 'run', here / 'state', (here / 'etc',), user)\n"
        "places.find = lambda *, user: made\n"
        f"proc.SEARCH_PATH = {str(machine.programs.directory)!r} + ':' + proc.SEARCH_PATH\n"
        "runner.SETTLE_S = 0.1\n"
        "from failhook.__main__ import main\n"
        "sys.exit(main())\n"
    )
    return [sys.executable, "-I", "-c", script]


def _command(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_script(machine), *words], capture_output=True, text=True, timeout=30, check=False
    )


def test_as_a_service_with_priorities_in_its_log(machine: Machine) -> None:
    machine.trigger("one.service", 1)
    (machine.where.spool / "0.json").write_text("rubbish")
    done = _command(machine, "runner", "--idle", "0.2")
    assert done.returncode == 0
    machine.check()
    lines = done.stderr.splitlines()
    assert all(line[:3] in ("<3>", "<5>", "<6>") for line in lines)
    assert any(line.startswith("<5>one.service ") for line in lines)
    assert any(line.startswith("<3>0.json is no trigger") for line in lines)
    listed = json.loads(_command(machine, "list", "--json").stdout)
    assert [one["unit"] for one in listed["incidents"]] == ["one.service"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may report any unit")
def test_a_report_through_the_socket(machine: Machine) -> None:
    """Socket activation as in sd_listen_fds(3), and the real client of the hook."""
    path = str(machine.where.socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(16)
        handover = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_FDS'] = '1'; "
            "os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[2], sys.argv[2:])"
        )
        child = subprocess.Popen(
            [
                *(sys.executable, "-I", "-c", handover, str(listener.fileno())),
                *_script(machine),
                *("runner", "--idle", "0.5"),
            ],
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        text = json.dumps(record("peer.service", 1, realtime=time.time()))
        answer = ""
        until = time.monotonic() + 10
        while answer != "ok" and time.monotonic() < until:
            answer = hook._hand_over(path, text)
        assert answer == "ok"
        assert child.wait(30) == 0
    (one,) = machine.incidents()
    assert one.unit == "peer.service"
    assert os.listdir(machine.where.spool) == []
