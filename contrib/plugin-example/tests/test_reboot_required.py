# SPDX-License-Identifier: MIT
"""The collector keeps what waits for a reboot, and skips where nothing does."""

import dataclasses
from functools import partial
from pathlib import Path

from failhook_example.reboot_required import COLLECTOR, collect

from failhook import testing

KERNEL = {"uname -r": "6.1.0-42\n"}


def test_what_waits(tmp_path: Path) -> None:
    (tmp_path / "reboot-required").write_text("*** System restart required ***\n")
    (tmp_path / "reboot-required.pkgs").write_text("linux-image-6.1.0-43\nlibc6\n")
    collector = dataclasses.replace(COLLECTOR, collect=partial(collect, tmp_path))
    found = testing.run_collector(collector, answers=KERNEL)
    assert found.text("reboot-required/packages.txt") == "linux-image-6.1.0-43\nlibc6\n"
    assert found.text("reboot-required/kernel.txt") == "6.1.0-42\n"
    assert found.problems == []


def test_a_kernel_that_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "reboot-required").touch()
    collector = dataclasses.replace(COLLECTOR, collect=partial(collect, tmp_path))
    found = testing.run_collector(collector, answers={})
    assert found.problems == ["the kernel that runs is not known"]
    assert found.items["reboot-required/packages.txt"].reason


def test_nothing_waits(tmp_path: Path) -> None:
    collector = dataclasses.replace(COLLECTOR, collect=partial(collect, tmp_path))
    assert testing.run_collector(collector).skipped == "no package waits for a reboot"
    assert testing.run_collector(collector, user=True).skipped == "only for units of the system"
