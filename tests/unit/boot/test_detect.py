# SPDX-License-Identifier: MIT
"""Which loader is here, and who else marks boots good."""

import pytest

from failhook.boot import detect
from failhook.boot.model import Mark
from tests.unit.boot.machine import BLESS, Machine
from tests.unit.boot.test_grub import configuration


def _rauc(machine: Machine) -> None:
    machine.write("/etc/rauc/system.conf", "[system]\n")


def _ostree(machine: Machine) -> None:
    machine.write("/run/ostree-booted")


def _grub(machine: Machine) -> None:
    machine.write("/boot/grub/grub.cfg", configuration())


def _systemd_boot(machine: Machine) -> None:
    machine.systemd_boot("a+1.conf", "b.conf")


@pytest.mark.parametrize(
    ("here", "name", "others"),
    [
        ([_rauc], "rauc", ()),
        ([_ostree], "ostree", ()),
        ([_grub], "grub", ()),
        ([_systemd_boot], "systemd-boot", ()),
        ([_grub, _systemd_boot], "systemd-boot", ()),  # GRUB's files are left over
        ([_grub, _rauc], "rauc", ("grub",)),
        ([_grub, _ostree], "ostree", ("grub",)),
        ([_systemd_boot, _ostree, _rauc], "rauc", ("ostree", "systemd-boot")),
        ([], "none", ()),
    ],
)
def test_which_loader_counts(
    machine: Machine, here: list[object], name: str, others: tuple[str, ...]
) -> None:
    for make in here:
        assert callable(make)
        make(machine)
    found = detect.find(machine.host)
    assert (found.loader.name, found.others) == (name, others)
    assert found.loader.is_here()


def test_without_a_loader_the_reason_is_said(machine: Machine) -> None:
    loader = detect.find(machine.host).loader
    standing = loader.standing()
    assert (standing.mark, standing.can_mark, standing.entries) == (Mark.UNKNOWN, False, ())
    assert "no EFI, no GRUB" in standing.reason
    assert (loader.bad().ok, loader.good().ok) == (False, False)
    assert loader.bad().detail == standing.reason
    machine.variable("LoaderInfo", "rEFInd")
    assert "no systemd-boot" in loader.standing().reason


def test_in_a_container_no_loader_counts(machine: Machine) -> None:
    for make in (_rauc, _ostree, _grub, _systemd_boot):
        make(machine)
    machine.write("/run/systemd/container", "systemd-nspawn\n")
    found = detect.find(machine.host)
    assert (found.loader.name, found.others) == ("none", ())
    assert found.loader.standing().reason.startswith("this is a container")
    machine.link("/etc/systemd/system/multi-user.target.wants/rauc-mark-good.service", "/x")
    assert detect.others_who_mark(machine.host) == []


@pytest.mark.parametrize(
    "path",
    ["/run/systemd/container", "/run/host/container-manager", "/run/.containerenv", "/.dockerenv"],
)
def test_signs_of_a_container(machine: Machine, path: str) -> None:
    assert not machine.host.is_container()
    machine.write(path, "x\n")
    assert machine.host.is_container()


WANTED = "multi-user.target.wants"


@pytest.mark.parametrize(
    ("path", "who"),
    [
        (
            "/etc/systemd/user/timers.target.wants/grub-boot-success.timer",
            "grub-boot-success.timer of the user manager marks a boot good two minutes after",
        ),
        (
            "/usr/lib/systemd/user/timers.target.wants/grub-boot-success.timer",
            "grub-boot-success.timer of the user manager",
        ),
        (
            f"/etc/systemd/system/{WANTED}/greenboot-healthcheck.service",
            "greenboot-healthcheck.service is enabled: greenboot marks boots good or bad",
        ),
        (
            "/etc/systemd/system/boot-complete.target.requires/greenboot-healthcheck.service",
            "greenboot-healthcheck.service is enabled",
        ),
        (
            f"/etc/systemd/system/{WANTED}/rauc-mark-good.service",
            "rauc-mark-good.service is enabled: it marks every boot good",
        ),
        (
            f"/etc/systemd/system/{WANTED}/health-checker.service",
            "health-checker.service is enabled: SUSE's health-checker",
        ),
    ],
)
def test_who_else_marks_is_told(machine: Machine, path: str, who: str) -> None:
    assert detect.others_who_mark(machine.host) == []
    machine.link(path, "/usr/lib/systemd/system/nowhere.service")
    (said,) = detect.others_who_mark(machine.host)
    assert said.startswith(who)


def test_who_is_masked_does_not_mark(machine: Machine) -> None:
    machine.link(f"/usr/lib/systemd/system/{WANTED}/rauc-mark-good.service", "../x")
    assert len(detect.others_who_mark(machine.host)) == 1
    machine.link("/etc/systemd/system/rauc-mark-good.service", "/dev/null")
    assert detect.others_who_mark(machine.host) == []


def test_blessing_without_a_gate_is_told(machine: Machine) -> None:
    machine.systemd_boot("a+1.conf", "b.conf")
    (said,) = detect.others_who_mark(machine.host)
    assert said.startswith("systemd-bless-boot.service marks every boot good")
    gate = "/etc/systemd/system/boot-complete.target.requires/failhook-boot-check.service"
    machine.link(gate, "/usr/lib/systemd/system/failhook-boot-check.service")
    assert detect.others_who_mark(machine.host) == []
    assert detect.gates(machine.host) == ["failhook-boot-check.service"]


def test_where_nothing_is_counted_or_blessed_nothing_is_told(machine: Machine) -> None:
    machine.systemd_boot("b.conf", counted=False)
    assert detect.others_who_mark(machine.host) == []
    machine.variable("LoaderBootCountPath", "\\loader\\entries\\a+1.conf")
    (machine.root / BLESS.lstrip("/")).unlink()
    assert detect.others_who_mark(machine.host) == []
