# SPDX-License-Identifier: MIT
"""``failhook verify``: is this bundle whole and harmless? Nothing is unpacked."""

from __future__ import annotations

import argparse
from pathlib import Path

from failhook.bundle.verify import verify
from failhook.cli import terminal
from failhook.cli.terminal import styled, visible
from failhook.store.incidents import NotFound

EPILOG = """\
Checks the archive's structure, every checksum and the manifest; safe on a file
from a stranger. The exit code is 0 for a good bundle and 1 for any other."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", metavar="FILE", nargs="+", help="bundles to check")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Check each; 1 if one is bad."""
    results = []
    for name in options.file:
        if not Path(name).exists():
            raise NotFound(f"{name} does not exist")
        results.append((name, verify(Path(name))))
    if options.json:
        terminal.print_json(
            "verified",
            [
                {
                    "file": name,
                    "ok": one.ok,
                    "problems": list(one.problems),
                    "files": one.files,
                    "bytes": one.bytes,
                    "manifest": one.manifest,
                }
                for name, one in results
            ],
        )
        return int(not all(one.ok for _, one in results))
    for name, one in results:
        word = styled("good", "good") if one.ok else styled("bad", "bad")
        print(f"{visible(name)}: {word}, {one.files} files, {terminal.size(one.bytes)} unpacked")
        for problem in one.problems:
            print(f"  {visible(problem)}")
    return int(not all(one.ok for _, one in results))
