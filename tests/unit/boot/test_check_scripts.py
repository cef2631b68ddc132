# SPDX-License-Identifier: MIT
"""Check scripts: which are found and in which order, and that one costs nothing but its outcome."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.boot.check import scripts
from failhook.boot.check.probe import Found
from failhook.boot.check.scripts import GREEN, REQUIRED, WANTED, Script, Scripts
from tests.unit.script import MakeScript, maker

OWNERS = frozenset({0, os.geteuid()})


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def make(tmp_path: Path) -> MakeScript:
    """Writes a script below the test's root."""
    return maker(tmp_path / "root")


@pytest.fixture
def places(tmp_path: Path) -> Scripts:
    """The directories of a vendor and of an administrator, and greenboot's."""
    root = tmp_path / "root"
    root.mkdir()
    own = (root / "usr/lib/failhook/boot", root / "etc/failhook/boot")
    return Scripts(own, root, OWNERS)


def _names(found: list[Script]) -> list[str]:
    return [one.path.name for one in found]


def _run(path: Path, limit_s: float = 20, *argv: str) -> Found:
    return scripts.run(Script(path, (*argv, str(path))), limit_s)


# -- which ----------------------------------------------------------------------------------------


def test_nothing_is_there(places: Scripts) -> None:
    assert list(places.probes()) == []
    assert places.notes == []


def test_in_lexical_order_required_first(places: Scripts, make: MakeScript) -> None:
    for name in ("wanted.d/00-w", "required.d/20-b.sh", "required.d/10-a", "green.d/g"):
        make(f"etc/failhook/boot/{name}")
    probes = [*places.probes()]
    assert [(one.name, one.required) for one in probes] == [
        ("10-a", True),
        ("20-b.sh", True),
        ("00-w", False),
    ]
    assert _names(places.found(GREEN)) == ["g"]


def test_the_administrators_takes_the_place_of_the_vendors(
    places: Scripts, make: MakeScript
) -> None:
    make("usr/lib/failhook/boot/required.d/50-a")
    mine = make("etc/failhook/boot/required.d/50-a")
    make("usr/lib/failhook/boot/required.d/10-vendor")
    (mine.parent / "10-vendor").symlink_to("/dev/null")
    assert [one.path for one in places.found(REQUIRED)] == [mine]


@pytest.mark.parametrize("name", [".a", "a~", "a.dpkg-old", "a.rpmsave", "README", "notes.md"])
def test_what_lies_beside_scripts_is_passed_over(
    places: Scripts, make: MakeScript, name: str
) -> None:
    make(f"etc/failhook/boot/required.d/{name}")
    (places.own[1] / "required.d/directory").mkdir()
    assert places.found(REQUIRED) == []
    assert places.notes == []


def test_one_that_is_not_executable_is_said(places: Scripts, make: MakeScript) -> None:
    path = make("etc/failhook/boot/required.d/a.sh", mode=0o644)
    assert places.found(REQUIRED) == []
    assert places.notes == [f"{path} is not executable and was not run: chmod +x {path}"]


def test_what_others_may_write_is_not_run_and_has_failed(places: Scripts, make: MakeScript) -> None:
    path = make("etc/failhook/boot/required.d/a", "touch ran", mode=0o777)
    (probe,) = places.probes()
    found = probe.look(20)
    assert not found.ok
    assert found.detail == f"a was not run: {path} may be written by others: chmod go-w {path}"


def test_greenboots_directories_come_after_in_its_own_order(
    places: Scripts, make: MakeScript
) -> None:
    make("etc/failhook/boot/required.d/90-own")
    make("etc/greenboot/check/required.d/10-etc.sh", mode=0o644)
    make("usr/lib/greenboot/check/required.d/20-lib.sh")
    make("usr/lib/greenboot/check/wanted.d/10-w.sh")
    make("etc/greenboot/green.d/g.sh")
    found = places.found(REQUIRED)
    assert _names(found) == ["90-own", "20-lib.sh", "10-etc.sh"]
    assert [one.argv[0] for one in found[1:]] == ["bash", "bash"]
    assert _names(places.found(WANTED)) == ["10-w.sh"]
    assert _names(places.found(GREEN)) == ["g.sh"]


def test_what_greenboot_has_disabled(places: Scripts, make: MakeScript) -> None:
    for name in ("01_repository_dns_check.sh", "02_watchdog.sh", "03_mine.sh"):
        make(f"usr/lib/greenboot/check/required.d/{name}")
    own = make("etc/failhook/boot/required.d/02_watchdog.sh")
    make(
        "etc/greenboot/greenboot.conf",
        'GREENBOOT_MAX_BOOT_ATTEMPTS=3\nDISABLED_HEALTHCHECKS=("02_watchdog.sh" # slow\n'
        '  "01_repository_dns_check.sh")',
        mode=0o644,
        shebang="# greenboot",
    )
    assert [one.name for one in places.probes()] == ["02_watchdog.sh", "03_mine.sh"]
    assert places.found(REQUIRED)[0].path == own


def test_a_configuration_that_others_may_write_disables_nothing(
    places: Scripts, make: MakeScript
) -> None:
    make("etc/greenboot/check/required.d/a.sh")
    make("etc/greenboot/greenboot.conf", 'DISABLED_HEALTHCHECKS=("a.sh")', 0o666, shebang="#")
    assert [one.name for one in places.probes()] == ["a.sh"]
    assert "may be written by others" in places.notes[0]


# -- how they go ----------------------------------------------------------------------------------


def test_one_that_is_well(make: MakeScript) -> None:
    assert _run(make("a.sh", "echo fine")).ok


def test_one_without_a_first_line_runs_as_greenboot_runs_it(
    places: Scripts, make: MakeScript
) -> None:
    make("etc/greenboot/check/required.d/a.sh", "[[ a == a ]]", 0o644, shebang="")
    (probe,) = places.probes()
    assert probe.look(20).ok


def test_its_status_and_its_last_line_are_the_reason(make: MakeScript) -> None:
    found = _run(make("a.sh", "echo looking; echo 'no database' >&2; exit 3"))
    assert found.detail == "a.sh ended with status 3: no database"
    assert found.output.splitlines() == ["looking", "no database"]


def test_one_that_is_killed(make: MakeScript) -> None:
    assert _run(make("a.sh", "kill -SEGV $$")).detail.startswith("a.sh was killed by SIGSEGV")


def test_one_that_cannot_be_started(make: MakeScript) -> None:
    found = _run(make("a.sh", shebang="#!/nowhere/sh"))
    assert found.detail.startswith("a.sh could not be started: ")
    assert "No such file" in found.detail


def test_one_that_hangs_and_ignores_sigterm_ends_at_its_limit(make: MakeScript) -> None:
    path = make("a.sh", "trap '' TERM INT HUP; echo waiting; while :; do sleep 60; done")
    began = time.monotonic()
    found = _run(path, 0.3)
    assert found.detail == "a.sh did not finish within 0.3 s"
    assert found.output == "waiting"
    assert time.monotonic() - began < 20


def test_one_that_leaves_a_process_of_another_session_behind(
    make: MakeScript, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    body = f"setsid sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600' &\n"
    body += f"while [ ! -e {pid} ]; do sleep 0.01; done; echo left"
    began = time.monotonic()
    found = _run(make("a.sh", body))
    assert found.ok
    assert time.monotonic() - began < 15  # its output was not waited for
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_one_that_prints_without_end(make: MakeScript) -> None:
    path = make("a.sh", "yes 0123456789; echo")
    found = _run(path, 0.5)
    assert not found.ok
    assert 100 < len(found.output) < 17000
    assert set(found.output.splitlines()) == {"0123456789"}


def test_it_gets_an_environment_that_is_built(
    make: MakeScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/tmp/evil.so")
    monkeypatch.setenv("INVOCATION_ID", "x")
    assert _run(make("a.sh", '[ -z "$LD_PRELOAD$INVOCATION_ID" ]')).ok
