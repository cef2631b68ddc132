# SPDX-License-Identifier: MIT
"""How the verbs get at the history."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.store.incidents import NotFound, Store


def open_store(options: argparse.Namespace, *, missing_is_empty: bool = False) -> Store | None:
    """The history that the options mean; None where there is none yet and that is no mistake.

    Raises NotFound or StoreError.
    """
    try:
        return Store(places.find(user=options.user), create=False)
    except NotFound:
        if missing_is_empty:
            return None
        raise


def need_store(options: argparse.Namespace) -> Store:
    """The history. Raises NotFound where nothing was ever recorded, StoreError without access."""
    return Store(places.find(user=options.user), create=False)
