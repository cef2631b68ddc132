# SPDX-License-Identifier: MIT
"""Changes to a machine: carried out, said, and harmless to repeat."""

import os
from pathlib import Path

import pytest

from failhook.setup.changes import Changes


def _tree(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def _all_kinds(directory: Path, changes: Changes) -> None:
    changes.write(directory / "a" / "b.conf", "content\n")
    changes.write(directory / "bin", "#!/bin/sh\n", mode=0o755)
    changes.link(directory / "c" / "link", "/dev/null")
    changes.directory(directory / "d" / "e", 0o750)


def test_what_is_done_is_said(tmp_path: Path) -> None:
    changes = Changes()
    _all_kinds(tmp_path, changes)
    assert changes.changed
    assert changes.said == [
        f"wrote {tmp_path}/a/b.conf",
        f"wrote {tmp_path}/bin",
        f"linked {tmp_path}/c/link",
        f"made {tmp_path}/d/e",
    ]
    assert (tmp_path / "a" / "b.conf").read_text() == "content\n"
    assert (tmp_path / "a" / "b.conf").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "bin").stat().st_mode & 0o777 == 0o755
    assert os.readlink(tmp_path / "c" / "link") == "/dev/null"
    assert (tmp_path / "d" / "e").stat().st_mode & 0o777 == 0o750


def test_what_is_so_already_is_not_touched(tmp_path: Path) -> None:
    _all_kinds(tmp_path, Changes())
    before = {path: path.lstat().st_ino for path in tmp_path.rglob("*")}
    again = Changes()
    _all_kinds(tmp_path, again)
    assert (again.changed, again.said) == (False, [])
    assert {path: path.lstat().st_ino for path in tmp_path.rglob("*")} == before


def test_a_dry_run_says_it_and_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    changes = Changes(dry_run=True)
    _all_kinds(tmp_path, changes)
    changes.remove(tmp_path / "old")
    assert changes.said == [
        f"would write {tmp_path}/a/b.conf",
        f"would write {tmp_path}/bin",
        f"would link {tmp_path}/c/link",
        f"would make {tmp_path}/d/e",
        f"would remove {tmp_path}/old",
    ]
    assert _tree(tmp_path) == ["old"]


@pytest.mark.parametrize("what", ["content", "mode", "link"])
def test_what_differs_is_put_right(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "link":
        (tmp_path / "precious").write_text("content\n")
        path.symlink_to(tmp_path / "precious")
    else:
        path.write_text("other" if what == "content" else "content\n")
        path.chmod(0o600)
    changes = Changes()
    changes.write(path, "content\n")
    assert changes.said == [f"wrote {path}"]
    assert not path.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("content\n", 0o644)
    if what == "link":
        assert (tmp_path / "precious").read_text() == "content\n"


def test_a_mode_that_is_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        changes = Changes()
        changes.write(tmp_path / "x", "")
        changes.directory(tmp_path / "d", 0o755)
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o755


def test_a_link_to_elsewhere_or_a_file_becomes_the_link(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("/elsewhere")
    (tmp_path / "two").write_text("")
    changes = Changes()
    for name in ("one", "two"):
        changes.link(tmp_path / name, "/dev/null")
        assert os.readlink(tmp_path / name) == "/dev/null"
    assert len(changes.said) == 2


def test_removing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "x").write_text("")
    for name in ("a.service.d", "b.service.d", "plain"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "50-failhook.conf").write_text("")
    (tmp_path / "b.service.d" / "admin.conf").write_text("")
    (tmp_path / "link").symlink_to(precious)
    changes = Changes()
    for name in ("a.service.d", "b.service.d", "plain"):
        changes.remove(tmp_path / name / "50-failhook.conf")
    changes.remove(tmp_path / "link")
    changes.remove(tmp_path / "missing")
    changes.remove(tmp_path / "missing" / "deeper")
    assert len(changes.said) == 4
    assert _tree(tmp_path) == [
        "b.service.d",
        "b.service.d/admin.conf",
        "plain",
        "precious",
        "precious/x",
    ]
    changes.remove(precious)
    assert not precious.exists()
