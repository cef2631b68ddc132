# SPDX-License-Identifier: MIT
"""Which boot loader is here, and who else marks boots good.

RAUC and ostree come first: they decide what is booted and have a loader do it for them. Where two
loaders are found, the first counts and the others are told of; where none is, that is a standing
too, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from failhook.boot.grub import Grub
from failhook.boot.host import Host
from failhook.boot.model import Loader, Mark, Marked, Standing
from failhook.boot.ostree import Ostree
from failhook.boot.rauc import Rauc
from failhook.boot.systemd_boot import TOOLS, SystemdBoot

_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
_GENERATED = ("/run/systemd/generator", "/run/systemd/generator.early")
_USER_UNITS = ("/etc/systemd/user", "/usr/lib/systemd/user")
# Enabled, they mark boots by their own judgement.
_MARKERS = {
    "greenboot-healthcheck.service": "greenboot marks boots good or bad by its own checks",
    "greenboot-grub2-set-success.service": "greenboot marks boots good by its own checks",
    "rauc-mark-good.service": "it marks every boot good that comes so far (RAUC)",
    "health-checker.service": "SUSE's health-checker judges boots, and rolls back itself",
}


class NoLoader:
    """Nothing is here that could be marked."""

    name = "none"

    def __init__(self, host: Host) -> None:
        self._host = host

    def is_here(self) -> bool:
        """Always."""
        return True

    def standing(self) -> Standing:
        """Why."""
        if self._host.is_container():
            reason = "this is a container: what boots its host is not its business"
        elif not self._host.is_efi():
            reason = "no boot loader that can be marked: no EFI, no GRUB, no RAUC, no ostree"
        else:
            reason = "no boot loader that can be marked: no systemd-boot, no GRUB, no RAUC"
        return Standing(self.name, Mark.UNKNOWN, reason)

    def good(self) -> Marked:
        """Never."""
        return Marked(False, self.standing().reason)

    def bad(self) -> Marked:
        """Never."""
        return Marked(False, self.standing().reason)


@dataclass(frozen=True, slots=True)
class Found:
    """The loader that counts, and the names of others that are here as well."""

    loader: Loader
    others: tuple[str, ...] = ()


def find(host: Host | None = None) -> Found:
    """The loader of this machine."""
    host = host or Host()
    if host.is_container():
        return Found(NoLoader(host))
    everyone: tuple[Loader, ...] = (Rauc(host), Ostree(host), SystemdBoot(host), Grub(host))
    here = [one for one in everyone if one.is_here()]
    if not here:
        return Found(NoLoader(host))
    return Found(here[0], tuple(one.name for one in here[1:]))


def others_who_mark(host: Host | None = None) -> list[str]:
    """Who marks boots good behind our back; a sentence each. Looks at files only."""
    host = host or Host()
    return [] if host.is_container() else list(_others(host))


def _others(host: Host) -> Iterator[str]:
    timer = "grub-boot-success.timer"
    if _is_wanted(host, timer, _USER_UNITS):
        yield (
            f"{timer} of the user manager marks a boot good two minutes after anybody has logged "
            f"in; to keep it away: systemctl --global disable {timer}"
        )
    for unit, why in _MARKERS.items():
        if _is_wanted(host, unit, (*_UNITS, *_GENERATED)):
            yield f"{unit} is enabled: {why}; to keep it away: systemctl disable {unit}"
    counted = host.efi_text("LoaderBootCountPath") is not None
    if counted and any(map(host.exists, TOOLS)) and not gates(host):
        yield (
            "systemd-bless-boot.service marks every boot good that reaches boot-complete.target, "
            "and nothing is required for that; to have it checked: failhook boot enable"
        )


def gates(host: Host) -> list[str]:
    """The units that boot-complete.target requires."""
    links = [
        path.rpartition("/")[2]
        for directory in (*_UNITS, *_GENERATED)
        for path in host.names(f"{directory}/boot-complete.target.requires/*")
    ]
    return sorted(set(links))


def _is_wanted(host: Host, unit: str, directories: tuple[str, ...]) -> bool:
    """Something pulls it in, and it is not masked."""
    if any(_target(host, f"{directory}/{unit}") == "/dev/null" for directory in directories):
        return False
    return any(
        _target(host, f"{place}/{unit}") is not None
        for directory in directories
        for kind in ("wants", "requires")
        for place in host.names(f"{directory}/*.{kind}")
    )


def _target(host: Host, path: str) -> str | None:
    """Where a link leads, wherever that is; "" for a file; None: there is neither."""
    place = host.path(path)
    try:
        return str(place.readlink()) if place.is_symlink() else "" if place.exists() else None
    except OSError:
        return None
