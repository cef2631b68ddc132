# SPDX-License-Identifier: MIT
"""The few lines of sh that move what has become due: names alone decide, and nothing is lost."""

import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.queue import Item, Queue, name_of
from failhook.setup.layout import unit_files

_PLACES = {"failhook-later.service": "/var/lib/failhook", "user/failhook-later.service": None}


def _script(unit: str, state: Path) -> str:
    """What systemd would hand to sh (systemd.service(5): $$, %%, %h)."""
    text = (unit_files() / unit).read_text(encoding="utf-8")
    found = re.search(r"^ExecStart=sh -euc '(.*)'$", text, re.MULTILINE)
    assert found is not None
    script = found[1].replace("$$", "$").replace("%%", "%")
    where = _PLACES[unit] or "%h/.local/state/failhook"
    assert where in script
    return script.replace(where, str(state))


@pytest.mark.parametrize("unit", list(_PLACES))
def test_what_is_due_is_moved_and_nothing_else(unit: str, tmp_path: Path) -> None:
    queues = [Queue(tmp_path / name) for name in ("outbox", "due")]
    now = time.time()
    for queue in queues:
        queue.make()
        for number in range(1100):  # more than one call of mv(1) takes
            item = Item(f"i{number:04}", "tell", "step", "x", now, not_before=now + 500)
            path = queue.postponed / f"{'0' * 12}-{number:020}-{item.id}@tell.json"
            path.write_bytes(b"{}")
        later = Item("later", "tell", "step", "x", now, not_before=now + 500)
        queue.put(later)
        queue.put(replace(later, id="soon", not_before=now + 1.5))
        (queue.postponed / ".hidden").write_text("x")
    done = subprocess.run(
        ["sh", "-euc", _script(unit, tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""
    for queue in queues:
        assert len(queue.waiting()) == 1100
        left = [name.id for path in queue.later() if (name := name_of(path))]
        assert left == ["soon", "later"]
        assert (queue.postponed / ".hidden").exists()


@pytest.mark.parametrize("unit", list(_PLACES))
@pytest.mark.parametrize("made", [[], ["outbox"], ["due"], ["outbox", "due"]])
def test_an_empty_queue_or_none_is_no_failure(unit: str, made: list[str], tmp_path: Path) -> None:
    for name in made:
        Queue(tmp_path / name).make()
    done = subprocess.run(
        ["sh", "-euc", _script(unit, tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


def test_what_cannot_be_moved_does_not_hold_up_the_other_queue(tmp_path: Path) -> None:
    for name in ("outbox", "due"):
        Queue(tmp_path / name).make()
        (tmp_path / name / "later" / f"{'0' * 12}-{'0' * 20}-a@tell.json").write_bytes(b"{}")
    (tmp_path / "outbox" / "now").rmdir()
    script = _script("failhook-later.service", tmp_path)
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    assert "outbox/now" in done.stderr  # it is said
    assert len(Queue(tmp_path / "due").waiting()) == 1
    assert len(list((tmp_path / "outbox/later").iterdir())) == 1
