# SPDX-License-Identifier: MIT
"""``failhook bundle`` and ``failhook verify``."""

import io
import os
import stat
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.incident import Incident
from failhook.item import Item
from tests.unit.cli.conftest import CommandLine
from tests.unit.cli.test_list import HOSTILE


@pytest.fixture
def packed(failhook: CommandLine) -> Incident:
    return failhook.pack(failhook.add())


def _path(one: Incident) -> Path:
    assert one.bundle is not None
    return Path(one.bundle.path)


def test_its_path(failhook: CommandLine, packed: Incident) -> None:
    for words in ((), ("last",), ("a",), (packed.id[:6],)):
        assert failhook("bundle", *words).out == f"{_path(packed)}\n"
    document = failhook("bundle", "--json").document
    assert packed.bundle is not None
    assert document["bundle"] == {
        "path": packed.bundle.path,
        "bytes": packed.bundle.bytes,
        "sha256": packed.bundle.sha256,
    }


def test_a_copy_is_private(failhook: CommandLine, packed: Incident, tmp_path: Path) -> None:
    target = tmp_path / "x.tar.gz"
    said = failhook("bundle", "-o", str(target))
    assert said.code == 0
    assert said.out.startswith(f"{target} (")
    assert target.read_bytes() == _path(packed).read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    directory = tmp_path / "dir"
    directory.mkdir()
    failhook("bundle", "-o", str(directory))
    (copy,) = directory.iterdir()
    assert copy.name == f"{_path(packed).parent.name}.tar.gz"
    assert tarfile.open(copy).getnames()  # noqa: SIM115 - nothing is kept open by getnames
    assert failhook("bundle", "-o", str(target)).code == 0


@pytest.mark.parametrize("what", ["fifo", "link to a fifo", "dangling link", "link"])
def test_nothing_but_a_file_is_replaced(
    failhook: CommandLine, packed: Incident, tmp_path: Path, what: str
) -> None:
    """``-o /dev/null`` as root must not make a file of it."""
    fifo, target = tmp_path / "fifo", tmp_path / "target"
    os.mkfifo(fifo)
    if what == "fifo":
        target = fifo
    elif what == "link":
        (tmp_path / "precious").write_text("precious")
        target.symlink_to(tmp_path / "precious")
    else:
        target.symlink_to(fifo if what == "link to a fifo" else "nowhere")
    before = target.lstat().st_mode
    said = failhook("bundle", "-o", str(target))
    assert said.code == 2
    assert "-o -" in said.err
    assert target.lstat().st_mode == before
    if what == "link":
        assert (tmp_path / "precious").read_text() == "precious"


def test_to_standard_output(
    failhook: CommandLine, packed: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    assert failhook("bundle", "-o", "-").code == 0
    assert written.getvalue() == _path(packed).read_bytes()


def test_a_tar_file_does_not_go_to_a_terminal(
    failhook: CommandLine, packed: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert failhook("bundle", packed.id, "-o", "-").code == 2


def test_no_place_for_the_copy(failhook: CommandLine, packed: Incident, tmp_path: Path) -> None:
    said = failhook("bundle", "-o", str(tmp_path / "missing" / "x"))
    assert said.code == 1
    assert "No such file" in said.err
    assert packed.bundle is not None


def test_unpacked_into_a_new_directory(
    failhook: CommandLine, packed: Incident, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    assert failhook("bundle", "--extract", str(target)).code == 0
    assert [path.read_bytes() for path in target.rglob("journal.txt")] == [b"last words\n"]
    again = failhook("bundle", "--extract", str(target))
    assert again.code in (1, 2)
    assert packed.id


def test_no_bundle_is_3_and_says_why(failhook: CommandLine) -> None:
    failhook.add(problems=(f"the disk is full {HOSTILE}",))
    for words in ((), ("--json",), ("-o", "-")):
        said = failhook("bundle", *words)
        assert (said.code, said.out) == (3, "")
        assert "has no bundle: the disk is full" in said.err
        assert len(said.err.splitlines()) == 1


def test_a_bundle_whose_file_is_gone(failhook: CommandLine, packed: Incident) -> None:
    _path(packed).unlink()
    assert failhook("bundle").code == 3


def test_a_good_bundle(failhook: CommandLine, packed: Incident) -> None:
    said = failhook("verify", str(_path(packed)))
    assert said.code == 0
    assert ": good, 2 files, " in said.out
    (found,) = failhook("verify", "--json", str(_path(packed))).document["verified"]
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["manifest"]["unit"] == "a.service"


@pytest.mark.parametrize("change", ["cut", "flipped", "empty", "text"])
def test_a_bad_bundle_is_1(
    failhook: CommandLine, packed: Incident, tmp_path: Path, change: str
) -> None:
    data = bytearray(_path(packed).read_bytes())
    if change == "flipped":
        data[len(data) // 2] ^= 0xFF
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(
        {"cut": bytes(data[:-20]), "flipped": bytes(data), "empty": b"", "text": b"x"}[change]
    )
    said = failhook("verify", str(_path(packed)), str(bad))
    assert said.code == 1
    assert f"{bad}: bad" in said.out
    good, found = failhook("verify", "--json", str(_path(packed)), str(bad)).document["verified"]
    assert (good["ok"], found["ok"]) == (True, False)
    assert found["problems"]


def test_a_file_that_is_not_there_is_3(failhook: CommandLine, tmp_path: Path) -> None:
    said = failhook("verify", str(tmp_path / "\x1b[31mmissing"))
    assert said.code == 3
    assert "does not exist" in said.err


def test_names_in_a_bundle_never_steer_the_terminal(failhook: CommandLine, tmp_path: Path) -> None:
    one = failhook.add()
    packed = failhook.pack(one, Item("x/\x1b[31mred\u202e", b"", "x"))
    copy = tmp_path / "copy\x1b[31m.tar.gz"
    copy.write_bytes(_path(packed).read_bytes())
    assert failhook("verify", str(copy)).code == 0
    assert failhook("verify", "--json", str(copy)).document["verified"][0]["ok"]
    assert replace(one, bundle=packed.bundle) == packed
