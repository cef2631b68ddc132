# SPDX-License-Identifier: MIT
"""What the boot loaders' adapters look at: files below a root directory, firmware variables, tools.

How this kernel came to run is told apart here, because what the firmware says is true only of a
boot that the boot loader made: after kexec and after a soft reboot its variables speak of an
earlier one (systemd#43738, systemd#40386). Everything read here is untrusted text of bounded size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from failhook import proc, safe_open

VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"  # of the Boot Loader Interface's variables
_EFIVARS = "/sys/firmware/efi/efivars"
_ATTRIBUTES = 4  # bytes before the value of each (efivarfs, kernel documentation)
_MAX_BYTES = 1 << 20
_MOST = 4096  # names in a directory
_KEXEC = 0xD  # type_of_loader in the x86 boot protocol: kexec-tools and kexec_file_load(2)

Runner = Callable[[Sequence[str]], proc.Completed]


def _run(argv: Sequence[str]) -> proc.Completed:
    return proc.run(argv, timeout_s=20.0)


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return True


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, or a directory that looks like one (tests)."""

    root: Path = Path("/")
    run: Runner = _run
    is_read_only: Callable[[Path], bool] = _is_read_only

    def path(self, absolute: str) -> Path:
        """Where ``absolute`` lies below the root."""
        return self.root / absolute.lstrip("/")

    def exists(self, absolute: str) -> bool:
        """It is there, or may not be looked at: then it is not."""
        try:
            return self.path(absolute).exists()
        except OSError:
            return False

    def read(self, absolute: str, max_bytes: int = _MAX_BYTES) -> bytes | None:
        """The beginning of a regular file; None where it cannot be read."""
        try:
            with safe_open.open_regular(absolute, str(self.root)) as stream:
                return stream.read(max_bytes)
        except OSError:
            return None

    def text(self, absolute: str) -> str | None:
        """As `read`, decoded."""
        data = self.read(absolute)
        return None if data is None else data.decode("utf-8", "replace")

    def names(self, pattern: str) -> list[str]:
        """Absolute paths that match a glob of ours below the root, in order."""
        try:
            found = sorted(self.root.glob(pattern.lstrip("/")))
        except OSError:
            return []
        return ["/" + str(one.relative_to(self.root)) for one in found]

    def listing(self, directory: str, suffix: str = "") -> list[str]:
        """Absolute paths of what is in a directory, in order; at most so many."""
        try:
            found = [one.name for one in islice(self.path(directory).iterdir(), _MOST)]
        except OSError:
            return []
        return [f"{directory.rstrip('/')}/{one}" for one in sorted(found) if one.endswith(suffix)]

    # -- how this kernel came to run --------------------------------------------------------------

    def is_container(self) -> bool:
        """A container has a boot loader's files at most, never its effect (systemd writes
        /run/systemd/container; its managers /run/host/container-manager: CONTAINER_INTERFACE;
        podman and docker a file of their own)."""
        if self.exists("/run/.containerenv") or self.exists("/.dockerenv"):
            return True
        told = self.text("/run/systemd/container") or self.text("/run/host/container-manager")
        return bool(told and told.strip())

    def is_efi(self) -> bool:
        """Booted by UEFI (systemd: is_efi_boot)."""
        return self.exists("/sys/firmware/efi")

    def efi_text(self, name: str) -> str | None:
        """A variable of the Boot Loader Interface, which are UTF-16 texts; None: there is none."""
        data = self.read(f"{_EFIVARS}/{name}-{VENDOR}", 1 << 16)
        if data is None or len(data) <= _ATTRIBUTES:
            return None
        return data[_ATTRIBUTES:].decode("utf-16-le", "replace").split("\0")[0] or None

    def is_kexec(self) -> bool | None:
        """Started by another kernel; None where nothing tells.

        On x86 the kernel keeps who loaded it (/proc/sys/kernel/bootloader_type, sysctl/kernel.rst),
        and kexec has a number of its own in the boot protocol. With a device tree there is the
        property linux,booted-from-kexec (drivers/of/kexec.c).
        """
        if self.exists("/proc/device-tree/chosen/linux,booted-from-kexec"):
            return True
        told = (self.text("/proc/sys/kernel/bootloader_type") or "").strip()
        if not told.isascii() or not told.isdecimal() or len(told) > 9:
            return None
        return int(told) >> 4 == _KEXEC

    def soft_reboots(self) -> int | None:
        """How many soft reboots since the kernel was started (SoftRebootsCount, systemd 256)."""
        asked = self.run(["systemctl", "show", "--property=SoftRebootsCount", "--value"])
        told = asked.text.strip()
        sound = asked.ok and told.isascii() and told.isdecimal() and len(told) <= 9
        return int(told) if sound else None

    def not_by_loader(self) -> str | None:
        """Why what the firmware and the boot loader left behind is not about this boot."""
        if self.is_kexec():
            return (
                "this kernel was started by kexec, not by the boot loader: what that one left "
                "behind is about an earlier boot"
            )
        if self.soft_reboots():
            return (
                "this is a soft reboot, which the boot loader had no part in: what it left behind "
                "is about an earlier one"
            )
        return None
