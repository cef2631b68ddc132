# SPDX-License-Identifier: MIT
"""Beds for the end-to-end tests: every test that asks for one runs on every release.

`--tree NAME` (repeatable) restricts the releases; "host" is the machine's own root. Where pytest is
not told of this directory it does not know the option yet: then FAILHOOK_BED_TREES="NAME NAME".
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.bed import BedError, Machine, Tree, failhook_tree, trees, unavailable
from tests.e2e.hooked import Hooked

FreshMachine = Callable[..., Machine]

_JOURNAL_LINES = "80"
_FRESH = pytest.StashKey[list[Machine]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --tree."""
    parser.addoption(
        "--tree", action="append", help="run the end-to-end tests on this root tree only"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep a list of the beds that a test made for itself, for reports."""
    config.stash[_FRESH] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance of each test per tree."""
    if "tree" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--tree", None)
        chosen = chosen or os.environ.get("FAILHOOK_BED_TREES", "").split() or trees.RELEASES
        metafunc.parametrize("tree", chosen, indirect=True, scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Attach the end of the bed's journal to the report of a failed test."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if report.failed:
        used = [_bed(value) for value in getattr(item, "funcargs", {}).values()]
        for bed in [bed for bed in used if bed] + item.config.stash[_FRESH]:
            report.sections.append((f"journal of the {bed.tree.name} bed", _journal(bed)))


def _bed(value: object) -> Machine | None:
    """A fixture that is a bed, or has one."""
    found = getattr(value, "machine", value)
    return found if isinstance(found, Machine) else None


def _journal(bed: Machine) -> str:
    try:
        return bed.run(
            ["journalctl", "--no-pager", "-o", "short-monotonic", "-n", _JOURNAL_LINES]
        ).text
    except BedError as error:
        return f"{error}\n{bed.console}"


@pytest.fixture(scope="session")
def tree(request: pytest.FixtureRequest) -> Tree:
    """The root tree of this round."""
    if reason := unavailable():
        pytest.skip(reason)
    name: str = request.param
    return trees.host() if name == "host" else trees.ensure(name)


@pytest.fixture(scope="session")
def machine(tree: Tree) -> Iterator[Machine]:
    """A booted bed that all tests of this tree share: leave it running, name units of your own."""
    with Machine(tree) as bed:
        yield bed


@pytest.fixture
def fresh_machine(tree: Tree, request: pytest.FixtureRequest) -> Iterator[FreshMachine]:
    """Makes beds of the test's own, which it may reboot or break: `bed = fresh_machine()`."""
    beds = request.config.stash[_FRESH]
    with ExitStack() as stack:
        stack.callback(beds.clear)

        def make(base: Tree | None = None, *, host_network: bool = False) -> Machine:
            bed = stack.enter_context(Machine(base or tree, host_network=host_network))
            beds.append(bed)
            return bed

        yield make


@pytest.fixture(scope="session")
def hooked(tree: Tree) -> Iterator[Hooked]:
    """A booted bed with failhook installed as a user would; shared, name units of your own."""
    with Machine(failhook_tree(tree)) as bed:
        yield Hooked(bed)


@pytest.fixture
def fresh_hooked(tree: Tree, fresh_machine: FreshMachine) -> Hooked:
    """A bed with failhook of the test's own, which it may reboot or break."""
    return Hooked(fresh_machine(failhook_tree(tree)))
