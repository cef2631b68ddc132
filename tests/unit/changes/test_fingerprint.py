# SPDX-License-Identifier: MIT
"""Comparing, keeping, reading back: pure."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.changes import fingerprint
from failhook.changes.compare import MAX_CHANGES, Times, compare
from failhook.changes.fingerprint import Damaged, FileMark, Fingerprint, Kind, Mounted, Package
from failhook.changes.keep import Keep
from failhook.incident import NOT_THERE
from failhook.places import Places

CONF = FileMark("/etc/a.conf", size=10, modified=100.0, changed=100.0, mode=0o644, owner="root",
                digest="aa")  # fmt: skip
PROGRAM = replace(CONF, path="/usr/bin/a", kind=Kind.PROGRAM, mode=0o755)
BEFORE = Fingerprint(
    unit="a.service",
    seen=500.0,
    invocation="i",
    started=400.0,
    kernel="6.1.0-1",
    key="k",
    stamp="s",
    files={one.path: one for one in (CONF, PROGRAM)},
    directories=("/etc/a",),
    owned={"/usr/bin/a": "a"},
    packages={"a": Package("dpkg", "1.0"), "libz": Package("dpkg", "2")},
    mounts={"/srv": Mounted("/dev/sda1", "ext4", "rw")},
    users={"a": 100},
)


def said(after: Fingerprint, before: Fingerprint = BEFORE, times: Times | None = None) -> list[str]:
    """The changes, as show prints them."""
    found = compare(before, after, times or Times())
    return [f"{one.what}: {one.before} -> {one.after}" for one in found]


def with_file(mark: FileMark) -> Fingerprint:
    return replace(BEFORE, files={**BEFORE.files, mark.path: mark})


def test_nothing_changed() -> None:
    assert said(BEFORE) == []
    assert said(replace(BEFORE, seen=9e9, invocation=None, started=None, stamp="t", owned={})) == []


def test_a_file_that_was_edited() -> None:
    found = compare(BEFORE, with_file(replace(CONF, size=12, modified=600.0)), Times())
    assert [(one.what, one.at) for one in found] == [("/etc/a.conf", 600.0)]
    assert (found[0].before, found[0].after) == ("10 bytes", "12 bytes, content changed")
    same_size = with_file(replace(CONF, digest="bb", modified=600.0))
    assert "content changed" in said(same_size)[0]


def test_a_file_that_was_only_touched_or_looked_at_with_another_key() -> None:
    assert said(with_file(replace(CONF, modified=600.0, changed=600.0))) == []
    other = replace(with_file(replace(CONF, digest="zz")), key="other")
    assert said(other) == []


def test_a_file_that_was_put_in_place_with_an_old_time_has_the_time_of_that() -> None:
    (change,) = compare(
        BEFORE, with_file(replace(CONF, size=9, modified=1.0, changed=700.0)), Times()
    )
    assert change.at == 700.0


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (replace(CONF, mode=0o600), "mode 0644 -> mode 0600"),
        (replace(CONF, owner="daemon"), "owner root -> owner daemon"),
        (
            replace(CONF, mode=0o600, size=0),
            "mode 0644, 10 bytes -> mode 0600, 0 bytes, content changed",
        ),
        (FileMark("/etc/a.conf", missing=True), f"mode 0644, owner root, 10 bytes -> {NOT_THERE}"),
    ],
)
def test_modes_owners_and_what_is_gone(mark: FileMark, words: str) -> None:
    (line,) = said(with_file(mark))
    assert line == f"/etc/a.conf: {words}"


def test_a_new_file_where_all_files_were_known_and_a_new_drop_in() -> None:
    assert said(with_file(replace(CONF, path="/etc/a/new.conf"))) == [
        "/etc/a/new.conf: not there -> mode 0644, owner root, 10 bytes"
    ]
    drop_in = replace(CONF, path="/etc/systemd/system/a.service.d/x.conf", kind=Kind.UNIT)
    assert len(said(with_file(drop_in))) == 1


def test_a_file_that_nobody_looked_for_before_is_not_new() -> None:
    assert said(with_file(replace(CONF, path="/etc/b/x.conf"))) == []


def test_a_package_speaks_for_its_files() -> None:
    after = replace(with_file(replace(PROGRAM, size=99)), packages={"a": Package("dpkg", "1.1"),
                    "libz": Package("dpkg", "2")})  # fmt: skip
    assert said(after) == ["a (dpkg): 1.0 -> 1.1"]
    (change,) = compare(BEFORE, after, Times(packages={"a": 650.0}))
    assert change.at == 650.0
    gone = replace(BEFORE, packages={**BEFORE.packages, "libz": Package("dpkg", None)})
    assert said(gone) == ["libz (dpkg): 2 -> not there"]


def test_what_changed_after_the_start_is_said_to_have() -> None:
    before = replace(BEFORE, files={CONF.path: replace(CONF, late=True)})
    (line,) = said(replace(BEFORE, files={CONF.path: CONF}), before)
    assert line.endswith("changed after the unit was started")


def test_mounts_users_and_the_kernel() -> None:
    after = replace(
        BEFORE,
        kernel="6.1.0-2",
        mounts={"/srv": Mounted("/dev/sda1", "ext4", "ro"), "/x": Mounted("t", "tmpfs", "rw")},
        users={"a": None},
    )
    assert sorted(said(after, times=Times(booted=600.0))) == [
        "kernel: 6.1.0-1 -> 6.1.0-2",
        "mount /srv: /dev/sda1 ext4 rw -> /dev/sda1 ext4 ro",
        "mount /x: not there -> t tmpfs rw",
        "user a: uid 100 -> not there",
    ]
    assert said(replace(BEFORE, mounts={})) == []  # the table could not be read


def test_newest_first_and_never_many() -> None:
    files = {
        f"/etc/a/{number}": replace(CONF, path=f"/etc/a/{number}", modified=600.0 + number)
        for number in range(50)
    }
    found = compare(BEFORE, replace(BEFORE, files={**BEFORE.files, **files}), Times())
    assert len(found) == MAX_CHANGES
    times = [one.at or 0.0 for one in found]
    assert times == sorted(times, reverse=True)


# -- on disk --------------------------------------------------------------------------------------


def test_it_comes_back_as_it_was() -> None:
    assert fingerprint.load(fingerprint.dump(BEFORE)) == BEFORE


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"[]",
        lambda _: b"\xff\x00",
        lambda _: b"[" * 100_000,
        lambda data: json.dumps(json.loads(data) | {"schema": 99}).encode(),
        lambda data: json.dumps(json.loads(data) | {"files": [{"path": "/x"}]}).encode(),
        lambda data: json.dumps(json.loads(data) | {"packages": 3}).encode(),
    ],
)
def test_what_is_damaged_is_none(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    data = damage(fingerprint.dump(BEFORE))
    with pytest.raises(Damaged):
        fingerprint.load(data)
    keep = Keep(Places(tmp_path / "run", tmp_path, ()))
    assert keep.save(BEFORE)
    keep.path(BEFORE.unit).write_bytes(data)
    assert keep.load(BEFORE.unit) is None
    assert keep.save(BEFORE)
    assert keep.load(BEFORE.unit) == BEFORE


@pytest.mark.parametrize(
    "unit", ["a.service", "a/../b.service", ".", "", "x" * 300, "\udcff\n.service"]
)
def test_any_name_has_a_private_file_of_its_own(tmp_path: Path, unit: str) -> None:
    keep = Keep(Places(tmp_path / "run", tmp_path, ()))
    assert keep.load(unit) is None
    assert not (tmp_path / "units").exists()  # nothing is made before there is something to keep
    path = keep.path(unit)
    assert path.parent == tmp_path / "units"
    if "\udcff" not in unit:
        assert keep.save(replace(BEFORE, unit=unit))
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
        assert keep.path(unit + "x") != path


def test_one_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    keep = Keep(Places(tmp_path / "run", tmp_path, ()))
    files = {str(n): replace(CONF, path="/etc/" + "x" * 4000 + str(n)) for n in range(400)}
    assert not keep.save(replace(BEFORE, files=files))


def test_the_key_stays_and_is_nobody_elses(tmp_path: Path) -> None:
    keep = Keep(Places(tmp_path / "run", tmp_path, ()))
    key = keep.key()
    assert (len(key), keep.key()) == (32, key)
    assert (tmp_path / "units" / "key").stat().st_mode & 0o077 == 0
    (tmp_path / "units" / "key").write_bytes(b"short")
    assert len(keep.key()) == 32


def test_those_that_nobody_watches_are_forgotten(tmp_path: Path) -> None:
    keep = Keep(Places(tmp_path / "run", tmp_path, ()))
    for number in range(4):
        keep.save(replace(BEFORE, unit=f"{number}.service"))
    os.utime(keep.path("0.service"), (1.0, 1.0))
    assert keep.sweep(["0.service", "1.service", "2.service"], 1000.0) == 2
    assert [keep.load(f"{number}.service") is not None for number in range(4)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert keep.seen("1.service") > 0 == keep.seen("0.service")
