# SPDX-License-Identifier: MIT
"""Names of users without asking a directory service, which may be what is broken."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def user_name(uid: int) -> str:
    """The name in /etc/passwd or of a dynamic user; the number where there is none."""
    name = _local().get(uid)
    if name is not None:
        return name
    try:
        return os.readlink(f"/run/systemd/dynamic-uid/direct:{uid}")
    except OSError:
        return str(uid)


def uid_of(user: str) -> int | None:
    """The number of a user in /etc/passwd or of a dynamic one; None where it is not known."""
    if user.isdigit():
        return int(user)
    for uid, name in _local().items():
        if name == user:
            return uid
    try:
        linked = os.readlink(f"/run/systemd/dynamic-uid/direct:{user}")
    except OSError:
        return None
    return int(linked) if linked.isdigit() else None


@cache
def _local() -> dict[int, str]:
    names: dict[int, str] = {}
    try:
        lines = Path("/etc/passwd").read_text("utf-8", "replace").splitlines()
    except OSError:
        return names
    for line in lines:
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdigit():
            names.setdefault(int(fields[2]), fields[0])
    return names
