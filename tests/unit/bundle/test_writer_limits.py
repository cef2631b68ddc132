# SPDX-License-Identifier: MIT
"""Writing against its limits: the size to the byte, names of any kind, a header that oversteps."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.incident import JsonObject
from failhook.item import Item
from tests.unit import samples

INCIDENT = samples.incident()


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def manifest_of(directory: Path) -> Any:
    result = verify(directory / "bundle.tar.gz")
    assert result.problems == ()
    return result.manifest


def test_what_does_not_fit_is_left_out_and_what_fits_later_is_kept(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=200_000) as writer:
        assert writer.add(Item("one", noise(100_000, 1), "c"))
        assert not writer.add(Item("new/two", noise(100_000, 2), "c", masked={"jwt": 1}))
        assert writer.add(Item("three", noise(50_000, 3), "c"))
        assert not writer.add(Item("four", noise(80_000, 4), "d"))
        assert writer.add(Item("new/two", b"small", "c"))
        bundle = writer.finish({})
    assert bundle.bytes <= 200_000
    assert bundle.sha256 == hashlib.sha256((tmp_path / "bundle.tar.gz").read_bytes()).hexdigest()
    manifest = manifest_of(tmp_path)
    assert [item["path"] for item in manifest["items"]] == ["one", "three", "new/two"]
    assert [(out["path"], out["bytes"]) for out in manifest["left_out"]] == [
        ("new/two", 100_000),
        ("four", 80_000),
    ]
    assert manifest["totals"]["left_out"] == 2
    assert manifest["masked"] == {}


@pytest.mark.parametrize("size", [1, 300, 20_000, 31_000])
@pytest.mark.parametrize("limit", [40_000, 60_000, 90_000])
def test_the_limit_is_kept_with_the_manifest(tmp_path: Path, size: int, limit: int) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=limit) as writer:
        added = [writer.add(Item(f"d{n % 7}/{n}", noise(size, n), "c")) for n in range(400)]
        bundle = writer.finish({"created": "2023-11-14T22:13:20Z"})
    assert True in added
    assert False in added or size == 1
    assert bundle.bytes <= limit
    assert verify(tmp_path / "bundle.tar.gz").ok


def test_the_limit_is_for_the_compressed_size(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=30_000) as writer:
        assert writer.add(Item("log", b"the same line\n" * 100_000, "c"))
        assert writer.finish({}).bytes < 30_000


def test_the_header_cannot_override_what_the_writer_knows(tmp_path: Path) -> None:
    header: JsonObject = {
        "schema": 9,
        "items": [],
        "unit": "x",
        "totals": 1,
        "left_out": 1,
        "more": 1,
    }
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer:
        writer.finish(header)
    manifest = manifest_of(tmp_path)
    assert (manifest["unit"], manifest["left_out"], manifest["more"]) == (INCIDENT.unit, [], 1)


@given(st.lists(st.text(max_size=20) | st.sampled_from(["a", "A", "a/b", "A/B/c", "a/../b"])))
def test_any_paths_make_a_whole_bundle(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    place = tmp_path_factory.mktemp("paths")
    with BundleWriter(place, INCIDENT, max_bytes=1 << 20) as writer:
        assert all(writer.add(Item(path, path.encode("utf-8", "replace"), "c")) for path in paths)
        writer.finish({})
    assert len(manifest_of(place)["items"]) == len(paths)


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_unit_makes_a_whole_bundle(
    tmp_path_factory: pytest.TempPathFactory, unit: str, identity: str
) -> None:
    place = tmp_path_factory.mktemp("unit")
    with BundleWriter(
        place, replace(INCIDENT, unit=unit, id=identity), max_bytes=1 << 20
    ) as writer:
        writer.finish({})
    assert verify(place / "bundle.tar.gz").ok
