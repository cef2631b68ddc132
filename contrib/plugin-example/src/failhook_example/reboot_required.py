# SPDX-License-Identifier: MIT
"""Keeps what an upgrade left to be done by a reboot: a frequent reason for what fails since.

Debian's packages say so in two files below /run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from failhook.plugin import Collector, Context, Sink, Skipped

WHERE = Path("/run")


def collect(where: Path, context: Context, sink: Sink) -> None:
    """The two files, and whether a newer kernel is installed than the one that runs."""
    if context.user:
        raise Skipped("only for units of the system")
    if not (where / "reboot-required").exists():
        raise Skipped("no package waits for a reboot")
    sink.file("reboot-required/packages.txt", str(where / "reboot-required.pkgs"))
    if not sink.command("reboot-required/kernel.txt", ["uname", "-r"]):
        sink.problem("the kernel that runs is not known")


COLLECTOR = Collector(
    "reboot-required",
    "packages whose upgrade waits for a reboot",
    partial(collect, WHERE),
    timeout_s=3.0,
    max_bytes=64 << 10,
)
