# SPDX-License-Identifier: MIT
"""Lines that stand beside each other: which of two says the reason, and which of two programs."""
# ruff: noqa: E501 - messages are as long as they are

import pytest

from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import case, command, control, judge, there

WARNS = "[WARN] bind() failed: Address already in use (net.cc:974)"
SQUATTER = {
    "protocol": "tcp",
    "address": "0.0.0.0",
    "port": 3000,
    "pid": 9,
    "program": "nc",
    "unit": "b.service",
}
ROWS = [
    # a warning explains the vague error below it, and a place in the source is no port
    ((WARNS, "[FATAL] Listening IPv4 socket failed (net.cc:1002)"), "3000: nc"),
    # an error that has a thing of its own is not explained by the warning above it
    (("[WARN] open /srv/y: no such file or directory", "[ERROR] SECRET is not set"), "SECRET is not set"),
    # a whole configuration that cannot be read, and above why
    (("[ERROR] Unknown option: wrkers", "[FATAL] Failed to load configuration from /etc/a/a.conf"), "Unknown option: wrkers"),
    (("[FATAL] Failed to load configuration from /etc/a/a.conf", "bye"), "/etc/a/a.conf"),
    # the complaint, then only the number of its line
    (("error: unknown user: vpn", "error: config file error in line 99"), "line 99 of its configuration: “unknown user: vpn”"),
    # of the lines above an error without a name, the nearest that names a file
    (("reading /etc/a/one.conf", "cannot use the keys in /etc/a/two.pem", "SSL error: No such file or directory"), "/etc/a/two.pem"),
    # a text without a name, as Lua calls it
    (("Fatal error: [string \"chunk\"]:3: '}' expected near 'addAction'",), "addAction"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), ROWS)
def test_the_line_that_says_why(lines: tuple[str, ...], said: str) -> None:
    assert said in judge(case(*lines, system={"listening": [SQUATTER]})).summary


def test_a_chunk_of_lua_is_the_configuration() -> None:
    facts = Facts(paths={"/etc/a/a.conf": there()})
    said = judge(case("Fatal: [string \"chunk\"]:3: '}' expected near 'x'", facts=facts)).summary
    assert "/etc/a/a.conf line 3" in said


OF_THE_SCRIPT = {"SYSLOG_IDENTIFIER": "start-a", "_PID": "50"}
STARTS = {"ExecStart": command("/etc/init.d/start-a", status="67")}


@pytest.mark.parametrize(
    ("script", "program", "said"),
    [
        ("Starting the server: a", "no user bootp: Success", "no user bootp"),
        ("Starting the server: a check syslog for diagnostics ... failed!", "no zone for eth9 found", "no zone for eth9"),
        ("cannot find /srv/start.d: it is missing", "starting", "/srv/start.d"),
    ],
)  # fmt: skip
def test_the_script_that_starts_and_the_program_that_fails(
    script: str, program: str, said: str
) -> None:
    lines = (program, OF_THE_SCRIPT | {"MESSAGE": script})
    one = case(*lines, show=STARTS, control=control("ExecStart", "67"))
    assert said in judge(one).summary


def test_a_timeout_of_a_bind_and_who_holds_the_port() -> None:
    one = case(
        "Timeout occurred when calling bind() for 127.0.0.1:3000", system={"listening": [SQUATTER]}
    )
    assert "held by nc (pid 9, b.service)" in judge(one).summary
