# SPDX-License-Identifier: MIT
"""What an installation consists of and where it goes, for the system and for one user.

The command goes where systemd's own search path finds it (systemd.exec(5): no PATH is asked), with
absolute names in it. The hook and nothing else is copied to a place that every service can read: a
virtual environment below /root is none.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import failhook
from failhook import proc
from failhook.hook import BOOT_CHECK

_HERE = Path(failhook.__file__).parent
AFTERMATH = "failhook-aftermath.service"  # enabled, and started by the next boot that needs it
_RESPONSE_UNITS = (
    "failhook-act.path",
    "failhook-act.service",
    "failhook-deliver.path",
    "failhook-deliver.service",
    "failhook-later.timer",
    "failhook-later.service",
)
SYSTEM_UNITS = (
    "failhook.path",
    "failhook.socket",
    "failhook.service",
    "failhook@.service",
    "failhook-keep.service",
    BOOT_CHECK,
    AFTERMATH,
    *_RESPONSE_UNITS,
)
USER_UNITS = ("failhook.path", "failhook.service", "failhook@.service", *_RESPONSE_UNITS)
_STARTED_BY_BOTH = (
    "failhook.path",
    "failhook-act.path",
    "failhook-deliver.path",
    "failhook-later.timer",
)
STARTED = (*_STARTED_BY_BOTH, "failhook.socket", "failhook-keep.service")
USER_STARTED = _STARTED_BY_BOTH
WORKERS = ("failhook.service", "failhook-act.service", "failhook-deliver.service")
_OWN_INTERPRETER = re.compile(
    r"^ExecStart=failhook (runner|act|deliver|aftermath|boot)\b", re.MULTILINE
)

_PLAIN_PATH = re.compile(r"[\w./+-]+")  # nothing that systemd.service(5) would quote or expand
# A hook exits 0 even where nothing of failhook is left but the gate.
_NOT_A_HOOK = '[ -n "${SERVICE_RESULT-}${MONITOR_SERVICE_RESULT-}" ] || exit 127'


class LayoutError(Exception):
    """This cannot be installed from here: says why and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path of one installation."""

    command: Path
    library: Path
    units: Path
    tmpfiles: Path | None
    catalog: Path | None
    drop_ins: Path
    share: Path
    user: bool

    @property
    def documents(self) -> dict[Path, str]:
        """Where the man page and the completions go, and which file of ours each is."""
        return {
            self.share / "man/man1/failhook.1": "man/failhook.1",
            self.share / "bash-completion/completions/failhook": "completion/failhook.bash",
            self.share / "zsh/site-functions/_failhook": "completion/failhook.zsh",
        }


def layout(*, user: bool) -> Layout:
    """Where things go: /usr/local for the system, ~/.local for one user."""
    if not user:
        base = Path("/usr/local")
        return Layout(
            command=base / "bin/failhook",
            library=base / "lib/failhook",
            units=base / "lib/systemd/system",
            tmpfiles=base / "lib/tmpfiles.d/failhook.conf",
            catalog=base / "lib/systemd/catalog/failhook.catalog",
            drop_ins=Path("/etc/systemd/system"),
            share=base / "share",
            user=False,
        )
    home = Path(os.environ.get("HOME") or Path.home())
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return Layout(
        command=home / ".local/bin/failhook",
        library=home / ".local/lib/failhook",
        units=data / "systemd/user",
        tmpfiles=None,
        catalog=None,
        drop_ins=config / "systemd/user",
        share=data,
        user=True,
    )


def unit_files() -> Path:
    """Where the unit files that came with this failhook are: in the package, or above it."""
    for place in (_HERE / "units", _HERE.parent / "units"):
        if (place / "failhook.service").exists():
            return place
    raise LayoutError(f"the unit files are missing beside {_HERE}; reinstall failhook")


def unit_file(name: str, *, user: bool) -> str:
    """The text of one of our unit files as it is installed. Raises LayoutError.

    What works is started by its own interpreter instead of by the search path: between a failure
    and its evidence stand then neither the gate nor a second start of Python. And by the name of a
    file instead of ``-m``, for which Python imports `runpy` and searches first.
    """
    source = unit_files() / "user" if user else unit_files()
    text = (source / name).read_text(encoding="utf-8")
    python = environment_python()
    main = str(_HERE / "__main__.py")
    if _PLAIN_PATH.fullmatch(python) is None or _PLAIN_PATH.fullmatch(main) is None:
        return text
    return _OWN_INTERPRETER.sub(rf"ExecStart={python} -I {main} \1", text)


def document(name: str) -> str:
    """The text of a man page or a completion: in the package, or above it. Raises LayoutError."""
    for place in (_HERE / "share", _HERE.parent / "contrib"):
        if (place / name).exists():
            return (place / name).read_text(encoding="utf-8")
    raise LayoutError(f"{name} is missing beside {_HERE}; reinstall failhook")


def hook_python() -> str:
    """The interpreter for the hook: one that every service can start. Raises LayoutError."""
    for candidate in ("/usr/bin/python3", os.path.realpath(sys.executable)):
        done = proc.run(
            [candidate, "-IS", "-c", "import sys; print(sys.version_info >= (3, 11))"], timeout_s=10
        )
        if done.text.strip() == "True" and _reachable(Path(candidate)):
            return candidate
    raise LayoutError("no Python from 3.11 that every service can start; install python3")


def _reachable(path: Path) -> bool:
    """May everybody run it: is the way there open to others?"""
    real = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (real, *real.parents))


def environment_python() -> str:
    """The interpreter that has failhook and what it needs: the one that runs now."""
    return sys.executable


def check_ownership() -> None:
    """Root's services run this code: nobody else may be able to write it (anchors T29).

    Raises LayoutError.
    """
    for place in (_HERE, *_HERE.parents, Path(sys.executable), Path(sysconfig.get_path("purelib"))):
        state = place.stat()
        sticky = state.st_mode & 0o1000
        if state.st_uid != 0 or (state.st_mode & 0o022 and not sticky):
            raise LayoutError(
                f"{place} may be written by others than root, and root's services would run it; "
                "install failhook into a place of root's, such as: "
                "python3 -m venv /opt/failhook && /opt/failhook/bin/pip install failhook"
            )


def gate(python: str, library: Path) -> str:
    """The command itself: `gate.sh` with the names of this installation instead of a search."""
    lines = (_HERE / "gate.sh").read_text(encoding="utf-8").splitlines()
    start = library / "start.py"
    kept = [line for line in lines if not line.startswith(("self=", "[ -x", "echo "))]
    kept += [
        f'[ -x "{python}" ] && [ -r "{start}" ] && exec "{python}" -IS "{start}" "$@"',
        f'echo "<3>failhook: {python} or {start} is missing: failhook install" >&2; {_NOT_A_HOOK}',
    ]
    return "\n".join(kept) + "\n"


def library_files(python: str) -> dict[str, str]:
    """The hook's own little library: relative path -> content."""
    start = (_HERE / "start.py").read_text(encoding="utf-8")
    line = 'PYTHON = "/usr/bin/python3"'
    if line not in start:
        raise LayoutError("start.py is not the one of this version; reinstall failhook")
    return {
        "start.py": start.replace(line, f"PYTHON = {python!r}"),
        "failhook/__init__.py": (_HERE / "__init__.py").read_text(encoding="utf-8"),
        "failhook/hook.py": (_HERE / "hook.py").read_text(encoding="utf-8"),
    }
