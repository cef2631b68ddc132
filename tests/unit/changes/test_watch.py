# SPDX-License-Identifier: MIT
"""Who is looked at, by whom, and what becomes of a look that hangs."""

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from failhook import files
from failhook.changes import watch
from failhook.changes.keep import Keep
from failhook.incident import rfc3339
from failhook.places import Places
from tests.unit.collect.bench import Programs


def since(seconds: float) -> str:
    text = rfc3339(time.time() - seconds)
    assert text is not None
    return "Fri " + text.replace("T", " ").replace("Z", " UTC")


def shown(name: str, *, up_s: float = 60.0, run: str = "1", **properties: str) -> str:
    """What `systemctl show` says of a service that runs."""
    known = {
        "Id": name,
        "LoadState": "loaded",
        "ActiveState": "active",
        "Result": "success",
        "InvocationID": run * 32,
        "ActiveEnterTimestamp": since(up_s),
        "ExecMainStartTimestamp": since(up_s),
        "ExecStart": "{ path=/usr/bin/env ; argv[]=/usr/bin/env ; pid=0 }",
    }
    return "".join(f"{key}={value}\n" for key, value in (known | properties).items())


class Systemd:
    """Answers `systemctl show` for units by name, and for all that can fail."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self._programs = programs
        self._directory = directory

    def says(self, *blocks: str, hooked: tuple[str, ...] = ()) -> None:
        units, everybody = self._directory / "units", self._directory / "everybody"
        units.write_text("\n".join(blocks))
        everybody.write_text("\n".join(hooked))
        script = (
            f'case "$*" in *--all*) cat {shlex.quote(str(everybody))};; '
            f"*) cat {shlex.quote(str(units))};; esac"
        )
        self._programs.add("systemctl", script)


@pytest.fixture
def systemd(programs: Programs, tmp_path: Path) -> Systemd:
    return Systemd(programs, tmp_path)


def wait(done: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def has_ended(watcher: watch.Watcher) -> bool:
    watcher.reap()
    return not watcher.busy


def test_those_that_run_well_are_remembered_and_no_others(where: Places, systemd: Systemd) -> None:
    systemd.says(
        shown("well.service"),
        shown("young.service", up_s=3),
        shown("bad.service", ActiveState="failed", Result="exit-code"),
        shown("gone.service", LoadState="not-found"),
    )
    names = ["well.service", "young.service", "bad.service", "gone.service"]
    assert watch.look_at(where, names) == 1
    keep = Keep(where)
    assert [keep.load(name) is not None for name in names] == [True, False, False, False]
    found = keep.load("well.service")
    assert found is not None
    assert "/usr/bin/env" in found.files


def test_one_that_failed_lately_has_to_prove_itself(where: Places, systemd: Systemd) -> None:
    systemd.says(shown("a.service", up_s=60))
    assert watch.look_at(where, ["a.service"], patience={"a.service": 120.0}) == 0
    assert watch.look_at(where, ["a.service"], patience={"a.service": 30.0}) == 1


def test_a_clean_stop_that_was_reported(where: Places, systemd: Systemd) -> None:
    ended = shown("a.service", ActiveState="inactive", ExecMainCode="1", ExecMainStatus="0")
    systemd.says(ended)
    assert watch.look_at(where, ["a.service"]) == 0
    assert watch.look_at(where, ["a.service"], well=["a.service"]) == 1


def test_the_same_run_is_not_looked_at_again_only_seen(where: Places, systemd: Systemd) -> None:
    systemd.says(shown("a.service"))
    watch.look_at(where, ["a.service"])
    keep = Keep(where)
    first = keep.path("a.service").read_bytes()
    watch.look_at(where, ["a.service"])
    assert keep.path("a.service").read_bytes() == first
    known = keep.load("a.service")
    assert known is not None
    keep.save(type(known)("a.service", seen=known.seen - 3600, invocation="1" * 32, key="old"))
    watch.look_at(where, ["a.service"])
    seen = keep.load("a.service")
    assert seen is not None
    assert (seen.key, seen.seen >= known.seen) == ("old", True)
    systemd.says(shown("a.service", run="2"))
    watch.look_at(where, ["a.service"])
    renewed = keep.load("a.service")
    assert renewed is not None
    assert (renewed.invocation, renewed.key) == ("2" * 32, known.key)


def test_all_who_call_us_are_watched(where: Places, systemd: Systemd) -> None:
    exec_line = "{{ path={} ; argv[]={} ; pid=0 }}"
    hook = exec_line.format("failhook", "failhook")
    other = exec_line.format("/bin/x", "x failhook")
    systemd.says(
        shown("after.service"),
        shown("by-handler.service"),
        hooked=(
            f"Id=after.service\nExecStopPost={other}\nExecStopPost={hook}\n",
            "Id=by-handler.service\nOnFailure=x.service failhook@by-handler.service.service\n",
            f"Id=other.service\nExecStopPost={other}\n",
            "Id=none.service\nOnFailure=mail@none.service\n",
        ),
    )
    watch.look(where, ())
    keep = Keep(where)
    assert keep.load("after.service") is not None
    assert keep.load("by-handler.service") is not None
    assert not list(where.units.glob("other*"))


def test_systemd_that_does_not_answer(where: Places, programs: Programs) -> None:
    del programs
    watch.look(where, ["a.service"])
    assert not where.units.exists() or not list(where.units.glob("*.json"))


# -- the process ----------------------------------------------------------------------------------


def test_the_look_is_a_process_of_its_own(where: Places, systemd: Systemd) -> None:
    systemd.says(shown("a.service"))
    watcher = watch.Watcher(where)
    watcher.start(["a.service"])
    assert watcher.busy
    wait(lambda: has_ended(watcher))
    assert Keep(where).load("a.service") is not None
    assert not (where.run / "looking").exists()


def test_a_look_that_hangs_is_killed_and_nobody_waits(
    where: Places, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("systemctl", "exec sleep 60")
    monkeypatch.setattr(watch, "LIMIT_S", 1.0)
    watcher = watch.Watcher(where)
    began = time.monotonic()
    watcher.start(())
    watcher.start(())  # one at a time
    watcher.reap()
    assert time.monotonic() - began < 0.9
    assert watcher.busy
    wait(lambda: has_ended(watcher))
    assert time.monotonic() - began < 30


def test_the_runner_leaves_before_the_look_is_done(where: Places, programs: Programs) -> None:
    programs.add("systemctl", "exec sleep 60")
    watcher = watch.Watcher(where)
    watcher.end()  # nothing to end
    watcher.start(())
    watcher.end()
    wait(lambda: has_ended(watcher))


def test_a_look_is_due_when_it_is_quiet_or_has_not_been_for_long(
    where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = watch.Watcher(where)
    assert not watcher.is_due(2.0)
    assert watcher.is_due(watch.QUIET_S)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 301.0)
    assert watcher.is_due(2.0)


def test_waiting_for_one_look(where: Places, programs: Programs, systemd: Systemd) -> None:
    systemd.says(shown("a.service"))
    assert watch.look_once(where, ["a.service"])
    assert Keep(where).load("a.service") is not None
    programs.add("systemctl", "exec sleep 60")
    began = time.monotonic()
    assert not watch.look_once(where, ["a.service"], limit_s=0.2)
    assert time.monotonic() - began < 30
    os.waitpid(-1, 0)


def test_one_whose_look_did_not_come_back_lets_the_others_have_their_turn(
    where: Places, systemd: Systemd
) -> None:
    systemd.says(shown("hangs.service"), shown("a.service"))
    files.make_private(where.run)
    files.write(where.run / "looking", "hangs.service")
    assert watch.look_at(where, ["hangs.service", "a.service"]) == 1
    assert Keep(where).load("a.service") is not None
    assert watch.look_at(where, ["hangs.service", "a.service"]) == 2
    assert Keep(where).load("hangs.service") is not None
