# SPDX-License-Identifier: MIT
"""A booted root tree: run commands in it, write units, read its journal, let it reboot."""

import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from tests.bed import cache, supervisor
from tests.bed.namespaces import (
    PATH,
    SCRIPT,
    BedError,
    BootError,
    CommandError,
    dropped_capabilities,
    host_environment,
    new_cgroup_path,
    sweep_cgroups,
)
from tests.bed.trees import Tree

_BOOT_S = 60.0
_POLL_S = 0.02

# The shell moves itself, so the command never runs outside the bed's cgroup. Written from here,
# not from inside: a cgroup namespace may forbid to pull a process in from without.
_JOIN = 'echo 0 >"$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Result:
    """How a command in the bed ended and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output, decoded, without the last line end."""
        return self.stdout.decode(errors="replace").removesuffix("\n")


class RunOptions(TypedDict, total=False):
    """The options of `Machine.run`, for what calls it."""

    timeout: float
    check: bool
    env: Mapping[str, str] | None
    user: str
    input: bytes | str | None


@dataclass(frozen=True, slots=True)
class _Account:
    uid: int
    gid: int
    home: str


class Machine:
    """One bed. Everything it writes is kept over `reboot` and gone after `stop`.

    It has a network of its own with nothing but `lo`, unless `host_network`.
    """

    def __init__(self, tree: Tree, *, host_network: bool = False) -> None:
        self.tree = tree
        self.ended: str | None = "never booted"
        self.console = ""
        self.pid = 0
        self._host_network = host_network
        self._capabilities = dropped_capabilities(host_network=host_network)
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.cgroup = Path()
        self._reports = b""

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # Life

    def boot(self, timeout: float = _BOOT_S) -> None:
        """Boot, again on the same disk if it ran before; raises BootError if systemd stays down."""
        if self.running:
            raise BedError("this bed is running")
        if self._supervisor is None:
            self._start_supervisor()
        deadline = time.monotonic() + timeout
        self.ended, self.console = "booting", ""
        self._order("boot")
        if not self._listen(timeout):
            self._give_up("the bed did not start")
        while not self._is_up(deadline):
            if not self.running:
                self._give_up(f"PID 1 ended while it booted: {self.ended}")
            if time.monotonic() > deadline:
                self._give_up(f"not up after {timeout:g} s")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Kill the bed and remove all of it. Harmless if it does not run."""
        process, self._supervisor = self._supervisor, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        with process.stdout:
            for line in (self._reports + process.stdout.read()).splitlines():
                self.console = json.loads(line).get("console", self.console)
        process.wait()
        self._reports = b""
        if self.running:
            self.ended = "stopped"
        if process.returncode != 0:
            supervisor.remove_cgroup(self.cgroup)  # else it does that
            raise BedError(f"the bed's supervisor ended with {process.returncode}, see above")

    def reboot(self, *, power_cut: bool = False) -> None:
        """Boot anew: after an orderly shutdown, or after PID 1 was killed."""
        if power_cut:
            self._order("kill")
        else:
            self.run(["systemctl", "reboot"], check=False)
        self.wait_ended()
        self.boot()

    def wait_ended(self, timeout: float = 30) -> str:
        """Wait until the bed ends by itself; tells how, as `ended` does from then on."""
        self.wait(lambda: not self.running, timeout, "the bed to end")
        assert self.ended is not None
        return self.ended

    @property
    def running(self) -> bool:
        """Whether PID 1 is there; `ended` tells "reboot", "poweroff", "exit N" or "killed"."""
        while self._supervisor is not None and self._listen(0):
            pass
        return self.ended is None

    # Commands

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 30,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        user: str = "root",
        input: bytes | str | None = None,
    ) -> Result:
        """Run a program inside.

        Raises CommandError if it ends with anything but 0, unless `check` is off, or if it takes
        longer than `timeout` seconds; then it is killed.
        """
        if not self.running:
            raise BedError(f"the bed is not running: {self.ended}")
        account = self._account(user)
        identity = f"--reuid {account.uid} --regid {account.gid} --init-groups".split()
        limits = ["--bounding-set", self._capabilities, "--inh-caps=-all"]
        enter = ["nsenter", "--all", "--target", str(self.pid), "setpriv", *identity, *limits]
        process = subprocess.Popen(
            ["sh", "-c", _JOIN, str(self.cgroup / "init.scope/cgroup.procs"), *enter, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(user, account) | dict(env or {}),
            start_new_session=True,
        )
        data = input.encode() if isinstance(input, str) else input
        with process:
            stdout, stderr = self._communicate(process, data or b"", timeout, argv)
        result = Result(tuple(argv), process.returncode, stdout, stderr)
        if check and result.returncode != 0:
            raise CommandError(_story(f"ended with {result.returncode}", result))
        return result

    def shell(self, script: str, **options: Unpack[RunOptions]) -> Result:
        """Run a shell script inside; the options are those of `run`."""
        return self.run(["sh", "-euc", script], **options)

    def systemctl(self, *arguments: str, **options: Unpack[RunOptions]) -> Result:
        """`systemctl` inside; the options are those of `run`."""
        return self.run(["systemctl", *arguments], **options)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, all of them if none is named."""
        only = ["-p", ",".join(names)] if names else []
        lines = self.systemctl("show", "--all", *only, "--", unit).text.splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    # Files

    def read(self, path: str) -> bytes:
        """The content of a file inside."""
        return self.run(["cat", "--", path]).stdout

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file inside, with the directories above it."""
        target = shlex.quote(path)
        script = f'mkdir -p "$(dirname {target})"; cat >{target}; chmod {mode:o} {target}'
        self.shell(script, input=content)

    def exists(self, path: str) -> bool:
        """Whether a path exists inside."""
        return self.run(["test", "-e", path], check=False).returncode == 0

    def units(self, units: Mapping[str, str]) -> None:
        """Write unit files and let systemd read them."""
        for name, content in units.items():
            self.write(f"/etc/systemd/system/{name}", content)
        self.systemctl("daemon-reload")

    # Waiting and looking

    def wait(self, condition: Callable[[], object], timeout: float = 10, what: str = "") -> None:
        """Poll until the condition holds; raises BedError with `what` if it never does."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise BedError(f"waited {timeout:g} s for {what or 'a condition'}")
            time.sleep(_POLL_S)

    def wait_state(self, unit: str, *states: str, timeout: float = 10) -> None:
        """Wait until the unit's ActiveState is one of these."""
        self.wait(
            lambda: self.show(unit, "ActiveState")["ActiveState"] in states,
            timeout,
            f"{unit} to become {' or '.join(states)}",
        )

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Journal entries of all boots, oldest first; `matches` as journalctl(1) takes them."""
        self.run(["journalctl", "--sync"])
        command = ["journalctl", "-o", "json", "--all", "--no-pager", "--quiet", *matches]
        result = self.run(command, check=False)
        # Without words, 1 only says that nothing matches.
        if result.returncode != 0 and result.stderr:
            raise CommandError(_story(f"ended with {result.returncode}", result))
        return [json.loads(line) for line in result.stdout.splitlines()]

    def cgroup_of(self, unit: str) -> Path:
        """The unit's cgroup, as this machine sees it."""
        return self.cgroup / self.show(unit, "ControlGroup")["ControlGroup"].lstrip("/")

    def simulate_oom(self, unit: str, pid: int = 0) -> None:
        """Let the main process (or `pid`, as the bed counts) die as if the kernel or oomd did it.

        Only this process: `systemctl kill` could hit the one of ExecStopPost= as well.
        """
        pid = pid or int(self.show(unit, "MainPID")["MainPID"])
        cgroup = self.cgroup_of(unit)
        for name in ("user.oomd_kill", "user.oomd_ooms"):
            os.setxattr(cgroup, name, b"1")
        self.run(["kill", "-KILL", str(pid)])

    # Inside

    def _start_supervisor(self) -> None:
        sweep_cgroups()
        self.cgroup = new_cgroup_path()
        enter = ("unshare", "--mount", "--propagation", "private", sys.executable, "-I", "-S")
        self._supervisor = subprocess.Popen(
            [*enter, supervisor.__file__, str(SCRIPT)],
            env=host_environment(
                BED_SCRATCH=str(cache.mount_point()),
                BED_LAYERS=":".join(map(str, self.tree.layers)),
                BED_CGROUP=str(self.cgroup),
                BED_CAPABILITIES=self._capabilities,
                BED_HOST_NETWORK="1" if self._host_network else "",
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; the supervisor hears of it by our end
        )

    def _order(self, word: str) -> None:
        assert self._supervisor is not None and self._supervisor.stdin is not None
        with suppress(BrokenPipeError):  # it is gone, and `_listen` will say so
            self._supervisor.stdin.write(f"{word}\n".encode())
            self._supervisor.stdin.flush()

    def _listen(self, timeout: float) -> bool:
        """Take in one report of the supervisor; False if there is none in time."""
        assert self._supervisor is not None and self._supervisor.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._supervisor.stdout, selectors.EVENT_READ)
            while b"\n" not in self._reports:
                if not selector.select(timeout):
                    return False
                data = os.read(self._supervisor.stdout.fileno(), 65536)
                if not data:
                    self.ended = "lost"
                    raise BedError("the bed's supervisor is gone, and with it the bed")
                self._reports += data
        line, _, self._reports = self._reports.partition(b"\n")
        self._note(json.loads(line))
        return True

    def _note(self, report: dict[str, Any]) -> None:
        if "started" in report:
            self.ended, self.pid = None, report["started"]
        elif "ended" in report:
            self.ended, self.console = report["ended"], report["console"]
        else:
            self.ended = "lost"
            raise BedError(f"the bed's supervisor failed: {report.get('failed')}")

    def _is_up(self, deadline: float) -> bool:
        # Before these two exist, PID 1 may still be a shell in the machine's own namespaces.
        if not (self.cgroup / "init.scope/cgroup.procs").exists():
            return False
        if not Path(f"/proc/{self.pid}/root/run/systemd/private").exists():
            return False
        left = max(0.1, deadline - time.monotonic())
        try:
            state = self.systemctl("is-system-running", "--wait", check=False, timeout=left)
        except BedError:
            return False
        return state.text in ("running", "degraded")

    def _give_up(self, why: str) -> None:
        if self._supervisor is not None and self.ended is None:
            self._order("kill")
            self._listen(10)
        tail = "\n".join(self.console.splitlines()[-40:])
        raise BootError(f"{self.tree.name}: {why}\n{tail}")

    def _communicate(
        self, process: subprocess.Popen[bytes], data: bytes, timeout: float, argv: Sequence[str]
    ) -> tuple[bytes, bytes]:
        try:
            return process.communicate(data, timeout)
        except BaseException as error:
            # nsenter(1) forks: the group reaches its child in the bed as well.
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            partial = Result(tuple(argv), -9, error.stdout or b"", error.stderr or b"")
            raise CommandError(_story(f"took longer than {timeout:g} s", partial)) from error

    def _account(self, user: str) -> _Account:
        if user == "root":
            return _Account(0, 0, "/root")
        entry = self.run(["getent", "passwd", user]).text.split(":")
        return _Account(int(entry[2]), int(entry[3]), entry[5])


def _environment(user: str, account: _Account) -> dict[str, str]:
    environment = {
        "PATH": PATH,
        "HOME": account.home,
        "USER": user,
        "LOGNAME": user,
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_COLORS": "0",
    }
    if account.uid != 0:
        environment["XDG_RUNTIME_DIR"] = f"/run/user/{account.uid}"
    return environment


def _story(what: str, result: Result) -> str:
    streams = (result.stdout + result.stderr).decode(errors="replace")
    return f"{shlex.join(result.argv)}: {what}\n{streams}"
