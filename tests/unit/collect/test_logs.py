# SPDX-License-Identifier: MIT
"""Log files that a program keeps itself: which are found, and which are left alone."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import logs
from failhook.collect.logs import COLLECTOR
from tests.unit.collect.bench import BASE, context, run

STARTED = 1795301106.9


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is /var/log here."""
    monkeypatch.setattr(logs, "LOG", tmp_path)
    return tmp_path


def write(path: Path, text: str = "it failed\n", *, after_s: float = 0.05) -> None:
    """A file that was changed so long after the start of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (STARTED + after_s, STARTED + after_s))


def kept(unit: str = "talker.service", uid: str | None = None, **more: str) -> dict[str, str]:
    """What the collector gives, by the names of the items."""
    program = "/usr/sbin/talkerd"
    properties = {
        "UID": uid or str(os.geteuid()),
        "ExecStart": f"{{ path={program} ; argv[]={program} }}",
        **more,
    }
    gave = run(COLLECTOR, context(replace(BASE, unit=unit), properties))
    return {name: gave.text(name) for name in gave.items}


@pytest.mark.parametrize(
    "path",
    [
        "talker.log",
        "talkerd.log",
        "talker/error.log",
        "talkerd/main",
        "suite/talkerd.log",  # glusterfs/glusterd.log
        "private/talker/x.log",
    ],
)
def test_where_they_are_looked_for(place: Path, path: str) -> None:
    write(place / path)
    assert kept() == {f"logs/{path}": "it failed\n"}


def test_the_directory_of_an_instance(place: Path) -> None:
    write(place / "talker/blue/x.log")
    write(place / "talker/green/x.log")
    assert kept("talker@blue.service") == {"logs/talker/blue/x.log": "it failed\n"}


def test_the_log_of_an_instance_among_those_of_its_siblings(place: Path) -> None:
    write(place / "talker/talker-15-main.log")
    write(place / "talker/talker-15-other.log")
    assert kept("talker@15-main.service") == {"logs/talker/talker-15-main.log": "it failed\n"}
    assert len(kept("talker@16-new.service")) == 2  # none is called so
    assert len(kept("talker@1.service")) == 2  # what is called so may be anything


@pytest.mark.parametrize("instance", ["..", "a/../../etc", ".hidden"])
def test_an_instance_leads_nowhere_else(place: Path, instance: str) -> None:
    write(place.parent / "x.log")
    write(place / "talker/.hidden/x.log")
    assert kept(f"talker@{instance}.service") == {}


@pytest.mark.parametrize("path", ["other/error.log", "suite/other.log", "talker/old.log.gz"])
def test_what_is_not_its_own_log(place: Path, path: str) -> None:
    write(place / path)
    assert kept() == {}


def test_what_was_written_before_the_run(place: Path) -> None:
    write(place / "suite/talkerd.log", after_s=-60)
    assert kept() == {}


def test_no_way_through_a_link(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its directory may belong to the user of the service, who must not choose what root reads."""
    secret = tmp_path_factory.mktemp("etc")
    write(secret / "talkerd.log", "secret")
    (place / "suite").symlink_to(secret)
    (place / "talker").symlink_to(secret)
    (place / "talker.log").symlink_to(secret / "talkerd.log")
    assert kept() == {}


@pytest.mark.parametrize("whose", ["suite", "suite/talkerd.log"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_nobody_else_speaks_for_it(place: Path, whose: str) -> None:
    """A service's own log directory is its user's, who can put a file of any name there."""
    write(place / "suite/talkerd.log")
    assert kept() != {}
    os.chown(place / whose, 4711, 4711)
    assert kept() == {}
    assert kept(uid="4711") != {}


def test_the_newest_first_and_only_their_ends(place: Path) -> None:
    for number in range(6):
        write(place / f"talker/{number}.log", f"{number}\n" * 40_000, after_s=0.1 * number)
    items = kept()
    assert list(items) == [f"logs/talker/{number}.log" for number in (5, 4, 3, 2)]
    assert all(len(text) <= 32 << 10 for text in items.values())


def with_output_to(path: Path, tmp_path: Path) -> dict[str, str]:
    """The properties of a unit whose file sends its output to ``path``."""
    unit = tmp_path / "talker.service"
    unit.write_text(f"[Service]\nStandardOutput=append:{path}\n")
    return {"StandardOutput": "append", "StandardError": "append", "FragmentPath": str(unit)}


def test_the_file_of_its_output_is_kept_once(place: Path, tmp_path: Path) -> None:
    properties = with_output_to(place / "talker/out.log", tmp_path)
    write(place / "talker/out.log", "from its output\n")
    write(place / "talker/error.log")
    assert kept(**properties) == {
        "output/StandardOutput.txt": "from its output\n",
        "logs/talker/error.log": "it failed\n",
    }


def test_the_file_of_its_output_that_this_run_left_alone(place: Path, tmp_path: Path) -> None:
    properties = with_output_to(place / "out.txt", tmp_path)
    write(place / "out.txt", after_s=-60)
    write(place / "talker.log")
    assert kept(**properties) == {"logs/talker.log": "it failed\n"}
