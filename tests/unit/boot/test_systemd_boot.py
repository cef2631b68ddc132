# SPDX-License-Identifier: MIT
"""systemd-boot: each standing told apart, and marks that are looked at afterwards."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.boot.host import VENDOR
from failhook.boot.model import Mark
from failhook.boot.systemd_boot import Name, SystemdBoot, parse_name
from tests.unit.boot.machine import BLESS, Machine

NEW, OLD = "deb-56+2-1.conf", "deb-55.conf"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("deb-55.conf", Name("deb-55.conf")),
        ("deb-56+3.conf", Name("deb-56.conf", 3, 0)),
        ("deb-56+2-1.conf", Name("deb-56.conf", 2, 1)),
        ("\\EFI\\Linux\\os+0-3.efi", Name("os.efi", 0, 3)),
        ("/loader/entries/a+b+1-2.conf", Name("a+b.conf", 1, 2)),
        ("a+b.conf", Name("a+b.conf")),
        ("entry+2-1", Name("entry", 2, 1)),
        ("+3.conf", Name("+3.conf")),
        ("a+9999999999.conf", Name("a+9999999999.conf")),
    ],
)
def test_the_name_of_an_entry_is_taken_apart(text: str, name: Name) -> None:
    assert parse_name(text) == name


@given(st.text(max_size=60))
def test_any_name_is_taken_apart(text: str) -> None:
    name = parse_name(text)
    assert (name.left is None) == (name.tried is None)


def test_a_new_entry_is_on_trial(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    standing = SystemdBoot(machine.host).standing()
    assert (standing.mark, standing.can_mark) == (Mark.INDETERMINATE, True)
    assert standing.reason == (
        "deb-56.conf is on trial, 2 tries left when it was booted; besides it there is deb-55.conf"
    )
    assert standing.current is not None
    assert (standing.current.id, standing.current.left) == ("deb-56.conf", 2)
    assert [one.id for one in standing.others] == ["deb-55.conf"]


def test_bad_renames_the_file_and_says_what_boots_next(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    loader = SystemdBoot(machine.host)
    marked = loader.bad()
    assert marked.ok
    assert (
        marked.detail == "deb-56.conf is marked bad: the next boot takes another one (deb-55.conf)"
    )
    assert machine.names("/efi/loader/entries") == ["deb-55.conf", "deb-56+0-1.conf"]
    standing = loader.standing()
    assert (standing.mark, standing.can_mark) == (Mark.BAD, False)
    assert [one.id for one in standing.others] == ["deb-55.conf"]
    assert loader.bad().ok
    assert machine.calls.count(f"{BLESS} bad") == 1


def test_good_drops_the_counter_and_bad_is_still_possible(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    loader = SystemdBoot(machine.host)
    assert loader.good().ok
    assert machine.names("/efi/loader/entries") == ["deb-55.conf", "deb-56.conf"]
    standing = loader.standing()
    assert (standing.mark, standing.can_mark) == (Mark.GOOD, True)
    assert "was blessed in this boot" in standing.reason
    assert loader.bad().ok
    assert "deb-56+0-1.conf" in machine.names("/efi/loader/entries")


def test_blessed_long_ago_cannot_be_marked(machine: Machine) -> None:
    machine.systemd_boot(OLD, "deb-54.conf", counted=False)
    loader = SystemdBoot(machine.host)
    standing = loader.standing()
    assert (standing.mark, standing.can_mark) == (Mark.CLEAN, False)
    assert "deb-55.conf was booted without counting" in standing.reason
    assert standing.current is not None
    for marked in (loader.bad(), loader.good()):
        assert (marked.ok, marked.detail) == (False, standing.reason)
    assert BLESS not in {call.split()[0] for call in machine.calls}


def test_an_entry_without_a_try_is_dirty_also_where_it_is_called_indeterminate(
    machine: Machine,
) -> None:
    machine.systemd_boot("deb-56+0-3.conf", "deb-55+0-2.conf")
    loader = SystemdBoot(machine.host)
    standing = loader.standing()
    assert (standing.mark, standing.can_mark, standing.others) == (Mark.DIRTY, False, ())
    assert not loader.bad().ok
    assert f"{BLESS} bad" not in machine.calls


def test_systemd_258_says_dirty_itself(machine: Machine) -> None:
    machine.systemd_boot("deb-56+0-3.conf", OLD)
    machine.answers[BLESS] = "dirty\n"
    assert SystemdBoot(machine.host).standing().mark is Mark.DIRTY


def test_the_last_good_entry_is_not_marked(machine: Machine) -> None:
    machine.systemd_boot(NEW, "deb-55+0-3.conf")
    marked = SystemdBoot(machine.host).bad()
    assert marked.detail == "deb-56.conf is indeterminate; there is no other good entry"
    assert not marked.ok
    assert machine.names("/efi/loader/entries") == ["deb-55+0-3.conf", NEW]


@pytest.mark.parametrize(
    ("variables", "loader_conf", "says"),
    [
        ({"LoaderEntryDefault": "deb-56.conf"}, "", "LoaderEntryDefault says deb-56.conf"),
        ({"LoaderEntryOneShot": "DEB-56.CONF"}, "", "LoaderEntryOneShot says DEB-56.CONF"),
        ({}, "timeout 3\ndefault\tdeb-56.conf\n", '"default" in /efi/loader/loader.conf says deb-'),
        ({}, 'default "deb-56*"\n', '"default" in /efi/loader/loader.conf says deb-56*'),
        ({"LoaderEntrySaved": "deb-56.conf"}, "default @saved\n", "LoaderEntrySaved (for "),
        (
            {"LoaderEntrySaved": "deb-56.conf", "LoaderEntryDefault": "@saved"},
            "default deb-55.conf\n",
            "LoaderEntrySaved (for LoaderEntryDefault) says deb-56.conf",
        ),
        ({"LoaderEntryDefault": "gone.conf"}, "default deb-56.conf\n", '"default" in /efi'),
    ],
)
def test_a_default_that_names_the_entry_starts_it_whatever_its_mark(
    machine: Machine, variables: dict[str, str], loader_conf: str, says: str
) -> None:
    machine.systemd_boot(NEW, OLD)
    for name, value in variables.items():
        machine.variable(name, value)
    machine.write("/efi/loader/loader.conf", loader_conf)
    marked = SystemdBoot(machine.host).bad()
    assert not marked.ok
    assert says in marked.detail
    assert "the next boot takes deb-56.conf whatever its mark" in marked.detail
    assert NEW in machine.names("/efi/loader/entries")


@pytest.mark.parametrize(
    ("default", "others"),
    [
        ("deb-*", ["deb-55.conf", "deb-54.conf"]),  # a pattern takes the bad one last
        ("deb-54.conf", ["deb-54.conf"]),
        ("gone.conf", ["deb-55.conf", "deb-54.conf"]),
        ("", ["deb-55.conf", "deb-54.conf"]),
    ],
)
def test_a_default_that_leads_to_another_entry_lets_it_be_marked(
    machine: Machine, default: str, others: list[str]
) -> None:
    machine.systemd_boot(NEW, OLD, "deb-54.conf")
    machine.write("/efi/loader/loader.conf", f"#default x\ndefault {default}\n")
    standing = SystemdBoot(machine.host).standing()
    assert standing.can_mark
    assert {one.id for one in standing.others} <= set(others)
    assert SystemdBoot(machine.host).bad().ok


@pytest.mark.parametrize(
    ("default", "can_mark"),
    [("deb-56.conf", True), ("deb-56+2-1.conf", True), ("deb-56*", False), ("deb-5*", True)],
)
def test_a_loader_that_takes_the_counter_for_a_part_of_the_name(
    machine: Machine, default: str, can_mark: bool
) -> None:
    """systemd-boot 252, as a machine that boots shows it (tests/vm/test_counting.py)."""
    machine.systemd_boot(NEW, OLD)
    machine.variable("LoaderEntrySelected", "deb-56+3.conf")
    machine.write("/efi/loader/loader.conf", f"default {default}\n")
    loader = SystemdBoot(machine.host)
    assert loader.standing().can_mark is can_mark
    assert loader.bad().ok is can_mark


def test_a_pattern_takes_what_is_bad_last(machine: Machine) -> None:
    """Wherever it stands in the menu; also one that was bad before."""
    machine.systemd_boot("deb-50+2-1.conf", "deb-40+0-3.conf", OLD)
    machine.write("/efi/loader/loader.conf", "default deb-*\n")
    standing = SystemdBoot(machine.host).standing()
    assert standing.can_mark
    assert [one.id for one in standing.others] == [OLD]


def test_a_default_for_another_bad_entry_leads_nowhere(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD, "deb-54+0-3.conf")
    machine.variable("LoaderEntryDefault", "deb-54.conf")
    marked = SystemdBoot(machine.host).bad()
    assert not marked.ok
    assert "the next boot takes deb-54.conf whatever its mark" in marked.detail


def test_a_default_explains_a_boot_of_what_is_bad(machine: Machine) -> None:
    machine.systemd_boot("deb-56+0-3.conf", OLD)
    machine.variable("LoaderEntryDefault", "deb-56.conf")
    standing = SystemdBoot(machine.host).standing()
    assert standing.mark is Mark.DIRTY
    assert "`bootctl set-default ''` helps" in standing.reason


def _container(machine: Machine) -> None:
    machine.write("/run/systemd/container", "docker\n")


def _no_efi(machine: Machine) -> None:
    (machine.root / "sys/firmware").rename(machine.root / "sys/elsewhere")


def _kexec(machine: Machine) -> None:
    machine.write("/proc/sys/kernel/bootloader_type", "208\n")


def _kexec_device_tree(machine: Machine) -> None:
    machine.write("/proc/device-tree/chosen/linux,booted-from-kexec")


def _soft_reboot(machine: Machine) -> None:
    machine.answers["systemctl show --property=SoftRebootsCount"] = "1\n"


def _no_esp(machine: Machine) -> None:
    machine.answers["bootctl --print-esp-path"] = (1, "Couldn't find EFI system partition.\n")
    machine.answers["bootctl --print-boot-path"] = (1, "no")


def _no_tool(machine: Machine) -> None:
    (machine.root / BLESS.lstrip("/")).unlink()


def _tool_fails(machine: Machine) -> None:
    machine.answers[BLESS] = (1, "Failed to open ESP: Permission denied\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_container, "this is a container: what boots its host is not its business"),
        (_no_efi, "this machine was not booted by UEFI, and systemd-boot needs it"),
        (_kexec, "this kernel was started by kexec, not by the boot loader"),
        (_kexec_device_tree, "this kernel was started by kexec, not by the boot loader"),
        (_soft_reboot, "this is a soft reboot, which the boot loader had no part in"),
        (_no_esp, "the ESP is not mounted: bootctl ended with status 1: Couldn't find EFI system"),
        (_no_tool, "systemd-bless-boot is not installed"),
        (_tool_fails, "systemd-bless-boot does not say how this boot is marked"),
    ],
)
def test_what_makes_the_marks_unknown_is_told_apart(
    machine: Machine, change: Callable[[Machine], None], reason: str
) -> None:
    machine.systemd_boot(NEW, OLD)
    change(machine)
    loader = SystemdBoot(machine.host)
    standing = loader.standing()
    assert (standing.mark, standing.can_mark) == (Mark.UNKNOWN, False)
    assert standing.reason.startswith(reason)
    for marked in (loader.bad(), loader.good()):
        assert not marked.ok
        assert marked.detail.startswith(reason)
    assert not {f"{BLESS} bad", f"{BLESS} good"} & set(machine.calls)


def test_after_kexec_no_entry_counts_as_running(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    _kexec(machine)
    standing = SystemdBoot(machine.host).standing()
    assert standing.current is None
    assert len(standing.entries) == 2


def test_a_loader_other_than_kexec_is_no_reason(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    machine.write("/proc/sys/kernel/bootloader_type", "33\n")  # 2, 1: the kernel's own EFI stub
    assert SystemdBoot(machine.host).standing().can_mark


def test_an_esp_that_is_read_only(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    machine.read_only.add("/efi")
    loader = SystemdBoot(machine.host)
    standing = loader.standing()
    assert (standing.mark, standing.can_mark) == (Mark.INDETERMINATE, False)
    assert standing.reason == "deb-56.conf is indeterminate; /efi is mounted read-only"
    assert not loader.bad().ok
    assert f"{BLESS} bad" not in machine.calls


def test_a_mark_that_did_nothing_is_noticed(machine: Machine) -> None:
    """systemd#33504: where both names are there it says yes and changes nothing."""
    machine.systemd_boot(NEW, OLD)
    machine.answers[f"{BLESS} bad"] = ""
    marked = SystemdBoot(machine.host).bad()
    assert not marked.ok
    assert marked.detail.startswith("it was marked, and yet it is indeterminate")
    machine.answers[f"{BLESS} good"] = ""
    assert not SystemdBoot(machine.host).good().ok


def test_a_mark_without_a_file_is_noticed(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    told = iter(["indeterminate\n", "bad\n"])
    machine.answers[f"{BLESS} status"] = lambda _: (0, next(told))
    machine.answers[f"{BLESS} bad"] = ""
    marked = SystemdBoot(machine.host).bad()
    assert (marked.ok, marked.detail) == (
        False,
        "deb-56.conf was marked bad, and no file on the ESP says so",
    )


def test_a_refusal_is_handed_on(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    machine.answers[f"{BLESS} bad"] = (1, "Failed to rename: Read-only file system\n")
    assert SystemdBoot(machine.host).bad().detail == (
        f"{BLESS} ended with status 1: Failed to rename: Read-only file system"
    )


@pytest.mark.parametrize("form", ["one", "lines"])
def test_entries_come_from_bootctl_where_it_can(machine: Machine, form: str) -> None:
    """A list from 253 on, a line each in 252."""
    machine.systemd_boot(NEW, OLD)
    listed: list[object] = [
        {"id": NEW, "path": f"/efi/loader/entries/{NEW}", "title": "Debian", "showTitle": "Deb 56"},
        {"id": OLD, "path": f"/efi/loader/entries/{OLD}", "title": "Debian"},
        {"id": "uki.efi", "path": "/boot/EFI/Linux/uki+0-1.efi"},
        {"id": "auto-reboot-to-firmware-setup", "title": "Reboot Into Firmware Interface"},
        {"id": "deb-57+1-2.conf", "path": "/sys/firmware/efi/efivars/LoaderEntries-4a67b082"},
        "nonsense",
    ]
    lines = "".join(json.dumps(one) + "\n" for one in listed)
    machine.answers["bootctl list --json=short"] = json.dumps(listed) if form == "one" else lines
    standing = SystemdBoot(machine.host).standing()
    shown = [(one.id, one.title, one.is_bad) for one in standing.entries]
    assert shown == [
        ("deb-56.conf", "Deb 56", False),
        ("deb-55.conf", "Debian", False),
        ("uki.efi", "", True),
    ]


@pytest.mark.parametrize("answer", ["", "{", "{}", "[1]", "[" * 5000, (1, "unknown option")])
def test_entries_come_from_the_files_else(machine: Machine, answer: str | tuple[int, str]) -> None:
    machine.systemd_boot(NEW, OLD)
    machine.answers["bootctl list --json=short"] = answer
    machine.write("/efi/EFI/Linux/uki+3.efi", "MZ")
    standing = SystemdBoot(machine.host).standing()
    shown = {one.id: (one.title, one.left) for one in standing.entries}
    assert shown == {
        "deb-56.conf": (f"Linux {NEW}", 2),
        "deb-55.conf": (f"Linux {OLD}", None),
        "uki.efi": ("", 3),
    }


def test_an_entry_in_xbootldr(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD, on="/boot")
    machine.read_only.add("/efi")  # it is not the one that would be written
    loader = SystemdBoot(machine.host)
    assert loader.standing().can_mark
    machine.read_only.add("/boot")
    assert "/boot is mounted read-only" in loader.standing().reason
    machine.read_only.clear()
    assert loader.bad().ok
    assert "deb-56+0-1.conf" in machine.names("/boot/loader/entries")


def test_it_is_here_where_it_says_so(machine: Machine) -> None:
    loader = SystemdBoot(machine.host)
    assert not loader.is_here()
    machine.variable("LoaderInfo", "GRUB 2.12")
    assert not loader.is_here()
    machine.variable("LoaderInfo", "systemd-boot 257")
    assert loader.is_here()
    _container(machine)
    assert not loader.is_here()


def test_a_variable_of_the_firmware_leads_nowhere(machine: Machine) -> None:
    machine.systemd_boot(NEW, OLD)
    machine.variable("LoaderBootCountPath", "\\..\\..\\**\\deb-56+2-1.conf\x1b[2J")
    marked = SystemdBoot(machine.host).bad()
    assert not marked.ok
    assert machine.names("/efi/loader/entries") == [OLD, NEW]


@given(data=st.binary(max_size=80))
def test_a_variable_is_a_text_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    machine = Machine(tmp_path_factory.mktemp("variables"))
    machine.write(f"/sys/firmware/efi/efivars/LoaderInfo-{VENDOR}", data)
    told = machine.host.efi_text("LoaderInfo")
    assert told is None or (told and "\0" not in told)
    assert SystemdBoot(machine.host).is_here() == (told or "").startswith("systemd-boot")
