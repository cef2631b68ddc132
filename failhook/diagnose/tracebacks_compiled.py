# SPDX-License-Identifier: MIT
"""How programs in C, C++, OCaml, Haskell, Swift and for .NET die of an exception or an abort."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from failhook.diagnose.crash import Crash, Frame, around_of, make_crash
from failhook.diagnose.text import Message

# -- C and C++ ------------------------------------------------------------------------------------

_ASSERT = re.compile(
    r"(?<![\w./+-])(?P<file>[\w./+-]{1,200}\.(?:c|cc|cpp|cxx|h|hpp)):(?P<line>\d+): (?P<function>[^:]{1,120}): "
    r"Assertion [`'](?P<what>.{1,400}?)['`] failed"
)
_ASSERT_OF_A_LOG = re.compile(
    r"(?P<function>\w{3,80}): Assertion [`'](?P<what>.{1,400}?)['`] failed\.? \((?P<file>[\w./+-]{1,200}\.(?:c|cc|cpp)):(?P<line>\d{1,7})\)"
)
_GLIBC = re.compile(
    r"(?P<what>free\(\): \S[^\n]{3,80}|malloc\w*\(\): [^\n]{3,80}|double free or corruption[^\n]{0,40}"
    r"|corrupted (?:size|double-linked)[^\n]{0,60}|munmap_chunk\(\): [^\n]{3,60}|realloc\(\): [^\n]{3,60})"
    r"|\*\*\* (?P<smash>stack smashing detected|buffer overflow detected) \*\*\*"
)
_TERMINATE = re.compile(
    r"terminate called (?:after throwing an instance of '(?P<kind>[^']{1,300})'|without an active exception)"
)
_LIBCXX = re.compile(
    r"terminating (?:due to|with) uncaught exception of type (?P<kind>[^\s:]{1,120}(?:::[^\s:]{1,120}){0,8})(?:: (?P<message>.+))?"
)
# What the sanitizers of gcc and clang find (-fsanitize=…).
_SANITIZER = re.compile(
    r"SUMMARY: (?P<tool>\w{4,40}Sanitizer): (?P<what>[\w -]{3,60}?) (?P<file>[^\s:()]{1,300})(?::(?P<line>\d{1,7}))?(?::\d{1,6})? in (?P<function>[^\s(]{1,200})"
)
_UNDEFINED = re.compile(
    r"^(?P<file>[\w./+-]{1,200}\.(?:c|cc|cpp|cxx|h|hpp)):(?P<line>\d{1,7}):\d{1,6}: runtime error: (?P<what>.{3,400})$"
)
_V8 = re.compile(r"^# Check failed: (?P<what>.{3,400}?)\.?$")
_WHAT = re.compile(r"^\s*what\(\):\s+(?P<message>.+)$")


def native(messages: Sequence[Message]) -> Iterator[Crash]:
    """Assertions, what glibc notices of a damaged heap, and exceptions that nobody caught."""
    for index, message in enumerate(messages):
        if match := _ASSERT.search(message.raw) or _ASSERT_OF_A_LOG.search(message.raw):
            frame = Frame(match["file"], match["line"], match["function"].partition("(")[0])
            what = f"the assertion {match['what']} failed"
            yield make_crash("c", "assertion", what, [frame], [message], message)
        elif match := _GLIBC.search(message.raw):
            what = match["what"] or f"{match['smash']}: it wrote beyond a buffer on its stack"
            yield make_crash("c", "memory corruption", what, [], [message], message)
        elif match := _TERMINATE.search(message.raw):
            said = _WHAT.match(messages[index + 1].raw) if index + 1 < len(messages) else None
            lines = messages[index : index + (2 if said else 1)]
            before = message.raw[: match.start()].strip() if not match["kind"] else ""
            text = said["message"] if said else before
            kind = match["kind"] or "std::terminate without an exception"
            yield make_crash("c++", kind, text, [], lines, lines[-1])
        elif match := _SANITIZER.search(message.raw):
            frame = Frame(match["file"], match["line"] or "", match["function"])
            yield make_crash("c", match["tool"], match["what"], [frame], [message], message)
        elif match := _UNDEFINED.match(message.raw):
            frame = Frame(match["file"], match["line"], None)
            yield make_crash("c", "runtime error", match["what"], [frame], [message], message)
        elif match := _V8.match(message.raw):
            what = f"the check {match['what']} failed"
            yield make_crash("c++", "V8", what, [], [message], message)
        elif match := _LIBCXX.search(message.raw):
            yield make_crash("c++", match["kind"], match["message"] or "", [], [message], message)


# -- OCaml ----------------------------------------------------------------------------------------

_OCAML = re.compile(
    r"Fatal error: exception (?P<kind>[A-Z]\w{0,80}(?:\.\w{1,80}){0,6})(?:\((?P<message>.{1,1000})\))?$"
)
_OCAML_FRAME = re.compile(
    r"^(?:Raised|Called|Re-raised)\b.{0,200} file \"(?P<file>[^\"]{1,200})\"(?: \(inlined\))?, line (?P<line>\d{1,7})"
)
_OCAML_OWN = ("stdlib.ml", "list.ml", "hashtbl.ml", "printexc.ml", "fun.ml", "map.ml")


def ocaml(messages: Sequence[Message]) -> Iterator[Crash]:
    """The exception that nobody caught."""
    for index, message in enumerate(messages):
        head = _OCAML.search(message.raw.strip())
        if head is None:
            continue
        lines, frames = [message], []
        for one in messages[index + 1 : index + 40]:
            frame = _OCAML_FRAME.match(one.raw)
            if frame is None:
                break
            lines.append(one)
            if frame["file"] not in _OCAML_OWN:
                frames.append(Frame(frame["file"], frame["line"], None))
        said = (head["message"] or "").strip('"')
        yield make_crash("ocaml", head["kind"], said, frames, lines, message)
        return


# -- Haskell --------------------------------------------------------------------------------------

_STACK = re.compile(r"^CallStack \(from HasCallStack\):")
_HASKELL_FRAME = re.compile(
    r"^\s+(?P<function>[\w'.]{1,80}), called at (?P<file>[^\s:]{1,200}):(?P<line>\d{1,7}):\d{1,6} in "
)


def haskell(messages: Sequence[Message]) -> Iterator[Crash]:
    """``error`` and the like: what stands above the call stack."""
    for index, message in enumerate(messages):
        if index == 0 or not _STACK.match(message.raw):
            continue
        lines, frames = [messages[index - 1], message], []
        for one in messages[index + 1 : index + 20]:
            frame = _HASKELL_FRAME.match(one.raw)
            if frame is None:
                break
            frames.append(Frame(frame["file"], frame["line"], None))
            lines.append(one)
        above = messages[index - 1]
        yield make_crash("haskell", "error", above.text, frames, lines, above)
        return


# -- Swift ----------------------------------------------------------------------------------------

_SWIFT = re.compile(
    r"^(?:(?P<file>[\w./+-]{1,200}\.swift):(?P<line>\d{1,7}): )?[Ff]atal error: (?P<message>.{1,1000}?)"
    r"(?:: file (?P<file2>[\w./+-]{1,200}\.swift), line (?P<line2>\d{1,7}))?$"
)


def swift(messages: Sequence[Message]) -> Iterator[Crash]:
    """A precondition or an unwrapping that failed."""
    for message in messages:
        match = _SWIFT.match(message.raw.strip())
        file = match and (match["file"] or match["file2"])
        if match is not None and file:
            frame = Frame(file, match["line"] or match["line2"], None)
            yield make_crash("swift", "fatal error", match["message"], [frame], [message], message)


# -- .NET -----------------------------------------------------------------------------------------

_NET = re.compile(
    r"^(?:\[ERROR\] FATAL )?unhandled exception[.:]\s{0,4}(?P<rest>.{0,2000})$", re.IGNORECASE
)
_NET_STACK = re.compile(r"Stack overflow\.?$|Process is terminating due to StackOverflow")
_NET_KIND = re.compile(
    r"^(?:---> )?\(?(?P<kind>(?:[A-Z]\w{0,80}\.){1,8}[A-Z]\w{0,100})(?: \([^)]{1,40}\))?(?:: (?P<message>.{0,2000}))?$"
)
_NET_FRAME = re.compile(
    r"^\s+at (?P<function>[^\n(]{1,300})\(.{0,600}\)(?: in (?P<file>\S.{0,300}):line (?P<line>\d{1,7}))?"
)


def dotnet(messages: Sequence[Message]) -> Iterator[Crash]:
    """The exception that nobody caught; the innermost, where others are wrapped around it."""
    for index, message in enumerate(messages):
        if _NET_STACK.match(message.raw.strip()) and (deep := _net_stack(messages, index)):
            yield deep
            return
        start = _NET.match(message.raw.strip())
        if start is None:
            continue
        rest = start["rest"].strip()
        first = index if rest else index + 1
        crash = _net_exception(messages[first : first + 60], rest, message)
        if crash is not None:
            yield crash
            return
    yield from _net_logged(messages)


def _net_logged(messages: Sequence[Message]) -> Iterator[Crash]:
    """The last exception that was logged with what it was caused by; its frames need not follow."""
    for index in range(len(messages) - 2, -1, -1):
        text, below = messages[index].text, messages[index + 1].raw
        kind = _NET_KIND.match(text)
        if kind is None or not kind["kind"].endswith("Exception") or text.startswith("--->"):
            continue
        if below.strip().startswith("---> "):
            crash = _net_exception(messages[index : index + 60], text, messages[index])
            yield from [crash] if crash is not None else []
            return


def _net_stack(messages: Sequence[Message], index: int) -> Crash | None:
    """``Stack overflow.`` and its frames: that one is no exception."""
    step = _NET_FRAME.match(messages[index + 1].raw) if index + 1 < len(messages) else None
    if step is None:
        return None
    said = f"in {step['function']}"
    return make_crash("dotnet", "stack overflow", said, [], [messages[index]], messages[index])


def _net_exception(lines: Sequence[Message], rest: str, start: Message) -> Crash | None:
    root: tuple[str, str, Message] | None = None
    wrappers: list[str] = []
    frames: list[Frame] = []
    used = [start]
    for one in lines:
        raw = rest if one is start else one.raw.strip()
        frame = None if one is start else _NET_FRAME.match(one.raw)
        if frame is not None:
            if frame["file"]:
                function = frame["function"].rpartition(".")[2]
                frames.append(Frame(frame["file"], frame["line"], function))
        elif kind := _NET_KIND.match(raw):
            if root is not None and not raw.startswith("--->"):
                break
            wrappers += [root[1]] if root is not None else []
            root = (kind["kind"].rpartition(".")[2], kind["message"] or "", one)
        elif not raw.startswith("---"):
            break
        used.append(one)
    if root is None:
        return None
    crash = make_crash("dotnet", root[0], root[1], frames, used, root[2])
    return replace(crash, around=around_of(root[1], wrappers))
