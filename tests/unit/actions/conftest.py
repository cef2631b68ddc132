# SPDX-License-Identifier: MIT
"""What the tests of actions share: a systemd that is a script."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from failhook import proc
from tests.unit.collect.bench import Programs

RUN_BEFORE = "9d3f0c5a7b1e4d2c8a6f1b3e5d7c9a10"  # of `failhook.testing.incident`
RUN_AFTER = "1" * 32

# Answers from files, so that a test can change what it says: show.N for the Nth `start`.
_SYSTEMCTL = """
case "$*" in
    *is-system-running*) cat "$0.manager" ;;
    *list-jobs*) cat "$0.jobs" 2>/dev/null ;;
    *" show "*|show*)
        for unit; do :; done
        if [ -e "$0.started" ] && [ -e "$0.$unit.after" ]; then cat "$0.$unit.after"
        elif [ -e "$0.$unit" ]; then cat "$0.$unit"
        else printf "Id=%s\\nLoadState=not-found\\n" "$unit"; fi ;;
    *start*) [ ! -e "$0.refuses" ] || { cat "$0.refuses" >&2; exit 1; }; : >"$0.started" ;;
    *) : ;;
esac
"""


@dataclass(slots=True)
class Systemd:
    """What the fake ``systemctl`` says and what it was asked."""

    programs: Programs
    unit: str = "gitea.service"
    properties: dict[str, str] = field(default_factory=dict)

    def _path(self, suffix: str) -> Path:
        return self.programs.directory / f"systemctl.{suffix}"

    def shows(self, unit: str = "gitea.service", *, after: bool = False, **properties: str) -> None:
        """The state of a unit; with ``after`` from the moment something was started."""
        base = {"Id": unit, "LoadState": "loaded", "ActiveState": "failed", "Type": "simple"}
        base |= {"Result": "exit-code", "InvocationID": RUN_BEFORE, "NRestarts": "0"}
        lines = "".join(f"{name}={value}\n" for name, value in (base | properties).items())
        self._path(unit + (".after" if after else "")).write_text(lines)

    def comes_up(self, unit: str = "gitea.service", **properties: str) -> None:
        """What it is like from the moment something was started: active in a new run."""
        found = {"ActiveState": "active", "Result": "success", "InvocationID": RUN_AFTER}
        self.shows(unit, after=True, **(found | properties))

    def manager(self, state: str) -> None:
        """What ``is-system-running`` says."""
        self._path("manager").write_text(state + "\n")

    def jobs(self, *lines: str) -> None:
        """What ``list-jobs`` says."""
        self._path("jobs").write_text("".join(line + "\n" for line in lines))

    def refuses(self, text: str) -> None:
        """No job is taken."""
        self._path("refuses").write_text(text + "\n")

    def says_in_journal(self, *lines: dict[str, str]) -> None:
        """What ``journalctl -o json`` has, each a moment ago."""
        at = str(int(time.time() * 1e6))
        text = "\n".join(json.dumps({"__REALTIME_TIMESTAMP": at, **line}) for line in lines)
        self.programs.add("journalctl", f"cat <<'END'\n{text}\nEND")

    @property
    def asked(self) -> list[str]:
        """The calls that change something."""
        quiet = (" show ", "is-system-running", "list-jobs")
        calls = [one for one in self.programs.calls if one.startswith("systemctl")]
        return [one for one in calls if not any(word in one for word in quiet)]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Programs that are found before the real ones."""
    directory = tmp_path / "programs"
    directory.mkdir()
    found = Programs(directory)
    monkeypatch.setattr(proc, "SEARCH_PATH", found.path(proc.SEARCH_PATH))
    return found


@pytest.fixture
def systemd(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A machine that runs, with a failed unit and an empty journal."""
    programs.add("systemctl", _SYSTEMCTL)
    programs.add("journalctl", ":")
    monkeypatch.setattr("failhook.systemd.jobs.watch", _Silent)
    found = Systemd(programs)
    found.manager("running")
    found.shows()
    return found


class _Silent:
    """Hears of no job."""

    def __init__(self, *, user: bool) -> None:
        pass

    def take(self) -> list[object]:
        return []

    def close(self) -> None:
        pass
