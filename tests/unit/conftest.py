# SPDX-License-Identifier: MIT
"""What no unit test may do: ask the real systemd, leave the machine, write beyond its directory.

The guard is an audit hook (sys.addaudithook), so it holds for the code under test as well, in
forked children too. What it forbids is raised where it happens and fails the test even where the
code swallows it.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from failhook import proc
from failhook.places import Places
from failhook.store.incidents import Store
from tests.unit.collect.bench import Programs

_SYSTEMD = ("systemctl", "journalctl", "coredumpctl", "systemd-tmpfiles", "systemd-run")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Programs that start us set these, and they change what failhook does.
_CLEANED = ("SERVICE_", "EXIT_", "MONITOR_", "TRIGGER_", "LISTEN_", "XDG_", "INVOCATION_", "NO_C")
_LOOPBACK = ("127.0.0.1", "::1")
_CACHES = ("__pycache__", ".hypothesis", ".mypy_cache")


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("failhook", deadline=None)
hypothesis.settings.load_profile("failhook")


class Forbidden(BaseException):
    """Not an Exception: code that goes on after everything must not go on after this."""


class _Guard:
    """The one hook of this process; hooks cannot be removed, so it is switched on and off."""

    def __init__(self) -> None:
        self.on = False
        self.allowed: tuple[str, ...] = ()
        self.said: list[str] = []
        self._checks: Mapping[str, Callable[[tuple[Any, ...]], str | None]] = {
            "open": self._open,
            "os.mkdir": self._paths(0),
            "os.remove": self._paths(0),
            "os.rmdir": self._paths(0),
            "os.chmod": self._paths(0),
            "os.chown": self._paths(0),
            "os.truncate": self._paths(0),
            "os.rename": self._paths(0, 1),
            "os.symlink": self._paths(1),
            "os.link": self._paths(1),
            "subprocess.Popen": self._program,
            "socket.connect": self._address,
            "socket.bind": self._address,
            "socket.sendto": self._address,
            "socket.getaddrinfo": self._name,
        }

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is None or not self.on:
            return
        if problem := check(args):
            self.said.append(problem)
            raise Forbidden(problem)

    def _open(self, args: tuple[Any, ...]) -> str | None:
        path, _, flags = args
        if isinstance(flags, int) and flags & _WRITING:
            return self._outside(path)
        return None

    def _paths(self, *positions: int) -> Callable[[tuple[Any, ...]], str | None]:
        def check(args: tuple[Any, ...]) -> str | None:
            return next((bad for n in positions if (bad := self._outside(args[n]))), None)

        return check

    def _outside(self, path: object) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        text = os.fsdecode(path)
        # A relative name is one in a directory that was opened before (dir_fd).
        if not text.startswith("/") or text.startswith(self.allowed):
            return None
        if any(f"/{cache}" in text for cache in _CACHES):
            return None
        return f"written outside of the test's directory: {text}"

    def _program(self, args: tuple[Any, ...]) -> str | None:
        program, _, _, environ = args
        path = Path(os.fsdecode(program))
        if path.name not in _SYSTEMD:
            return None
        directories = (environ or os.environ).get("PATH", "").split(os.pathsep)
        found = [place for each in directories if (place := Path(each) / path).exists()]
        if not found or str(found[0]).startswith(self.allowed):
            return None
        return f"the real {path.name} is started"

    def _name(self, args: tuple[Any, ...]) -> str | None:
        return None if args[0] in _LOOPBACK else f"a name is looked up: {args[0]!r}"

    def _address(self, args: tuple[Any, ...]) -> str | None:
        address = args[1]
        if not isinstance(address, tuple) or not isinstance(address[0], str):
            return None
        local = address[0] in _LOOPBACK
        return None if local else f"the network is used: {address}"


_GUARD = _Guard()


@pytest.fixture(scope="session", autouse=True)
def _hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    _GUARD.allowed = (str(base), "/dev/null", "/proc/self/", "/proc/thread-self/")
    before, tempfile.tempdir = tempfile.tempdir, str(base)  # pytest's own captures go there too
    sys.addaudithook(_GUARD)
    yield
    tempfile.tempdir = before


@pytest.fixture(autouse=True)
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch one test, in an environment that says nothing."""
    for name in list(os.environ):
        if name.startswith(_CLEANED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    _GUARD.said.clear()
    _GUARD.on = True
    yield
    _GUARD.on = False
    assert _GUARD.said == []


@pytest.fixture
def forbidden() -> Iterator[list[str]]:
    """For the guard's own tests: what it said, and no failure for that."""
    yield _GUARD.said
    _GUARD.said.clear()


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """Places of a failhook that has this test for itself."""
    etc = tmp_path / "etc"
    etc.mkdir()
    return Places(tmp_path / "run", tmp_path / "state", (etc,))


@pytest.fixture
def store(where: Places) -> Iterator[Store]:
    """An empty history."""
    made = Store(where)
    yield made
    made.close()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Fake programs before the real ones; systemd's all fail unless a test says otherwise."""
    directory = tmp_path / "programs"
    directory.mkdir()
    fakes = Programs(directory)
    for name in _SYSTEMD:
        fakes.add(name, "echo no >&2; exit 1")
    monkeypatch.setattr(proc, "SEARCH_PATH", fakes.path(proc.SEARCH_PATH))
    return fakes
