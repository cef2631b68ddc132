# SPDX-License-Identifier: MIT
"""The command line as a person calls it, with a history of the test's own."""

import json
import logging
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from failhook import places
from failhook.bundle.writer import BundleWriter
from failhook.cli import main
from failhook.collect import table
from failhook.incident import Incident, Verdict
from failhook.item import Item
from failhook.places import Places
from failhook.store import counts
from failhook.store.incidents import Store
from tests.unit.collect.bench import Programs
from tests.unit.samples import incident


@dataclass(frozen=True)
class Said:
    """What a call printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document; it is ASCII and has its schema."""
        assert all(" " <= sign <= "~" or sign == "\n" for sign in self.out)
        document: dict[str, Any] = json.loads(self.out)
        assert document["schema"] == 1
        return document


def steering(text: str) -> list[str]:
    """What in ``text`` a terminal or a reader's eye would obey: nothing of it may be printed."""
    bad = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [repr(sign) for sign in text if sign != "\n" and unicodedata.category(sign) in bad]


class CommandLine:
    """Calls `failhook.cli.main`, and fills the history that it looks at."""

    def __init__(self, where: Places, capfd: pytest.CaptureFixture[str]) -> None:
        self.where = where
        self._capfd = capfd

    def __call__(self, *words: str) -> Said:
        """One call; what it printed is also checked for what must never be printed."""
        self._capfd.readouterr()
        try:
            code = main(words)
        except SystemExit as ended:  # argparse
            code = ended.code if isinstance(ended.code, int) else 1
        out, err = self._capfd.readouterr()
        assert steering(out) == []
        assert steering(err) == []
        assert "Traceback" not in err
        return Said(code, out, err)

    def add(self, number: int = 1, words: str | None = None, **changes: Any) -> Incident:
        """An incident; the same ``words`` make it a repeat of the same failure."""
        unit = changes.get("unit", "a.service")
        sentence = words or f"{unit} failed: reason {number}"
        one = incident(number, **({"verdict": Verdict(sentence)} | changes))
        store = Store(self.where)
        if one.signature is None and one.verdict is not None:
            key = counts.signature_of(one, one.verdict.summary)
            one = replace(one, signature=key, count=counts.count(store, one, key).count)
        store.create(one)
        store.close()
        return one

    def pack(self, one: Incident, *items: Item) -> Incident:
        """A real bundle for an incident."""
        store = Store(self.where)
        directory = store.directory(one)
        with BundleWriter(directory, one, max_bytes=1 << 20) as writer:
            for item in items or (Item("journal/journal.txt", b"last words\n", "journal"),):
                writer.add(item)
            packed = replace(one, bundle=writer.finish({}))
        store.save(packed)
        store.close()
        return packed

    def save(self, one: Incident) -> None:
        """Write an incident that is in the history."""
        store = Store(self.where)
        store.save(one)
        store.close()

    def load(self, one: Incident) -> Incident | None:
        """As it is in the history now."""
        store = Store(self.where)
        found = store.by_id(one.id)
        store.close()
        return found

    def configure(self, text: str) -> Path:
        """Write failhook.toml."""
        path = self.where.configuration[0] / "failhook.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def collect_nothing(self) -> None:
        """Collecting has its own tests, and takes its time."""
        self.configure(f"[collect]\nskip = {json.dumps(list(table.NAMES))}\n")


@pytest.fixture
def failhook(
    where: Places,
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[CommandLine]:
    """The command, at home in the test's directory, on a machine whose systemd does not answer."""
    del programs
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(places, "find", lambda *, user: replace(where, user=user))
    monkeypatch.setenv("HOME", str(where.run.parent / "home"))
    monkeypatch.setenv("TZ", "UTC")
    handlers = logging.getLogger().handlers[:]
    yield CommandLine(where, capfd)
    logging.getLogger().handlers[:] = handlers
