# SPDX-License-Identifier: MIT
"""Decompression by the piece. (What strangers send: HOSTILE.)"""

import gzip
import hashlib
import io
import random
from pathlib import Path

import pytest

from failhook.bundle.gunzip import Damaged, Gunzip, Limits


def opened(path: Path, raw: bytes) -> io.FileIO:
    path.write_bytes(raw)
    return io.FileIO(path, "r")


@pytest.mark.parametrize("size", [1, 511, 512, 65535, 65536, 65537, 300_000, 1 << 20])
def test_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    data = b"".join(b"%d " % number for number in range(60_000))
    raw = gzip.compress(data)
    with opened(tmp_path / "x", raw) as file:
        source = Gunzip(file, Limits())
        parts = []
        while piece := source.read(size) if size > 1 else source.read(9999):
            parts.append(piece)
        assert b"".join(parts) == data
        assert not source.has_more()
        assert source.drain() == hashlib.sha256(raw).hexdigest()
        assert (source.packed, source.unpacked) == (len(raw), len(data))


def test_limits(tmp_path: Path) -> None:
    raw = gzip.compress(bytes(10 << 20))
    for limits, why in (
        (Limits(unpacked=1 << 20), "more than 1 MiB"),
        (Limits(ratio=100, ratio_from=1 << 20), "100 times"),
    ):
        with opened(tmp_path / "x", raw) as file, pytest.raises(Damaged, match=why):
            Gunzip(file, limits).read(20 << 20)


def test_more_behind_the_end(tmp_path: Path) -> None:
    for behind in (b"x", gzip.compress(b"x")):
        with opened(tmp_path / "x", gzip.compress(b"data") + behind) as file:
            source = Gunzip(file, Limits())
            assert source.read(100) == b"data"
            assert source.has_more()


def test_nothing_behind_when_the_end_falls_on_a_chunk(tmp_path: Path) -> None:
    for size in range(65490, 65540):  # the file's end near the reader's own seam
        raw = gzip.compress(random.Random(size).randbytes(size), compresslevel=0)
        with opened(tmp_path / "x", raw) as file:
            source = Gunzip(file, Limits())
            assert len(source.read(1 << 20)) == size
            assert not source.has_more()
