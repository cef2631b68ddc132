# SPDX-License-Identifier: MIT
"""A file system that is really full: every refusal is a BundleError, and nothing is left behind."""

import errno
import gc
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.bundle.extract import ExtractError, extract
from failhook.bundle.layout import BundleError
from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.integration.small_disk import mounted
from tests.unit import samples

_SIZE = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 1 MiB."""
    with mounted(tmp_path / "small", _SIZE) as place:
        yield place


def _noise(number: int, size: int) -> bytes:
    return hashlib.shake_128(bytes([number])).digest(size)


def _pack(directory: Path, size: int, number: int = 8) -> Path:
    with BundleWriter(directory, samples.incident(), max_bytes=64 << 20) as writer:
        for one in range(number):
            writer.add(Item(f"noise/{one}", _noise(one, size), "c"))
        return Path(writer.finish({}).path)


def test_a_bundle_that_fits(small: Path) -> None:
    assert verify(_pack(small, 50_000)).ok


def test_a_bundle_that_does_not_fit_leaves_an_empty_disk(small: Path) -> None:
    free = os.statvfs(small).f_bavail
    for _ in range(3):
        with pytest.raises(BundleError) as caught:
            _pack(small, 200_000)
        assert caught.value.errno == errno.ENOSPC
        gc.collect()
        assert os.listdir(small) == []
        assert os.statvfs(small).f_bavail == free


@pytest.mark.parametrize("left", range(0, 24, 2))
def test_full_at_every_page(left: int, small: Path) -> None:
    """With so many pages left it either fits and is good, or nothing of it is there."""
    page = os.sysconf("SC_PAGE_SIZE")
    (small / "ballast").write_bytes(bytes((os.statvfs(small).f_bavail - left) * page))
    try:
        path = _pack(small, 8_000)
    except BundleError as error:
        assert error.errno == errno.ENOSPC
        assert os.listdir(small) == ["ballast"]
        assert left < 20
    else:
        assert verify(path).ok
        assert left > 12


def test_an_older_bundle_stays_when_the_new_one_does_not_fit(small: Path) -> None:
    before = _pack(small, 50_000).read_bytes()
    with pytest.raises(BundleError):
        _pack(small, 200_000)
    assert (small / "bundle.tar.gz").read_bytes() == before
    assert os.listdir(small) == ["bundle.tar.gz"]


def test_no_inode_left(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=1", str(small)], check=True)
    with pytest.raises(BundleError) as caught:
        _pack(small, 10)
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_became_read_only(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(BundleError) as caught:
        _pack(small, 10)
    assert caught.value.errno == errno.EROFS


def test_extract_takes_back_what_it_wrote(small: Path, tmp_path: Path) -> None:
    path = _pack(tmp_path, 200_000)
    free = os.statvfs(small).f_bavail
    with pytest.raises(ExtractError, match="No space left"):
        extract(path, small / "out")
    assert os.listdir(small) == []
    assert os.statvfs(small).f_bavail == free
