# SPDX-License-Identifier: MIT
"""Lines peeled of what stands before their words; and lines that belong together."""
# ruff: noqa: E501 - a row of a table is one line

import json

import pytest

from failhook.diagnose.level import Level, of_priority
from failhook.diagnose.text import Message, continues, peel, with_level
from failhook.diagnose.together import taken_back, together
from tests.unit.diagnose.cases import case

WORDS = "cannot open /srv/x"
E, W, F, T, U = Level.ERROR, Level.WARNING, Level.FATAL, Level.TALK, Level.UNKNOWN


@pytest.mark.parametrize(
    ("before", "level"),
    [
        ("", U),
        ("error: ", E),
        ("Error: ", E),
        ("[error] ", E),
        ("ERROR ", E),
        ("FATAL:  ", F),
        ("<3>error: ", E),  # a priority that journald did not take off
        ("2026-11-21 21:49:37,123 ERROR ", E),
        ("2026-11-21T21:49:37.123456Z  WARN ", W),
        ("[2026-11-21 21:49:37] [ERROR] ", E),
        ("2026/11/21 21:49:37 [emerg] 12#12: ", F),
        ("2026/11/21 21:49:37 ", U),
        ("Nov 21 21:49:37 h a[12]: error: ", U),  # a syslog line within a line: the host stays
        ("Sat Nov 21 21:49:37 2026 ", U),
        ("21 Nov 2026 21:49:37.123 # ", W),
        ("12:M 21 Nov 2026 21:49:37.123 # ", W),
        ("ab[12]: ", U),
        ("ab: error: ", E),
        ("/usr/sbin/ab: ", U),
        ("[main] ERROR ", E),
        ("E1121 21:49:37.123456   12 run.go:74] ", E),
        ("2026-11-21T21:49:37Z E! ", E),
        ("[!] ", E),
        ("1795297777: Error: ", E),
        ("1795297777.123 CRITICAL ", F),
        ("(12) ERROR: ", E),
        ("[pid 12] err: ", E),
        ("2026-11-21 21:49:37: ab ERROR  : ", E),
        ("level=error ", E),  # logfmt with words that are in no field
    ],
)
def test_what_stands_before_words(before: str, level: Level) -> None:
    text, found = peel(before + WORDS, frozenset({"ab"}))
    assert text.endswith(WORDS)
    assert found == level
    kept = ("<3>", "Nov 21", "level=")
    assert text == WORDS or before.startswith(kept)


@pytest.mark.parametrize(
    "line",
    ["Failed to open x", "error loading x", "Information is lost", "a b", "warning signs", "E", ""],
)
def test_words_that_are_no_level(line: str) -> None:
    assert peel(line) == (line, Level.UNKNOWN)


@pytest.mark.parametrize(
    ("line", "text", "level"),
    [
        ('time="x" level=fatal msg="no key" err="open: \\"x\\""', 'no key: open: "x"', F),
        ("level=error msg=bad file=/srv/x line=3", "bad: file /srv/x: line 3", E),
        ('ts=1 level=info msg="up"', "up", T),
    ],
)
def test_logfmt(line: str, text: str, level: Level) -> None:
    assert peel(line) == (text, level)


@pytest.mark.parametrize(
    ("entry", "text", "level"),
    [
        ({"level": "error", "msg": "bad", "error": "x"}, "bad: x", E),
        ({"severity": "ERROR", "message": "bad"}, "bad", E),
        ({"level": 50, "msg": "bad"}, "bad", E),
        ({"level": 60, "msg": "bad"}, "bad", F),
        ({"level": 40, "msg": "bad"}, "bad", W),
        ({"level": 30, "msg": "up"}, "up", T),
        ({"level": True, "msg": "up"}, "up", U),
        ({"level": 50, "msg": "bad", "err": {"message": "no x", "stack": "…"}}, "bad: no x", E),
        ({"s": "E", "msg": "bad", "attr": {"path": "/srv/x", "error": "no"}}, "bad: path /srv/x: no", E),
        ({"log.level": "error", "message": "bad"}, "bad", E),
        ({"log": {"level": "error"}, "message": "bad"}, "bad: ", E),
        ({"@l": "Fatal", "@m": "bad"}, "bad", F),
        ({"msg": 3}, None, U),
        ({}, None, U),
    ],
)  # fmt: skip
def test_lines_of_json(entry: dict[str, object], text: str | None, level: Level) -> None:
    line = json.dumps(entry)
    found, grade = peel(line)
    assert grade == level
    assert found == line if text is None else found.startswith(text.rstrip(": "))


@pytest.mark.parametrize("line", ["{", "{}", "{x}", '{"msg": "x"', "[" * 3000, '{"a":' * 900])
def test_lines_that_are_no_json(line: str) -> None:
    assert peel(line)[1] is Level.UNKNOWN


def test_the_journals_priority_counts_where_the_line_says_less() -> None:
    line = Message("x", "x", Level.WARNING)
    assert with_level(line, of_priority("3")).level is Level.ERROR
    assert with_level(line, of_priority("6")).level is Level.WARNING
    assert of_priority(None) is Level.UNKNOWN


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("bad", "next"), "bad"),
        (("bad:", "the reason"), "bad: the reason"),
        (("these are wrong, the following", "one"), "these are wrong, the following: one"),
        (("bad", "DETAIL:  more"), "bad: more"),
        (("bad", "Caused by:", "    0: one", "    1: two", "end"), "bad: one: two"),
        (("the module '/x'", "was compiled for another", "N 83. It"), "the module '/x' was compiled for another"),
        (("ended.", "was it?"), "ended."),
        (("bad",), "bad"),
    ],
)  # fmt: skip
def test_lines_that_belong_together(lines: tuple[str, ...], said: str) -> None:
    one = case(*lines)
    assert " ".join(together(one, one.messages[0]).split()) == " ".join(said.split())


@pytest.mark.parametrize(
    ("lines", "back"),
    [
        (("no /srv/x, using defaults",), True),
        (("unknown option 'x'", "ignoring option 'x'"), True),
        (("unknown option 'x'", "ignoring option 'y'"), False),
        (("unknown option 'x'", "bye"), False),
        (("unknown option 'x'",), False),
    ],
)
def test_what_a_program_takes_back(lines: tuple[str, ...], back: bool) -> None:
    one = case(*lines)
    assert taken_back(one, one.messages[0]) is back


def _line(raw: str, pid: str = "1", level: Level = Level.UNKNOWN) -> Message:
    return Message(raw, raw, level, pid=pid)


def test_where_a_sentence_goes_on_in_the_next_line() -> None:
    above = _line("Error during the hole punch test. The block manager requires a")
    below = "filesystem with hole punching support such as ext4 or xfs."
    assert continues(above, _line(below))
    assert not continues(above, _line(below, pid="2"))
    assert not continues(above, _line(below, level=Level.ERROR))
    assert not continues(above, _line("Filesystem with hole punching"))
    assert not continues(_line(above.raw + " disk."), _line(below))
    assert not continues(_line("It requires a"), _line(below))  # no line was broken there
    assert not continues(_line("x" * 200 + " requires a"), _line(below))
    timed = Message("12:00:01 " + above.raw, above.text, pid="1")
    assert not continues(timed, _line(below))
