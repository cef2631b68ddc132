# SPDX-License-Identifier: MIT
"""Tracebacks and panics of each language: the exception, and the user's own last frame."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.crash import Crash
from failhook.diagnose.tracebacks import crashes
from tests.unit.diagnose.cases import case, judge

PYTHON = """\
Traceback (most recent call last):
  File "/srv/app/main.py", line 12, in <module>
    load()
  File "/srv/app/main.py", line 7, in load
    yaml.load(text)
  File "/usr/lib/python3/dist-packages/yaml/__init__.py", line 81, in load
    return loader.get()
KeyError: 'port'"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/app/main.py", line 3, in <module>
  |     run()
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/app/main.py", line 9, in work
    |     raise ValueError("no port")
    | ValueError: no port
    +------------------------------------"""
CHAIN = """\
Traceback (most recent call last):
  File "/srv/a.py", line 1, in f
KeyError: first

{}

Traceback (most recent call last):
  File "/srv/a.py", line 2, in g
RuntimeError: second"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: cannot start
\tat com.acme.Main.start(Main.java:20)
\tat com.acme.Main.main(Main.java:5)
Caused by: java.io.IOException: no key
\tat java.base/java.io.FileInputStream.open(FileInputStream.java:1)
\tat com.acme.Keys.read(Keys.java:44)
\t... 1 more"""
NODE = """\
/srv/app/index.js:3
    throw new TypeError("no port");
    ^

TypeError: no port
    at load (/srv/app/lib/load.js:9:11)
    at Module._compile (node:internal/modules/cjs/loader:1:1)"""
GO = """\
panic: no port

goroutine 1 [running]:
runtime.gopanic(0x1)
\t/usr/local/go/src/runtime/panic.go:884 +0x212
main.load(...)
\t/srv/app/main.go:10
main.main()
\t/srv/app/main.go:6 +0x1d"""
RUBY = """\
/srv/app/lib/load.rb:9:in `load': no port (KeyError)
\tfrom /srv/app/main.rb:3:in `<main>'"""
ELIXIR = """\
** (RuntimeError) no port
    (elixir 1.14.0) lib/code.ex:1245: Code.eval/3
    config/runtime.exs:9: (file)"""

FOUND = [
    (PYTHON, "python", "KeyError", "'port'", "/srv/app/main.py line 7, in load"),
    (GROUP, "python", "ValueError", "no port", "/srv/app/main.py line 9, in work"),
    (CHAIN.format("The above exception was the direct cause of the following exception:"), "python", "KeyError", "first", "/srv/a.py line 1, in f"),
    (CHAIN.format("During handling of the above exception, another exception occurred:"), "python", "RuntimeError", "second", "/srv/a.py line 2, in g"),
    ('  File "/srv/a.py", line 3\n    x =\n      ^\nSyntaxError: invalid syntax', "python", "SyntaxError", "invalid syntax", "/srv/a.py line 3"),
    (JAVA, "java", "IOException", "no key", "Keys.java line 44, in read"),
    (NODE, "node", "TypeError", "no port", "/srv/app/index.js line 3"),
    (GO, "go", "panic", "no port", "/srv/app/main.go line 10, in main.load"),
    ("thread 'main' panicked at 'no port', src/main.rs:9:5", "rust", "panic", "no port", "src/main.rs line 9"),
    ("thread 'main' panicked at src/main.rs:9:5:\nno port", "rust", "panic", "no port", "src/main.rs line 9"),
    ("PHP Fatal error:  Uncaught RuntimeException: no port in /srv/index.php:3", "php", "RuntimeException", "no port", "/srv/index.php line 3"),
    (RUBY, "ruby", "KeyError", "no port", "/srv/app/lib/load.rb line 9, in load"),
    ("no port at /srv/app.pl line 9.", "perl", "died", "no port", "/srv/app.pl line 9"),
    ("lua5.4: /srv/app.lua:9: no port", "lua", "error", "no port", "/srv/app.lua line 9"),
    (ELIXIR, "elixir", "RuntimeError", "no port", "config/runtime.exs line 9, in (file)"),
    ("a: main.c:9: load: Assertion `port > 0' failed.", "c", "assertion", "the assertion port > 0 failed", "main.c line 9, in load"),
    ("*** stack smashing detected ***: terminated", "c", "memory corruption", "stack smashing detected: it wrote beyond a buffer on its stack", ""),
    ("free(): invalid pointer", "c", "memory corruption", "free(): invalid pointer", ""),
    ("terminate called after throwing an instance of 'std::out_of_range'\n  what():  no port", "c++", "std::out_of_range", "no port", ""),
]  # fmt: skip


def _crashes(text: str) -> tuple[Crash, ...]:
    return crashes(case(*text.split("\n")))


@pytest.mark.parametrize(("text", "language", "kind", "message", "place"), FOUND)
def test_a_crash(text: str, language: str, kind: str, message: str, place: str) -> None:
    [crash] = _crashes(text)
    assert (crash.language, crash.kind, crash.message, crash.place) == (
        language, kind, message, place,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):",  # cut
        'File "/srv/a.py", line 3, in f',
        "KeyError: 'port'",  # in words only
        "java.io.IOException: no key",  # one line, no frame: a log line
        "TypeError: no port",
        "panic: no port",  # no goroutine: said by a program
        "the thread 'main' panicked",
        "no port at line 9",
        "a.rb:9 was loaded",
        "free() was called",
        "the assertion failed",
        "** (mount) done",
    ],
)
def test_no_crash(text: str) -> None:
    assert not _crashes(text)


def test_the_verdict_names_exception_and_place() -> None:
    assert judge(case(*PYTHON.split("\n"))).summary == (
        "a.service failed to start: KeyError: 'port' (/srv/app/main.py line 7, in load)"
    )


def test_what_a_traceback_says_of_a_file_is_the_cause_and_its_frame_the_place() -> None:
    text = (
        "Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in <module>\n"
        "PermissionError: [Errno 13] Permission denied: '/srv/x'"
    )  # fmt: skip
    verdict = judge(case(*text.split("\n")))
    assert verdict.cause == "permission"
    assert verdict.summary.endswith("(/srv/a.py line 3)")
