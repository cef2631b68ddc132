# SPDX-License-Identifier: MIT
"""Tracebacks and panics of the usual languages: the exception, and the user's own last frame.

Each language is a function that reads the run's lines and returns what it found as `Crash` values:
pure text in, no guesses out. A chain of causes gives its root: Java's last "Caused by", Python's
"direct cause"; where one exception was raised while another was handled, the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from failhook.diagnose.case import Case
from failhook.diagnose.crash import LIBRARY_PATH, Crash, Frame, around_of, make_crash
from failhook.diagnose.level import Level
from failhook.diagnose.place import CONFIGS
from failhook.diagnose.text import MULTIPLEXED, Message
from failhook.diagnose.tracebacks_beam import elixir, erlang
from failhook.diagnose.tracebacks_compiled import dotnet, haskell, native, ocaml, swift
from failhook.diagnose.tracebacks_go import go
from failhook.diagnose.tracebacks_java import java
from failhook.diagnose.tracebacks_lisp import lisp
from failhook.diagnose.tracebacks_rare import clojure, crystal, glog, zig
from failhook.diagnose.tracebacks_rust import rust
from failhook.diagnose.wording import FAILURE

# -- Python ---------------------------------------------------------------------------------------

_PY_DECORATION = re.compile(r"^(?:\s*[|+](?:[-+ ]+\d*[- +]*)?)+ ?")
_PY_START = re.compile(r"^\s*(?:Exception Group )?Traceback \(most recent call last\):")
_PY_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?')
_PY_END = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_PY_LINK = re.compile(
    r"Traceback|of the following exception|the above exception|^\w[\w.]*(?:Error|Exception): "
)
_FEW_WORDS = 4
_MAX_NOTES = 3
_PY_DIRECT = "direct cause of the following exception"
_PY_DURING = "During handling of the above exception"


def _python(messages: Sequence[Message]) -> Iterator[Crash]:
    blocks: list[tuple[Crash, str]] = []
    link = ""
    frames: list[Frame] | None = None
    lines: list[Message] = []
    for message in messages:
        raw = _PY_DECORATION.sub("", message.raw) if "|" in message.raw else message.raw
        text = raw.rstrip()
        if _PY_DIRECT in text or _PY_DURING in text:
            link = _PY_DIRECT if _PY_DIRECT in text else _PY_DURING
        elif _PY_START.match(text):
            frames, lines = [], [message]
        elif match := _PY_FRAME.match(text):
            frames = frames if frames is not None else []
            frames.append(Frame(match["file"], match["line"], match["function"]))
            lines.append(message)
        elif frames is not None and (end := _PY_END.match(text)) and _is_exception(end["kind"]):
            lines.append(message)
            said = end["message"] or ""
            kind = end["kind"] if _says_little(said) else end["kind"].rpartition(".")[2]
            crash = make_crash("python", kind, said, frames[::-1], lines, message)
            blocks.append((_with_notes(crash, messages, message), link))
            frames, lines, link = None, [], ""
        elif frames is not None:
            lines.append(message)
    yield from _python_chain(blocks)


def _with_notes(crash: Crash, messages: Sequence[Message], end: Message) -> Crash:
    """With the further lines of its text: notes (PEP 678), and what a validation has found."""
    at = end.number - messages[0].number
    notes: list[Message] = []
    for one in messages[at + 1 : at + 1 + _MAX_NOTES]:
        plain = one.text == one.raw.strip() and one.level is Level.UNKNOWN
        if (
            not plain
            or one.pid != end.pid
            or _PY_DECORATION.match(one.raw)
            or _PY_LINK.search(one.raw)
        ):
            break
        notes.append(one)
    if not notes:
        return crash
    said = "; ".join((crash.message, *(one.text for one in notes)))
    return replace(crash, message=said, last=notes[-1].number)


def _says_little(text: str) -> bool:
    """``asyncssh.misc.PermissionDenied: Permission denied``: whose exception it is tells more."""
    return 0 < len(text.split()) <= _FEW_WORDS


def _is_exception(kind: str) -> bool:
    name = kind.rpartition(".")[2]
    return name[:1].isupper() or name.endswith(("Error", "Exception", "error"))


def _python_chain(blocks: Sequence[tuple[Crash, str]]) -> Iterator[Crash]:
    """The root of each chain. A group's own line is no exception of its own."""
    chain: list[Crash] = []
    for crash, link in blocks:
        if "ExceptionGroup" in crash.kind:
            continue
        if link == _PY_DIRECT and chain:
            root = chain[-1]  # the cause stands there already
            if not root.around:
                chain[-1] = replace(root, around=around_of(root.message, [crash.message]))
            continue
        if link == _PY_DURING and chain:
            chain[-1] = crash
            continue
        chain.append(crash)
    yield from chain[-3:]


# -- JavaScript -----------------------------------------------------------------------------------

_JS_HEAD = re.compile(
    r"^(?:Uncaught )?(?P<kind>(?:[A-Z]\w*)?(?:Error|Exception))(?: \[(?P<code>\w+)\])?: (?P<message>.+)$"
)
_JS_FRAME = re.compile(
    r"^\s*at (?:async )?(?:(?P<function>[\w.<> \[\]]+) \()?(?:file://)?(?P<file>(?:/|node:)[^():]*):(?P<line>\d+):\d+\)?$"
)
_JS_PLACE = re.compile(r"^(?:file://)?(?P<file>/[^():\s]+\.[cm]?js):(?P<line>\d+)$")
_JS_REQUIRE = re.compile(r"^- (?P<file>/\S+\.[cm]?js)$")
_JS_LINES = 5
_JS_IMPORTED = re.compile(r"imported from (?:file://)?(?P<file>/\S{1,400}\.[cm]?[jt]s)")


def _js_further(after: Sequence[Message]) -> list[Message]:
    """The further lines of what it says, where its stack begins soon enough."""
    for number, one in enumerate(after):
        if _JS_FRAME.match(one.raw):
            return list(after[:number])
        if (
            not one.text
            or _JS_REQUIRE.match(one.raw.strip())
            or one.raw.strip() == "Require stack:"
        ):
            break
    return []


def _javascript(messages: Sequence[Message]) -> Iterator[Crash]:
    place: Frame | None = None
    index = 0
    while index < len(messages):
        message = messages[index]
        if match := _JS_PLACE.match(message.raw.strip()):
            place = Frame(match["file"], match["line"], None)
        head = _JS_HEAD.match(message.raw.strip()) or _JS_HEAD.match(message.text)
        if head is None:
            index += 1
            continue
        said, more = head["message"], _js_further(messages[index + 1 : index + 2 + _JS_LINES])
        said = " ".join((said, *(one.raw.strip() for one in more)))
        lines, frames = [message, *more], []
        required = [Frame(one["file"], "", None) for one in _JS_IMPORTED.finditer(message.raw)]
        for following in messages[index + 1 + len(more) : index + 60]:
            if frame := _JS_FRAME.match(following.raw):
                frames.append(Frame(frame["file"], frame["line"], frame["function"]))
            elif require := _JS_REQUIRE.match(following.raw.strip()):
                required.append(Frame(require["file"], "", None))
            elif following.raw.strip() != "Require stack:":
                break
            lines.append(following)
        if frames or required or place is not None:
            named = [*required, *frames] if required else frames
            if place is not None and not LIBRARY_PATH.search(place.file) and not required:
                named = [place, *frames]
            yield make_crash("node", head["kind"], said, named, lines, message)
        index += len(lines)


# -- PHP, Ruby, Perl, Lua -------------------------------------------------------------------------

_PHP = re.compile(
    r"(?:PHP )?(?P<grave>Fatal error|Parse error|Recoverable fatal error|Compile Error|Warning): {1,2}"
    r"(?:Uncaught )?(?:(?P<kind>[\w\\]+(?:Error|Exception)): )?"
    r"(?P<message>.{1,1000}?) (?:in (?P<file>/[^\s:]+?)(?: on line |:)(?P<line>\d+))"
)
_RUBY = re.compile(
    r"^(?P<file>/?[^\s:]+\.rbx?|/[^\s:]+|<internal:[^\s<>]{1,300}>):(?P<line>\d+):in [`'](?P<function>[^']+)': (?P<message>.+?)(?: \((?P<kind>[A-Z][\w:]*)\))?$"
)
_RUBY_SYNTAX = re.compile(
    r"^(?P<file>/?[^\s:]+\.(?:rb|ru)|/[^\s:]+):(?P<line>\d+): (?P<message>(?:syntax error|unterminated|unexpected|unmatched).+?)(?: \((?P<kind>SyntaxError)\))?$"
)
_JRUBY = re.compile(r"^(?P<kind>[A-Z]\w{2,60}(?:Error|Exception)): (?P<message>.{3,1000})$")
_JRUBY_STEP = re.compile(
    r"^\s{1,10}(?P<function>\S{1,80}) at (?P<file>\S{1,300}):(?P<line>\d{1,7})$"
)
_RUBY_FROM = re.compile(
    r"^\s+(?:\d+: )?from (?P<file><internal:[^\s<>]{1,300}>|[^\s:]+):(?P<line>\d+):in [`'](?P<function>[^']+)'"
)
_PERL_BASE = re.compile(r'Base class package "(?P<name>[\w:]+)" is empty')
_PERL_ABSENT = re.compile(r"Can't locate (?P<name>[\w/]{1,200})\.pm in @INC")
_PERL = re.compile(
    r"^(?P<message>.{3,3000}?) at (?P<file>\.{0,2}/[^\s]+|\(eval \d+\)|[\w./-]+\.(?:p[lmt]|psgi|cgi|t)) "
    r"line (?P<line>\d{1,7})(?:[.,]|\s|$)"
)
# What perl only warns of (perldiag(1)).
_PERL_WARNS = re.compile(
    r"(?:closed|unopened) filehandle|^Use of uninitialized value|^Argument \".{0,200}\" isn't numeric"
    r"|^Subroutine .{1,200} redefined|^Odd number of elements|masks earlier declaration|is deprecated"
    r"|used only once: possible typo|^Possible (?:precedence|attempt|unintended|unexpected) |is experimental"
    r"|^Prototype mismatch|interpreted as (?:function|operator)|^Statement unlikely|^Scalar value |^Wide character in |^Useless use of |^Deep recursion on "
)
_PERL_ECHOES = re.compile(r"BEGIN failed--|Compilation failed in require")
_PERL_ECHO = 12  # lines
_PERL_AFTER = re.compile(
    r"^(?:Compilation failed in require|BEGIN failed--|\s+\S+::\S+\(.* called at )"
)
_LUA = re.compile(
    r"^(?:lua[\d.]*|luajit|\S*/lua[\w.]*): (?P<file>[^\s:]+):(?P<line>\d+): (?P<message>.+)$"
)


def _php(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first fatal error; a warning where nothing worse was said."""
    found = [(one, match) for one in messages if (match := _PHP.search(one.raw)) is not None]
    found.sort(key=lambda pair: pair[1]["grave"] == "Warning")
    for message, match in found[:1]:
        frame = Frame(match["file"], match["line"], None)
        kind = match["kind"] or match["grave"].lower()
        yield make_crash("php", kind, match["message"], [frame], [message], message)


def _ruby(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        match = _RUBY.match(message.raw.strip()) or _RUBY_SYNTAX.match(message.raw.strip())
        if match is None:
            continue
        function = match.groupdict().get("function")
        frames = [Frame(match["file"], match["line"], function)]
        lines = [message]
        for one in messages[index + 1 : index + 60]:
            frame = _RUBY_FROM.match(one.raw)
            if frame is None:
                break
            frames.append(Frame(frame["file"], frame["line"], frame["function"]))
            lines.append(one)
        yield make_crash("ruby", match["kind"] or "error", match["message"], frames, lines, message)
        return


def _jruby(messages: Sequence[Message]) -> Iterator[Crash]:
    """As Java's, but with Ruby's functions and files."""
    for index, message in enumerate(messages[:-1]):
        head = _JRUBY.match(message.text)
        if head is None or _JRUBY_STEP.match(messages[index + 1].raw) is None:
            continue
        steps = [m for one in messages[index + 1 : index + 60] if (m := _JRUBY_STEP.match(one.raw))]
        frames = [Frame(one["file"], one["line"], one["function"]) for one in steps]
        own = [one for one in frames if not one.file.endswith(".java") and "!/" not in one.file]
        yield make_crash("ruby", head["kind"], head["message"], own, [message], message)
        return


def _perl(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first death; one while it was compiled before any, since that is none that was survived."""
    found = list(_perl_deaths(messages))
    compiled = (one for one in found if one.last > one.first)
    yield from [crash for crash in (next(compiled, None) or next(iter(found), None),) if crash]


def _perl_deaths(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        if base := _PERL_BASE.search(message.raw):
            name = base["name"].replace("::", "/")
            yield make_crash("perl", "died", f"Can't locate {name}.pm", [], [message], message)
            continue
        match = _PERL.match(message.text)
        if match is None and (absent := _PERL_ABSENT.match(message.text)):  # its end was cut off
            said = f"Can't locate {absent['name']}.pm"
            yield make_crash("perl", "died", said, [], [message], message)
        if match is None or _PERL_WARNS.search(match["message"]) or _is_perls_echo(messages, index):
            continue
        if not match["file"].lower().endswith(CONFIGS):
            after = takewhile(lambda one: _PERL_AFTER.match(one.raw), messages[index + 1 :])
            frame = Frame(match["file"], match["line"], None)
            lines = [message, *after]
            said = f"{_begun_above(messages, index)}{match['message']}"
            yield make_crash("perl", "died", said, [frame], lines, message)


def _begun_above(messages: Sequence[Message], index: int) -> str:
    """The first line of what it died of, where the one with the place is indented."""
    above = messages[index - 1] if index else None
    is_rest = messages[index].raw[:1] in (" ", "\t") and above is not None
    return f"{above.text} " if is_rest and above and above.pid == messages[index].pid else ""


def _is_perls_echo(messages: Sequence[Message], index: int) -> bool:
    """``BEGIN failed--compilation aborted`` below what it failed of, whoever put that in his words."""
    message = messages[index]
    above = messages[max(0, index - _PERL_ECHO) : index]
    return _PERL_ECHOES.match(message.text) is not None and any(
        one.pid == message.pid and one.level is not Level.TALK for one in above
    )


def _lua(messages: Sequence[Message]) -> Iterator[Crash]:
    for message in messages:
        match = _LUA.match(message.raw.strip())
        if match is not None:
            frame = Frame(match["file"], match["line"], None)
            yield make_crash("lua", "error", match["message"], [frame], [message], message)
            return


# -- Tcl ------------------------------------------------------------------------------------------

_TCL = re.compile(r"^\s+\(file \"(?P<file>[^\"]{1,300})\" line (?P<line>\d{1,7})\)")
_OF_A_TCL_STACK, _OF_A_TCL_ERROR = 30, 6


def _tcl(messages: Sequence[Message]) -> Iterator[Crash]:
    """The line above ``while executing``; the last line of the stack says which file."""
    for index, message in enumerate(messages):
        if index == 0 or message.raw.strip() != "while executing":
            continue
        stack = messages[index : index + _OF_A_TCL_STACK]
        for one in stack:
            if match := _TCL.match(one.raw):
                frame = Frame(match["file"], match["line"], None)
                head = _tcl_head(messages[max(0, index - _OF_A_TCL_ERROR) : index])
                lines = [head, *messages[index : one.number + 1], one]
                yield make_crash("tcl", "error", head.text, [frame], lines, head)
                return


def _tcl_head(above: Sequence[Message]) -> Message:
    """What it says may have several lines, and end with a quote: the last that says something."""
    told = (
        one
        for one in reversed(above)
        if FAILURE.search(one.text[:600]) and "<--" not in one.text  # where in a text
    )
    worded = (one for one in reversed(above) if any(map(str.isalpha, one.text)))
    last = above[-1]
    return last if any(map(str.isalpha, last.text)) else next(told, next(worded, last))


_LANGUAGES: tuple[Callable[[Sequence[Message]], Iterator[Crash]], ...] = (
    _python, java, _javascript, go, rust, _php, _ruby, _jruby, _perl, _lua, _tcl, elixir, erlang, native,
    ocaml, haskell, swift, dotnet, lisp, zig, crystal, clojure, glog,
)  # fmt: skip


# A traceback, of another program mostly, that has something before each line or the first one.
_INSIDE = re.compile(
    r"(?P<before>.{2,160}?)(?:Traceback \(most recent call last\):|panic: |[Tt]hread '[^']{0,80}' panicked at "
    r"|Exception in thread \"|Unhandled exception\.)"
)
_DIGIT = re.compile(r"\d")


def crashes(case: Case) -> tuple[Crash, ...]:
    """Every traceback of the run."""

    def found() -> Iterator[Crash]:
        messages = _bare(case.messages)
        for read in _LANGUAGES:
            for crash in read(messages):
                yield replace(crash, at=case.messages[crash.at.number])

    return case.once("crashes", lambda: tuple(found()))


def _bare(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages; those of a traceback without what stands before each of its lines."""
    bare = [
        replace(one, raw=one.raw[at.end() :])
        if (at := MULTIPLEXED.match(one.raw)) is not None
        else one
        for one in messages
    ]
    messages, until = tuple(bare), 0
    for index, message in enumerate(messages):
        inside = _INSIDE.match(message.raw) if index >= until else None
        if inside is not None:
            lines = _all_after(inside["before"], messages[index:])
            until = index + len(lines)
            bare[index:until] = lines
    return bare


def _all_after(before: str, messages: Sequence[Message]) -> list[Message]:
    """The first of the messages, as far as they begin alike but for digits; without that."""
    size, shape = len(before), _DIGIT.sub("0", before)
    lines: list[Message] = []
    for one in messages:
        if _DIGIT.sub("0", one.raw[:size]) != shape:
            break
        lines.append(replace(one, raw=one.raw[size:]))
    return lines
