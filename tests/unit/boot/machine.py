# SPDX-License-Identifier: MIT
"""A directory that looks like a machine, with commands that answer as the test says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from failhook.boot.host import VENDOR, Host
from failhook.proc import Completed

Answer = str | tuple[int, str] | Callable[[Sequence[str]], tuple[int, str]]
BLESS = "/usr/lib/systemd/systemd-bless-boot"


@dataclass(slots=True)
class Machine:
    """Files below a root, and answers by the beginning of a command line."""

    root: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    read_only: set[str] = field(default_factory=set)

    @property
    def host(self) -> Host:
        """As the adapters take it."""
        return Host(self.root, self._run, self._is_read_only)

    def write(self, path: str, content: str | bytes = "") -> Path:
        """A file."""
        made = self.root / path.lstrip("/")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(content.encode() if isinstance(content, str) else content)
        return made

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        made = self.root / path.lstrip("/")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.symlink_to(target)

    def names(self, path: str) -> list[str]:
        """What is in a directory."""
        return sorted(one.name for one in (self.root / path.lstrip("/")).iterdir())

    def _run(self, argv: Sequence[str]) -> Completed:
        # Programs below the root are called by their place in it.
        words = [word.removeprefix(str(self.root)) for word in argv]
        line = " ".join(words)
        self.calls.append(line)
        fitting = [one for one in self.answers if line == one or line.startswith(f"{one} ")]
        if not fitting:
            return Completed(tuple(words), None, b"", b"No such file or directory")
        answer = self.answers[max(fitting, key=len)]
        if callable(answer):
            answer = answer(words)
        code, text = answer if isinstance(answer, tuple) else (0, answer)
        out, err = (text, "") if code == 0 else ("", text)
        return Completed(tuple(words), code, out.encode(), err.encode())

    def _is_read_only(self, path: Path) -> bool:
        return any(path.is_relative_to(self.root / one.lstrip("/")) for one in self.read_only)

    # -- EFI and systemd-boot ---------------------------------------------------------------------

    def variable(self, name: str, value: str) -> None:
        """One of the Boot Loader Interface, as efivarfs has it."""
        data = b"\x06\0\0\0" + (value + "\0").encode("utf-16-le")
        self.write(f"/sys/firmware/efi/efivars/{name}-{VENDOR}", data)

    def systemd_boot(
        self, booted: str, *others: str, counted: bool = True, on: str = "/efi"
    ) -> None:
        """A machine that systemd-boot started, with an entry a file; its tools work."""
        self.variable("LoaderInfo", "systemd-boot 252.39-1~deb12u1")
        self.variable("LoaderEntrySelected", re.sub(r"\+\d+(-\d+)?", "", booted))
        if counted:
            self.variable("LoaderBootCountPath", f"\\loader\\entries\\{booted}")
        for name in (booted, *others):
            self.write(f"{on}/loader/entries/{name}", f"title Linux {name}\nlinux /vmlinuz\n")
        self.write(BLESS)
        self.answers["bootctl --print-esp-path"] = "/efi\n"
        self.answers["bootctl --print-boot-path"] = f"{on}\n"
        self.answers["systemctl show --property=SoftRebootsCount"] = (
            "0\n" if counted else "\n"  # 252 knows no such property
        )
        self.answers[BLESS] = _Bless(self.root / on.lstrip("/"), booted)


class _Bless:
    """systemd-bless-boot up to 257, as bless-boot.c has it, on the files of the ESP."""

    def __init__(self, partition: Path, booted: str) -> None:
        self._directory = partition / "loader/entries"
        match = re.fullmatch(r"(.+)\+(\d+)(?:-(\d+))?(\.conf)", booted)
        self._booted = booted
        if match is not None:
            stem, _, tried, end = match.groups()
            self._good, self._bad = f"{stem}{end}", f"{stem}+0-{tried or '0'}{end}"
        self._counted = match is not None

    def __call__(self, argv: Sequence[str]) -> tuple[int, str]:
        verb = argv[1]
        if not self._counted:
            if verb == "status":
                return 0, "clean\n"
            return 1, "Not booted with boot counting in effect.\n"
        words = {self._booted: "indeterminate", self._good: "good", self._bad: "bad"}
        if self._bad == self._booted:
            words[self._booted] = "indeterminate"
        there = next(one for one in words if (self._directory / one).exists())
        if verb == "status":
            return 0, words[there] + "\n"
        target = self._good if verb == "good" else self._bad
        (self._directory / there).rename(self._directory / target)
        return 0, ""
