# SPDX-License-Identifier: MIT
"""What systemd makes of a command line: as seen with systemd 252 and 257."""

import pytest

from failhook.diagnose.case import Case
from tests.unit.diagnose.cases import PROGRAM, case, command, judge, what


def _started_with(*words: str, said: str = "error: bad usage") -> Case:
    text = f"# /etc/systemd/system/a.service\n[Service]\nExecStart={PROGRAM} {' '.join(words)}\n"
    show = {"ExecStart": command(PROGRAM, *words)}
    return case(said, show=show, items={"unit/cat.txt": text.encode()})


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--all", ">", "/var/log/a.txt"), "“>”"),
        (("--all", ">>/var/log/a.txt", "2>&1"), "“>>/var/log/a.txt” and “2>&1”"),
        (("--list", "|", "mail", "root"), "“|”"),
        (("--first", "&&", "a", "--second"), "“&&”"),
        (("--day", "$(date +%F)"), "“$(date +%F)”"),
        (("--day", "`date`"), "“`date`”"),
        (("--daemon", "&"), "“&”"),
    ],
)
def test_words_of_a_shell(words: tuple[str, ...], named: str) -> None:
    summary = judge(_started_with(*words)).summary
    assert f"ExecStart= gives {named} to {PROGRAM} as" in summary
    assert summary.endswith("systemd runs no shell")


@pytest.mark.parametrize(
    ("word", "replaced"),
    [
        ("$HOME/a.conf", "$HOME/a.conf"),
        ("'$value = $pieces * $price'", "$value = $pieces * $price"),
        ('"$A-old"', "$A-old"),
        ("$NAME.txt", "$NAME.txt"),
    ],
)
def test_a_word_that_falls_away(word: str, replaced: str) -> None:
    summary = judge(_started_with("-f", word)).summary
    assert f"systemd takes “{replaced}” of ExecStart= as a whole for a variable" in summary


@pytest.mark.parametrize(
    "words",
    [
        ("$OPTIONS", "-f", '"x y"'), ("${HOME}/a.conf",), ("$$value = 1",), ("x$HOME/y",),
        ("'b $HOME/y'",), ("2>&3",),
        ("-c", "'select a > 3 | b && c'",), ('"a | b"',), ("--min", "1>2"), ("a;b",), ("--url", "http://x/?a=1&b=2"),
    ],
)  # fmt: skip
def test_what_systemd_passes_on_as_it_is(words: tuple[str, ...]) -> None:
    assert what(_started_with(*words), "command-line") is None


def test_of_a_shell_and_of_a_command_that_was_not_reached() -> None:
    text = "[Service]\nExecStart=/bin/sh -c a > b\nExecStart=/usr/bin/b > c\n"
    ended = command("/bin/sh", "-c", "a", ">", "b", status="2").replace("[n/a]", "[now]")
    never = command("/usr/bin/b", ">", "c", status="0/0", code="(null)")
    show = {"Type": "oneshot", "ExecStart": f"{ended}\n{never}"}
    one = case("sh: a: not found", show=show, items={"unit/cat.txt": text.encode()})
    assert what(one, "command-line") is None


def test_a_program_without_its_path() -> None:
    text = "[Service]\nExecStart=curl -s http://h.example > /srv/x\n"
    show = {"ExecStart": command("/usr/bin/curl", "-s", "http://h.example", ">", "/srv/x")}
    one = case("curl: (3) bad URL", show=show, items={"unit/cat.txt": text.encode()})
    assert "“>” to curl as an argument" in (what(one, "command-line") or "")
