# SPDX-License-Identifier: MIT
"""Units and rules that more than one scenario uses: a machine that is there for one service."""

from __future__ import annotations

from collections.abc import Mapping

from tests.vm.machine import Machine

CRITICAL = "acme-core.service"
SAID = "acme-core: the table of routes is from another kernel"
WANTS = "/etc/systemd/system/multi-user.target.wants"
UNITS = "/etc/systemd/system"
CONFIGURATION = "/etc/failhook/failhook.toml"

# Well in the old entry, fails in the new one.
SERVICE = f"""[Unit]
Description=What this machine is for
OnFailure=failhook@%n.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'if grep -q vm.bad /proc/cmdline; then echo "{SAID}" >&2; exit 3; fi'
ExecStopPost=-failhook
"""

# The guards wait minutes for a person; a test does not.
# A collector that an emulated processor makes slow is cut: the evidence is not what is tested here.
REBOOT = """[collect]
deadline = "8s"

[limits]
reboots = "{reboots} per 1d"

[action.go]
type = "{type}"
min_uptime = "0s"
pause = "0s"

[[rule]]
name = "critical"
unit = ["acme-core.service"]
within = "1d"
step = [{{ on = "1..", do = ["go"] }}]
"""

CHECKED = """
[boot]
active = ["acme-core.service"]
"""


def rule(kind: str, *, reboots: int = 9, checked: bool = True) -> str:
    """A configuration: what is done when the critical service fails."""
    return REBOOT.format(type=kind, reboots=reboots) + (CHECKED if checked else "")


def furnish(
    machine: Machine,
    configuration: str,
    more: Mapping[str, str] | None = None,
    *,
    checked: bool = True,
) -> None:
    """The critical service, the rule, and the boot check as `failhook boot enable` enables it."""
    links = {f"{WANTS}/{CRITICAL}": f"../{CRITICAL}"}
    if checked:
        check = "/usr/local/lib/systemd/system/failhook-boot-check.service"
        links[f"{UNITS}/boot-complete.target.requires/failhook-boot-check.service"] = check
        links[f"{WANTS}/failhook-boot-check.service"] = check
    files = {f"{UNITS}/{CRITICAL}": SERVICE, CONFIGURATION: configuration, **(more or {})}
    machine.disk.put(files, links)
