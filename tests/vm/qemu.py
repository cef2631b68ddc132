# SPDX-License-Identifier: MIT
"""One run of QEMU, which is one boot: -no-reboot makes a reset its end, and QMP says which end.

No KVM: what opens /dev/kvm need not be able to run anything, and a test must not depend on it.
Three sockets lead in, all of them pairs without a name: QMP, the agent, the serial console.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bed.namespaces import BedError, host_environment
from tests.vm.image import Disk, Template

FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
FIRMWARE_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
PROGRAM = "qemu-system-x86_64"

# For an emulated processor: no self-tests, no mitigations, a clock that is believed.
KERNEL_OPTIONS = (
    "root=/dev/nvme0n1p2 rw console=ttyS0 mitigations=off nokaslr audit=0 apparmor=0 "
    "cryptomgr.notests no_timer_check tsc=reliable systemd.show_status=error panic=1"
)
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_MEMORY_MIB = 768
_BOOT_S = 240.0
_COMMAND_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command in the machine ended, and what it wrote to both outputs."""

    command: str
    status: int
    text: str


class Run:
    """The emulator from power on to its end. ``end`` is None while it runs, else how it ended:

    "guest-reset", "guest-shutdown", "guest-panic" as QMP says it; "killed" by `cut`.
    """

    def __init__(
        self,
        disk: Disk,
        *,
        variables: Path | None = None,
        template: Template | None = None,
        options: str = "",
        more: tuple[str, ...] = (),
    ) -> None:
        self.end: str | None = None
        self.console = ""
        self.boot_id = ""
        self.began = time.monotonic()
        self._sockets: dict[str, socket.socket] = {}
        self._pending = dict.fromkeys(("qmp", "agent", "console"), b"")
        self._answers: dict[int, Answer] = {}
        self._asked: dict[int, str] = {}
        self._selector = selectors.DefaultSelector()
        argv = [*_DIE_WITH_PARENT, PROGRAM, *self._machine(disk), *more]
        argv += self._firmware(variables) if variables else self._kernel(template, options)
        self._process = self._start(argv)
        self._say("qmp", '{"execute": "qmp_capabilities"}\n{"execute": "cont"}\n')

    # What is plugged together

    def _machine(self, disk: Disk) -> list[str]:
        argv = "-machine q35 -accel tcg -cpu max -smp 1 -nodefaults -display none -no-reboot -S"
        drive = f"file={disk.path},format=raw,if=none,id=disk,cache=unsafe"
        return [
            *argv.split(),
            *("-m", str(_MEMORY_MIB), "-drive", drive),
            *("-device", "nvme,drive=disk,serial=vm", "-device", "virtio-serial-pci"),
        ]

    @staticmethod
    def _firmware(variables: Path) -> list[str]:
        code = f"if=pflash,format=raw,readonly=on,file={FIRMWARE}"
        return ["-drive", code, "-drive", f"if=pflash,format=raw,file={variables}"]

    @staticmethod
    def _kernel(template: Template | None, options: str) -> list[str]:
        if template is None:
            raise BedError("neither firmware nor a kernel to boot")
        argv = ["-kernel", str(template.kernel), "-append", f"{KERNEL_OPTIONS} {options}"]
        return [*argv, "-initrd", str(template.initrd)] if template.initrd else argv

    def _start(self, argv: list[str]) -> subprocess.Popen[bytes]:
        inner: list[socket.socket] = []
        devices = {
            "qmp": ("-mon", "chardev=qmp,mode=control"),
            "agent": ("-device", "virtserialport,chardev=agent,name=failhook.agent"),
            "console": ("-serial", "chardev:console"),
        }
        for name, device in devices.items():
            outside, inside = socket.socketpair()
            outside.setblocking(False)
            self._sockets[name] = outside
            self._selector.register(outside, selectors.EVENT_READ, name)
            inner.append(inside)
            argv += ["-chardev", f"socket,id={name},fd={inside.fileno()}", *device]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=host_environment(),
            pass_fds=[one.fileno() for one in inner],
        )
        for one in inner:
            one.close()
        return process

    # What comes out

    def _pump(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            name: str = key.data
            try:
                data = self._sockets[name].recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self._selector.unregister(self._sockets[name])
                if name == "qmp":
                    self._collect()
                continue
            if name == "console":
                self.console += data.decode("utf-8", "replace")
                continue
            *lines, self._pending[name] = (self._pending[name] + data).split(b"\n")
            for line in lines:
                (self._hear_qmp if name == "qmp" else self._hear_agent)(line.decode())

    def _hear_qmp(self, line: str) -> None:
        said = json.loads(line)
        if "error" in said:
            raise BedError(f"QMP: {said['error']}")
        if said.get("event") == "SHUTDOWN":
            self.end = said["data"]["reason"]

    def _hear_agent(self, line: str) -> None:
        number, status, *rest = line.split(" ", 2)
        text = base64.b64decode(rest[0] if rest else "").decode("utf-8", "replace")
        if number == "0":
            self.boot_id = text.strip().replace("-", "")
            return
        self._answers[int(number)] = Answer(self._asked[int(number)], int(status), text)

    def _collect(self) -> None:
        output = self._process.communicate()[0].decode("utf-8", "replace")
        if self.end is None:
            self.end = f"QEMU ended with {self._process.returncode}: {output.strip()}"

    def _say(self, name: str, text: str) -> None:
        data = text.encode()
        deadline = time.monotonic() + 30
        while data:
            try:
                data = data[self._sockets[name].send(data) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BedError(f"the machine does not read from {name}") from None
                self._pump(0.05)

    # What a test does

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process.returncode is None

    @property
    def age_s(self) -> float:
        """Seconds since power on."""
        return time.monotonic() - self.began

    def wait(self, condition: Callable[[], object], what: str, timeout_s: float) -> None:
        """Until ``condition`` holds; raises BedError after the time, or when the machine ended."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self.running:
                raise BedError(f"the machine ended ({self.end}) before {what}\n{self.last_words}")
            if time.monotonic() > deadline:
                raise BedError(f"{timeout_s:.0f} s without {what}\n{self.last_words}")
            self._pump(0.1)

    @property
    def last_words(self) -> str:
        """The last lines of the console."""
        return "\n".join(self.console.replace("\r", "").splitlines()[-40:])

    def wait_agent(self, timeout_s: float = _BOOT_S) -> None:
        """Until commands can be run; that is early in a boot."""
        self.wait(lambda: self.boot_id, "the agent", timeout_s)

    def run(self, command: str, *, timeout_s: float = _COMMAND_S, check: bool = True) -> Answer:
        """Run a shell command in the machine as root; raises BedError unless it ends with 0."""
        number = self.ask(command, timeout_s)
        self.wait(lambda: number in self._answers, f"an answer to: {command}", timeout_s + 30)
        answer = self._answers[number]
        if check and answer.status != 0:
            raise BedError(f"{command}\nended with {answer.status}\n{answer.text}")
        return answer

    def ask(self, command: str, timeout_s: float = _COMMAND_S) -> int:
        """As `run`, but waits for no answer: the machine may be about to go down."""
        self.wait_agent()
        number = len(self._asked) + 1
        self._asked[number] = command
        line = base64.b64encode(command.encode()).decode()
        self._say("agent", f"{number} {timeout_s:.0f} {line}\n")
        return number

    def settle(self, timeout_s: float = _BOOT_S) -> None:
        """Until systemd has started all that it was to start."""
        self.wait_agent(timeout_s)
        self.run("systemctl is-system-running --wait", timeout_s=timeout_s, check=False)

    def type(self, text: str) -> None:
        """Type on the serial console."""
        self._say("console", text)

    def wait_end(self, timeout_s: float = _BOOT_S) -> str:
        """Until the machine ended by itself; how. Raises BedError if it does not, and ends it."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                self.cut()
                raise BedError(f"still up after {timeout_s:.0f} s\n{self.last_words}")
            self._pump(0.2)
        self.cut()
        assert self.end is not None
        return self.end

    def watch(self, seconds: float) -> None:
        """Let the machine run for a while, or until it ends."""
        deadline = time.monotonic() + seconds
        while self.running and (left := deadline - time.monotonic()) > 0:
            self._pump(min(left, 0.1))

    def wait_login(self, seconds: float) -> bool:
        """Until the console asks who logs in, or the machine ended; does it ask?"""
        deadline = time.monotonic() + seconds
        while self.running and "login:" not in self.console and time.monotonic() < deadline:
            self._pump(0.2)
        return "login:" in self.console

    def log_in(self, timeout_s: float = 120.0) -> None:
        """Log in on the serial console, as a person would, and see a shell answer."""
        self.wait(lambda: "login:" in self.console, "a login on the console", timeout_s)
        self.type("root\n")
        self.wait(lambda: self.console.rstrip(" ").endswith("#"), "a shell prompt", timeout_s)
        self.type("echo logged-in-$((40 + 2))\n")
        self.wait(lambda: "logged-in-42" in self.console, "an answer of the shell", timeout_s)

    def cut(self) -> None:
        """Cut the power: SIGKILL to this emulator, whatever the machine is doing."""
        if self.running:
            os.kill(self._process.pid, signal.SIGKILL)
            self.end = self.end or "killed"
            self._process.communicate()
        if self._sockets:
            self._selector.close()
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()
