# SPDX-License-Identifier: MIT
"""A runner as systemd would have it: over a spool and a history of its own, killed as it can be.

It is forked from the test instead of started anew: the interpreter's start would be the longest
part of every kill. What it asks systemd and the journal is answered by scripts.
"""

import collections
import contextlib
import hashlib
import json
import logging
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from failhook import hook, proc, runner
from failhook.collect import table
from failhook.incident import Incident, Stage
from failhook.places import Places
from failhook.spool import Spool
from failhook.store import counts
from failhook.store.incidents import BUNDLE, HOOK, Store
from tests.unit.collect.bench import Programs
from tests.unit.samples import record, run_id

# Everything is built in but collected elsewhere; one command stands for all of it.
CONFIGURATION = """
[collect]
skip = {skip}
deadline = "10s"
[keep]
free = "0%"
[collector.stand-in]
type = "command"
argv = ["sh", "-c", "{command}"]
"""

# In `failhook.runner`: what is seconds there, so that a test does not wait for it.
QUICK: dict[str, Any] = {"SETTLE_S": 0.05, "LOOP_PAUSE_S": 0.05, "_FULL_DISK_PAUSE_S": 0.3}


class Machine:
    """Places, fake programs, and what was put into the spool."""

    def __init__(self, tmp_path: Path) -> None:
        etc = tmp_path / "etc"
        etc.mkdir()
        user = os.geteuid() != 0  # whose configuration need not be root's
        self.where = Places(tmp_path / "run", tmp_path / "state", (etc,), user=user)
        self.log = tmp_path / "log"
        self.log.touch()
        (tmp_path / "programs").mkdir()
        self.programs = Programs(tmp_path / "programs")
        self.programs.add("systemctl", "echo LoadState=loaded")
        self.programs.add("journalctl", ":")
        self.collect("echo evidence")
        self.expected: dict[str, tuple[str, str]] = {}  # trigger id -> (unit, run)
        self.started: list[Running] = []
        Spool(self.where).make()

    def collect(self, command: str, *real: str) -> None:
        """What collecting does instead of the real collectors, but for those that are named."""
        skip = [name for name in table.NAMES if name not in real]
        text = CONFIGURATION.format(skip=json.dumps(skip), command=command)
        (self.where.configuration[0] / "failhook.toml").write_text(text)

    def trigger(self, unit: str = "a.service", number: int = 1, **changes: Any) -> str:
        """A trigger in the spool, put there as the hook does it."""
        written = record(unit, number, realtime=time.time(), **changes)
        name = hook.write_spool(str(self.where.run), json.dumps(written))
        key = name.removesuffix(".json")
        self.expected[key] = (unit, written["env"].get("INVOCATION_ID") or key)
        return key

    def also_on_failure(self, unit: str, number: int) -> str:
        """The other trigger of the same run."""
        environ = {
            "MONITOR_SERVICE_RESULT": "exit-code",
            "MONITOR_EXIT_CODE": "exited",
            "MONITOR_EXIT_STATUS": "3",
            "MONITOR_INVOCATION_ID": run_id(number),
        }
        key = self.trigger(unit, number, kind="on-failure", env=environ)
        self.expected[key] = (unit, run_id(number))
        return key

    def start(self, idle_s: float = 0.15, **settings: Any) -> "Running":
        """A runner; ``settings`` are names in `failhook.runner` and their values."""
        pid = os.fork()
        if pid == 0:
            self._be_runner(idle_s, settings)
        self.started.append(Running(pid))
        return self.started[-1]

    def end(self) -> None:
        """Nothing that was started outlives its test, however that ended."""
        for running in self.started:
            running.kill_all()

    def run(self, timeout_s: float = 60.0, **settings: Any) -> None:
        """A runner that is left alone until it leaves by itself."""
        running = self.start(**settings)
        try:
            code = running.wait(timeout_s)
        finally:
            running.kill_all()
        assert code == 0, self.log.read_text()[-4000:]

    def _be_runner(self, idle_s: float, settings: dict[str, Any]) -> None:
        code = 70
        try:
            os.setsid()
            log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
            for fd in (1, 2):
                os.dup2(log, fd)
            logging.basicConfig(stream=os.fdopen(2, "w", closefd=False), level=20, force=True)
            proc.SEARCH_PATH = self.programs.path(proc.SEARCH_PATH)
            quick: dict[str, Any] = {
                "SETTLE_S": 0.05,
                "LOOP_PAUSE_S": 0.05,
                "_FULL_DISK_PAUSE_S": 0.3,
            }
            for name, value in (quick | settings).items():
                assert hasattr(runner, name)
                setattr(runner, name, value)
            runner.Runner(self.where, [], idle_s=idle_s).run()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must not go on as the test
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    # -- what came of it ---

    def incidents(self) -> list[Incident]:
        """All of them from the files, oldest first."""
        store = Store(self.where)
        names = sorted(path.name for path in self.where.incidents.glob("[!.]*"))
        found = [store.load(name) for name in names]
        store.close()
        assert all(found), [name for name, one in zip(names, found, strict=True) if one is None]
        return sorted((one for one in found if one), key=lambda one: one.first_seen)

    def check(self) -> list[Incident]:
        """Nothing lost, nothing twice, nothing left; returns the incidents."""
        incidents = self.incidents()
        self._check_triggers(incidents)
        self._check_files(incidents)
        self._check_counts(incidents)
        self._check_index(incidents)
        return incidents

    def _check_triggers(self, incidents: list[Incident]) -> None:
        told = [(note.id, one) for one in incidents for note in one.triggers]
        assert len(told) == len({key for key, _ in told}), "a trigger is in two incidents"
        assert {key for key, _ in told} == self.expected.keys()
        for key, one in told:
            unit, run = self.expected[key]
            assert one.unit == unit
            assert one.invocation_id in (run, None)
        assert len(incidents) == len(set(self.expected.values()))
        assert {one.stage for one in incidents} <= {Stage.DONE}

    def _check_files(self, incidents: list[Incident]) -> None:
        assert os.listdir(self.where.spool) == []
        assert os.listdir(self.where.incoming) == []
        assert not self.where.unfinished.exists()
        left = [path for top in (self.where.run, self.where.state) for path in top.rglob(".*")]
        left = [path for path in left if path.name != ".lock"]  # of the queues, for good
        assert left == [], f"temporaries are left: {left}"
        for one in incidents:
            directory = Store.directory(_at(self.where), one)
            assert not (directory / HOOK).exists()
            bundle = directory / BUNDLE
            assert bundle.exists() == (one.bundle is not None), one.problems
            if one.bundle is not None:
                assert hashlib.sha256(bundle.read_bytes()).hexdigest() == one.bundle.sha256

    def _check_counts(self, incidents: list[Incident]) -> None:
        store = Store(self.where)
        by_signature = collections.Counter(one.signature for one in incidents)
        given_up = by_signature[None]  # after it was counted and before that was written down
        for signature, number in by_signature.items():
            if signature is not None:
                tally = counts.tally(store, signature)
                assert tally is not None
                assert number <= tally.count <= number + given_up, (tally, number)
        store.close()

    def _check_index(self, incidents: list[Incident]) -> None:
        store = Store(self.where)
        rows = {row.id: row.parsed() for row in store.rows()}
        store.close()
        for one in incidents:
            document = one.to_json()
            for left_out in ("evidence", "decision"):
                document.pop(left_out)
            assert rows[one.id] == document
        assert len(rows) == len(incidents)


def _at(where: Places) -> Store:
    """For a name alone, without touching the disk."""
    store = Store.__new__(Store)
    store.places = replace(where)
    return store


class Running:
    """A runner's process and all that it started (they share its session)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None

    def wait(self, timeout_s: float = 20.0) -> int | None:
        """Its exit status; None where it still runs."""
        until = time.monotonic() + timeout_s
        while self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                return None
            else:
                time.sleep(0.005)
        return self.code

    def signal(self, number: int) -> None:
        """To the runner alone."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def others(self) -> list[int]:
        """Workers, collectors and what those started."""
        return [pid for pid in _of_session(self.pid) if pid != self.pid]

    def workers(self) -> list[int]:
        """Children of the runner."""
        return [pid for pid in self.others() if _stat(pid)[1:2] == [str(self.pid)]]

    def kill(self, how: str, chance: random.Random) -> None:
        """SIGKILL as in ``how``: the runner alone, one of its workers, or all at once."""
        if how == "worker":
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(chance.choice(self.workers()), signal.SIGKILL)
            return
        if how == "all":
            self.kill_all()
        else:
            self.signal(signal.SIGKILL)
            self.wait()

    def kill_all(self) -> None:
        """As systemd does it, until nobody is left."""
        self.signal(signal.SIGKILL)
        self.wait()
        until = time.monotonic() + 5
        while (left := self.others()) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def _stat(pid: int) -> list[str]:
    """State, parent, group, session… of a process; nothing where it is gone or a zombie."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return [] if fields[0] == "Z" else fields
    return []


def _of_session(session: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _stat(int(entry))[3:4] == [str(session)]:
            yield int(entry)


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0, what: str = "it") -> None:
    """Until ``condition`` holds."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen"
        time.sleep(0.01)
