# SPDX-License-Identifier: MIT
"""Mistakes in configurations, in the formats of many programs; and which file it is."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import candidates, file_in, on_command_line, the_one
from failhook.diagnose.facts import Facts, PathFact
from failhook.diagnose.mistake_place import is_only_place
from failhook.systemd.unit import UnitState
from tests.unit.diagnose.cases import PROGRAM, case, command, judge, show_text, there, what

MY_CONF = {"ExecStart": command("/usr/sbin/a", "-c", "/srv/a/my.conf")}
USUAL = {"/etc/a/a.conf": there()}
C = "configuration"

FOUND: tuple[tuple[str, Case, str], ...] = (
    (C, case("/etc/a.conf:12: unknown directive 'foo'"), "a mistake in /etc/a.conf line 12: “/etc/a.conf:12: unknown directive 'foo'”"),
    (C, case("/etc/a.conf:12:3: error: syntax error, unexpected string"), 'a mistake in /etc/a.conf line 12: “/etc/a.conf:12:3: error: syntax error, unexpected string”'),
    (C, case("unknown directive 'foo' on line 12 of '/etc/a.conf'"), "a mistake in /etc/a.conf line 12: “unknown directive 'foo' on line 12 of '/etc/a.conf'”"),
    (C, case("Parse error in file `/etc/a.conf', line 19 near `<newline>'"), "a mistake in /etc/a.conf line 19: “Parse error in file `/etc/a.conf', line 19 near `<newline>'”"),
    (C, case("/etc/a.conf[42]: Parse error: Expected comma after 'yes'"), "a mistake in /etc/a.conf line 42: “/etc/a.conf[42]: Parse error: Expected comma after 'yes'”"),
    (C, case("(/etc/a.conf: Line 12) Unknown keyword 'foo'"), "a mistake in /etc/a.conf line 12: “(/etc/a.conf: Line 12) Unknown keyword 'foo'”"),
    (C, case("source: /etc/a.conf line: 20 pos: 1 parser failed somehow near here: foo"), 'a mistake in /etc/a.conf line 20: “source: /etc/a.conf line: 20 pos: 1 parser failed somehow near here: foo”'),
    (C, case("systemId: file:///etc/a/server.xml; lineNumber: 22; columnNumber: 3; The end-tag must end"), 'a mistake in /etc/a/server.xml line 22: “systemId: file:///etc/a/server.xml; lineNumber: 22; columnNumber: 3; The end-tag must end”'),
    (C, case("failed to parse /etc/a.hcl: At 3:12: Unknown token: 3:12 IDENT yes"), 'a mistake in /etc/a.hcl line 3: “failed to parse /etc/a.hcl: At 3:12: Unknown token: 3:12 IDENT yes”'),
    (C, case("failed to load TOML: /etc/a.toml: (5, 3): unexpected token"), 'a mistake in /etc/a.toml line 5: “failed to load TOML: /etc/a.toml: (5, 3): unexpected token”'),
    (C, case("error loading config file /etc/a.conf: line 12: invalid TOML syntax"), 'a mistake in /etc/a.conf line 12: “error loading config file /etc/a.conf: line 12: invalid TOML syntax”'),
    (C, case("/etc/a.json: Unexpected token } in JSON at position 43"), 'a mistake in /etc/a.json: “/etc/a.json: Unexpected token } in JSON at position 43”'),
    # the place is another line
    (C, case("while parsing a block mapping", '  in "/etc/a.yml", line 3, column 1', "did not find expected key", '  in "/etc/a.yml", line 4, column 3'), 'a mistake in /etc/a.yml line 4: “did not find expected key”'),
    (C, case("Error: Unknown configuration variable 'foo'", "Error found at /etc/a.conf:7."), "a mistake in /etc/a.conf line 7: “Unknown configuration variable 'foo'”"),
    (C, case('LOG:  invalid authentication method "md6"', 'CONTEXT:  line 12 of configuration file "/etc/a/hba.conf"'), 'a mistake in /etc/a/hba.conf line 12: “invalid authentication method "md6"”'),
    (C, case("Found: 'bakend' at", "('/etc/a/default.vcl' Line 5 Pos 1)", "bakend default {"), "a mistake in /etc/a/default.vcl line 5: “Found: 'bakend' at”"),
    (C, case("*** FATAL CONFIG FILE ERROR ***", "Reading the configuration file, at line 93", ">>> 'backlogs 511'", "Bad directive or wrong number of arguments", show=MY_CONF), "a mistake in /srv/a/my.conf line 93: “Reading the configuration file, at line 93: 'backlogs 511': Bad directive or wrong number of arguments”"),
    (C, case("Error: Failed to load configuration", "Caused by:", "    0: failed to parse /etc/a.toml", "    1: invalid type: string, expected u16 for key `port`"), 'a mistake in /etc/a.toml: “Failed to load configuration: failed to parse /etc/a.toml: invalid type: string, expected u16 for key `port`”'),
    # the file is named by nobody, and there is only one
    (C, case("Syntax error on line 7", show=MY_CONF), 'a mistake in /srv/a/my.conf line 7: “Syntax error on line 7”'),
    (C, case("Syntax error on line 7", facts=Facts(paths=USUAL, lines={"/etc/a/a.conf:7": "MaxClient 5"})), 'a mistake in /etc/a/a.conf line 7: “Syntax error on line 7” (that line: MaxClient 5)'),
    (C, case("yaml: line 3: did not find expected key", show={"ExecStart": command("/usr/bin/a", "--config.file=/srv/a/my.yaml")}), 'a mistake in /srv/a/my.yaml line 3: “yaml: line 3: did not find expected key”'),
    (C, case("panic: Found a punctuator '}' when expecting a string (check your syntax) at line 6,1 >>> }", "", "goroutine 1 [running]:", "main.main()", "\t/build/a/main.go:9 +0x1d", show=MY_CONF), "a mistake in /srv/a/my.conf line 6: “Found a punctuator '}' when expecting a string (check your syntax) at line 6,1 >>> }”"),
    # nothing of a file
    (C, case("unrecognized option '--foo'"), "a mistake in its configuration or command line: “unrecognized option '--foo'”"),
    (C, case("unrecognized option '--foo'", show=MY_CONF), "a mistake in its configuration or command line: “unrecognized option '--foo'”"),
    (C, case("flag provided but not defined: -foo"), 'a mistake in its configuration or command line: “flag provided but not defined: -foo”'),
    (C, case("error: Found argument '--foo' which wasn't expected", "", "\tDid you mean '--foot'?"), "a mistake in its configuration or command line: “Found argument '--foo' which wasn't expected”"),
    (C, case("missing required environment variable DATABASE_URL"), 'a mistake in its configuration or command line: “missing required environment variable DATABASE_URL”'),
    ("unclear", case("Unable to parse config file"), '“Unable to parse config file”'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    (C, case("read /etc/a.conf:12 in 3 ms")),
    (C, case("INFO unknown option 'foo', whatever")),
    (C, case("/usr/lib/a/main.py:12: unknown thing")),
    (C, case("could not create shared memory segment: Invalid argument")),
    (C, case("registration rejected: 401 Unauthorized: invalid token")),
    (C, case("API version mismatch: expected 4, got 3")),
    (C, case("Syntax error on line 7")),  # of what? it says that it is unclear
    (C, case("Failed to load configuration")),
)  # fmt: skip


def test_the_line_is_quoted() -> None:
    """It is what people look for."""
    one = case(
        "Syntax error on line 7",
        facts=Facts(paths=USUAL, lines={"/etc/a/a.conf:7": "MaxClient 5"}),
    )
    assert "(that line: MaxClient 5)" in judge(one).summary


def test_a_warning_that_was_ignored_is_not_the_reason() -> None:
    one = case(
        'Unknown parameter encountered: "foo"',
        'Ignoring unknown parameter "foo"',
        "No backend for tdbsam found: error",
    )
    assert "tdbsam" in judge(one).summary


def _unit(*argv: str) -> UnitState:
    return UnitState.parse("a.service", show_text({"ExecStart": command(*argv)}).decode())


@pytest.mark.parametrize(
    ("argv", "files"),
    [
        (("/usr/sbin/a", "-c", "/srv/x"), ["/srv/x"]),
        (("/usr/sbin/a", "--config=/srv/x"), ["/srv/x"]),
        (("/usr/sbin/a", "--config.file=/srv/x"), ["/srv/x"]),
        (("/usr/sbin/a", "/etc/a/x"), ["/etc/a/x"]),
        (("/usr/sbin/a", "/srv/x.yaml"), ["/srv/x.yaml"]),
        (("/usr/bin/python3", "/srv/x.py"), []),
        (("/usr/sbin/a", "--data", "/srv/x"), []),
        (("/usr/sbin/a", "-c", "relative.conf"), []),
    ],
)
def test_the_configuration_of_a_command_line(argv: tuple[str, ...], files: list[str]) -> None:
    assert on_command_line(_unit(*argv)) == files


def test_the_usual_places_count_where_the_command_line_names_none() -> None:
    unit = _unit("/usr/sbin/a")
    assert "/etc/a/a.conf" in candidates(unit)
    assert "/etc/a.conf" in candidates(unit)
    assert candidates(_unit("/usr/sbin/a", "-c", "/srv/x")) == ["/srv/x"]


@pytest.mark.parametrize(
    ("argv", "paths", "file"),
    [
        (("/usr/sbin/a",), {"/etc/a.conf": there()}, "/etc/a.conf"),
        (("/usr/sbin/a",), {"/etc/a.conf": there(), "/etc/a/a.conf": there()}, None),  # which?
        (
            ("/usr/sbin/a",),
            {"/etc/a.conf": there(real="/etc/a/a.conf"), "/etc/a/a.conf": there()},
            "/etc/a.conf",
        ),
        (("/usr/sbin/a",), {"/etc/a.conf": there(kind="directory")}, None),
        (("/usr/sbin/a",), {}, None),
        (("/usr/sbin/a", "-c", "/srv/x"), {"/srv/x": there(kind="directory")}, None),
        (("/usr/sbin/a", "-c", "/srv/x", "-f", "/srv/y"), {}, None),
    ],
)
def test_the_one_configuration(
    argv: tuple[str, ...], paths: dict[str, PathFact], file: str | None
) -> None:
    assert the_one(_unit(*argv), Facts(paths=paths)) == file


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("cannot read /etc/a/x", "/etc/a/x"),
        ("in app.conf there", "app.conf"),
        ("set listen.tcp.default", None),
        ("in /srv/a.default", "/srv/a.default"),
        ("from main.py", None),
    ],
)
def test_a_configuration_by_its_name(text: str, file: str | None) -> None:
    assert file_in(text) == file


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ('  in "/etc/a.yml", line 3, column 1', True),
        ("Location: in /etc/a.conf: 14:3-14:10", True),
        ("Error found at /etc/a.conf:7.", True),
        ("/etc/a.conf:7: unknown option", False),
        ("12 files", False),
    ],
)
def test_lines_that_are_only_a_place(text: str, only: bool) -> None:
    assert is_only_place(text) == only


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None


WORD = "syntax error near 'foo' on line 2"


@pytest.mark.parametrize(
    ("line", "including", "said"),
    [
        ("foo = bar", True, "a mistake in /etc/a.conf line 2"),  # the words stand there
        ("x = 1", False, "in line 2 of /etc/a.conf or of a file that it includes"),  # they do not
        (None, True, "in line 2 of /etc/a.conf or of a file that it includes"),
        (None, False, "a mistake in /etc/a.conf line 2"),
    ],
)
def test_a_lone_line_number_may_be_of_an_included_file(
    line: str | None, including: bool, said: str
) -> None:
    facts = Facts(
        paths={"/etc/a.conf": there()},
        lines={} if line is None else {"/etc/a.conf:2": line},
        including=("/etc/a.conf",) if including else (),
    )
    one = case(WORD, facts=facts, show={"ExecStart": command(PROGRAM, "-c", "/etc/a.conf")})
    assert said in judge(one).summary


def test_the_configuration_that_an_environment_file_names() -> None:
    facts = Facts(paths={"/srv/b.yml": there()}, configurations=("/srv/b.yml",))
    one = case("unknown option 'foo' on line 2", facts=facts)
    assert "/srv/b.yml line 2" in judge(one).summary
