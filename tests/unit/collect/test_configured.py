# SPDX-License-Identifier: MIT
"""Files and commands that the administrator named; the table of all collectors."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import command, files, table
from failhook.collect.command import CommandOptions
from failhook.collect.files import FilesOptions
from failhook.config.model import CustomCollector
from failhook.gather.stage import gather
from failhook.incident import Status
from tests.unit.collect.bench import BASE, context, run


def test_files_and_patterns(tmp_path: Path) -> None:
    for name in ("a.log", "b.log", "c.txt", "d/e.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    options = FilesOptions((f"{tmp_path}/**/*.log", f"{tmp_path}/a.log", f"{tmp_path}/c.txt"))
    gave = run(files.make("acme", options), context())
    where = f"acme{tmp_path}"
    assert {path: item.data for path, item in gave.items.items()} == {
        f"{where}/a.log": b"a.log",
        f"{where}/b.log": b"b.log",
        f"{where}/c.txt": b"c.txt",
        f"{where}/d/e.log": b"d/e.log",
    }


def test_a_huge_file_leaves_room_to_the_others(tmp_path: Path) -> None:
    lines = b"".join(b"line %06d\n" % n for n in range(50_000))
    (tmp_path / "huge.log").write_bytes(lines)
    (tmp_path / "small.log").write_bytes(b"small\n")
    with (tmp_path / "sparse.log").open("wb") as stream:
        os.truncate(stream.fileno(), 1 << 40)
    gave = run(files.make("c", FilesOptions((f"{tmp_path}/*.log",), 10_000)), context())
    huge = gave.items[f"c{tmp_path}/huge.log"]
    assert huge.truncated
    assert huge.reason == "600000 bytes, the end of it"
    assert huge.data.endswith(b"line 049999\n")
    assert huge.data.startswith(b"line ")
    assert 4900 < len(huge.data) <= 5000
    assert gave.items[f"c{tmp_path}/small.log"].data == b"small\n"
    assert gave.items[f"c{tmp_path}/sparse.log"].truncated
    assert sum(len(item.data) for item in gave.items.values()) <= 10_000
    head = run(files.make("c", FilesOptions((f"{tmp_path}/huge.log",), 100, tail=False)), context())
    assert head.items[f"c{tmp_path}/huge.log"].data.startswith(b"line 000000\n")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/shadow")
    tmp_path.chmod(0o777)
    started = time.monotonic()
    paths = tuple(f"{tmp_path}/{name}" for name in ("fifo", "link", "missing"))
    gave = run(files.make("c", FilesOptions((*paths, "/dev/zero", "relative"))), context())
    assert time.monotonic() - started < 2
    assert all(item.data == b"" and item.reason for item in gave.items.values())
    assert len(gave.items) == 5
    assert run(files.make("c", FilesOptions((f"{tmp_path}/*.none",))), context()).skipped


def test_names_cannot_lead_out_of_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    gave = run(files.make("c", FilesOptions((f"{tmp_path}/../{tmp_path.name}/./x",))), context())
    assert list(gave.items) == [f"c{tmp_path}/_/{tmp_path.name}/x"]
    assert gave.problems == []


def test_too_many_files_keep_the_newest(tmp_path: Path) -> None:
    for n in range(250):
        (tmp_path / f"{n}").write_text("x")
        os.utime(tmp_path / f"{n}", (n, n))
    gave = run(files.make("c", FilesOptions((f"{tmp_path}/*",))), context())
    assert len(gave.items) == 200
    assert f"c{tmp_path}/249" in gave.items
    assert gave.problems == ["250 files match: the 200 newest are kept"]


def test_a_command_knows_the_failure() -> None:
    argv = (
        "sh",
        "-c",
        'echo "$FAILHOOK_UNIT $FAILHOOK_ID $FAILHOOK_RESULT $MINE$HOME_X"; echo e >&2',
    )
    options = CommandOptions(argv, env={"MINE": "m"})
    gave = run(command.make("c", options), context(replace(BASE, unit="$(id).service")))
    assert gave.text("c/output.txt") == "$(id).service x exit-code m\n"
    assert gave.text("c/errors.txt") == "e\n"


def test_a_command_that_fails_hangs_or_floods() -> None:
    gave = run(command.make("c", CommandOptions(("sh", "-c", "echo some; exit 3"))), context())
    assert gave.items["c/output.txt"].reason == "sh ended with status 3"
    hangs = CommandOptions(("sh", "-c", "echo some; sleep 60"), timeout_s=0.3)
    gave = run(command.make("c", hangs), context())
    assert gave.text("c/output.txt") == "some\n"
    assert "did not finish within 0." in (gave.items["c/output.txt"].reason or "")
    floods = CommandOptions(("seq", "1000000"), 1000, tail=True)
    item = run(command.make("c", floods), context()).items["c/output.txt"]
    assert item.data.endswith(b"999999\n1000000\n")
    assert item.truncated


def test_a_command_that_hangs_gives_its_output_through_the_stage() -> None:
    hangs = command.make("c", CommandOptions(("sh", "-c", "echo some; sleep 60"), timeout_s=0.3))
    (gathered,) = gather(context(), [hangs], lambda data, _: (data, {}))
    assert gathered.items[0].data == b"some\n"
    assert gathered.evidence.status is Status.OK
    assert gathered.evidence.truncated


def test_the_table() -> None:
    loaded = table.load()
    assert tuple(collector.name for collector in loaded) == table.NAMES
    assert table.NAMES[0] == "journal"
    assert all(collector.summary and collector.timeout_s <= 15 for collector in loaded)
    assert [c.name for c in table.load(["boot", "unit"])] == ["unit", "boot"]
    with pytest.raises(KeyError, match="no such collector: nonsense"):
        table.load(["nonsense"])


def test_configured_collectors() -> None:
    custom = CustomCollector("x", "files", paths=("/etc/hostname",), timeout_s=3.0, max_bytes=50)
    made = table.make("x", "files", custom)
    assert (made.name, made.timeout_s, made.max_bytes) == ("x", 3.0, 50)
    assert made.summary == "files: /etc/hostname"
    made = table.make("y", "command", replace(custom, argv=("true",)))
    assert made.summary == "command: true"
    with pytest.raises(ValueError, match="not a kind"):
        table.make("z", "other", custom)
