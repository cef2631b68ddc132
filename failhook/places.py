# SPDX-License-Identifier: MIT
"""Where failhook keeps things: one set for the system manager, one for each user's manager.

File hierarchy after file-hierarchy(7) and the XDG base directory specification.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from failhook import hook


@dataclass(frozen=True, slots=True)
class Places:
    """All directories of one failhook. ``user`` says whose manager it serves."""

    run: Path
    state: Path
    configuration: tuple[Path, ...]  # directories with failhook.toml and conf.d, vendor first
    user: bool = False

    @property
    def spool(self) -> Path:
        """Triggers that nobody has recorded yet (tmpfs)."""
        return self.run / hook.SPOOL

    @property
    def incoming(self) -> Path:
        """Where a trigger is written before it is renamed into the spool."""
        return self.run / "incoming"

    @property
    def socket(self) -> Path:
        """Where those report who may not write the spool."""
        return self.run / hook.SOCKET

    @property
    def wake(self) -> Path:
        """A FIFO in which a hook asks systemd for a runner; it is of no use while there is one."""
        return self.run / hook.WAKE

    @property
    def open_list(self) -> Path:
        """The units that somebody waits for, a name a line; read by the gate and the hook."""
        return self.run / hook.OPEN

    @property
    def kept_spool(self) -> Path:
        """Triggers that were moved to disk while the machine went down."""
        return self.state / "spool"

    @property
    def set_aside(self) -> Path:
        """Spool files that could not be read, for a person to look at."""
        return self.state / "unreadable"

    @property
    def incidents(self) -> Path:
        """One directory per incident: the truth."""
        return self.state / "incidents"

    @property
    def signatures(self) -> Path:
        """One small file per signature: the exact count."""
        return self.state / "signatures"

    @property
    def units(self) -> Path:
        """One small file per watched unit: what it was made of when it last ran well."""
        return self.state / "units"

    @property
    def due(self) -> Path:
        """Steps that are to be done on this machine, one file each: `failhook.queue`."""
        return self.state / "due"

    @property
    def outbox(self) -> Path:
        """Deliveries, one file each: `failhook.queue`."""
        return self.state / "outbox"

    @property
    def ledger(self) -> Path:
        """What the rules count: failures, budgets, successes, threads, mutes."""
        return self.state / "ledger"

    @property
    def action_state(self) -> Path:
        """A private directory per action."""
        return self.state / "actions"

    @property
    def index(self) -> Path:
        """The SQLite index, rebuilt from the incidents when it is wrong."""
        return self.state / "index.sqlite"

    @property
    def waited_for(self) -> Path:
        """Exists while somebody waits for a unit; the next boot then tells how this one ended."""
        return self.state / "boots" / "waited-for"

    @property
    def unfinished(self) -> Path:
        """Exists while the runner has work; failhook.path starts it again where it was killed."""
        return self.state / "unfinished"


def system() -> Places:
    """The places of the system manager's failhook."""
    return Places(
        run=Path(hook.RUN),
        state=Path("/var/lib/failhook"),
        configuration=(Path("/usr/lib/failhook"), Path("/etc/failhook")),
    )


def of_user() -> Places:
    """The places of the calling user's manager."""
    home = Path(os.environ.get("HOME") or Path.home())
    state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local/state")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Places(
        run=Path(hook.run_directory(os.environ, True)),
        state=state / "failhook",
        configuration=(Path("/usr/lib/failhook"), config / "failhook"),
        user=True,
    )


def find(*, user: bool) -> Places:
    """The places of the manager that is meant."""
    return of_user() if user else system()
