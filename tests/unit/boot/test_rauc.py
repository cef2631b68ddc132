# SPDX-License-Identifier: MIT
"""RAUC by its command, whose answers follow its manual ("Using the command line")."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from failhook.boot.model import Mark
from failhook.boot.rauc import Rauc
from tests.unit.boot.machine import Machine


def _slot(bootname: str | None, state: str, status: str | None) -> dict[str, Any]:
    return {
        "class": "rootfs",
        "device": "/dev/mmcblk0p2",
        "type": "ext4",
        "bootname": bootname,
        "state": state,
        "parent": None,
        "mountpoint": "/" if state == "booted" else None,
        "boot_status": status,
    }


class Tool:
    """``rauc status``, and the two marks."""

    def __init__(self, booted: str | None, other: str | None) -> None:
        self.status = {"rootfs.0": booted, "rootfs.1": other}

    def __call__(self, argv: Sequence[str]) -> tuple[int, str]:
        if argv[2] == "--output-format=json":
            slots: list[dict[str, Any]] = [
                {"rootfs.0": _slot("system0", "booted", self.status["rootfs.0"])},
                {"rootfs.1": _slot("system1", "inactive", self.status["rootfs.1"])},
                {"appfs.0": _slot(None, "active", None)},
            ]
            document = {"compatible": "a", "variant": "", "booted": "system0", "slots": slots}
            return 0, json.dumps(document | {"boot_primary": "rootfs.0"})
        assert argv[3] == "booted"
        self.status["rootfs.0"] = argv[2].removeprefix("mark-")
        return 0, "rauc status: marked slot rootfs.0\n"


@pytest.mark.parametrize(
    ("booted", "other", "mark", "can_mark", "reason"),
    [
        ("good", "good", Mark.GOOD, True, "rootfs.0 is marked good; besides it there is rootfs.1"),
        (None, "good", Mark.INDETERMINATE, True, "rootfs.0 is neither marked good nor bad; "),
        ("bad", "good", Mark.BAD, False, "rootfs.0 is marked bad: the next boot takes rootfs.1"),
        ("bad", "bad", Mark.BAD, False, "rootfs.0 is marked bad: and there is no other"),
        ("good", "bad", Mark.GOOD, False, "rootfs.0 is marked good; there is no other slot"),
    ],
)
def test_standing(
    machine: Machine, booted: str | None, other: str, mark: Mark, can_mark: bool, reason: str
) -> None:
    machine.answers["rauc"] = Tool(booted, other)
    standing = Rauc(machine.host).standing()
    assert (standing.mark, standing.can_mark) == (mark, can_mark)
    assert standing.reason.startswith(reason)
    assert [one.id for one in standing.entries] == ["rootfs.0", "rootfs.1"]


def test_bad_and_good(machine: Machine) -> None:
    tool = Tool("good", "good")
    machine.answers["rauc"] = tool
    loader = Rauc(machine.host)
    marked = loader.bad()
    assert (marked.ok, marked.detail) == (
        True,
        "rootfs.0 is marked bad: the next boot takes rootfs.1",
    )
    assert tool.status["rootfs.0"] == "bad"
    assert loader.bad().ok
    assert machine.calls.count("rauc status mark-bad booted") == 1
    assert loader.good().ok
    assert tool.status["rootfs.0"] == "good"


def test_the_last_good_slot_is_not_marked(machine: Machine) -> None:
    machine.answers["rauc"] = Tool("good", "bad")
    assert not Rauc(machine.host).bad().ok
    assert "rauc status mark-bad booted" not in machine.calls


def test_a_mark_that_did_nothing_is_noticed(machine: Machine) -> None:
    tool = Tool("good", "good")
    machine.answers["rauc"] = tool
    machine.answers["rauc status mark-bad"] = ""
    marked = Rauc(machine.host).bad()
    assert (marked.ok, marked.detail[:40]) == (False, "rauc said yes, and yet it is good: rootf")
    machine.answers["rauc status mark-bad"] = (1, "Error: no such slot\n")
    assert Rauc(machine.host).bad().detail == "rauc ended with status 1: Error: no such slot"


@pytest.mark.parametrize(
    "answer", ["", "{", "[]", '{"slots": 1}', '{"slots": [1, {"a": 2}]}', "[" * 9999]
)
def test_what_is_no_answer_is_unknown(machine: Machine, answer: str) -> None:
    machine.answers["rauc"] = answer
    standing = Rauc(machine.host).standing()
    assert (standing.mark, standing.can_mark) == (Mark.UNKNOWN, False)
    assert standing.reason == "rauc does not say which slot is booted"
    assert not Rauc(machine.host).bad().ok


def test_without_the_command_and_in_a_container(machine: Machine) -> None:
    loader = Rauc(machine.host)
    assert "could not be started" in loader.standing().reason
    machine.write("/run/systemd/container", "podman\n")
    assert loader.standing().reason.startswith("this is a container")


def test_it_is_here_where_it_is_configured(machine: Machine) -> None:
    assert not Rauc(machine.host).is_here()
    machine.write("/etc/rauc/system.conf", "[system]\n")
    assert Rauc(machine.host).is_here()
