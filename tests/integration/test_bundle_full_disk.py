# SPDX-License-Identifier: MIT
"""A disk that is really full, and one that is really read-only: told, and nothing left behind."""

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.bundle.extract import extract
from failhook.bundle.layout import BundleError
from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.unit.bundle.archives import INCIDENT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
SIZE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def items(count: int) -> Iterator[Item]:
    for number in range(count):
        yield Item(f"{number}", random.Random(number).randbytes(100_000), "c")


def test_full(disk: Path) -> None:
    with pytest.raises(BundleError) as raised:
        with BundleWriter(disk, INCIDENT, max_bytes=1 << 30) as writer:
            for item in items(20):
                writer.add(item)
    assert raised.value.errno == errno.ENOSPC
    assert "the disk is full" in raised.value.reason
    assert os.listdir(disk) == []
    (disk / "room").write_bytes(bytes(SIZE // 2))  # and the room is there again


def test_full_only_when_the_manifest_comes(disk: Path) -> None:
    writer = BundleWriter(disk, INCIDENT, max_bytes=1 << 30)
    for item in items(5):
        assert writer.add(item)
    with (disk / "others").open("wb") as others, pytest.raises(OSError, match="No space"):
        while True:
            others.write(bytes(4096))
            others.flush()
    header = {"noise": random.Random(0).randbytes(200_000).hex()}
    with pytest.raises(BundleError) as raised:
        writer.finish(header)  # type: ignore[arg-type]
    assert raised.value.errno == errno.ENOSPC
    assert os.listdir(disk) == ["others"]


def test_room_enough(disk: Path) -> None:
    with BundleWriter(disk, INCIDENT, max_bytes=SIZE // 2) as writer:
        kept = [writer.add(item) for item in items(20)]
        bundle = writer.finish({})
    assert True in kept
    assert False in kept
    assert bundle.bytes <= SIZE // 2
    assert verify(disk / "bundle.tar.gz").ok


def test_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(BundleError) as raised:
        BundleWriter(disk, INCIDENT, max_bytes=1 << 30)
    assert raised.value.errno == errno.EROFS
    assert "read-only" in raised.value.reason


def test_unpacking_to_a_full_disk_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 30) as writer:
        for item in items(20):
            writer.add(item)
        writer.finish({})
    with pytest.raises(BundleError) as raised:
        extract(tmp_path / "bundle.tar.gz", disk / "out")
    assert raised.value.errno == errno.ENOSPC
    assert os.listdir(disk) == []
