# SPDX-License-Identifier: MIT
"""The units that somebody waits for, where the gate, the hook and the next boot look for them."""

from __future__ import annotations

import contextlib

from failhook import files
from failhook.boot import running
from failhook.store.incidents import Store


def publish(store: Store, known: list[str] | None = None) -> list[str]:
    """Say which units are waited for, where the gate, the hook and the next boot look for it.

    Returns their names; writes nothing where they are ``known`` already.
    """
    units = store.ask(lambda index: index.units("state = 'open'"))
    if units == known:
        return units
    places = store.places
    with contextlib.suppress(OSError):
        if units:
            files.write(places.open_list, "\n".join(units) + "\n", mode=0o644)
        else:
            places.open_list.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        if units and not places.user:
            running.remember(places)
        elif not units:
            running.forget(places)
    return units
