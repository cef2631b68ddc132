# SPDX-License-Identifier: MIT
"""The drop-ins that hook failhook into units: least privilege, no recursion, plainly said.

Both triggers for one unit, because each sees what the other cannot: ExecStopPost= every failed run
and what is about to vanish, OnFailure= what never ran. For all units OnFailure= alone, by top-level
drop-ins (systemd.unit(5)), and masks of the same name keep it away from failhook's own units.
"""

from __future__ import annotations

from pathlib import Path

from failhook import hook
from failhook.setup import obstacles
from failhook.setup.changes import Changes
from failhook.setup.layout import layout
from failhook.trigger import is_unit_name

NAME = "50-failhook.conf"
HEADER = "# written by `failhook enable`; `failhook disable` removes it"
# "failhook@" + name + ".service" must be a unit name itself: systemd drops the dependency otherwise
# and says so in the journal only.
LONGEST_FOR_HANDLER = 255 - len("failhook@.service")
LONGEST_FOR_DROP_IN = 255 - len(".d")  # NAME_MAX of the file system
# Types that can fail; a slice or a device cannot (unit.c, unit_add_dependency()).
TYPES = ("service", "mount", "socket", "swap", "timer", "path", "automount", "scope", "target")
# The names that end in "-" stand for all that begin so (systemd.unit(5)): failhook-act.service and
# the transient units of actions among them.
OURS = (
    "failhook@.service",
    "failhook.service",
    "failhook-.service",
    "failhook.path",
    "failhook-.path",
    "failhook-.timer",
    "failhook.socket",
)


class Problem(Exception):
    """A unit that cannot be hooked: says why."""


def content(name: str, *, privileged: bool = False, hook_runs: bool = True) -> str:
    """The drop-in of one unit; without ExecStopPost= where no hook can run in it."""
    lines = [HEADER]
    if len(name) <= LONGEST_FOR_HANDLER:
        lines += ["[Unit]", "OnFailure=failhook@%n.service"]
    if name.endswith(".service") and hook_runs:
        prefix = "-+" if privileged else "-"
        lines += ["[Service]", f"ExecStopPost={prefix}failhook %n"]
    return "\n".join(lines) + "\n"


def enable(directory: Path, name: str, changes: Changes, *, privileged: bool, user: bool) -> None:
    """Hook one unit. Raises Problem where that makes no sense, OSError."""
    _check_name(name)
    state = obstacles.state_of(name, user=user)
    if not state.found:
        raise Problem(f"systemd knows no unit {name}; see: systemctl list-unit-files")
    found = obstacles.obstacle(state, layout(user=user).command)
    if found is not None and privileged and found.privileged_helps:
        found = None
    if found is not None and len(name) > LONGEST_FOR_HANDLER:
        raise Problem(
            f"{name}: {found.setting}, {found.why}, and the name is too long for a handler "
            f"(over {LONGEST_FOR_HANDLER} bytes)"
        )
    text = content(name, privileged=privileged, hook_runs=found is None)
    changes.write(directory / f"{name}.d" / NAME, text)
    if found is not None:
        helps = "; --privileged runs the hook outside of it" if found.privileged_helps else ""
        changes.said.append(
            f"{name}: {found.setting}, {found.why}; hooked by OnFailure= alone, which may not see "
            f"a failure that is followed by a restart{helps}"
        )
    if len(name) > LONGEST_FOR_HANDLER:
        changes.said.append(
            f"{name}: too long for a handler (over {LONGEST_FOR_HANDLER} bytes), hooked by "
            "ExecStopPost= alone: a failure before anything ran stays unseen"
        )


def _check_name(name: str) -> None:
    """Raises Problem where no unit of this name can be hooked."""
    if not is_unit_name(name):
        raise Problem(f"{name!r} is not the name of a unit; write it with its type: foo.service")
    if name == hook.BOOT_CHECK:
        raise Problem(f"{name} is hooked by its own unit file; see: failhook boot enable")
    if hook.is_ours(name):
        raise Problem(f"{name} is failhook's own: its failure must not call failhook")
    kind = name.rpartition(".")[2]
    if kind not in TYPES:
        raise Problem(f"{name}: a {kind} cannot fail, systemd ignores OnFailure= there")
    if len(name) > LONGEST_FOR_HANDLER and kind != "service":
        raise Problem(
            f"{name}: the name is longer than {LONGEST_FOR_HANDLER} bytes, "
            "systemd cannot start a handler for it"
        )
    if len(name) > LONGEST_FOR_DROP_IN:
        raise Problem(
            f"{name}: the name is longer than {LONGEST_FOR_DROP_IN} bytes, no directory for "
            "drop-ins can be called so; put ExecStopPost=-failhook %n into the unit itself"
        )


def enable_all(directory: Path, changes: Changes) -> None:
    """Hook every unit of the types that can fail. Raises OSError."""
    text = f"{HEADER}\n[Unit]\nOnFailure=failhook@%n.service\n"
    mask(directory, changes)  # before what it protects from
    for kind in TYPES:
        changes.write(directory / f"{kind}.d" / NAME, text)


def mask(directory: Path, changes: Changes) -> None:
    """Keep the drop-ins for all units away from our own (the recursion of `systemd.md` 4)."""
    for name in OURS:
        changes.link(directory / f"{name}.d" / NAME, "/dev/null")


def disable(directory: Path, name: str, changes: Changes) -> None:
    """Take failhook out of one unit. Raises OSError."""
    changes.remove(directory / f"{name}.d" / NAME)


def disable_all(directory: Path, changes: Changes) -> None:
    """Remove the drop-ins for all units; those of single units stay. Raises OSError."""
    for kind in TYPES:
        changes.remove(directory / f"{kind}.d" / NAME)


def hooked(directory: Path) -> list[str]:
    """The units, or types of units, that have a drop-in of ours in ``directory``."""
    if not directory.is_dir():
        return []
    found = [path.parent.name.removesuffix(".d") for path in directory.glob(f"*.d/{NAME}")]
    return sorted(name for name in found if name not in OURS)
