# SPDX-License-Identifier: MIT
"""A secret by reference: a credential of systemd's, a file, a variable, or the text itself.

It is read when it is used and nowhere kept: `str` and `repr` of one never show it, so that it
cannot get into a log, an incident or a traceback by mistake (anchors T26).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

_MAX = 64 << 10
# Where a credential is looked for when the unit has none of that name: systemd-creds(1), and what
# `LoadCredential=` without a path searches (systemd.exec(5)).
_CREDENTIAL_STORES = ("/etc/credstore", "/run/credstore", "/usr/lib/credstore")
_watching: list[set[str]] = []


def watch() -> set[str]:
    """From now on every secret that is read in this process is also in the set that this returns.

    For the process of one action, which ends with it: what it says is masked before it is heard.
    """
    seen: set[str] = set()
    _watching.append(seen)
    return seen


class SecretError(Exception):
    """It cannot be read: names the place and the remedy, never the value."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where it is: ``source`` is "text", "credential", "file" or "env"."""

    source: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return "***" if self.source == "text" else f"{{ {self.source} = {self.value!r} }}"

    def read(self) -> str:
        """The secret, without the newline at its end. Raises SecretError."""
        found = self._find()
        for seen in _watching:
            seen.add(found)
        return found

    def _find(self) -> str:
        if self.source == "text":
            return self.value
        if self.source == "env":
            found = os.environ.get(self.value)
            if found is None:
                raise SecretError(f"the variable {self.value} is not set for this service")
            return found
        path = Path(self.value) if self.source == "file" else _credential(self.value)
        try:
            return _read(path)
        except OSError as error:
            raise SecretError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise SecretError(f"{path}: is no UTF-8 text") from None


def _credential(name: str) -> Path:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    places = [Path(given) / name] if given else []
    places += [Path(store) / name for store in _CREDENTIAL_STORES]
    for place in places:
        if place.exists():
            return place
    raise SecretError(
        f"there is no credential {name}: write it to {_CREDENTIAL_STORES[0]}/{name} (mode 0600), "
        f"or give it to the service by LoadCredentialEncrypted={name} (systemctl edit)"
    )


def _read(path: Path) -> str:
    """Bounded; a secret that everybody may read is none."""
    with path.open("rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(0, "is not a regular file", str(path))
        if state.st_mode & 0o004:
            raise OSError(0, f"everybody may read it: chmod 0600 {path}", str(path))
        return stream.read(_MAX).decode().rstrip("\r\n")
