# SPDX-License-Identifier: MIT
"""What people on this machine are told: on their terminals, and when they log in."""

import os
import time
from pathlib import Path

import pytest

from failhook import testing
from failhook.actions import notice, wall
from failhook.actions.notice import Open
from failhook.incident import State, Verdict
from tests.unit.collect.bench import Programs

NOW = time.mktime((2026, 5, 14, 12, 0, 0, 0, 0, -1))


def test_wall_gets_plain_lines(programs: Programs, tmp_path: Path) -> None:
    said = tmp_path / "said"
    programs.add("wall", f"cat >{said}")
    assert testing.run(wall.ACTION, {}).ok
    assert programs.calls == ["wall --timeout 5"]
    lines = said.read_text().splitlines()
    assert lines[0].startswith("failhook: gitea.service failed to start: port 3000 (::) is already")
    assert lines[-1] == "see: failhook show 7f3a5c1e9b20"
    assert all(len(line) <= 78 for line in lines)


def test_wall_moves_no_cursor(programs: Programs, tmp_path: Path) -> None:
    said = tmp_path / "said"
    programs.add("wall", f"cat >{said}")
    verdict = Verdict("\x1b]0;title\x07\x1b[2J\u202eevil\r\nBroadcast message " + "x" * 5000)
    about = testing.incident(verdict=verdict, state=State.RECOVERED)
    assert testing.run(wall.ACTION, {"group": "adm"}, incident=about).ok
    content = said.read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in content)
    assert len(content) < 700
    assert content.startswith(b"failhook: well again: ")
    assert programs.calls == ["wall --group adm --timeout 5"]


def test_wall_that_is_missing_or_fails(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("wall", "echo 'no such group' >&2; exit 1")
    outcome = testing.run(wall.ACTION, {})
    assert (outcome.ok, outcome.final) == (False, False)
    assert "no such group" in outcome.detail
    monkeypatch.setattr("failhook.proc.SEARCH_PATH", str(tmp_path / "none"))
    outcome = testing.run(wall.ACTION, {})
    assert (outcome.ok, outcome.final) == (False, True)
    assert "bsdutils" in outcome.detail


def test_a_dry_run_tells_nobody(programs: Programs) -> None:
    programs.add("wall", ":")
    outcome = testing.run(wall.ACTION, {}, dry_run=True)
    assert outcome.detail.startswith("would write to all terminals: failhook: gitea.service")
    assert programs.calls == []


def test_the_notice() -> None:
    text = notice.text(
        [
            Open("etl.service", "victim of srv-data.mount", NOW - 3 * 86400),
            Open("gitea.service", "gitea.service failed: port 3000 is held by grafana", NOW - 3600),
        ],
        NOW,
    )
    assert text == (
        "2 units have failed and not recovered (failhook list):\n"
        "  11:00  gitea.service failed: port 3000 is held by grafana\n"
        "  11.05  etl.service: victim of srv-data.mount\n"
    )
    assert notice.text([], NOW) == ""
    assert notice.text([Open("a.service", "x", NOW)], NOW).startswith("1 unit has failed and ")


def test_many_units_and_long_or_hostile_text_stay_small() -> None:
    found = [Open(f"u{n}.service", "\x1b[31m\n" + "ä" * 500, NOW - n) for n in range(100)]
    lines = notice.text(found, NOW).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "  and 92 more"
    assert all(len(line) <= 78 and line.isascii() and line.isprintable() for line in lines)


def test_the_file_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "motd.d/50-failhook"
    notice.show([], path)
    before = os.umask(0o077)
    try:
        notice.show([Open("a.service", "broken", time.time())], path)
    finally:
        os.umask(before)
    assert "a.service: broken" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644
    same = path.stat().st_ino
    notice.show([Open("a.service", "broken", time.time())], path)
    assert path.stat().st_ino == same  # not written again for nothing
    notice.show([], path)
    assert not path.exists()
    notice.show([], path)


def test_a_link_in_its_place_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path = tmp_path / "motd"
    path.symlink_to(target)
    notice.show([Open("a.service", "broken", NOW)], path)
    assert target.read_text() == "precious"
    assert not path.is_symlink()
