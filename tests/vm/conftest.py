# SPDX-License-Identifier: MIT
"""Machines for the tests, and the transcript: what was booted, and what the entries were called.

`--release NAME` (repeatable; else bookworm), `--cuts N`: how many times the power is cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bed import BedError, unavailable
from tests.vm.machine import Machine

_TRANSCRIPT = pytest.StashKey[list[str]]()
_FILE = Path(__file__).resolve().parents[2] / "build" / "vm" / "transcript.txt"

NewMachine = Callable[..., Machine]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--release", action="append", help="the Debian release to boot")
    parser.addoption("--cuts", type=int, default=20, help="so many power cuts (default 20)")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the transcript."""
    config.stash[_TRANSCRIPT] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance of each test per release."""
    if "release" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--release", None) or ["bookworm"]
        metafunc.parametrize("release", chosen, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Minutes of work, all of them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the transcript."""
    terminalreporter.section("transcript")
    for line in terminalreporter.config.stash[_TRANSCRIPT]:
        terminalreporter.write_line(line)


@pytest.fixture
def new_machine(release: str, request: pytest.FixtureRequest) -> Iterator[NewMachine]:
    """Makes the test's machine; its console is kept beside the transcript where the test fails."""
    if reason := unavailable():
        pytest.skip(reason)
    lines = request.config.stash[_TRANSCRIPT]
    began = time.monotonic()
    name = str(request.node.name).partition("[")[0].removeprefix("test_")
    _FILE.parent.mkdir(parents=True, exist_ok=True)

    def note(text: str) -> None:
        lines.append(f"{time.monotonic() - began:5.0f} s  {text}")
        with _FILE.open("a", encoding="utf-8") as file:
            file.write(lines[-1] + "\n")

    lines.append("")
    note(f"== {name} ({release})")
    made: list[Machine] = []

    def make() -> Machine:
        made.append(Machine(release, name, note))
        return made[-1]

    try:
        yield make
    finally:
        for machine in made:
            _keep_console(machine, _FILE.with_name(f"{name}.console"))
            machine.remove()


def _keep_console(machine: Machine, path: Path) -> None:
    if machine.last is None:
        return
    try:
        if machine.last.running and machine.last.boot_id:
            machine.last.run("journalctl -b --no-pager -o short-monotonic >/dev/ttyS0", check=False)
    except BedError:
        pass  # then the console is what there is
    path.write_text(machine.last.console.replace("\r", ""), encoding="utf-8")
