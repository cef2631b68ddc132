# SPDX-License-Identifier: MIT
"""GRUB's environment block: found, read and written.

"GRUB environment block" in its manual: a preallocated file, 1024 bytes, that begins with
``# GRUB Environment Block`` and a line feed; then ``name=value`` lines, a backslash before a
backslash and before a line feed within a value; then ``#`` to the end. Read here; written only by
grub-editenv, which is called grub2-editenv elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failhook.boot.host import Host

SIGNATURE = b"# GRUB Environment Block\n"
PLACES = ("/boot/grub/grubenv", "/boot/grub2/grubenv", "/boot/efi/EFI/*/grubenv")
_TOOLS = ("grub-editenv", "grub2-editenv")
_MAX_BYTES = 64 << 10


class Damaged(ValueError):
    """The file is no environment block."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block and what stands in it."""

    path: str
    variables: Mapping[str, str]


def parse(data: bytes) -> dict[str, str]:
    """The variables of a block. Raises Damaged."""
    if not data.startswith(SIGNATURE):
        raise Damaged("it does not begin as an environment block does")
    found: dict[str, str] = {}
    # A value may hold a line feed: escaped, and only there.
    text = data[len(SIGNATURE) :].decode("utf-8", "replace")
    line: list[str] = []
    escaped = False
    for sign in text:
        if escaped:
            line.append(sign)
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == "\n":
            _take("".join(line), found)
            line = []
        else:
            line.append(sign)
    if line and line[0] != "#":  # else that is the padding
        raise Damaged("its last line has no end")
    return found


def _take(line: str, found: dict[str, str]) -> None:
    name, equals, value = line.partition("=")
    if equals and name and not name.startswith("#"):  # newer ones warn in a comment
        found[name] = value


def find(host: Host) -> Block | None:
    """The first block that is there. Raises Damaged where it cannot be understood."""
    for pattern in PLACES:
        for path in host.names(pattern):
            data = host.read(path, _MAX_BYTES)
            if data is None:
                continue
            try:
                return Block(path, parse(data))
            except Damaged as error:
                raise Damaged(f"{path} is damaged: {error}") from None
    return None


def write(
    host: Host, path: str, *, put: Mapping[str, str] | None = None, remove: Sequence[str] = ()
) -> str | None:
    """Change variables, and look whether they are so afterwards; what went wrong."""
    place = str(host.path(path))
    wanted = dict(put or {})
    calls = []
    if wanted:
        calls.append(["set", *(f"{name}={value}" for name, value in wanted.items())])
    if remove:
        calls.append(["unset", *remove])
    for words in calls:
        problem = _edit(host, place, words)
        if problem is not None:
            return problem
    try:
        now = parse(host.read(path, _MAX_BYTES) or b"")
    except Damaged as error:
        return f"{path} is damaged: {error}"
    wrong = [name for name, value in wanted.items() if now.get(name) != value]
    wrong += [name for name in remove if name in now]
    if wrong:
        return f"{path} does not hold what was written: {', '.join(wrong)}"
    host.run(["sync", "--file-system", place])
    return None


def _edit(host: Host, place: str, words: Sequence[str]) -> str | None:
    why = ""
    for tool in _TOOLS:
        asked = host.run([tool, place, *words])
        if asked.ok:
            return None
        if asked.returncode is not None or asked.timed_out:
            return asked.why()
        why = why or asked.why()
    return why
