# SPDX-License-Identifier: MIT
"""Install and uninstall: copies files, tells systemd, and says what it did. Safe to repeat."""

from __future__ import annotations

import contextlib
import os
import py_compile
from pathlib import Path

from failhook import proc, ready
from failhook.hook import BOOT_CHECK
from failhook.places import Places
from failhook.setup import dropins
from failhook.setup.changes import Changes
from failhook.setup.layout import (
    AFTERMATH,
    STARTED,
    SYSTEM_UNITS,
    USER_STARTED,
    USER_UNITS,
    WORKERS,
    Layout,
    check_ownership,
    document,
    environment_python,
    gate,
    hook_python,
    library_files,
    unit_file,
    unit_files,
)


def install(where: Layout, changes: Changes, *, start: bool = True) -> None:
    """Put everything in its place and start it. Raises LayoutError, OSError."""
    if not where.user:
        check_ownership()
    python = hook_python()
    for name, text in library_files(environment_python()).items():
        changes.write(where.library / name, text)
        if not changes.dry_run:
            _compile(where.library / name)
    changes.write(where.command, gate(python, where.library), mode=0o755)
    for name in USER_UNITS if where.user else SYSTEM_UNITS:
        changes.write(where.units / name, unit_file(name, user=where.user))
    for path, name in where.documents.items():
        changes.write(path, document(name))
    dropins.mask(where.units, changes)
    if where.tmpfiles is not None:
        text = (unit_files() / "failhook.tmpfiles.conf").read_text(encoding="utf-8")
        changes.write(where.tmpfiles, text)
    if where.catalog is not None:
        text = (unit_files() / "failhook.catalog").read_text(encoding="utf-8")
        changes.write(where.catalog, text)
    if not changes.dry_run:
        _prepare()
        _update_catalog(where)
        _activate(where, changes, start=start)


def _compile(path: Path) -> None:
    """With its .pyc beside it: services cannot write one, and would parse it at every failure."""
    with contextlib.suppress(py_compile.PyCompileError, OSError):
        py_compile.compile(str(path), doraise=True)


def _prepare() -> None:
    """Keep what Python would compile at every start, where this process may write beside the code;
    nothing but time depends on it."""
    proc.run([environment_python(), "-I", "-m", "failhook.prepare"], timeout_s=60)


def _prepared() -> Path | None:
    """What `_prepare` wrote; None where it could not, since the code is not ours."""
    path = Path(ready.PATH)
    return path if os.access(path.parent, os.W_OK) else None


def _update_catalog(where: Layout) -> None:
    """So that ``journalctl -x`` knows, or has forgotten, what our entries mean."""
    if where.catalog is not None:
        proc.run(["journalctl", "--update-catalog"], timeout_s=30)


def _activate(where: Layout, changes: Changes, *, start: bool) -> None:
    scope = ["--user"] if where.user else []
    if where.tmpfiles is not None:
        proc.run(["systemd-tmpfiles", "--create", str(where.tmpfiles)])
    started = list(USER_STARTED if where.user else STARTED)
    wanted = started if where.user else [*started, AFTERMATH]
    enabled = proc.run(["systemctl", *scope, "enable", "-q", "--", *wanted], timeout_s=30)
    if not enabled.ok:
        changes.said.append(f"could not enable {' '.join(started)}: {enabled.why()}")
        return
    reload(changes, user=where.user)
    if not start:
        return
    done = proc.run(["systemctl", *scope, "restart", "--", *started], timeout_s=30)
    changes.said.append(
        f"started {', '.join(started)}" if done.ok else f"could not start them: {done.why()}"
    )


def reload(changes: Changes, *, user: bool) -> None:
    """Let systemd read what changed; where it does not run, say that it is left to do."""
    if changes.dry_run:
        return
    scope = ["--user"] if user else []
    done = proc.run(["systemctl", *scope, "daemon-reload"], timeout_s=60)
    changes.said.append(
        "systemd has read it (daemon-reload)"
        if done.ok
        else f"systemd did not read it yet ({done.why()}); run: systemctl daemon-reload"
    )


def uninstall(where: Layout, places: Places, changes: Changes) -> None:
    """Take everything away again but the history. Raises OSError."""
    scope = ["--user"] if where.user else []
    for name in dropins.hooked(where.drop_ins):
        changes.remove(where.drop_ins / f"{name}.d" / dropins.NAME)
    for name in dropins.OURS:
        changes.remove(where.drop_ins / f"{name}.d" / dropins.NAME)
    if not changes.dry_run:
        _disable(where, scope)
    for name in dropins.OURS:
        changes.remove(where.units / f"{name}.d" / dropins.NAME)
    for name in USER_UNITS if where.user else SYSTEM_UNITS:
        changes.remove(where.units / name)
    for path in (
        *where.documents,
        where.tmpfiles,
        where.catalog,
        where.library,
        where.command,
        places.run,
        _prepared(),
    ):
        if path is not None:
            changes.remove(path)
    if changes.changed:
        if not changes.dry_run:
            _update_catalog(where)
        reload(changes, user=where.user)


def _disable(where: Layout, scope: list[str]) -> None:
    """Stop and disable what is ours."""
    ours = [*(USER_STARTED if where.user else (*STARTED, BOOT_CHECK, AFTERMATH)), *WORKERS]
    # One that is not there (an older installation) would keep the others from being disabled.
    known = [name for name in ours if (where.units / name).exists()]
    proc.run(["systemctl", *scope, "disable", "-q", "--now", "--", *known], timeout_s=30)
    if BOOT_CHECK in known:  # a red one would stay in the list of failed units
        proc.run(["systemctl", "reset-failed", "--", BOOT_CHECK], timeout_s=30)
