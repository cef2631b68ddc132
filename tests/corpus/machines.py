# SPDX-License-Identifier: MIT
"""The machine that a program is broken in: a bed, or a virtual one where the kernel has a part."""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.bed import Machine as Bed
from tests.bed import Tree, failhook_tree, trees
from tests.corpus.failures import Failure
from tests.vm.machine import Machine as Virtual
from tests.vm.qemu import Run

_BAD_SECTOR = '[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\nsector = "{}"\n'


class Broken(Protocol):
    """What it takes to break a program and to fetch the evidence."""

    def sh(self, script: str, timeout_s: float) -> str:
        """What a shell script prints that root runs; raises BedError where it fails."""

    def read(self, path: str) -> bytes:
        """A file of the machine."""


def machine_for(failure: Failure) -> AbstractContextManager[Broken]:
    """A booted machine with the failure's packages, and gone afterwards."""
    return _virtual(failure) if failure.kernel else _bed(failure)


class _InBed:
    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def sh(self, script: str, timeout_s: float) -> str:
        return self._bed.shell(script, timeout=timeout_s).text

    def read(self, path: str) -> bytes:
        return self._bed.read(path)


class _InVirtual:
    def __init__(self, run: Run) -> None:
        self._run = run

    def sh(self, script: str, timeout_s: float) -> str:
        return self._run.run(f"set -eu\n{script}", timeout_s=timeout_s).text

    def read(self, path: str) -> bytes:
        return base64.b64decode(self._run.run(f"base64 {path}").text)


@contextmanager
def _bed(failure: Failure) -> Iterator[Broken]:
    with Bed(_tree(failure)) as bed:
        yield _InBed(bed)


def _tree(failure: Failure) -> Tree:
    base = trees.ensure(failure.tree)
    return failhook_tree(trees.install(base, *failure.packages) if failure.packages else base)


@contextmanager
def _virtual(failure: Failure) -> Iterator[Broken]:
    with tempfile.TemporaryDirectory(prefix="failhook-corpus-") as made:
        machine = Virtual(
            failure.tree,
            "corpus",
            _note,
            failure.packages,
            generic_kernel=failure.generic_kernel,
        )
        try:
            yield _InVirtual(machine.boot_up(more=_second_disk(failure, Path(made))))
        finally:
            machine.remove()


def _note(text: str) -> None:
    print(f"    {text}", file=sys.stderr)


def _second_disk(failure: Failure, place: Path) -> tuple[str, ...]:
    """QEMU's options for a disk beside the root's; its bad sector is made by blkdebug."""
    if not failure.disk_mib:
        return ()
    disk, errors = place / "disk", place / "errors"
    with disk.open("wb") as file:
        file.truncate(failure.disk_mib << 20)
    bad = failure.bad_sector
    errors.write_text("" if bad is None else _BAD_SECTOR.format(bad), encoding="utf-8")
    image = f"driver=file,node-name=image,filename={disk}"
    damaged = f"driver=blkdebug,node-name=damaged,image=image,config={errors}"
    return (
        *("-blockdev", image, "-blockdev", damaged),
        *("-blockdev", "driver=raw,node-name=second,file=damaged"),
        *("-device", "nvme,drive=second,serial=second"),
    )
