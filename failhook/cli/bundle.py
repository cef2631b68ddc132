# SPDX-License-Identifier: MIT
"""``failhook bundle``: where the tar file is, a copy of it, or its content."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from pathlib import Path

from failhook import files
from failhook.bundle.extract import extract
from failhook.bundle.layout import BundleError
from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.incident import Incident
from failhook.store.incidents import BUNDLE, NotFound, Store

EPILOG = """\
Without an option the path is printed; it opens with plain tar.

  failhook bundle last
  failhook bundle 7f3a -o /tmp/nginx.tar.gz
  failhook bundle 7f3a -o - | ssh me@desk 'cat > nginx.tar.gz'
  failhook bundle 7f3a --extract ./nginx"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID|UNIT|last", nargs="?", default="last")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help='copy it there (mode 0600); "-" is standard output'
    )
    parser.add_argument("--extract", metavar="DIR", help="unpack it into a new directory")
    parser.add_argument("--json", action="store_true", help="path, size and checksum as JSON")


def run(options: argparse.Namespace) -> int:
    """Find it and do with it what was asked."""
    store = need_store(options)
    incident = store.find(options.which)
    path = path_of(store, incident)
    if options.extract:
        return _extract(path, Path(options.extract))
    if options.output:
        return _copy(path, options.output)
    if options.json:
        bundle = incident.to_json()["bundle"]
        terminal.print_json("bundle", bundle)
        return 0
    print(path)
    return 0


def path_of(store: Store, incident: Incident) -> Path:
    """The bundle's file. Raises NotFound where the incident has none."""
    path = store.directory(incident) / BUNDLE
    if incident.bundle is None or not path.exists():
        because = f": {incident.problems[-1]}" if incident.problems else ""
        raise NotFound(f"{incident.id} ({incident.unit}) has no bundle{because}")
    return path


def _extract(path: Path, destination: Path) -> int:
    try:
        done = extract(path, destination)
    except BundleError as error:
        raise UsageError(str(error)) from None
    print(f"{done.files} files in {done.directory}")
    return 0


def _copy(path: Path, output: str) -> int:
    with path.open("rb") as source:
        if output == "-":
            if sys.stdout.isatty():
                raise UsageError("a tar file does not go to a terminal; write -o FILE")
            while chunk := source.read(1 << 20):
                sys.stdout.buffer.write(chunk)
            return 0
        target = Path(output)
        if target.is_dir():
            target = target / f"{path.parent.name}.tar.gz"
        if os.path.lexists(target) and not stat.S_ISREG(target.lstat().st_mode):
            raise UsageError(f"{target} is not a regular file; -o - writes to standard output")
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(files.replacing(target.absolute()))
            while chunk := source.read(1 << 20):
                stream.write(chunk)
    print(f"{target} ({terminal.size(target.stat().st_size)})")
    return 0
