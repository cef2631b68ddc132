# SPDX-License-Identifier: MIT
"""Marks on boot entries, as far as a bed can have them: it is a container, and has no firmware.

What a container must not do is shown as it is. Then a bed is made to look like a machine that GRUB
booted, and systemd-boot, with the distribution's own tools: grub-editenv, grub-script-check and
10_linux; systemd-bless-boot and bootctl. Real boots are in tests/vm.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e.hooked import Hooked, service

VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
SNIPPET = Path(__file__).parents[2] / "contrib/grub/08_failhook_boot_counter"
CONFIGURATION = """
[action.leave]
type = "boot-bad"
min_uptime = 0
pause = 0

[[rule]]
name = "critical"
unit = ["bootcritical.service"]
step = [{ on = "1", do = ["leave"] }]
"""
# As 10_linux wants them from grub-mkconfig; the bed's root is an overlay that no GRUB can read.
_MKCONFIG = """
export pkgdatadir=/usr/share/grub GRUB_DEVICE=/dev/vda1 GRUB_DEVICE_UUID=57b9-aa GRUB_FS=ext2 \\
    GRUB_DEVICE_BOOT=/dev/vda1 GRUB_DEVICE_BOOT_UUID=57b9-aa GRUB_DISTRIBUTOR=Debian \\
    GRUB_CMDLINE_LINUX_DEFAULT=quiet
"""
_PROBE = """#!/bin/sh
case "$*" in *fs_uuid*) echo 57b9-aa ;; *target=fs*) echo ext2 ;; *device*) echo /dev/vda1 ;; esac
"""


def _status(bed: Machine, *words: str, check: bool = True) -> tuple[int, dict[str, Any]]:
    done = bed.run(["failhook", "boot", *words, "--json"], check=check)
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    told: dict[str, Any] = document["boot"]
    return done.returncode, told


def test_a_container_has_no_boot_to_mark(hooked: Hooked) -> None:
    bed = hooked.machine
    said = bed.run(["failhook", "boot"])
    assert said.text.startswith("unknown: this is a container: what boots its host")
    code, told = _status(bed)
    assert (code, told["loader"], told["mark"], told["entries"]) == (0, "none", "unknown", [])
    for words in (["bad"], ["bad", "--reboot"], ["bad", "--dry-run"], ["good"]):
        done = bed.run(["failhook", "boot", *words], check=False)
        assert done.returncode == 1, words
        assert "this is a container" in done.text
    assert not bed.exists("/var/lib/failhook/boots/proven.json")


def test_the_action_refuses_and_says_why(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.write("/etc/failhook/conf.d/boot.toml", CONFIGURATION)
    try:
        bed.units({"bootcritical.service": service("on-failure", "ExecStart=false\n")})
        bed.systemctl("start", "bootcritical.service", check=False)
        (incident,) = hooked.wait_done("bootcritical.service")

        def action() -> dict[str, Any]:
            found: list[dict[str, Any]] = hooked.show(incident["id"])["actions"]
            return found[0] if found else {"state": "none"}

        bed.wait(
            lambda: action()["state"] not in ("none", "due", "running"),
            timeout=20,
            what="the action",
        )
        assert action()["state"] == "failed"
        assert action()["detail"].startswith("not marked: this is a container")
    finally:
        bed.run(["rm", "/etc/failhook/conf.d/boot.toml"])


@pytest.fixture(scope="module")
def metal(tree: Tree) -> Iterator[Machine]:
    """A bed that failhook does not take for a container."""
    with Machine(failhook_tree(trees.install(tree, "grub-common", "systemd-boot"))) as bed:
        bed.shell("rm -f /run/systemd/container /run/host/container-manager /.dockerenv")
        yield bed


# -- GRUB -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grub(metal: Machine) -> Machine:
    """It looks as if GRUB had booted it, with two kernels."""
    metal.write("/usr/sbin/grub-probe", _PROBE, 0o755)
    metal.write("/etc/grub.d/08_failhook_boot_counter", SNIPPET.read_bytes(), 0o755)
    # grub-editenv of 2.14 looks for a btrfs on the device below, and stops where none has a name.
    metal.shell("mkdir -p /boot/grub; mount -t tmpfs /dev/null /boot/grub")
    metal.shell("for n in 9 10; do echo > /boot/vmlinuz-6.1.0-$n-amd64; done")
    metal.write("/boot/grub/grub.cfg", 'set default="0"\n' + _generated(metal))
    metal.run(["grub-editenv", "/boot/grub/grubenv", "create"])
    _runs(metal, 10)
    return metal


def _generated(bed: Machine, more: str = "") -> str:
    """Two parts of grub.cfg, in the order in which grub-mkconfig has them."""
    parts = "/etc/grub.d/08_failhook_boot_counter; /etc/grub.d/10_linux"
    return bed.shell(f"{_MKCONFIG}\n{more}\n{parts}").text + "\n"


def _runs(bed: Machine, number: int) -> None:
    """The kernel says so; the arguments are those of its entry."""
    words = bed.shell(f"grep -m 1 -o 'vmlinuz-6.1.0-{number}-amd64 .*' /boot/grub/grub.cfg").text
    bed.run(["tee", "/run/cmdline"], input=f"BOOT_IMAGE=/boot/{words}\n")
    bed.shell("mountpoint -q /proc/cmdline || mount --bind /run/cmdline /proc/cmdline")


def _variables(bed: Machine) -> set[str]:
    return set(bed.run(["grub-editenv", "/boot/grub/grubenv", "list"]).text.split())


def test_the_snippet_names_an_entry_of_debians_menu(grub: Machine) -> None:
    grub.run(["grub-script-check", "/boot/grub/grub.cfg"])
    text = grub.read("/boot/grub/grub.cfg").decode()
    fallback = "gnulinux-advanced-57b9-aa>gnulinux-6.1.0-9-amd64-advanced-57b9-aa"
    assert f"set failhook_fallback='{fallback}'" in text
    for part in fallback.split(">"):
        assert f"$menuentry_id_option '{part}' {{" in text
    # The same where there is no submenu.
    flat = _generated(grub, "export GRUB_DISABLE_SUBMENU=y")
    assert "set failhook_fallback='gnulinux-6.1.0-9-amd64-advanced-57b9-aa'" in flat
    assert "$menuentry_id_option 'gnulinux-6.1.0-9-amd64-advanced-57b9-aa' {" in flat


@pytest.mark.parametrize("more", ["6.1.0-10-amd64.old", "6.1.0-9-amd64.old", "6.1.0-11-amd64.old"])
def test_the_fallback_is_the_second_of_the_menu_also_of_old_kernels(
    grub: Machine, more: str
) -> None:
    """What `make install` of a kernel leaves behind: older than the same without .old."""
    grub.shell(f"echo > /boot/vmlinuz-{more}")
    try:
        flat = _generated(grub, "export GRUB_DISABLE_SUBMENU=y")
    finally:
        grub.run(["rm", f"/boot/vmlinuz-{more}"])
    entries = re.findall(r"menuentry_id_option '(gnulinux-\S+?-advanced-57b9-aa)'", flat)
    assert len(entries) == 3
    assert f"set failhook_fallback='{entries[1]}'" in flat


def test_grub_is_marked_through_its_environment_block(grub: Machine) -> None:
    grub.run(["grub-editenv", "/boot/grub/grubenv", "set", "boot_counter=3", "boot_success=0"])
    code, told = _status(grub)
    assert (code, told["loader"], told["mark"]) == (0, "grub", "indeterminate")
    assert (told["current"], told["can_mark"]) == ("gnulinux-simple-57b9-aa", True)
    code, told = _status(grub, "bad")
    assert (code, told["ok"], told["mark"]) == (0, True, "bad")
    assert _variables(grub) == {"boot_counter=-1", "boot_success=0"}
    assert len(grub.read("/boot/grub/grubenv")) == 1024
    _runs(grub, 9)  # as the snippet boots it now
    code, told = _status(grub, "bad", check=False)
    assert (code, told["ok"]) == (1, False)
    assert "is the fallback: gnulinux-simple-57b9-aa was given up" in told["detail"]
    assert _status(grub, "good")[1]["ok"]
    assert _variables(grub) == {"boot_counter=-1", "boot_success=1"}
    _runs(grub, 10)
    # As docs/boot.md says: blessed where the boot check is green.
    good = "#!/bin/sh\nexec failhook boot good\n"
    grub.write("/etc/failhook/boot/green.d/boot-good", good, 0o755)
    grub.run(["failhook", "boot", "check", "--at-boot"])
    assert _variables(grub) == {"boot_success=1"}
    since = {one["id"]: one["good_since"] for one in _status(grub)[1]["entries"]}
    assert all(since.values())
    assert len(since) == 2


# -- systemd-boot ---------------------------------------------------------------------------------

_NEW, _OLD = "deb-56+2-1.conf", "deb-55.conf"
_ESP = f"""
mount -t tmpfs tmpfs /sys/firmware; mkdir -p /sys/firmware/efi/efivars
mkdir -p /efi; mount -t tmpfs tmpfs /efi; mkdir -p /efi/loader/entries /efi/EFI; : >/efi/vmlinuz
for e in {_NEW} {_OLD}; do printf 'title %s\\nlinux /vmlinuz\\n' $e >/efi/loader/entries/$e; done
mv /usr/lib/systemd/systemd-bless-boot /usr/lib/systemd/bless-boot-itself
mv /usr/bin/bootctl /usr/bin/bootctl-itself
"""
# The tools themselves look for signs of a container, and for a real partition.
_BLESS = """#!/bin/sh
export SYSTEMD_RELAX_ESP_CHECKS=1
exec unshare -m sh -c '
    : >/run/empty && mount --bind /run/empty /proc/1/environ &&
    mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t tmpfs tmpfs /proc/$$/ns &&
    exec /usr/lib/systemd/bless-boot-itself "$@"' sh "$@"
"""
_BOOTCTL = """#!/bin/sh
SYSTEMD_RELAX_ESP_CHECKS=1 exec bootctl-itself "$@"
"""


def _variable(bed: Machine, name: str, value: str) -> None:
    data = b"\x06\0\0\0" + (value + "\0").encode("utf-16-le")
    bed.write(f"/sys/firmware/efi/efivars/{name}-{VENDOR}", data)


def _entries(bed: Machine) -> list[str]:
    return bed.run(["ls", "/efi/loader/entries"]).text.split()


@pytest.fixture(scope="module")
def efi(metal: Machine) -> Machine:
    """It looks as if systemd-boot had booted it, a new entry for the first time."""
    metal.shell(_ESP)
    metal.write("/usr/lib/systemd/systemd-bless-boot", _BLESS, 0o755)
    metal.write("/usr/bin/bootctl", _BOOTCTL, 0o755)
    _variable(metal, "LoaderInfo", "systemd-boot 252.1")
    _variable(metal, "LoaderBootCountPath", f"\\loader\\entries\\{_NEW}")
    return metal


def test_systemd_boot_is_marked_by_its_own_tool(efi: Machine) -> None:
    _, told = _status(efi)
    assert (told["loader"], told["mark"], told["can_mark"]) == (
        "systemd-boot",
        "indeterminate",
        True,
    )
    assert [(one["id"], one["left"], one["title"]) for one in told["entries"]] == [
        ("deb-56.conf", 2, _NEW),
        ("deb-55.conf", None, _OLD),
    ]
    assert "systemd-bless-boot.service marks every boot good" in told["others_who_mark"][0]
    assert _status(efi, "good")[1]["mark"] == "good"
    assert _entries(efi) == [_OLD, "deb-56.conf"]
    code, told = _status(efi, "bad")
    assert (code, told["ok"], told["mark"]) == (0, True, "bad")
    assert _entries(efi) == [_OLD, "deb-56+0-1.conf"]


def test_an_entry_without_a_try_is_dirty(efi: Machine) -> None:
    """systemd up to 257 says "indeterminate" of it."""
    _variable(efi, "LoaderBootCountPath", "\\loader\\entries\\deb-56+0-1.conf")
    _, told = _status(efi)
    assert (told["mark"], told["can_mark"]) == ("dirty", False)
    assert _status(efi, "bad", check=False)[0] == 1


def test_blessed_long_ago_is_left_alone(efi: Machine) -> None:
    efi.run(["rm", f"/sys/firmware/efi/efivars/LoaderBootCountPath-{VENDOR}"])
    _variable(efi, "LoaderEntrySelected", _OLD)
    code, told = _status(efi, "bad", "--reboot", check=False)
    assert (code, told["mark"], told["current"]) == (1, "clean", _OLD)
    assert "deb-55.conf was booted without counting" in told["detail"]


def test_a_new_entry_with_a_critical_failure_is_left(efi: Machine) -> None:
    """By the action, in the sandbox of its unit; the machine goes down and comes up again."""
    hooked = Hooked(efi)
    efi.shell("rm -f /var/lib/failhook/boots/proven.json")
    efi.shell(f"cd /efi/loader/entries && mv deb-56+0-1.conf {_NEW}")
    _variable(efi, "LoaderBootCountPath", f"\\loader\\entries\\{_NEW}")
    # Only for the wrapper around systemd-bless-boot.
    open_ = "[Service]\nRestrictNamespaces=no\n"
    efi.write("/etc/systemd/system/failhook-act.service.d/test.conf", open_)
    efi.write("/etc/failhook/conf.d/boot.toml", CONFIGURATION)
    efi.units({"bootcritical.service": service("on-failure", "ExecStart=false\n")})
    # What is on the ESP is gone with this boot: looked at by the last service to stop.
    efi.write("/root/witness", "#!/bin/sh\nls /efi/loader/entries >/root/entries; sync\n", 0o755)
    unit = "[Unit]\nRequiresMountsFor=/efi\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
    efi.units({"witness.service": unit + "ExecStart=true\nExecStop=/root/witness\n"})
    efi.systemctl("start", "witness.service")
    efi.systemctl("start", "bootcritical.service", check=False)
    assert efi.wait_ended(timeout=60) == "reboot"
    efi.boot()
    assert efi.read("/root/entries").decode().split() == [_OLD, "deb-56+0-1.conf"]
    (incident,) = hooked.wait_done("bootcritical.service")
    (action,) = hooked.show(incident["id"])["actions"]
    assert (action["name"], action["state"]) == ("leave", "done")
    assert action["detail"].startswith("asked systemd for reboot")
    record = json.loads(efi.read("/var/lib/failhook/boots/proven.json"))
    assert list(record["given_up"]) == ["deb-56.conf"]
    (ending,) = json.loads(efi.read("/var/lib/failhook/boots/endings.json"))["endings"]
    assert (ending["entry"], ending["expects"]) == ("deb-56.conf", "deb-55.conf")
    assert ending["reason"].startswith("deb-56.conf is marked bad, because ")
