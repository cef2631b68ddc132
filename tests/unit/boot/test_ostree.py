# SPDX-License-Identifier: MIT
"""Deployments by bootc, rpm-ostree or ostree, whose answers follow their documentation."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from failhook.boot.model import Mark
from failhook.boot.ostree import Ostree
from tests.unit.boot.machine import Machine
from tests.unit.boot.test_grub import block, editor, variables

A, B = "a" * 64, "b" * 64


class Bootc:
    """``bootc status --json`` (org.containers.bootc/v1) and ``bootc rollback``."""

    def __init__(self, *, other: bool = True, staged: bool = False) -> None:
        self.queued = False
        self.other, self.staged = other, staged

    def _one(self, checksum: str) -> dict[str, Any]:
        image = {"image": {"image": "quay.io/a/os:1", "transport": "registry"}, "version": "41.1"}
        return {
            "image": image,
            "pinned": False,
            "ostree": {"checksum": checksum, "deploySerial": 0},
        }

    def __call__(self, argv: Sequence[str]) -> tuple[int, str]:
        if argv[1] == "rollback":
            self.queued = not self.queued
            return 0, "Next boot: rollback deployment\n"
        status = {
            "staged": self._one("c" * 64) if self.staged else None,
            "booted": self._one(A),
            "rollback": self._one(B) if self.other else None,
            "rollbackQueued": self.queued,
            "type": "bootcHost",
        }
        document = {"apiVersion": "org.containers.bootc/v1", "kind": "BootcHost", "status": status}
        return 0, json.dumps(document)


class RpmOstree:
    """``rpm-ostree status --json`` and ``rpm-ostree rollback``."""

    def __init__(self) -> None:
        self.deployments = [
            {"id": f"fedora-{A}.0", "version": "41.2", "booted": True, "staged": False},
            {"id": f"fedora-{B}.0", "version": "41.1", "booted": False, "staged": False},
        ]

    def __call__(self, argv: Sequence[str]) -> tuple[int, str]:
        if argv[1] == "rollback":
            self.deployments.reverse()
            return 0, "Moving to be first in deployment order\n"
        return 0, json.dumps({"deployments": self.deployments, "transaction": None})


@pytest.mark.parametrize(("tool", "make"), [("bootc", Bootc), ("rpm-ostree", RpmOstree)])
def test_a_rollback(machine: Machine, tool: str, make: Callable[[], Any]) -> None:
    machine.answers[tool] = make()
    loader = Ostree(machine.host)
    before = loader.standing()
    assert (before.mark, before.can_mark, len(before.others)) == (Mark.CLEAN, True, 1)
    marked = loader.bad()
    assert marked.ok
    assert "is rolled back: the next boot takes " in marked.detail
    assert B in marked.detail.partition("takes")[2]
    after = loader.standing()
    assert (after.mark, after.can_mark) == (Mark.BAD, False)
    assert loader.bad().ok  # a second rollback would bring the bad one back
    assert machine.calls.count(f"{tool} rollback") == 1


def test_bootc_is_not_asked_where_it_does_not_manage_the_machine(machine: Machine) -> None:
    status: dict[str, Any] = {"staged": None, "booted": None, "rollback": None, "type": None}
    machine.answers["bootc"] = json.dumps({"kind": "BootcHost", "status": status})
    machine.answers["rpm-ostree"] = RpmOstree()
    assert Ostree(machine.host).bad().ok
    assert "rpm-ostree rollback" in machine.calls
    assert "bootc rollback" not in machine.calls


def test_a_staged_update_is_what_boots_next(machine: Machine) -> None:
    machine.answers["bootc"] = Bootc(staged=True)
    marked = Ostree(machine.host).bad()
    assert not marked.ok
    assert marked.detail.startswith("an update is staged: the next boot takes it and not ")
    machine.answers["bootc"] = (1, "no")
    layered = RpmOstree()
    layered.deployments.insert(0, {"id": "fedora-c.0", "booted": False, "staged": True})
    machine.answers["rpm-ostree"] = layered
    assert "an update is staged" in Ostree(machine.host).bad().detail
    assert not [call for call in machine.calls if "rollback" in call]


def test_nothing_to_roll_back_to(machine: Machine) -> None:
    machine.answers["bootc"] = Bootc(other=False)
    marked = Ostree(machine.host).bad()
    assert not marked.ok
    assert "is the only deployment" in marked.detail


def test_ostree_alone_cannot(machine: Machine) -> None:
    machine.answers["ostree admin status"] = (
        f"* debian {A}.0\n    Version: 2\n    origin refspec: os\n"
        f"  debian {B}.0 (rollback)\n    Version: 1\n"
    )
    standing = Ostree(machine.host).standing()
    assert [(one.id, one.is_current) for one in standing.entries] == [
        (f"debian-{A}.0", True),
        (f"debian-{B}.0", False),
    ]
    marked = Ostree(machine.host).bad()
    assert not marked.ok
    assert "ostree alone has no command to roll back" in marked.detail


def test_a_rollback_that_did_nothing_is_noticed(machine: Machine) -> None:
    machine.answers["rpm-ostree"] = RpmOstree()
    machine.answers["rpm-ostree rollback"] = ""
    marked = Ostree(machine.host).bad()
    assert (marked.ok, marked.detail.startswith("it was rolled back, and yet ")) == (False, True)
    machine.answers["rpm-ostree rollback"] = (1, "error: Transaction in progress\n")
    assert "Transaction in progress" in Ostree(machine.host).bad().detail


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"status": 1}', '{"deployments": [1]}'])
def test_what_is_no_answer_is_unknown(machine: Machine, answer: str) -> None:
    machine.answers |= {"bootc": answer, "rpm-ostree": answer, "ostree": answer}
    standing = Ostree(machine.host).standing()
    assert (standing.mark, standing.can_mark) == (Mark.UNKNOWN, False)
    assert not Ostree(machine.host).bad().ok
    assert not Ostree(machine.host).good().ok


def test_good_ends_the_counting_of_greenboot(machine: Machine) -> None:
    machine.answers["bootc"] = Bootc()
    loader = Ostree(machine.host)
    assert "needs no mark" in loader.good().detail
    machine.write("/boot/grub/grubenv", block(boot_counter="1", boot_success="0"))
    machine.answers["grub-editenv"] = editor(machine)
    marked = loader.good()
    assert (marked.ok, marked.detail) == (True, f"{A}.0 is good: GRUB does not count any more")
    assert variables(machine) == {"boot_success": "1"}


def test_a_rollback_ends_the_counting_too(machine: Machine) -> None:
    """GRUB's fallback is the second entry, and after a rollback that is the bad one."""
    machine.answers["bootc"] = Bootc()
    machine.write("/boot/grub/grubenv", block(boot_counter="0", boot_success="0"))
    machine.answers["grub-editenv"] = editor(machine)
    assert Ostree(machine.host).bad().ok
    assert "boot_counter" not in variables(machine)


def test_it_is_here_where_a_deployment_was_booted(machine: Machine) -> None:
    assert not Ostree(machine.host).is_here()
    machine.write("/run/ostree-booted")
    assert Ostree(machine.host).is_here()
    machine.write("/run/systemd/container", "x\n")
    assert Ostree(machine.host).standing().mark is Mark.UNKNOWN
