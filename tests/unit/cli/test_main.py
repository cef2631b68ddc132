# SPDX-License-Identifier: MIT
"""The frame around all verbs: help, usage, exit codes, pipes that break."""

import subprocess
import sys
from pathlib import Path

import pytest

import failhook as package
from failhook.cli import INTERNAL, VERBS
from failhook.cli.errors import UsageError
from failhook.store.incidents import NotFound, Store, StoreError
from failhook.version import VERSION
from tests.unit.cli.conftest import CommandLine

ALL = [*VERBS, *INTERNAL]


@pytest.mark.parametrize("verb", ALL)
def test_help_of_every_verb_fits_a_terminal(failhook: CommandLine, verb: str) -> None:
    said = failhook(verb, "--help")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith(f"usage: failhook {verb}")
    assert "--user" in said.out
    assert [line for line in said.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_the_overview_has_every_verb_and_fits_a_terminal(
    failhook: CommandLine, words: tuple[str, ...]
) -> None:
    said = failhook(*words)
    assert said.code == 0
    for verb in VERBS:
        assert f"\n  {verb} " in said.out
    for verb in INTERNAL:
        assert f"\n  {verb} " not in said.out
    assert [line for line in said.out.splitlines() if len(line) > 80] == []


def test_help_for_one_verb_in_either_order(failhook: CommandLine) -> None:
    assert failhook("help", "list").out == failhook("list", "--help").out


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(failhook: CommandLine, word: str) -> None:
    assert failhook(word).out == f"failhook {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lst",), "did you mean: failhook list"),
        (("nginx.service",), "did you mean: failhook show nginx.service"),
        (("\x1b[31mred",), "unknown command"),
        (("zzzz",), "see: failhook --help"),
        (("list", "--bogus"), "unrecognized arguments"),
        (("list", "--sin", "1d"), "unrecognized arguments"),
        (("list", "--state", "moon"), "invalid choice"),
        (("note",), "required"),
        (("verify",), "required"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(
    failhook: CommandLine, words: tuple[str, ...], hint: str
) -> None:
    said = failhook(*words)
    assert said.code == 2
    assert hint in said.err
    assert said.out == ""


@pytest.mark.parametrize("words", [("--user", "list"), ("list", "--user")])
def test_user_goes_first_or_last(failhook: CommandLine, words: tuple[str, ...]) -> None:
    assert failhook(*words).code == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NotFound("no such thing"), 3, "failhook: no such thing"),
        (UsageError("do it so"), 2, "failhook: do it so"),
        (StoreError("broken"), 1, "failhook: broken"),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied"),
        (OSError(28, "No space left on device", "/x"), 1, "/x: No space left on device"),
        (OSError("odd"), 1, "failhook: odd"),
        (NotFound("\x1b]0;owned\x07\n<3>forged"), 3, "\\x1b]0;owned\\x07\\x0a<3>forged"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_exit_codes_and_one_line(
    failhook: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    words: str,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    failhook.add()
    monkeypatch.setattr(Store, "find", broken)
    said = failhook("show", "x")
    assert said.code == code
    assert words in said.err
    assert len(said.err.splitlines()) <= 1


def test_nothing_was_ever_recorded(failhook: CommandLine) -> None:
    for words in (("show",), ("bundle",), ("note", "last", "x"), ("forget", "ab"), ("prune",)):
        said = failhook(*words)
        assert (said.code, said.out) == (3, "")
        assert "no incident was ever recorded here" in said.err
    assert failhook("list").code == 0


@pytest.mark.parametrize("words", [("list", "--every"), ("list", "--json"), ("plugins",)])
def test_a_pipe_that_breaks_is_no_failure(
    failhook: CommandLine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """``failhook list | head -1``: larger than a pipe, and nobody reads it."""
    for number in range(300):
        failhook.add(number, "x" * 400)
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(package.__file__).parents[1])!r})\n"
        "from pathlib import Path\n"
        "from failhook import places\n"
        "from failhook.cli import main\n"
        f"here = Path({str(tmp_path)!r})\n"
        "places.find = lambda *, user: places.Places(here / 'run', here / 'state', ())\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        child.stdin.close()
        assert (child.wait(timeout=20), child.stderr.read()) == (0, b"")
