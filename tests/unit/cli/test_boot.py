# SPDX-License-Identifier: MIT
"""``failhook boot status|good|bad`` as a person calls them, on a machine that is a directory."""

from pathlib import Path

import pytest

from failhook.boot import detect, proven
from failhook.boot.host import Host
from failhook.boot.marking import History
from tests.unit.boot.machine import Machine
from tests.unit.cli.conftest import CommandLine
from tests.unit.collect.bench import Programs

NEW, OLD = "deb-56+2-1.conf", "deb-55.conf"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine that the command finds."""
    found = Machine(tmp_path / "root")
    found.root.mkdir()
    find, others = detect.find, detect.others_who_mark
    monkeypatch.setattr(detect, "find", lambda host=None: find(host or found.host))
    monkeypatch.setattr(detect, "others_who_mark", lambda host=None: others(host or found.host))
    return found


def test_status_leads_with_the_answer(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD, "deb-54+0-3.conf")
    gate = "/etc/systemd/system/boot-complete.target.requires/x.service"
    machine.link(gate, "/dev/zero")
    said = failhook("boot")
    assert said.code == 0
    assert said.out == (
        "indeterminate: deb-56.conf is on trial, 2 tries left when it was booted; besides it "
        "there is deb-55.conf\n"
        "  Loader   systemd-boot\n"
        "  Bad      can be marked (failhook boot bad); then boots deb-55.conf\n"
        "\n"
        "   ENTRY        TRIES           MARK      GOOD SINCE\n"
        "   deb-54.conf  0 left, 3 done  bad       -\n"
        "   deb-55.conf  -               -         -\n"
        "*  deb-56.conf  2 left, 1 done  on trial  -\n"
    )
    assert failhook("boot", "status").out == said.out


def test_status_as_json(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    assert failhook("boot", "good").code == 0
    for words in (("boot", "--json"), ("boot", "status", "--json")):
        told = failhook(*words).document["boot"]
        assert (told["loader"], told["mark"], told["can_mark"]) == ("systemd-boot", "good", True)
        assert told["current"] == "deb-56.conf"
        assert told["further_loaders"] == []
        assert "systemd-bless-boot.service" in told["others_who_mark"][0]
        by_id = {one["id"]: one for one in told["entries"]}
        assert by_id["deb-55.conf"] == {
            "id": "deb-55.conf",
            "title": "Linux deb-55.conf",
            "path": "/efi/loader/entries/deb-55.conf",
            "left": None,
            "tried": None,
            "current": False,
            "bad": False,
            "good_since": None,
        }
        assert by_id["deb-56.conf"]["good_since"] > 1e9


def test_status_without_a_loader(failhook: CommandLine, machine: Machine) -> None:
    said = failhook("boot", "status")
    assert said.code == 0
    assert said.out.startswith("unknown: no boot loader that can be marked: no EFI, no GRUB")
    assert "cannot be marked now" in said.out
    assert "ENTRY" not in said.out
    machine.write("/run/systemd/container", "lxc\n")
    assert failhook("boot").out.startswith("unknown: this is a container")


def test_who_else_marks_is_told(
    failhook: CommandLine, machine: Machine, programs: Programs
) -> None:
    programs.add("systemctl", ":")
    machine.link("/etc/systemd/system/multi-user.target.wants/rauc-mark-good.service", "/x")
    assert "Besides: rauc-mark-good.service is enabled" in failhook("boot").out
    said = failhook("check")
    assert said.code == 0
    assert "note: rauc-mark-good.service is enabled: it marks every boot good" in said.out
    assert failhook("check", "--json").document["check"]["notes"]
    assert failhook("check", "--user", "--json").document["check"]["notes"] == []


def test_bad(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    plan = failhook("boot", "bad", "--dry-run")
    assert (plan.code, plan.out) == (
        0,
        "would mark deb-56.conf bad; the next boot takes another one: deb-55.conf\n",
    )
    assert machine.names("/efi/loader/entries") == [OLD, NEW]
    said = failhook("boot", "bad")
    assert (said.code, said.out) == (
        0,
        "deb-56.conf is marked bad: the next boot takes another one (deb-55.conf)\n",
    )
    assert machine.names("/efi/loader/entries") == [OLD, "deb-56+0-1.conf"]
    assert set(proven.read(failhook.where).given_up) == {"deb-56.conf"}
    assert failhook("boot").out.startswith("bad: deb-56.conf is marked bad")


def test_bad_and_reboot(failhook: CommandLine, machine: Machine, programs: Programs) -> None:
    programs.add("systemctl", ":")
    machine.systemd_boot(NEW, OLD)
    assert "and reboot" in failhook("boot", "bad", "--reboot", "--dry-run").out
    assert not [call for call in programs.calls if "reboot" in call]
    said = failhook("boot", "bad", "--reboot")
    assert (said.code, said.out.splitlines()[-1]) == (0, "the machine reboots now")
    (call,) = [call for call in programs.calls if call.endswith(" reboot")]
    assert "--no-block" in call


def test_a_reboot_that_is_refused_is_told(
    failhook: CommandLine, machine: Machine, programs: Programs
) -> None:
    programs.add("systemctl", "echo 'Call to Reboot failed: inhibited' >&2; exit 1")
    machine.systemd_boot(NEW, OLD)
    said = failhook("boot", "bad", "--reboot")
    assert said.code == 1
    assert "it is marked bad, and systemd refuses to reboot" in said.err


@pytest.mark.parametrize("words", [("bad",), ("bad", "--dry-run"), ("bad", "--reboot")])
def test_what_cannot_be_marked_is_left_alone(
    failhook: CommandLine, machine: Machine, words: tuple[str, ...]
) -> None:
    machine.systemd_boot(OLD, "deb-54.conf", counted=False)
    said = failhook("boot", *words)
    assert said.code == 1
    assert said.out.startswith("not marked bad: deb-55.conf was booted without counting")
    document = failhook("boot", *words, "--json").document["boot"]
    assert (document["ok"], document["mark"]) == (False, "clean")
    assert machine.names("/efi/loader/entries") == ["deb-54.conf", OLD]
    assert proven.read(failhook.where).given_up == {}


def test_good(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    plan = failhook("boot", "good", "--dry-run")
    assert (plan.code, plan.out[:26]) == (0, "would mark deb-56.conf goo")
    assert proven.read(failhook.where).good == {}
    said = failhook("boot", "good")
    assert (said.code, said.out) == (0, "deb-56.conf is good: it is not counted any more\n")
    assert set(proven.read(failhook.where).good) == {"deb-56.conf"}
    assert machine.names("/efi/loader/entries") == [OLD, "deb-56.conf"]


def test_good_without_counting_is_written_down(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(OLD, counted=False)
    said = failhook("boot", "good")
    assert said.code == 0
    assert said.out.startswith("deb-55.conf is written down as good; nothing to bless")
    known = proven.history(
        proven.read(failhook.where), detect.find().loader.standing(), "a", within_s=1.0
    )
    assert known != History()
    assert failhook("boot").out.count("deb-55.conf") >= 2


def test_good_where_nothing_can_be_told(failhook: CommandLine, machine: Machine) -> None:
    machine.write("/run/systemd/container", "docker\n")
    for words in (("good",), ("good", "--dry-run")):
        said = failhook("boot", *words)
        assert said.code == 1
        assert "this is a container" in said.out
    assert proven.read(failhook.where).good == {}


def test_a_mark_stands_also_where_nothing_can_be_written_down(
    failhook: CommandLine, machine: Machine
) -> None:
    machine.systemd_boot(NEW, OLD)
    failhook.where.state.mkdir()
    (failhook.where.state / "boots").write_text("in the way")
    said = failhook("boot", "bad")
    assert said.code == 0
    assert "not written down" in said.err


@pytest.mark.parametrize("words", [("--user", "boot"), ("boot", "bad", "--user"), ("boot", "x")])
def test_wrong_usage(failhook: CommandLine, machine: Machine, words: tuple[str, ...]) -> None:
    said = failhook(*words)
    assert said.code == 2
    assert said.err


def test_names_from_the_disk_steer_no_terminal(failhook: CommandLine, machine: Machine) -> None:
    machine.systemd_boot(NEW, "old\x1b[2J\u202e.conf")
    said = failhook("boot")
    assert "old\\x1b[2J\\u202e.conf" in said.out


def test_host_is_the_real_machine_by_default() -> None:
    assert Host().path("/proc/cmdline") == Path("/proc/cmdline")
