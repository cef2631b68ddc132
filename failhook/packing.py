# SPDX-License-Identifier: MIT
"""The bundle of an incident while its evidence comes in, and how it ends.

It is published, or reduced to the essentials where the disk does not take the whole.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from failhook.bundle.layout import BundleError
from failhook.bundle.writer import BundleWriter
from failhook.config.model import Configuration
from failhook.incident import Bundle, Incident, Stage, rfc3339
from failhook.item import Item
from failhook.store import codec, retention
from failhook.store.incidents import BUNDLE, HOOK, Store


class Packing:
    """Takes items as they come, and never raises for what the disk does to them: a bundle that
    could not be started, or that broke, is reduced at the end."""

    def __init__(self, store: Store, incident: Incident, limits: Configuration) -> None:
        self._store = store
        self._writer: BundleWriter | None = None
        self._problem: str | None = "the disk is nearly full"
        if retention.may_grow(store, limits.keep):
            with contextlib.suppress(BundleError):
                self._writer = self._open(incident, limits.collect.max_bundle)
                self._problem = None

    def _open(self, incident: Incident, max_bytes: int) -> BundleWriter:
        directory = self._store.directory(incident)
        return BundleWriter(directory, incident, max_bytes=max_bytes, name=BUNDLE)

    def add(self, item: Item) -> None:
        """Into the stream, unless it has broken before."""
        if self._writer is not None and self._problem is None:
            try:
                self._writer.add(item)
            except BundleError as error:
                self._problem = str(error)

    def abort(self) -> None:
        """Leave nothing behind of what is not finished."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    def finish(self, incident: Incident, essentials: Sequence[Item], stage: Stage) -> Incident:
        """Publish the bundle, or a reduced one of the ``essentials``, and keep ``incident`` as
        having reached ``stage``. Raises OSError where not even that can be written."""
        bundle, problem = self._publish(incident, essentials)
        after = replace(
            incident,
            bundle=bundle,
            stage=stage,
            problems=(*incident.problems, problem) if problem else incident.problems,
        )
        self._store.save(after)
        with contextlib.suppress(OSError):
            (self._store.directory(after) / HOOK).unlink()
        return after

    def _publish(
        self, incident: Incident, essentials: Sequence[Item]
    ) -> tuple[Bundle | None, str | None]:
        problem = self._problem
        if self._writer is not None and problem is None:
            try:
                return _finish(self._writer, incident), None
            except BundleError as error:
                problem = str(error)
        self.abort()
        bundle, further = self._reduced(incident, essentials)
        return bundle, f"{problem}: {further}"

    def _reduced(self, incident: Incident, essentials: Sequence[Item]) -> tuple[Bundle | None, str]:
        """The essentials alone, a few KiB: what still fits when nothing else does."""
        try:
            self._store.release_reserve()
            writer = self._open(incident, 1 << 20)
            try:
                for item in essentials:
                    writer.add(item)
                return _finish(writer, incident), "the bundle is reduced"
            except BaseException:
                writer.abort()
                raise
        except BundleError as error:
            return None, f"no bundle could be written: {error}"


def _finish(writer: BundleWriter, incident: Incident) -> Bundle:
    writer.add(Item("verdict.txt", verdict_text(incident).encode(), "failhook"))
    writer.add(Item("incident.json", codec.dump(incident), "failhook"))
    known = incident.to_json()
    header = {name: known[name] for name in ("invocation_id", "first_seen", "verdict", "evidence")}
    return writer.finish({"created": rfc3339(time.time()), **header})


def verdict_text(incident: Incident) -> str:
    """The bundle's ``verdict.txt``: the sentence first, then the program's own last words."""
    sentence = incident.verdict.summary if incident.verdict else incident.unit
    words = "".join(f"    {word}\n" for word in incident.dying_words)
    last = f"\nIts last words:\n{words}" if words else "\nIt said nothing.\n"
    return f"{sentence}\n{last}"
