# SPDX-License-Identifier: MIT
"""A configuration directory with plugins in it, whoever runs the tests."""

import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.config import load
from failhook.config.model import Configuration
from failhook.places import Places
from failhook.plugins import entry_points


class Etc:
    """Two configuration directories, a vendor's and the administrator's."""

    def __init__(self, root: Path) -> None:
        self.vendor, self.admin = root / "usr", root / "etc"
        for directory in (self.vendor, self.admin):
            directory.mkdir(mode=0o755)
        self.site = root / "site"
        self.site.mkdir(mode=0o755)
        user = os.geteuid() != 0  # whose plugins need not be root's
        self.places = Places(root / "run", root / "state", (self.vendor, self.admin), user=user)

    @property
    def configuration(self) -> Configuration:
        """As it is now."""
        return load.load(self.places)

    def script(self, path: str, body: str, *, vendor: bool = False, mode: int = 0o755) -> Path:
        """An executable, ``path`` below one of the directories."""
        return self._write(
            (self.vendor if vendor else self.admin) / path, f"#!/bin/sh\n{body}", mode
        )

    def python(self, name: str, body: str) -> Path:
        """A Python file in plugins/."""
        return self._write(self.admin / "plugins" / name, textwrap.dedent(body), 0o644)

    def package(self, name: str, module: str, entry_points_text: str) -> Path:
        """An installed package: a module, and the metadata that pip writes."""
        self._write(self.site / f"{name}.py", textwrap.dedent(module), 0o644)
        info = self.site / f"{name.replace('_', '-')}-1.0.dist-info"
        self._write(info / "METADATA", "", 0o644)
        return self._write(info / "entry_points.txt", textwrap.dedent(entry_points_text), 0o644)

    def _write(self, path: Path, text: str, mode: int) -> Path:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Etc]:
    """Without any plugin yet; what is installed beside the tests is not seen."""
    before = os.umask(0o022)
    made = Etc(tmp_path)
    kept = [one for one in sys.path if "site-packages" not in one and "dist-packages" not in one]
    monkeypatch.setattr(entry_points, "search_path", lambda: [str(made.site), *kept])
    monkeypatch.setattr(sys, "path", [str(made.site), *sys.path])
    yield made
    os.umask(before)


@pytest.fixture
def where(etc: Etc) -> Places:
    """The places of that failhook."""
    return replace(etc.places)
