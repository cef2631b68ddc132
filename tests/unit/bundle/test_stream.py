# SPDX-License-Identifier: MIT
"""The stream that can take back: whatever is undone, size, digest and content agree."""

import gzip
import hashlib
import io
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle.stream import GzipStream


@given(steps=st.lists(st.tuples(st.integers(0, 200_000), st.booleans()), max_size=8))
def test_undoing(tmp_path_factory, steps: list[tuple[int, bool]]) -> None:  # type: ignore[no-untyped-def]
    path: Path = tmp_path_factory.mktemp("stream") / "x"
    kept = b""
    with io.FileIO(path, "w+") as file:
        stream = GzipStream(file)
        for seed, (size, keep) in enumerate(steps):
            data = random.Random(seed).randbytes(size // 2) + bytes(size // 2)
            undo = stream.mark()
            bound = stream.most_if_closed(len(data))
            stream.write(data)
            assert stream.size_if_closed() <= bound
            if keep:
                kept += data
            else:
                undo()
            expected = stream.size_if_closed()
        expected = stream.size_if_closed()
        sha256 = stream.close()
    raw = path.read_bytes()
    assert gzip.decompress(raw) == kept
    assert len(raw) == stream.size == expected
    assert stream.raw_bytes == len(kept)
    assert hashlib.sha256(raw).hexdigest() == sha256
