# SPDX-License-Identifier: MIT
"""RAUC itself: its service on the bus, two slots, and a boot loader behind its custom interface.

Which slot is booted it reads from the kernel's arguments (rauc.slot=); a script keeps the marks
where a boot loader would (RAUC's manual, "Custom bootloader backend").
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees

_SYSTEM = """[system]
compatible=acme
bootloader=custom
statusfile=/var/lib/acme-boot/rauc.status

[handlers]
bootloader-custom-backend=/usr/local/lib/acme-boot

[slot.rootfs.0]
device=/var/lib/acme-boot/slot-a
type=raw
bootname=A

[slot.rootfs.1]
device=/var/lib/acme-boot/slot-b
type=raw
bootname=B
"""
_BACKEND = """#!/bin/sh
cd /var/lib/acme-boot || exit 1
case $1 in
    get-primary) cat primary ;;
    set-primary) echo "$2" >primary ;;
    get-state) cat "state-$2" ;;
    set-state) echo "$3" >"state-$2" ;;
    *) exit 1 ;;
esac
"""
_PREPARE = """
rm -f /run/systemd/container /run/host/container-manager /.dockerenv
mkdir -p /var/lib/acme-boot /etc/rauc && cd /var/lib/acme-boot
truncate -s 1M slot-a slot-b
echo A >primary; echo good >state-A; echo good >state-B
echo 'quiet rauc.slot=A' >/run/cmdline && mount --bind /run/cmdline /proc/cmdline
"""


@pytest.fixture(scope="module")
def rauc(tree: Tree) -> Iterator[Machine]:
    """A machine with two slots, of which A is booted."""
    with Machine(failhook_tree(trees.install(tree, "rauc", "rauc-service"))) as bed:
        bed.shell(_PREPARE)
        bed.write("/etc/rauc/system.conf", _SYSTEM)
        bed.write("/usr/local/lib/acme-boot", _BACKEND, 0o755)
        yield bed


def _boot(bed: Machine, *words: str, check: bool = True) -> dict[str, Any]:
    done = bed.run(["failhook", "boot", *words, "--json"], check=check)
    told: dict[str, Any] = json.loads(done.stdout)["boot"]
    return told


def _mark(bed: Machine, slot: str) -> str:
    return bed.read(f"/var/lib/acme-boot/state-{slot}").decode().strip()


def test_raucs_own_word_is_taken_and_its_marks_are_made(rauc: Machine) -> None:
    told = _boot(rauc)
    assert (told["loader"], told["mark"], told["current"]) == ("rauc", "good", "rootfs.0")
    assert told["can_mark"]
    assert {one["id"] for one in told["entries"]} == {"rootfs.0", "rootfs.1"}

    told = _boot(rauc, "bad")
    assert (told["ok"], told["mark"]) == (True, "bad")
    assert (_mark(rauc, "A"), _mark(rauc, "B")) == ("bad", "good")
    assert "the next boot takes rootfs.1" in told["detail"]

    told = _boot(rauc, "good")
    assert (told["ok"], told["mark"]) == (True, "good")
    assert _mark(rauc, "A") == "good"


def test_the_last_good_slot_is_not_marked(rauc: Machine) -> None:
    rauc.write("/var/lib/acme-boot/state-B", "bad\n")
    told = _boot(rauc, "bad", check=False)
    assert not told["ok"]
    assert "there is no other slot that is good" in told["detail"]
    assert _mark(rauc, "A") == "good"


def test_a_rauc_that_does_not_answer_is_said(rauc: Machine) -> None:
    rauc.write("/etc/rauc/system.conf", "[system]\ncompatible=acme\nbootloader=no-such\n")
    rauc.systemctl("stop", "rauc.service", check=False)
    told = _boot(rauc)
    assert told["mark"] == "unknown"
    assert told["reason"].startswith("rauc does not say how it stands: ")
    assert not _boot(rauc, "bad", check=False)["ok"]
