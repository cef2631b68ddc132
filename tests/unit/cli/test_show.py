# SPDX-License-Identifier: MIT
"""``failhook show``: the answer first, then what it rests on; nothing that steers the terminal."""

import json
from dataclasses import replace
from typing import Any

import pytest

from failhook.incident import (
    Aftermath,
    Change,
    Control,
    Evidence,
    Phase,
    Process,
    Proof,
    Stage,
    State,
    Status,
    Verdict,
)
from failhook.item import Item
from failhook.store import codec
from tests.unit.cli.conftest import CommandLine
from tests.unit.cli.test_list import HOSTILE
from tests.unit.samples import AT
from tests.unit.test_incident import CONTRACT, FULL


def test_a_page_for_a_person(failhook: CommandLine) -> None:
    one = failhook.add(
        1,
        "a.service failed: main process exited with status 3",
        exit_status_name="NOTIMPLEMENTED",
        phase=Phase.GAVE_UP,
        attempt=5,
        main=Process(812, AT, AT + 0.4),
        dying_words=("listening", "port 3000 is in use"),
        evidence=(
            Evidence("journal", Status.OK, truncated=True),
            Evidence("coredump", Status.SKIPPED, reason="no core"),
            Evidence("system", Status.TIMEOUT, reason="did not finish within 10 s"),
        ),
        notes=("2026-11-21 22:00:00 UTC  it was the disk",),
        problems=("the journal is volatile",),
    )
    failhook.pack(one, Item("a.txt", b"x" * 3000, "journal"))
    said = failhook("show", "a")
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[:3] == [
        "a.service failed: main process exited with status 3",
        "  exit-code, main process exited 3 after 0.4 s; systemd gave up after 5 starts",
        "  2026-11-21 22:49:37 UTC, the first time",
    ]
    assert "  Last words  listening" in lines
    assert "              port 3000 is in use" in lines
    assert "  Note      2026-11-21 22:00:00 UTC  it was the disk" in lines
    assert "  Missing   the journal is volatile" in lines
    assert "  Missing   system: did not finish within 10 s" in lines
    assert not any("coredump" in line for line in lines)
    assert lines[-1].startswith("  Bundle    ")
    assert lines[-1].endswith(f"1 kinds of evidence, 1 cut (failhook bundle {one.id[:6]})")


def test_repeats_and_recovery(failhook: CommandLine) -> None:
    first = failhook.add(1, "the same")
    failhook.add(2, "the same", state=State.RECOVERED, recovered_at=AT + 2 * 3600 + 90)
    out = failhook("show", "last").out
    assert "; 2 times since " in out
    assert "  recovered " in out
    assert ", after 1 min" in out
    assert ", last " in failhook("show", first.id).out


def test_what_changed_since_it_ran_well_newest_first(failhook: CommandLine) -> None:
    failhook.add(
        1,
        last_well=AT,
        changes=(
            Change("/etc/a.conf", "10 bytes", "12 bytes, content changed", AT + 60),
            Change("grafana (dpkg)", "11.1", "11.2", AT + 30),
            Change(f"mount /{HOSTILE}", "ext4 rw", "ext4 ro"),
        ),
    )
    lines = failhook("show").out.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("  Ran well  last seen ")]
    assert lines[at + 1].startswith("  Changed   ")
    assert lines[at + 1].endswith("  /etc/a.conf: 10 bytes -> 12 bytes, content changed")
    assert lines[at + 2].endswith("  grafana (dpkg): 11.1 -> 11.2")
    assert lines[at + 3].startswith("  Changed   mount /")
    assert lines[at + 3].endswith(": ext4 rw -> ext4 ro")


def test_nothing_changed_and_nothing_known(failhook: CommandLine) -> None:
    failhook.add(1)
    assert "Changed" not in failhook("show").out
    failhook.add(2, last_well=AT)
    out = failhook("show").out
    assert "  Ran well  last seen " in out
    assert "  Changed   nothing that failhook looks at" in out
    document = failhook("show", "--json").document["incident"]
    assert (document["changes"], document["last_well"]) == ([], "2026-11-21T21:49:37.250000Z")


def test_a_bundle_says_what_changed_as_well(failhook: CommandLine) -> None:
    change = Change("/etc/a.conf", "10 bytes", "12 bytes", AT + 60)
    one = failhook.add(1, last_well=AT, changes=(change,))
    packed = failhook.pack(one, Item("incident.json", codec.dump(one), "failhook"))
    assert packed.bundle is not None
    out = failhook("explain", packed.bundle.path).out
    assert "  Ran well  last seen " in out
    assert "/etc/a.conf: 10 bytes -> 12 bytes" in out
    (told,) = failhook("explain", packed.bundle.path, "--json").document["explained"]
    assert told["last_well"] == "2026-11-21T21:49:37.250000Z"
    assert [entry["what"] for entry in told["changes"]] == ["/etc/a.conf"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage": Stage.RECORDED, "verdict": None}, "being collected"),
        ({"verdict": None}, "Bundle    none"),
        (
            {"exit_code": None, "control": Control("ExecStartPre", "exited", "7")},
            "exit-code, ExecStartPre= exited 7; ",
        ),
        ({"exit_status": None}, "main process exited"),
        (
            {"result": None, "exit_code": None, "phase": Phase.DEPENDENCY},
            "dependency; it never ran",
        ),
        ({"phase": Phase.RESTARTING, "attempt": 1, "attempts": 5}, "start 1 of 5 failed"),
        *(({"phase": phase}, "; ") for phase in Phase),
    ],
)
def test_whatever_is_known(failhook: CommandLine, changes: dict[str, Any], words: str) -> None:
    failhook.add(1, **changes)
    said = failhook("show")
    assert said.code == 0
    assert words in said.out
    assert "None" not in said.out


def test_json_is_the_contract(failhook: CommandLine) -> None:
    one = failhook.pack(failhook.add(1, evidence=FULL.evidence, control=FULL.control))
    document = failhook("show", "--json").document
    assert document.keys() == {"schema", "incident"}
    assert document["incident"].keys() >= CONTRACT
    assert document["incident"] == json.loads(json.dumps(one.to_json()))


@pytest.mark.parametrize("word", ["nope", "b.service", "ffff"])
def test_not_found_is_3(failhook: CommandLine, word: str) -> None:
    failhook.add()
    said = failhook("show", word)
    assert (said.code, said.out) == (3, "")
    assert "no incident with the id or unit" in said.err


def test_a_beginning_that_fits_several_is_3(failhook: CommandLine) -> None:
    for number in range(2):
        failhook.add(number, id=f"abcdef{number:06d}")
    said = failhook("show", "abcdef")
    assert said.code == 3
    assert "abcdef000000" in said.err


def test_what_a_log_line_holds_never_steers_the_terminal(failhook: CommandLine) -> None:
    failhook.add(
        1,
        host=HOSTILE,
        dying_words=(HOSTILE, "\udcff\udc9b"),
        verdict=Verdict(HOSTILE, HOSTILE, 0.5, HOSTILE, (Proof("journal", HOSTILE),)),
        evidence=(Evidence("system", Status.FAILED, reason=HOSTILE),),
        notes=(HOSTILE,),
        problems=(HOSTILE,),
        control=Control(HOSTILE, None, None),
        exit_status=HOSTILE,
    )
    out = failhook("show").out
    assert out.count("\\x1b]0;owned\\x07") >= 5
    assert "<3>" not in out
    one = failhook("show", "--json").document["incident"]
    assert one["verdict"]["summary"] == HOSTILE
    assert one["dying_words"] == [HOSTILE, "\udcff\udc9b"]


def test_a_damaged_record_says_where_it_is(failhook: CommandLine) -> None:
    failhook.add()
    (record,) = failhook.where.incidents.glob("*/incident.json")
    record.write_text("{")
    said = failhook("show")
    assert said.code == 3
    assert str(record.parent) in said.err
    assert failhook("list").code == 0


def test_what_the_machine_went_through(failhook: CommandLine) -> None:
    said = "rolled back from 56 to 55 at 04:12 because a.service failed; it is well now"
    story = Aftermath(said, "failhook", "b", before="deb-56", after="deb-55", rolled_back=True)
    failhook.add(1, "a.service failed", aftermath=story)
    lines = failhook("show", "last").out.splitlines()
    place = next(
        n for n, line in enumerate(lines) if line.startswith("  Machine   rolled back from")
    )
    assert "  " + " " * 10 + "before deb-56, now deb-55" in lines[place:]
    failhook.add(2, "a.service failed", aftermath=replace(story, before="deb-55"))
    out = failhook("show", "last").out
    assert "Machine" in out
    assert "before deb" not in out
