# SPDX-License-Identifier: MIT
"""Tracebacks and panics of the usual languages: the exception, and the user's own last frame.

Each language is a function that reads the run's lines and returns what it found as `Crash` values:
pure text in, no guesses out. A chain of causes gives its root: Java's last "Caused by", Python's
"direct cause"; where one exception was raised while another was handled, the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from failhook.diagnose.case import Case
from failhook.diagnose.text import Message

_LIBRARY_PATH = re.compile(
    r"/(?:site|dist)-packages/|/usr/(?:local/)?lib(?:64|exec)?/|/usr/share/(?:perl|ruby|php|nodejs|java)"
    r"|/usr/local/go/|/go/pkg/mod/|node_modules/|node:|^<|/\.cargo/|/rustc/|/gems/|/vendor/|^internal/"
    r"|^runtime/|/library/(?:std|core|alloc)/|/etc/perl|<frozen",
)
_LIBRARY_PACKAGE = re.compile(
    r"^(?:java|javax|jdk|sun|com\.sun|kotlin|scala|jakarta|org\.(?:apache|springframework|hibernate|eclipse"
    r"|postgresql|slf4j|jboss|junit|mariadb)|com\.(?:mysql|zaxxer|fasterxml|google)|io\.(?:netty|grpc))\."
)


@dataclass(frozen=True, slots=True)
class Crash:
    """What one traceback says. ``first`` and ``last`` are the numbers of its lines."""

    language: str
    kind: str  # the exception's type, or "panic"
    message: str
    file: str | None
    line: str | None
    function: str | None
    first: int
    last: int
    at: Message

    @property
    def is_own(self) -> bool:
        """The place is in the user's own code, not in a library's."""
        return self.file is not None and not _LIBRARY_PATH.search(self.file)

    @property
    def place(self) -> str:
        """``/srv/app/main.py line 12, in load``."""
        if self.file is None:
            return ""
        line = f" line {self.line}" if self.line else ""
        inside = self.function and self.function not in ("<module>", "main", "Object.<anonymous>")
        return f"{self.file}{line}" + (f", in {self.function}" if inside else "")


@dataclass(frozen=True, slots=True)
class _Frame:
    file: str
    line: str
    function: str | None


def _own(frames: Sequence[_Frame]) -> _Frame | None:
    """The first of ``frames`` (nearest to the failure first) that is no library's."""
    for frame in frames:
        if not _LIBRARY_PATH.search(frame.file):
            return frame
    return frames[0] if frames else None


def _crash(
    language: str,
    kind: str,
    message: str,
    frames: Sequence[_Frame],
    lines: Sequence[Message],
    at: Message,
) -> Crash:
    own = _own(frames)
    return Crash(
        language,
        kind,
        message.strip(),
        own.file if own else None,
        own.line if own else None,
        own.function if own else None,
        lines[0].number,
        lines[-1].number,
        at,
    )


# -- Python ---------------------------------------------------------------------------------------

_PY_DECORATION = re.compile(r"^(?:\s*[|+](?:[-+ ]+\d*[- +]*)?)+ ?")
_PY_START = re.compile(r"^\s*(?:Exception Group )?Traceback \(most recent call last\):")
_PY_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?')
_PY_END = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_PY_DIRECT = "direct cause of the following exception"
_PY_DURING = "During handling of the above exception"


def _python(messages: Sequence[Message]) -> Iterator[Crash]:
    blocks: list[tuple[Crash, str]] = []
    link = ""
    frames: list[_Frame] | None = None
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
            frames.append(_Frame(match["file"], match["line"], match["function"]))
            lines.append(message)
        elif frames is not None and (end := _PY_END.match(text)) and _is_exception(end["kind"]):
            lines.append(message)
            kind = end["kind"].rpartition(".")[2]
            crash = _crash("python", kind, end["message"] or "", frames[::-1], lines, message)
            blocks.append((crash, link))
            frames, lines, link = None, [], ""
        elif frames is not None:
            lines.append(message)
    yield from _python_chain(blocks)


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
            continue  # its cause stands there already
        if link == _PY_DURING and chain:
            chain[-1] = crash
            continue
        chain.append(crash)
    yield from chain[-3:]


# -- Java -----------------------------------------------------------------------------------------

_JAVA_HEAD = re.compile(
    r"^(?:(?P<cause>Caused by): |Exception in thread \"[^\"]*\" |Error: )?"
    r"(?P<kind>(?:[a-z][\w$]*\.){1,9}[A-Z][\w$]*)(?:: (?P<message>.*))?$"
)
_JAVA_FRAME = re.compile(
    r"^\s+at (?:[\w.]+/+|[\w.@]+/)?(?P<method>[\w.$<>]+)\((?P<file>[\w$]+\.(?:java|kt|scala)):(?P<line>\d+)\)"
)


_JAVA_ALONE = re.compile(
    r"^(?:\s*Caused by|Exception in thread|\s+java\.)"
)  # a head without frames


def _java(messages: Sequence[Message]) -> Iterator[Crash]:
    head: tuple[re.Match[str], Message] | None = None
    lines: list[Message] = []
    frames: list[_Frame] = []
    found: list[Crash] = []
    for message in messages:
        text = message.raw if message.raw.startswith((" ", "\t")) else message.text
        frame = _JAVA_FRAME.match(text)
        match = None if frame else _JAVA_HEAD.match(text.strip())
        if frame is not None and head is not None:
            library = _LIBRARY_PACKAGE.match(frame["method"])
            file = f"/usr/lib/{frame['file']}" if library else frame["file"]
            frames.append(_Frame(file, frame["line"], frame["method"].rpartition(".")[2]))
            lines.append(message)
        elif match is not None:
            if match["cause"] and found and head is not None:
                frames = frames or []
            head, frames, lines = (match, message), [], [message]
            found.append(_java_crash(match, message, frames, lines))
            continue
        if head is not None and found and frame is not None:
            earlier = [one for one in found[:-1] if one.file and "/usr/lib" not in one.file]
            found[-1] = _java_crash(head[0], head[1], frames, lines, earlier)
    found = [one for one in found if one.last > one.first or _JAVA_ALONE.match(one.at.raw)]
    roots = [one for one in found if one.at.raw.lstrip().startswith("Caused by")] or found
    yield from roots[-1:]


def _java_crash(
    match: re.Match[str],
    message: Message,
    frames: list[_Frame],
    lines: list[Message],
    earlier: Sequence[Crash] = (),
) -> Crash:
    kind = match["kind"].rpartition(".")[2]
    crash = _crash("java", kind, match["message"] or "", frames, lines, message)
    if crash.file is None or crash.file.startswith("/usr/lib/"):
        own = earlier[-1] if earlier else None
        file, line, function = (own.file, own.line, own.function) if own else (None, None, None)
        return Crash(
            "java", kind, crash.message, file, line, function, crash.first, crash.last, message
        )
    return crash


# -- JavaScript -----------------------------------------------------------------------------------

_JS_HEAD = re.compile(
    r"^(?:Uncaught )?(?P<kind>(?:[A-Z]\w*)?(?:Error|Exception))(?: \[(?P<code>\w+)\])?: (?P<message>.+)$"
)
_JS_FRAME = re.compile(
    r"^\s+at (?:async )?(?:(?P<function>[\w.<> \[\]]+) \()?(?:file://)?(?P<file>(?:/|node:)[^():]*):(?P<line>\d+):\d+\)?$"
)
_JS_PLACE = re.compile(r"^(?:file://)?(?P<file>/[^():\s]+\.[cm]?js):(?P<line>\d+)$")
_JS_REQUIRE = re.compile(r"^- (?P<file>/\S+\.[cm]?js)$")


def _javascript(messages: Sequence[Message]) -> Iterator[Crash]:
    place: _Frame | None = None
    index = 0
    while index < len(messages):
        message = messages[index]
        if match := _JS_PLACE.match(message.raw.strip()):
            place = _Frame(match["file"], match["line"], None)
        head = _JS_HEAD.match(message.raw.strip())
        if head is None:
            index += 1
            continue
        lines, frames, required = [message], [], []
        for following in messages[index + 1 : index + 60]:
            if frame := _JS_FRAME.match(following.raw):
                frames.append(_Frame(frame["file"], frame["line"], frame["function"]))
            elif require := _JS_REQUIRE.match(following.raw.strip()):
                required.append(_Frame(require["file"], "", None))
            elif following.raw.strip() != "Require stack:":
                break
            lines.append(following)
        if frames or required or place is not None:
            named = [*required, *frames] if required else frames
            if place is not None and not _LIBRARY_PATH.search(place.file) and not required:
                named = [place, *frames]
            yield _crash("node", head["kind"], head["message"], named, lines, message)
        index += len(lines)


# -- Go, Rust -------------------------------------------------------------------------------------

_GO_HEAD = re.compile(r"^(?:panic|fatal error): (?P<message>.+)$")
_GO_FRAME = re.compile(r"^\s+(?P<file>/[^\s:]+\.go):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$")
_GO_FUNCTION = re.compile(r"^(?P<function>[\w./*()-]+)\((?:[^()]*|\.\.\.)\)$")


def _go(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        head = _GO_HEAD.match(message.raw.strip())
        following = messages[index + 1 : index + 80]
        if head is None or not any(one.raw.startswith("goroutine ") for one in following):
            continue
        frames: list[_Frame] = []
        lines, function = [message], None
        for one in following:
            if called := _GO_FUNCTION.match(one.raw.strip()):
                function = called["function"].rpartition("/")[2]
            elif frame := _GO_FRAME.match(one.raw):
                file = frame["file"]
                if (function or "").startswith(("runtime.", "panic", "internal/")):
                    file = f"/usr/local/go/{file.rpartition('/')[2]}"
                frames.append(_Frame(file, frame["line"], function))
            lines.append(one)
        yield _crash("go", "panic", head["message"], frames, lines, message)
        return


_RUST = re.compile(
    r"^thread '(?P<thread>[^']*)'(?: \(\d+\))? panicked at (?:'(?P<old>.*)', )?(?P<file>[^\s,':]+\.rs):(?P<line>\d+):\d+(?P<new>:)?$"
)


def _rust(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        match = _RUST.match(message.raw.strip())
        if match is None:
            continue
        lines, said = [message], match["old"] or ""
        if match["new"] and index + 1 < len(messages):
            said = messages[index + 1].raw.strip()
            lines.append(messages[index + 1])
        frame = _Frame(match["file"], match["line"], None)
        yield _crash("rust", "panic", said, [frame], lines, message)


# -- PHP, Ruby, Perl, Lua -------------------------------------------------------------------------

_PHP = re.compile(
    r"(?:PHP )?(?:Fatal error|Parse error|Warning): {1,2}(?:Uncaught )?(?:(?P<kind>[\w\\]+(?:Error|Exception)): )?"
    r"(?P<message>.{1,1000}?) (?:in (?P<file>/[^\s:]+?)(?: on line |:)(?P<line>\d+))"
)
_RUBY = re.compile(
    r"^(?P<file>/?[^\s:]+\.rbx?|/[^\s:]+):(?P<line>\d+):in [`'](?P<function>[^']+)': (?P<message>.+?)(?: \((?P<kind>[A-Z][\w:]*)\))?$"
)
_RUBY_FROM = re.compile(
    r"^\s+(?:\d+: )?from (?P<file>[^\s:]+):(?P<line>\d+):in [`'](?P<function>[^']+)'"
)
_PERL_BASE = re.compile(r'Base class package "(?P<name>[\w:]+)" is empty')
_PERL = re.compile(
    r"^(?P<message>.{3,3000}?) at (?P<file>/[^\s]+|\(eval \d+\)) line (?P<line>\d{1,7})(?:[.,]|\s|$)"
)
_LUA = re.compile(
    r"^(?:lua[\d.]*|luajit|\S*/lua[\w.]*): (?P<file>[^\s:]+\.lua):(?P<line>\d+): (?P<message>.+)$"
)


def _php(messages: Sequence[Message]) -> Iterator[Crash]:
    for message in messages:
        match = _PHP.search(message.raw)
        if match is not None:
            frame = _Frame(match["file"], match["line"], None)
            kind = match["kind"] or "fatal error"
            yield _crash("php", kind, match["message"], [frame], [message], message)
            return


def _ruby(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        match = _RUBY.match(message.raw.strip())
        if match is None:
            continue
        frames = [_Frame(match["file"], match["line"], match["function"])]
        lines = [message]
        for one in messages[index + 1 : index + 60]:
            frame = _RUBY_FROM.match(one.raw)
            if frame is None:
                break
            frames.append(_Frame(frame["file"], frame["line"], frame["function"]))
            lines.append(one)
        yield _crash("ruby", match["kind"] or "error", match["message"], frames, lines, message)
        return


def _perl(messages: Sequence[Message]) -> Iterator[Crash]:
    for message in messages:
        if base := _PERL_BASE.search(message.raw):
            name = base["name"].replace("::", "/")
            yield _crash("perl", "died", f"Can't locate {name}.pm", [], [message], message)
            return
        match = _PERL.match(message.raw.strip())
        if match is not None and (
            match["file"].endswith((".pl", ".pm", ".t")) or _is_script(match["file"])
        ):
            frame = _Frame(match["file"], match["line"], None)
            yield _crash("perl", "died", match["message"], [frame], [message], message)
            return


def _is_script(path: str) -> bool:
    return "." not in path.rpartition("/")[2]


def _lua(messages: Sequence[Message]) -> Iterator[Crash]:
    for message in messages:
        match = _LUA.match(message.raw.strip())
        if match is not None:
            frame = _Frame(match["file"], match["line"], None)
            yield _crash("lua", "error", match["message"], [frame], [message], message)
            return


# -- Elixir ---------------------------------------------------------------------------------------

_ELIXIR = re.compile(r"^\*\* \((?P<kind>[A-Z][\w.]{1,80})\) (?P<message>.{1,2000})$")
_ELIXIR_FRAME = re.compile(
    r"^\s+(?P<app>\([^)]{1,80}\) )?(?P<file>[\w/.-]{1,200}\.exs?):(?P<line>\d{1,7}): (?P<function>.{1,200})$"
)


def _elixir(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        head = _ELIXIR.match(message.raw.strip())
        if head is None:
            continue
        found = [(one, _ELIXIR_FRAME.match(one.raw)) for one in messages[index + 1 : index + 40]]
        lines = [message, *(one for one, frame in found if frame)]
        frames = [
            _Frame(frame["file"], frame["line"], frame["function"])
            for _, frame in found
            if frame is not None and not frame["app"]
        ]
        yield _crash("elixir", head["kind"], head["message"], frames, lines, message)
        return


# -- C and C++ ------------------------------------------------------------------------------------

_ASSERT = re.compile(
    r"(?<![\w./+-])(?P<file>[\w./+-]{1,200}\.(?:c|cc|cpp|cxx|h|hpp)):(?P<line>\d+): (?P<function>[^:]{1,120}): "
    r"Assertion [`'](?P<what>.{1,400}?)['`] failed"
)
_GLIBC = re.compile(
    r"(?P<what>free\(\): \S[^\n]{3,80}|malloc\w*\(\): [^\n]{3,80}|double free or corruption[^\n]{0,40}"
    r"|corrupted (?:size|double-linked)[^\n]{0,60}|munmap_chunk\(\): [^\n]{3,60}|realloc\(\): [^\n]{3,60})"
    r"|\*\*\* (?P<smash>stack smashing detected|buffer overflow detected) \*\*\*"
)
_TERMINATE = re.compile(r"terminate called after throwing an instance of '(?P<kind>[^']+)'")
_WHAT = re.compile(r"^\s*what\(\):\s+(?P<message>.+)$")


def _native(messages: Sequence[Message]) -> Iterator[Crash]:
    for index, message in enumerate(messages):
        if match := _ASSERT.search(message.raw):
            frame = _Frame(match["file"], match["line"], match["function"].partition("(")[0])
            what = f"the assertion {match['what']} failed"
            yield _crash("c", "assertion", what, [frame], [message], message)
        elif match := _GLIBC.search(message.raw):
            what = match["what"] or f"{match['smash']}: it wrote beyond a buffer on its stack"
            yield _crash("c", "memory corruption", what, [], [message], message)
        elif match := _TERMINATE.search(message.raw):
            said = _WHAT.match(messages[index + 1].raw) if index + 1 < len(messages) else None
            lines = messages[index : index + (2 if said else 1)]
            text = said["message"] if said else ""
            yield _crash("c++", match["kind"], text, [], lines, lines[-1])


_LANGUAGES: tuple[Callable[[Sequence[Message]], Iterator[Crash]], ...] = (
    _python, _java, _javascript, _go, _rust, _php, _ruby, _perl, _lua, _elixir, _native,
)  # fmt: skip


def crashes(case: Case) -> list[Crash]:
    """Every traceback of the run."""
    return [crash for read in _LANGUAGES for crash in read(case.messages)]
