# SPDX-License-Identifier: MIT
"""How programs in Zig, Crystal and Clojure die, and what glog prints of a check that failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from failhook.diagnose.crash import Crash, Frame, make_crash
from failhook.diagnose.text import Message

_FRAMES = 60

# -- Zig ------------------------------------------------------------------------------------------

_ZIG = re.compile(
    r"^(?:thread \d{1,9} )?panic: (?P<message>.{1,1000})$|^error: (?P<error>[A-Z]\w{2,60})$"
)
_ZIG_FRAME = re.compile(
    r"^(?P<file>\S{1,300}\.zig):(?P<line>\d{1,7}):\d{1,6}: 0x[0-9a-f]{4,16} in (?P<function>\w{1,160})"
)


def zig(messages: Sequence[Message]) -> Iterator[Crash]:
    """A panic, or an error that main returned, with the trace below it."""
    for index, message in enumerate(messages):
        head = _ZIG.match(message.raw.strip())
        found = messages[index + 1 : index + 1 + _FRAMES]
        if head is None or not found or not _ZIG_FRAME.match(found[0].raw):
            continue
        steps = [(one, frame) for one in found if (frame := _ZIG_FRAME.match(one.raw))]
        frames = [
            Frame(frame["file"], frame["line"], frame["function"])
            for _, frame in steps
            if "/lib/std/" not in frame["file"]
        ]
        lines = messages[index : steps[-1][0].number - messages[0].number + 1]
        kind = "panic" if head["message"] else "error"
        yield make_crash("zig", kind, head["message"] or head["error"], frames, lines, message)
        return


# -- Crystal --------------------------------------------------------------------------------------

_CRYSTAL = re.compile(
    r"^Unhandled exception(?: in spawn)?: (?P<message>.{1,1000}) \((?P<kind>[A-Z]\w{0,80}(?:::\w{1,80}){0,6})\)$"
)
_CRYSTAL_FRAME = re.compile(
    r"^\s{1,8}from (?P<file>\S{1,300}\.cr):(?P<line>\d{1,7}):\d{1,6} in '(?P<function>[^']{1,160})'"
)


def crystal(messages: Sequence[Message]) -> Iterator[Crash]:
    """The exception that nobody caught."""
    for index, message in enumerate(messages):
        head = _CRYSTAL.match(message.raw.strip())
        if head is None:
            continue
        below = takewhile(
            lambda one: one.raw.lstrip().startswith("from "), messages[index + 1 : index + _FRAMES]
        )
        lines = [message, *below]
        frames = [
            Frame(frame["file"], frame["line"], frame["function"])
            for one in lines
            if (frame := _CRYSTAL_FRAME.match(one.raw)) and "/crystal/src/" not in frame["file"]
        ]
        kind = head["kind"].rpartition("::")[2]
        yield make_crash("crystal", kind, head["message"], frames, lines, message)
        return


# -- Clojure --------------------------------------------------------------------------------------

# "Execution error (FileNotFoundException) at acme.main/load (main.clj:3)." and, below it, what it says;
# in a report of clojure.main both are one string.
_CLOJURE = re.compile(
    r"^\"?(?P<what>Syntax|Execution|Unexpected) error (?:\((?P<kind>\w{1,80})\) )?.{0,120}?"
    r"\((?P<file>[^\s:()]{1,200}):(?P<line>\d{1,7})(?::\d{1,6})?\)\.(?:\\n(?P<message>.{1,1000}?)(?:\\n)?\",?)?$"
)


def clojure(messages: Sequence[Message]) -> Iterator[Crash]:
    """The error that clojure.main reports (clojure.org, "REPL and main")."""
    for index, message in enumerate(messages):
        head = _CLOJURE.match(message.raw.strip())
        if head is None:
            continue
        below = messages[index + 1 : index + 2]
        said = head["message"] or "".join(one.raw.strip() for one in below)
        frame = Frame(head["file"], head["line"], None)
        kind = head["kind"] or f"{head['what']} error"
        whole = messages[index:] if head["message"] else messages[index : index + 2]
        yield make_crash("clojure", kind, said, [frame], whole, message)
        return


# -- glog -----------------------------------------------------------------------------------------

_GLOG = re.compile(
    r"^F\d{4}(?:\d{4})? [\d:.]{8,16} {1,8}\d{1,8} (?P<file>[\w./-]{1,200}):(?P<line>\d{1,7})\] (?P<message>.{1,1000})$"
)
_GLOG_STACK = "*** Check failure stack trace: ***"
_NEAR = 4


def glog(messages: Sequence[Message]) -> Iterator[Crash]:
    """``LOG(FATAL)`` and ``CHECK()``, which abort (google/glog, "Runtime Checks")."""
    for index, message in enumerate(messages):
        head = _GLOG.match(message.raw.strip())
        if head is None:
            continue
        below = messages[index + 1 : index + 1 + _NEAR]
        at = next((n for n, one in enumerate(below) if one.raw.strip() == _GLOG_STACK), None)
        if at is None:
            continue
        said = " ".join((head["message"].strip(), *(one.raw.strip() for one in below[:at])))
        frame = Frame(head["file"], head["line"], None)
        lines = messages[index : index + 2 + at]
        yield make_crash("c++", "fatal", said, [frame], lines, message)
        return
