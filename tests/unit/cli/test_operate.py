# SPDX-License-Identifier: MIT
"""note, forget, prune, check, plugins, keep-spool, runner: the verbs of those who operate it."""

import os
from pathlib import Path

import pytest

from failhook import serve
from failhook.cli import runner as runner_verb
from failhook.collect import table
from failhook.incident import Stage, State
from failhook.places import Places
from failhook.spool import Spool
from failhook.store.incidents import Store
from tests.unit.cli.conftest import CommandLine
from tests.unit.cli.test_list import HOSTILE
from tests.unit.collect.bench import Programs
from tests.unit.samples import spooled

# -- note -----------------------------------------------------------------------------------------

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root's files are trusted")


def test_a_note_stays_with_the_incident(failhook: CommandLine) -> None:
    one = failhook.add()
    said = failhook("note", "last", "it", "was", "the disk")
    assert said.out == f"noted with {one.id} (a.service)\n"
    failhook("note", one.id, "second")
    found = failhook.load(one)
    assert found is not None
    assert [note.partition("  ")[2] for note in found.notes] == ["it was the disk", "second"]
    assert "  Note      " in failhook("show").out


def test_pinned_and_let_go_again(failhook: CommandLine) -> None:
    one = failhook.add()
    assert failhook("note", "last", "--pin").out.endswith(", pinned\n")
    found = failhook.load(one)
    assert found is not None
    assert (found.pinned, found.notes) == (True, ())
    assert failhook("note", "last", "--json", "--unpin").document["incident"]["pinned"] is False
    assert failhook("note", "last", "--pin", "--unpin").code == 2


def test_a_note_of_anything(failhook: CommandLine) -> None:
    failhook.add()
    assert failhook("note", "last", HOSTILE, "\udcff", "x" * 5000).code == 0
    document = failhook("note", "last", "more", "--json").document
    assert HOSTILE in document["incident"]["notes"][0]
    assert len(document["incident"]["notes"][0]) < 4100
    assert failhook("show").code == 0
    assert failhook("list", "--json").document["incidents"][0]["notes"]


@pytest.mark.parametrize(
    ("words", "code"), [(("last",), 2), (("last", " "), 2), (("nope", "x"), 3), (("", "x"), 3)]
)
def test_a_note_on_nothing(failhook: CommandLine, words: tuple[str, ...], code: int) -> None:
    failhook.add()
    assert failhook("note", *words).code == code


def test_what_is_being_worked_on_is_left_alone(failhook: CommandLine) -> None:
    one = failhook.add()
    store = Store(failhook.where)
    with store.lock(one) as ours:
        assert ours
        for words in (("note", "last", "x"), ("forget", one.id)):
            said = failhook(*words)
            assert said.code == 1
            assert "being worked on" in said.err
    store.close()
    assert failhook.load(one) == one


# -- forget ---------------------------------------------------------------------------------------


def test_forgetting_one_or_all_of_a_unit(failhook: CommandLine) -> None:
    made = [failhook.add(number) for number in range(4)]
    other = failhook.add(9, unit="b.service")
    said = failhook("forget", made[0].id[:8], made[1].id)
    assert said.out.splitlines()[0].startswith(f"removed: {made[0].id} a.service ")
    failhook("note", made[2].id, "--pin")
    forgotten = failhook("forget", "--unit", "a.service", "--json").document["forgotten"]
    assert forgotten == [made[3].id]
    left = failhook("list", "--json").document["incidents"]
    assert [one["id"] for one in left] == [other.id, made[2].id]


def test_named_twice_is_forgotten_once(failhook: CommandLine) -> None:
    one = failhook.add()
    said = failhook("forget", one.id, one.id[:6], "--unit", "a.service")
    assert said.code == 0
    assert said.out.count("removed:") == 1


def test_a_dry_run_forgets_nothing(failhook: CommandLine) -> None:
    one = failhook.add()
    assert failhook("forget", one.id, "--dry-run").out.startswith(f"would go: {one.id}")
    assert failhook.load(one) == one


@pytest.mark.parametrize(
    ("words", "code"), [((), 2), (("ffff",), 3), (("--unit", "nope.service"), 0)]
)
def test_forgetting_nothing(failhook: CommandLine, words: tuple[str, ...], code: int) -> None:
    failhook.add()
    assert failhook("forget", *words).code == code
    assert failhook("list", "--json").document["incidents"]


def test_one_wrong_id_and_nothing_is_forgotten(failhook: CommandLine) -> None:
    one = failhook.add()
    assert failhook("forget", one.id, "ffff").code == 3
    assert failhook.load(one) == one


# -- prune ----------------------------------------------------------------------------------------


def test_pruning_to_a_number(failhook: CommandLine) -> None:
    made = [failhook.add(number, state=State.CLOSED) for number in range(6)]
    said = failhook("prune", "--incidents", "2", "--dry-run")
    assert said.out.startswith("would go: 4 incidents, 0 bundles of repeats")
    assert len(failhook("list", "--json").document["incidents"]) == 6
    document = failhook("prune", "--incidents", "2", "--json").document["pruned"]
    assert document["incidents"] == [one.id for one in made[:4]]
    assert len(failhook("list", "--json").document["incidents"]) == 2


@root_only
def test_pruning_what_the_configuration_says(failhook: CommandLine) -> None:
    failhook.configure("[keep]\nincidents = 1\ngrace = '0s'\nfree = '0%'\n")
    for number in range(3):
        failhook.add(number, state=State.CLOSED, stage=Stage.DONE)
    assert failhook("prune").out.startswith("removed: 2 incidents")


@pytest.mark.parametrize("words", [["--age", "soon"], ["--size", "big"], ["--incidents", "x"]])
def test_limits_that_are_none(failhook: CommandLine, words: list[str]) -> None:
    failhook.add()
    assert failhook("prune", *words).code == 2
    assert failhook("list", "--json").document["incidents"]


# -- check and plugins ----------------------------------------------------------------------------


def test_who_silences_us_is_noted_and_is_no_mistake(
    failhook: CommandLine, programs: Programs
) -> None:
    programs.add("systemctl", "printf 'Id=a.service\\nLoadState=loaded\\nFailureAction=reboot\\n'")
    said = failhook("check")
    assert said.code == 0
    assert "note: a.service: FailureAction=reboot takes the machine down" in said.out
    (note,) = failhook("check", "--json").document["check"]["notes"]
    assert note.startswith("a.service: FailureAction=reboot")
    assert "note:" not in failhook("check", "--user").out  # the system's units are not a user's


def test_no_configuration_at_all(failhook: CommandLine) -> None:
    said = failhook("check")
    assert (said.code, said.err) == (0, "")
    assert "the defaults are in force" in said.out
    document = failhook("check", "--json").document["check"]
    found = {name: document[name] for name in ("files", "problems", "warnings")}
    assert found == {"files": [], "problems": [], "warnings": []}


@root_only
def test_a_sound_configuration(failhook: CommandLine) -> None:
    failhook.configure("[keep]\nincidents = 3\n")
    assert failhook("check").out == "no mistake in 1 file: 0 rules, 0 actions\n"


@root_only
def test_every_mistake_in_a_line_and_exit_2(failhook: CommandLine) -> None:
    path = failhook.configure("[keep]\nincidents = 0\nsiz = 1\n[mask]\nx = '(a+)+'\n")
    said = failhook("check")
    assert said.code == 2
    assert [line.split(": ")[0] for line in said.out.splitlines()] == [
        f"{path}:2",
        f"{path}:3",
        f"{path}:5",
    ]
    problems = failhook("check", "--json").document["check"]["problems"]
    assert [(one["line"], one["key"]) for one in problems] == [
        (2, "keep.incidents"),
        (3, "keep.siz"),
        (5, "mask.x"),
    ]
    assert problems[1]["hint"] == "did you mean 'size'?"


def test_files_that_are_named(failhook: CommandLine, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad\x1b[31m.toml"
    good.write_text("[keep]\nincidents = 3\n")
    bad.write_text("[keep]\n'\\u001b[31m' = 1\n\"\\u202e\" = 2\n")
    assert failhook("check", str(good)).code == 0
    said = failhook("check", str(good), str(bad))
    assert said.code == 2
    assert len(said.out.splitlines()) == 2
    assert len(failhook("check", str(bad), "--json").document["check"]["problems"]) == 2
    assert failhook("check", str(tmp_path / "missing.toml")).code == 2


@root_only
def test_collectors_and_what_they_may_cost(failhook: CommandLine) -> None:
    failhook.configure(
        "[collect]\nskip = ['boot', 'changes']\n"
        "[collector.app]\ntype = 'files'\npaths = ['/var/log/app/*']\n"
    )
    said = failhook("plugins")
    assert said.code == 0
    names = [line.split()[0] for line in said.out.partition("\n\n")[0].splitlines()[1:]]
    assert names == [*table.NAMES, "changes", "app"]
    document = failhook("plugins", "--json").document["collectors"]
    origins = {one["name"]: one["origin"] for one in document}
    assert (origins["journal"], origins["boot"], origins["app"]) == ("built in", "off", "files")
    assert origins["changes"] == "off"
    assert failhook("check").code == 0
    assert all(one["timeout_s"] > 0 and one["max_bytes"] > 0 for one in document)


# -- what systemd calls ---------------------------------------------------------------------------


def test_what_waits_is_kept_for_the_next_boot(failhook: CommandLine) -> None:
    assert failhook("keep-spool").out == ""
    Spool(failhook.where).make()
    (failhook.where.spool / "1-1.json").write_bytes(spooled())
    assert failhook("keep-spool").out.startswith("1 failures of this shutdown wait")
    assert [path.name for path in failhook.where.kept_spool.iterdir()] == ["1-1-shutdown.json"]


def test_the_runner_is_given_its_places_and_its_time(
    failhook: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[Places, int, float]] = []

    class Fake:
        def __init__(
            self, places: Places, listeners: list[object], *, idle_s: float, recruit: None
        ) -> None:
            assert recruit is None
            ran.append((places, len(listeners), idle_s))

        def run(self) -> None:
            return

    monkeypatch.setattr(serve, "Runner", Fake)
    monkeypatch.setattr(runner_verb, "recruit", lambda *, user: None)
    failhook("runner")
    failhook("runner", "--idle", "0.5", "--user")
    assert [(one[0].user, *one[1:]) for one in ran] == [(False, 0, serve.IDLE_S), (True, 0, 0.5)]
