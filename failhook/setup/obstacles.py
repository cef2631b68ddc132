# SPDX-License-Identifier: MIT
"""Units in which ``ExecStopPost=failhook`` cannot run, or would do harm (systemd.exec(5)).

``StandardOutput=truncate:FILE`` is opened anew, and emptied, for each command line: a hook behind
the service's own would leave nothing of its output, after a good run as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from failhook.systemd import families, unit
from failhook.systemd.exec_paths import is_closed
from failhook.systemd.unit import UnitState

_OUTPUTS = ("StandardOutput", "StandardError")
_PROPERTIES = ("ExecStopPost", *_OUTPUTS, "LoadState")
_NEEDED = ("/usr/bin/sh", "/usr/bin/python3")  # by the hook, which is a script
_INSTANCE = "failhook"  # any that systemd need not have


@dataclass(frozen=True, slots=True)
class Obstacle:
    """``setting`` as it stands in the unit; what is then the matter; does ``+`` help?"""

    setting: str
    why: str
    privileged_helps: bool


def obstacle(state: UnitState, command: Path) -> Obstacle | None:
    """What keeps the hook ``command`` out of the unit; None where nothing does."""
    for setting in _OUTPUTS:
        output = state.get(setting) or ""
        if output.partition(":")[0] == "truncate":
            return Obstacle(f"{setting}={output}", "a hook would empty that file once more", False)
    for setting in ("RootDirectory", "RootImage"):
        value = state.get(setting) or "/"
        if value != "/":
            return Obstacle(f"{setting}={value}", "no hook can run in there", True)
    if any(is_closed(state, program) for program in (str(command), *_NEEDED)):
        return Obstacle(f"NoExecPaths={state.get('NoExecPaths')}", "no hook can run in there", True)
    if families.is_closed(state, "AF_UNIX") and not _writes_the_spool(state):
        closed = f"{families.SETTING}={families.restricted(state)}"
        return Obstacle(closed, "without AF_UNIX no hook can report from in there", True)
    return None


def _writes_the_spool(state: UnitState) -> bool:
    """root's hook needs no socket, unless all of the file system is read-only to it."""
    is_root = (state.get("User") or "root") in ("root", "0") and state.get("DynamicUser") != "yes"
    return is_root and state.get("ProtectSystem") != "strict"


def state_of(name: str, *, user: bool) -> UnitState:
    """The unit as systemd has it; a template, that has no state, as an instance of it would be."""
    return unit.show(name.replace("@.", f"@{_INSTANCE}.", 1), user=user)


def emptied() -> list[str]:
    """A sentence for each unit whose output a hook empties that somebody wrote into it; none where
    systemd does not answer."""
    return told(unit.show_loaded(_PROPERTIES))


def told(states: Mapping[str, UnitState]) -> list[str]:
    """The sentences for units in these states. Pure."""
    found = []
    for name, state in sorted(states.items()):
        hooked = state.starts("failhook", "ExecStopPost")
        setting = next((one for one in _OUTPUTS if state.get(one) == "truncate"), None)
        if hooked and setting is not None and state.get("LoadState") == "loaded":
            found.append(
                f"{name}: ExecStopPost=failhook empties the file of {setting}=truncate: at every "
                "stop, since systemd opens it anew for each command; take that line out, "
                "and let OnFailure=failhook@%n.service see its failures"
            )
    return found
