# SPDX-License-Identifier: MIT
"""The process beside a bed: boots it, tells how it ended, and clears up whatever happens.

It lives in a mount namespace of its own, which holds the tmpfs with all that the bed writes, so
that a bed can be booted again on it and nothing of it is left when this process ends. It ends when
its standard input does, that is also when the test process is killed. It stands alone and imports
nothing of the project, to start fast.

Orders are words on standard input: `boot` and `kill`. Reports are lines of JSON on standard
output: {"started": PID}, {"ended": HOW, "console": TEXT}, {"failed": TEXT}.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

_CONSOLE_BYTES = 16 * 1024
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def remove_cgroup(path: Path, patience_s: float = 10.0) -> None:
    """Remove a cgroup and all below it, waiting for the last of its processes to be gone."""
    deadline = time.monotonic() + patience_s
    while path.exists():
        try:
            for directory, _, _ in os.walk(path, topdown=False):
                Path(directory).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def describe(returncode: int) -> str:
    """How PID 1 ended: in a pid namespace reboot(2) becomes a signal."""
    names = {-signal.SIGHUP: "reboot", -signal.SIGINT: "poweroff", -signal.SIGKILL: "killed"}
    if returncode >= 0:
        return f"exit {returncode}"
    return names.get(returncode, f"signal {-returncode}")


class Supervisor:
    """One bed's life, boot after boot."""

    def __init__(self, script: str, cgroup: Path) -> None:
        self._script = script
        self._cgroup = cgroup
        self._master, self._slave = os.openpty()
        self._console = bytearray()
        self._bed: subprocess.Popen[bytes] | None = None
        self._init = -1
        self._exit = -1
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._obey)
        self._selector.register(self._master, selectors.EVENT_READ, self._read_console)
        os.set_blocking(self._master, False)

    def run(self) -> None:
        """Serve until standard input ends; then nothing of the bed is left."""
        try:
            subprocess.run(["sh", self._script, "scratch"], check=True)
            while True:
                for key, _ in self._selector.select():
                    key.data()
        except EOFError:
            pass
        except (OSError, subprocess.SubprocessError) as error:
            self._report(failed=str(error))
        finally:
            self._end()

    def _obey(self) -> None:
        orders = os.read(sys.stdin.fileno(), 4096)
        if not orders:
            raise EOFError
        for order in orders.split():
            if order == b"boot" and self._bed is None:
                self._boot()
            elif order == b"kill" and self._bed is not None:
                self._kill()

    def _boot(self) -> None:
        self._console.clear()
        remove_cgroup(self._cgroup)
        self._cgroup.mkdir()
        # setpriv and --kill-child: if this process is killed, so is PID 1.
        enter = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child")
        self._bed = subprocess.Popen(
            [*enter, "sh", self._script, "boot"],
            env={**os.environ, "BED_PTY": os.ttyname(self._slave)},
            stdin=self._slave,
            stdout=subprocess.PIPE,
            stderr=self._slave,
            start_new_session=True,
        )
        assert self._bed.stdout is not None
        with self._bed.stdout as answer:
            pid = answer.readline().strip()
        self._exit = os.pidfd_open(self._bed.pid)
        self._selector.register(self._exit, selectors.EVENT_READ, self._ended)
        if pid:
            self._init = os.pidfd_open(int(pid))
            self._report(started=int(pid))

    def _kill(self) -> None:
        # The whole pid namespace goes with its PID 1. No number of that is known if enter.sh
        # failed at its first step; then --kill-child does the same.
        target = self._init if self._init >= 0 else self._exit
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in this moment
            signal.pidfd_send_signal(target, signal.SIGKILL)

    def _ended(self) -> None:
        assert self._bed is not None
        how = describe(self._bed.wait())
        self._bed = None
        self._selector.unregister(self._exit)
        for fd in (self._exit, self._init):
            if fd >= 0:
                os.close(fd)
        self._exit = self._init = -1
        self._read_console()
        remove_cgroup(self._cgroup)
        self._report(ended=how, console=self._console.decode(errors="replace"))

    def _read_console(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._master, 65536):
                self._console += data
        del self._console[:-_CONSOLE_BYTES]

    def _end(self) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if self._bed is not None:
            self._kill()
            self._ended()
        remove_cgroup(self._cgroup)

    @staticmethod
    def _report(**what: str | int) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: go on and clear up
            print(json.dumps(what), flush=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise EOFError


def main() -> None:
    """Called by `machine` with the environment that enter.sh asks for."""
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    Supervisor(sys.argv[1], Path(os.environ["BED_CGROUP"])).run()


if __name__ == "__main__":
    main()
