# SPDX-License-Identifier: MIT
"""What Python would compile again at every start, kept from the installation.

Python keeps the code of modules (.pyc), but compiles every regular expression and every method that
`dataclasses` writes anew in each process: that was a third of what a cold runner spent before it
could collect anything. `failhook.prepare` keeps the compiled forms beside our own .pyc files; `use`
has `re` and `dataclasses` look there first. What is not found there, or was kept by another Python,
is compiled as ever: nothing depends on the file but time.

Neither place where this reaches in is a public interface: `re._compiler.compile`, and the ``exec``
that `dataclasses` calls. An interpreter that has them no more gets no help and needs none. A
damaged pattern is refused by `_sre.compile` itself (``_validate`` in CPython's Modules/_sre/sre.c),
and the file lies where only those can write who can write our code.

Some modules import what they hardly ever use: `dataclasses` takes `inspect` for the docstrings of
classes that have none, `pathlib` `ipaddress` for URLs, `logging` `traceback`, `subprocess`
`locale`. `_later` has those wait for the first who asks.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]  # of CPython; `re` is written on top of it
import contextlib
import importlib
import marshal
import os
import re
import struct
import sys
import types
from typing import Any


def _later(name: str) -> None:
    """A module that is imported by the first who wants something of it (PEP 562)."""

    def wanted(attribute: str) -> Any:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    if name not in sys.modules:
        stand_in = types.ModuleType(name)
        vars(stand_in)["__getattr__"] = wanted
        sys.modules[name] = stand_in


for _module in ("inspect", "ipaddress", "traceback", "locale"):
    _later(_module)
import dataclasses  # noqa: E402 - it would import the first of them

PATH = os.path.join(  # noqa: PTH118 - read before anything large is imported
    os.path.dirname(os.path.abspath(__file__)),  # noqa: PTH100, PTH120
    "__pycache__",
    f"ready.{sys.implementation.cache_tag}",
)
# A pattern and the flags it was asked for with -> what `_sre.compile` takes beside the pattern.
_Pattern = tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]
_Patterns = dict[tuple[str | bytes, int], _Pattern]
_Sources = dict[str, bytes]  # what `dataclasses` executes -> its code, as in a .pyc
_COMPILER: Any = getattr(re, "_compiler", None)


def _tag() -> tuple[str, int, int, int]:
    """What both kinds of code depend on."""
    return sys.implementation.name, sys.hexversion, _sre.MAGIC, _sre.CODESIZE


def use(path: str = PATH) -> bool:
    """Let this process, and those that it forks, look into ``path`` first; False where that cannot
    be read or is of another Python."""
    if not hasattr(_COMPILER, "compile"):
        return False
    try:
        with open(path, "rb") as file:
            tag, patterns, sources = marshal.loads(file.read())  # noqa: S302 - see above
    except (OSError, ValueError, EOFError, TypeError):
        return False
    if tag != _tag():
        return False
    _look_first(patterns, sources)
    return True


def _look_first(patterns: _Patterns, sources: _Sources) -> None:
    compile_pattern = _COMPILER.compile

    def pattern_of(pattern: Any, flags: int = 0) -> Any:
        kept = patterns.get((pattern, flags)) if isinstance(pattern, str | bytes) else None
        if kept is not None:
            with contextlib.suppress(ValueError, TypeError, RuntimeError, OverflowError):
                return _pattern(pattern, kept)
        return compile_pattern(pattern, flags)

    def run(source: str, names: dict[str, object], results: dict[str, object]) -> None:
        kept = sources.get(source)
        code = source if kept is None else marshal.loads(kept)  # noqa: S302 - see above
        exec(code, names, results)  # noqa: S102 - as `dataclasses` does

    _COMPILER.compile = pattern_of
    vars(dataclasses)["exec"] = run


def _pattern(pattern: str | bytes, kept: _Pattern) -> Any:
    flags, code, groups, index, names = kept
    words = memoryview(code).cast("I").tolist()
    return _sre.compile(pattern, flags, words, groups, dict(index), names)


# -- making it ----------------------------------------------------------------------------------


class Recorder:
    """What this process compiles from now on."""

    def __init__(self) -> None:
        self._patterns: _Patterns = {}
        self._sources: _Sources = {}
        self._compile = _COMPILER.compile
        _COMPILER.compile = self._pattern_of
        vars(dataclasses)["exec"] = self._run

    def _pattern_of(self, pattern: Any, flags: int = 0) -> Any:
        if isinstance(pattern, str | bytes):
            self._patterns[pattern, int(flags)] = _parts(pattern, int(flags))
        return self._compile(pattern, flags)

    def _run(self, source: str, names: dict[str, object], results: dict[str, object]) -> None:
        code = compile(source, "<string>", "exec", dont_inherit=True)
        self._sources[source] = marshal.dumps(code)
        exec(code, names, results)  # noqa: S102 - as `dataclasses` does

    def close(self) -> bytes:
        """Record no more; returns what `use` reads."""
        _COMPILER.compile = self._compile
        vars(dataclasses).pop("exec", None)
        return marshal.dumps((_tag(), self._patterns, self._sources))


def _parts(pattern: str | bytes, flags: int) -> _Pattern:
    """As `re._compiler.compile` does it, up to its last step."""
    parsed = _COMPILER._parser.parse(pattern, flags)
    code = _COMPILER._code(parsed, flags)
    words = struct.pack(f"{len(code)}I", *code)
    state = parsed.state
    names: list[str | None] = [None] * state.groups
    for name, number in state.groupdict.items():
        names[number] = name
    return flags | state.flags, words, state.groups - 1, dict(state.groupdict), tuple(names)
