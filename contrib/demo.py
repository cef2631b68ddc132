# SPDX-License-Identifier: MIT
"""A unit fails, failhook keeps the evidence: on this machine's systemd, or on one in namespaces.

Called by contrib/demo, which installs what it needs. Exit code 0 only if the incident was recorded,
its bundle verifies, and the unit's password is nowhere in it.
"""

# ruff: noqa: T201, TID251

import contextlib
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_CHECKOUT))

from tests.bed import BedError, Machine, Result, trees, unavailable  # noqa: E402 - findable now
from tests.bed.product import wheel  # noqa: E402

_START = time.monotonic()
_HOME = "/opt/failhook-demo"
_STATE = "/var/lib/failhook"
_UNIT = "acme-shop.service"
_OTHER = "acme-portal.service"
_PASSWORD = "correct-horse-battery"  # noqa: S105 - the demonstration's own
_WAIT_S = 60.0

# Both want the same port. As an ordinary user in a sandbox, like most services.
_SERVICE = """\
[Unit]
Description={what} (a demonstration of failhook)
StartLimitIntervalSec=30
StartLimitBurst=3

[Service]
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 --directory %t/%p {port}
Environment=SHOP_DB_PASSWORD={password}
DynamicUser=yes
RuntimeDirectory=%p
Restart=on-failure
RestartSec=300ms
"""


class DemoError(Exception):
    """What the demonstration shows did not happen."""


class Place(Protocol):
    """Where the unit fails: both kinds run commands and hold files."""

    def run(self, argv: Sequence[str], *, timeout: float = 30, check: bool = True) -> Result:
        """Run a program to its end."""

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, with the directories above it."""

    def read(self, path: str) -> bytes:
        """The content of a file."""


class Here:
    """This machine, whose PID 1 is systemd."""

    def run(self, argv: Sequence[str], *, timeout: float = 30, check: bool = True) -> Result:
        """Run a program; raises DemoError with what it said if it fails."""
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False)
        if check and done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise DemoError(f"{shlex.join(argv)} ended with {done.returncode}\n{said}")
        return Result(tuple(argv), done.returncode, done.stdout, done.stderr)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, with the directories above it."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        return Path(path).read_bytes()


def progress(text: str) -> None:
    """One line with the time that has passed."""
    print(f"[{time.monotonic() - _START:3.0f} s] {text}")


class Demonstration:
    """Installs, makes the unit fail, shows what was recorded, and takes everything away again."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._port = _free_port()
        self._undo: list[Callable[[], object]] = []

    def install(self) -> None:
        """Put this checkout's failhook there, as a user would, unless there is one already."""
        if self._does("test", "-x", "/usr/local/bin/failhook"):
            progress("failhook is installed here already: that one is used")
            return
        if not self._does("test", "-e", _STATE):
            self._later("rm", "-rf", _STATE)
        name, content = wheel()
        progress(f"installing failhook into {_HOME}")
        self._later("rm", "-rf", _HOME)
        self._place.write(f"{_HOME}/{name}", content)
        self._place.run(
            ["python3", "-m", "venv", "--system-site-packages", f"{_HOME}/venv"], timeout=90
        )
        pip = [f"{_HOME}/venv/bin/pip", "install", "-q", "--no-index", "--no-deps"]
        self._place.run([*pip, f"{_HOME}/{name}"], timeout=90)
        self._later(f"{_HOME}/venv/bin/failhook", "uninstall")
        self._show(f"{_HOME}/venv/bin/failhook", "install")

    def fail(self) -> None:
        """Two units want one port; the second one fails until systemd gives up."""
        self._later("systemctl", "daemon-reload")
        for unit, what in ((_OTHER, "Acme portal"), (_UNIT, "Acme shop")):
            path = f"/run/systemd/system/{unit}"
            self._later("rm", "-f", path)
            self._later("systemctl", "stop", unit)
            self._place.write(path, _SERVICE.format(what=what, port=self._port, password=_PASSWORD))
        self._place.run(["systemctl", "daemon-reload"])
        self._later("failhook", "disable", _UNIT)
        self._show("failhook", "enable", _UNIT)
        self._later("systemctl", "reset-failed", _UNIT)
        self._later("failhook", "forget", "--unit", _UNIT)
        self._show("systemctl", "start", _OTHER)
        self._wait(self._listens, f"{_OTHER} to listen on port {self._port}")
        self._show("systemctl", "start", _UNIT)
        progress("both want the same port: systemd tries three times and gives up")
        self._wait(self._is_recorded, "the incident")

    def show(self) -> bytes:
        """What an administrator would type now; returns the bundle."""
        self._show("failhook", "list", "--unit", _UNIT)
        self._show("failhook", "show", _UNIT)
        path = self._show("failhook", "bundle", _UNIT)
        self._show("failhook", "verify", path)
        self._show("tar", "tzf", path)
        print(f"\nWho has port {self._port}? The bundle's system/listening.txt knows:")
        table = self._place.run(["tar", "xzOf", path, "--wildcards", "*/listening.txt"]).text
        header, *lines = table.splitlines()
        print(header, *(line for line in lines if f" {self._port} " in line), sep="\n")
        return self._place.read(path)

    def clean_up(self) -> None:
        """Undo everything, last things first."""
        while self._undo:
            self._undo.pop()()

    def _later(self, *argv: str) -> None:
        self._undo.append(lambda: self._place.run(argv, check=False, timeout=60))

    def _does(self, *argv: str) -> bool:
        return self._place.run(argv, check=False).returncode == 0

    def _show(self, *argv: str) -> str:
        """Run a command as if it was typed; returns what it printed."""
        print(f"\n# {shlex.join(argv)}")
        done = self._place.run(argv, timeout=60)
        said = (done.stdout + done.stderr).decode(errors="replace")
        print(said, end="")
        return done.text

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > until:
                journal = self._place.run(["journalctl", "--no-pager", "-n", "40"], check=False)
                raise DemoError(f"waited {_WAIT_S:.0f} s for {what}\n{journal.text}")
            time.sleep(0.1)

    def _listens(self) -> bool:
        ask = f"import socket; socket.create_connection(('127.0.0.1', {self._port}), 1)"
        return self._does("python3", "-c", ask)

    def _is_recorded(self) -> bool:
        done = self._place.run(["failhook", "show", _UNIT, "--json"], check=False)
        if done.returncode != 0:
            return False
        incident: dict[str, Any] = json.loads(done.stdout)["incident"]
        return (incident["stage"], incident["phase"]) == ("done", "gave-up")


def _free_port() -> int:
    """8080, or where that is taken on this machine, one that is not."""
    for port in (8080, 0):
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return int(listener.getsockname()[1])
    raise DemoError("no port is free")


def look_into(bundle: bytes) -> None:
    """The password that is in the unit's file must not be in the bundle."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None and _PASSWORD.encode() in stream.read():
                raise DemoError(f"{member.name} holds the unit's password")
    print(f"\n{_PASSWORD!r} is in the unit's file as SHOP_DB_PASSWORD; in the bundle it is not.")


def hand_over(bundle: bytes) -> Path:
    """Copy the bundle to ./failhook-demo."""
    directory = Path("failhook-demo")
    directory.mkdir(exist_ok=True)
    (directory / ".gitignore").write_text("*\n")
    path = directory / "acme-shop.tar.gz"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(bundle)
    return path


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """This machine if systemd runs it, else a systemd in namespaces on top of its files."""
    if Path("/run/systemd/system").is_dir():
        yield Here()
        return
    reason = unavailable()
    if reason:
        raise DemoError(f"PID 1 is not systemd here, and one cannot be booted: {reason}")
    progress("PID 1 is not systemd here: booting one in namespaces")
    with tempfile.TemporaryDirectory(prefix="failhook-demo-", dir="/var/tmp") as cache:
        os.environ["FAILHOOK_BED_CACHE"] = cache
        with Machine(trees.host()) as machine:
            progress(machine.systemctl("--version").text.splitlines()[0])
            yield machine


def main(words: Sequence[str]) -> int:
    """Run it and say how it went."""
    try:
        with place() as there:
            demonstration = Demonstration(there)
            try:
                demonstration.install()
                demonstration.fail()
                bundle = demonstration.show()
                look_into(bundle)
            finally:
                if isinstance(there, Here) and "--keep" not in words:
                    demonstration.clean_up()
    except (DemoError, BedError, subprocess.TimeoutExpired) as error:
        print(f"\ncontrib/demo: FAILED: {error}", file=sys.stderr)
        return 1
    print(f"The bundle is copied to {hand_over(bundle)}: it opens with tar.\n")
    progress("done: the incident was recorded, and its bundle is whole")
    if "--keep" not in words:
        print("All else was taken away again, but for the Debian packages it may have needed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
