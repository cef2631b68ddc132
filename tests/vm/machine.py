# SPDX-License-Identifier: MIT
"""A machine over several boots, each a run of QEMU: its disk, its firmware, and a transcript.

The transcript says of every boot what was started, how it ended, and what the entries on the EFI
system partition are called then: that is what boot assessment is about.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tests.vm import image
from tests.vm.image import Disk, Template
from tests.vm.qemu import FIRMWARE_VARIABLES, KERNEL_OPTIONS, Run

Incident: TypeAlias = dict[str, Any]
Note: TypeAlias = Callable[[str], None]
SYSTEMD_BOOT = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
ENTRIES = "loader/entries"


@dataclass(frozen=True, slots=True)
class Entry:
    """A boot entry: what its file is called, and what its kernel is told besides."""

    name: str
    version: int
    options: str = ""

    def text(self) -> bytes:
        """As the Boot Loader Specification has it, type #1."""
        lines = (
            f"title {self.name.partition('+')[0].removesuffix('.conf')}",
            f"version {self.version}",
            "linux /vmlinuz",
            f"options {KERNEL_OPTIONS} {self.options}",
        )
        return "\n".join(lines).encode() + b"\n"


class Machine:
    """One machine. What is written stays over `boot`, however the boot before it ended."""

    def __init__(
        self,
        release: str,
        name: str,
        note: Note,
        packages: Sequence[str] = (),
        *,
        generic_kernel: bool = False,
    ) -> None:
        self.template: Template = image.template(release, packages, generic_kernel=generic_kernel)
        self.boots = 0
        self.last: Run | None = None
        self._note = note
        place = image.directory()
        self.disk = Disk(place / f"{release}-{name}.disk", self.template)
        self._variables = place / f"{release}-{name}.vars"
        self._has_firmware = False

    def remove(self) -> None:
        """Switch off and give the space back."""
        if self.last is not None:
            self.last.cut()
        self.disk.remove()
        self._variables.unlink(missing_ok=True)

    def note(self, text: str) -> None:
        """A line of the transcript."""
        self._note(text)

    # What it boots

    def install_systemd_boot(self, entries: Iterable[Entry]) -> None:
        """Firmware, systemd-boot in the place for removable disks, and entries."""
        files: dict[str, bytes | Path] = {
            f"{ENTRIES}/{entry.name}": entry.text() for entry in entries
        }
        files["loader/loader.conf"] = b"timeout 0\n"
        files["vmlinuz"] = self.template.kernel
        files["EFI/BOOT/BOOTX64.EFI"] = self.template.file(SYSTEMD_BOOT)
        self.install_firmware(files)
        self.note(f"on the ESP: {', '.join(self.entries())}")

    def install_firmware(self, files: dict[str, bytes | Path]) -> None:
        """Boot through OVMF from now on, with these files on the EFI system partition."""
        self.disk.put_on_esp(files)
        shutil.copyfile(FIRMWARE_VARIABLES, self._variables)
        self._has_firmware = True

    def entries(self) -> list[str]:
        """The names of the entries on the EFI system partition."""
        return self.disk.names_on_esp(ENTRIES)

    # Boots

    def boot(self, options: str = "", more: tuple[str, ...] = ()) -> Run:
        """Power on. The run before it must have ended."""
        assert self.last is None or not self.last.running, "it runs"
        self.boots += 1
        if self._has_firmware:
            self.last = Run(self.disk, variables=self._variables, more=more)
        else:
            self.last = Run(self.disk, template=self.template, options=options, more=more)
        return self.last

    def boot_up(self, options: str = "", more: tuple[str, ...] = ()) -> Run:
        """Power on, and wait until systemd has nothing more to do."""
        run = self.boot(options, more)
        run.settle()
        self.note(f"boot {self.boots}: {self._came_up(run)}")
        return run

    def boot_to_the_end(self, timeout_s: float = 240.0) -> Run:
        """Power on, and wait until the machine goes down by itself."""
        run = self.boot()
        run.wait_end(timeout_s)
        self.note(f"boot {self.boots}: {self.ended(run)}")
        return run

    def switch_off(self) -> None:
        """In good order."""
        run = self.last
        assert run is not None
        run.ask("systemctl poweroff")
        run.wait_end(120)
        self.note(f"boot {self.boots}: {self.ended(run)}")

    def ended(self, run: Run) -> str:
        """How a run ended, and the entries after it."""
        there = self.entries() if self._has_firmware else []  # none: it is GRUB that boots here
        names = f"; on the ESP: {', '.join(there)}" if there else ""
        return f"ended by {run.end} after {run.age_s:.0f} s{names}"

    def _came_up(self, run: Run) -> str:
        state = run.run("systemctl is-system-running", check=False).text.strip()
        entry = ""
        if self._has_firmware and (there := self.entries()):
            entry = f", entry {selected_entry(run)}; on the ESP: {', '.join(there)}"
        return f"up ({state}) after {run.age_s:.0f} s{entry}"


def selected_entry(run: Run) -> str:
    """What systemd-boot says that it booted (LoaderEntrySelected), without the counter."""
    variable = "LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    path = f"/sys/firmware/efi/efivars/{variable}"
    said = run.run(f"cat {path} | tail -c +5 | tr -d '\\000'").text.strip()
    stem, plus, _ = said.partition("+")
    return f"{stem}.conf" if plus else stem


# -- what failhook says ---------------------------------------------------------------------------


def listed(run: Run, unit: str = "*") -> list[Incident]:
    """``failhook list --json``, oldest first."""
    said = run.run(f"failhook list --json --unit '{unit}'").text
    found: list[Incident] = json.loads(said)["incidents"]
    return found[::-1]


def show(run: Run, which: str) -> Incident:
    """``failhook show --json``."""
    found: Incident = json.loads(run.run(f"failhook show {which} --json").text)["incident"]
    return found


def wait_done(run: Run, unit: str, *, count: int = 1, timeout_s: float = 120.0) -> list[Incident]:
    """Until so many incidents of a unit are worked off; in full, oldest first."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = listed(run, unit)
        if len(found) >= count and all(one["stage"] == "done" for one in found):
            return [show(run, one["id"]) for one in found]
        assert time.monotonic() < deadline, f"{unit}: {found}"
        run.watch(1.0)


def actions_of(incident: Incident, name: str) -> list[Incident]:
    """The steps of that name in an incident, as ``failhook show`` has them."""
    return [one for one in incident["actions"] if one["name"] == name]
