# SPDX-License-Identifier: MIT
"""Settings that ``systemctl show`` leaves out or shortens, from the unit's files themselves.

``LoadCredential=`` is not shown before systemd 254, and ``StandardOutput=append:/path`` is shown as
``append``. The files are read in the order in which systemd reads them (systemd.unit(5)).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

from failhook.systemd.unit import UnitState

_LISTS = ("LoadCredential", "LoadCredentialEncrypted", "ListenStream", "ListenDatagram")
_SINGLE = ("StandardInput", "StandardOutput", "StandardError")
_EMPTIED = ("CapabilityBoundingSet",)  # with an empty value it is not shown, and that means: none


def complete(state: UnitState, files: str) -> UnitState:
    """``state`` with the settings of its ``files`` (``unit/cat.txt``) that it does not have."""
    found = _assigned(files, state.name)
    more = {
        key: value
        for key, value in found.items()
        if (key in _LISTS and not state.get(key))
        or (key in _SINGLE and ":" in value)
        or (key in _EMPTIED and not value and key not in state.properties)
    }
    return replace(state, properties={**state.properties, **more}) if more else state


def expanded(source: str, unit_name: str) -> str:
    """The specifiers that paths are written with (systemd.unit(5)); an unknown one stays."""
    bare = unit_name.rpartition(".")[0]
    prefix, _, instance = bare.partition("@")
    known = {"%": "%", "n": unit_name, "N": bare, "p": prefix, "i": instance, "E": "/etc"}
    known |= {"S": "/var/lib", "t": "/run", "h": os.environ.get("HOME", "/root")}
    known |= {"L": "/var/log", "C": "/var/cache"}
    return re.sub("%(.)", lambda match: known.get(match[1], match[0]), source)


def _assigned(files: str, unit_name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in files.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        key, value = key.rstrip(), value.strip()  # "Key = value" is as good (systemd.syntax(7))
        if not equals or key not in (*_LISTS, *_SINGLE, *_EMPTIED):
            continue
        value = expanded(value, unit_name) if key in _SINGLE else value
        if "%" in value:
            continue
        if key in _LISTS and value and found.get(key):
            found[key] = f"{found[key]} {value}"
        else:
            found[key] = value  # an empty list setting starts the list anew
    return found
