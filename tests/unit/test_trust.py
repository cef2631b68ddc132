# SPDX-License-Identifier: MIT
"""What others may write is not run, by whichever way it can be reached."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook import trust

OWNERS = {0, os.geteuid()}


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """A sound one in a directory of its own."""
    before = os.umask(0o022)
    path = tmp_path / "etc" / "actions" / "lamp"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    yield path
    os.umask(before)


def refused(path: Path) -> str:
    """Why."""
    return trust.refusal_by(path, OWNERS) or ""


def test_a_sound_one(plugin: Path) -> None:
    assert trust.refusal_by(plugin, OWNERS) is None
    assert trust.refusal(plugin, user=True) is None


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o777])
def test_a_file_that_others_may_write(plugin: Path, mode: int) -> None:
    plugin.chmod(mode)
    assert refused(plugin) == f"{plugin} may be written by others: chmod go-w {plugin}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_directory_that_others_may_write(plugin: Path, mode: int) -> None:
    plugin.parent.chmod(mode)
    assert (
        refused(plugin) == f"{plugin.parent} may be written by others: chmod go-w {plugin.parent}"
    )


def test_a_directory_above_that_others_may_write(plugin: Path) -> None:
    above = plugin.parent.parent
    above.chmod(0o777)
    assert "may be written by others" in refused(plugin)
    above.chmod(0o1777)  # as /tmp: what is ours in there nobody else can replace
    assert refused(plugin) == ""


def test_somebody_elses(plugin: Path) -> None:
    said = trust.refusal_by(plugin, {4242}) or ""
    assert said == "/ belongs to uid 0, not to root or uid 4242: chown root /"


def test_a_link_is_looked_at_where_it_leads(plugin: Path, tmp_path: Path) -> None:
    link = plugin.with_name("link")
    link.symlink_to(plugin)
    assert refused(link) == ""
    relative = plugin.with_name("relative")
    relative.symlink_to("../actions/lamp")
    assert refused(relative) == ""
    open_to_all = tmp_path / "tmp"
    open_to_all.mkdir()
    (open_to_all / "lamp").write_text("#!/bin/sh\n")
    open_to_all.chmod(0o1777)
    link.unlink()
    link.symlink_to(open_to_all / "lamp")
    assert refused(link).startswith(f"{open_to_all} may be written by others")


def test_a_linked_directory_is_looked_at_too(plugin: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "lamp").write_text("")
    (tmp_path / "shared").chmod(0o777)
    plugin.unlink()
    plugin.parent.rmdir()
    plugin.parent.symlink_to(tmp_path / "shared")
    assert "shared may be written by others" in refused(plugin)


def test_links_that_lead_nowhere(plugin: Path) -> None:
    one, two = plugin.with_name("one"), plugin.with_name("two")
    one.symlink_to(two)
    two.symlink_to(one)
    assert refused(one) == f"{one} is a link that leads nowhere"
    two.unlink()
    assert refused(one) == f"{two}: No such file or directory"


def test_no_regular_file(plugin: Path) -> None:
    assert refused(plugin.parent) == f"{plugin.parent} is no regular file"
    assert trust.refusal_by(plugin.parent, OWNERS, directory=True) is None
    fifo = plugin.with_name("fifo")
    os.mkfifo(fifo, 0o644)
    assert refused(fifo) == f"{fifo} is no regular file"


def test_up_and_down_in_a_path_is_followed_as_the_kernel_does(plugin: Path) -> None:
    assert refused(plugin.parent / ".." / "actions" / "lamp") == ""
