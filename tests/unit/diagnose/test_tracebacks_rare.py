# SPDX-License-Identifier: MIT
"""Deaths in languages that few services are written in, each with a near miss."""
# ruff: noqa: E501 - messages are as long as they are

from typing import Any

from failhook.diagnose.level import Level
from failhook.diagnose.text import peel
from failhook.diagnose.tracebacks import crashes
from tests.unit.diagnose.cases import case, judge, sentence


def test_zig() -> None:
    panic = (
        "thread 88121 panic: reached unreachable code",
        "/opt/zig/lib/std/posix.zig:948:19: 0x1035d9343 in sigaction (acme)",
        "        .INVAL => unreachable,",
        "                  ^",
        "/srv/acme/src/host.zig:468:24: 0x10395ea1b in isIgnored (acme)",
        "    std.posix.sigaction(signal, null, &action);",
        "                       ^",
    )
    said = judge(case("starting", *panic))
    assert said.cause == "crash-zig"
    assert "panic: reached unreachable code (/srv/acme/src/host.zig line 468" in said.summary
    (crash,) = crashes(case("starting", *panic))
    assert (crash.first, crash.last) == (1, 5)
    returned = ("error: FileNotFound", *panic[1:])
    assert "error: FileNotFound (/srv/acme/src/host.zig line 468" in sentence(*returned)
    assert judge(case(panic[0], "stopped")).cause != "crash-zig"
    assert judge(case("error: FileNotFound", "stopped")).cause != "crash-zig"


def test_crystal() -> None:
    trace = (
        'Unhandled exception: Route "/" needs to start with a slash (Kemal::InvalidPathException)',
        "  from /usr/share/crystal/src/array.cr:19:5 in 'each'",
        "  from src/acme/routing.cr:19:5 in 'register_all'",
        "  from /lib/x86_64-linux-gnu/libc.so.6 in '__libc_start_main'",
        "  from ???",
    )
    said = judge(case("starting", *trace))
    assert said.cause == "crash-crystal"
    assert "InvalidPathException: Route “/” needs" in said.summary.replace('"', "“", 1).replace(
        '"', "”"
    )
    assert "(src/acme/routing.cr line 19, in register_all)" in said.summary
    assert judge(case("Unhandled exception: the route is gone")).cause != "crash-crystal"


def test_clojure() -> None:
    plain = (
        "Execution error (FileNotFoundException) at acme.main/load (main.clj:3).",
        "Could not locate acme/tools__init.class on classpath.",
    )
    said = judge(case(*plain, "", "Full report at:", "/tmp/clojure-1.edn"))
    assert said.cause == "crash-clojure" and "acme/tools__init.class" in said.summary
    assert "(main.clj line 3)" in said.summary
    report = (
        "{:clojure.main/message",
        ' "Syntax error (FileNotFoundException) compiling at (acme/main.clj:1:1).\\nCould not locate acme/tools__init.class on classpath.\\n",',
        " :clojure.main/triage",
        " {:clojure.error/phase :compile-syntax-check,",
        "  :clojure.error/line 1,",
    )
    said = judge(case(*report))
    assert said.cause == "crash-clojure" and "acme/tools__init.class" in said.summary
    assert all(one.cause != "configuration" for one in said.others)
    assert judge(case("Execution error at the gate")).cause != "crash-clojure"


def test_a_check_of_glog() -> None:
    lines = (
        "F0303 10:41:18.867789 30760 blob.cpp:121] Check failed: data_ ",
        "*** Check failure stack trace: ***",
        "    @     0x7f038079c9fd  google::LogMessage::Fail()",
        "    @           0x40633b  (unknown)",
        "Aborted (core dumped)",
    )
    died: dict[str, Any] = {"exit_code": "killed", "exit_status": "ABRT", "result": "signal"}
    said = judge(case("starting", *lines, **died))
    assert said.cause == "crash-c++" and "Check failed: data_ (blob.cpp line 121)" in said.summary
    more = (lines[0], "the blob has no data", *lines[1:])
    assert "data_ the blob has no data (blob.cpp line 121)" in sentence(*more, **died)
    assert judge(case(lines[0], "stopped")).cause != "crash-c++"


def test_an_error_of_swift_at_the_top() -> None:
    line = "fatal error: Error raised at top level: Pay.missingConfig: file /src/swift/ErrorType.swift, line 188"
    frame = "0    libswiftCore.so                    0x000000010963d130 swift_reportError + 129"
    said = judge(case("starting", line, "Current stack trace:", frame))
    assert said.cause == "crash-swift" and "Pay.missingConfig" in said.summary
    assert judge(case("fatal error: the ledger is gone")).cause != "crash-swift"


def test_a_trace_of_nim() -> None:
    trace = ("ERROR fatal.nim(53)            sysFatal", "asyncfutures.nim(389)    read")
    assert "index 0 not in 1 .. 12" in sentence("connected", *trace, "index 0 not in 1 .. 12")


def test_frames_of_prolog() -> None:
    lines = (
        "ERROR: -g run_page: Undefined procedure: session_database/1",
        "ERROR:     [8] catch(user:run_page,error(existence_error(procedure,...))) at /usr/lib/swi/init.pl:386",
    )
    assert "session_database" in sentence(*lines)


def test_whose_command_was_not_found() -> None:
    assert "the command puma does not exist" in sentence("bundler: command not found: puma")
    assert "the command puma does not exist" in sentence("zsh: command not found: puma")
    assert "the command acme does not exist" in sentence("bash: acme: command not found")


def test_levels_of_glib() -> None:
    said = "cannot open the display"
    for head, level in (
        ("** (acme:7225): WARNING **: ", Level.WARNING),
        ("(acme:7225): GLib-GIO-CRITICAL **: 12:00:01.123: ", Level.WARNING),
        ("** (acme:7225): ERROR **: ", Level.FATAL),
        ("** Message: (acme:7225): ", Level.UNKNOWN),
        ("(acme:7225): Gtk-INFO **: ", Level.TALK),
        ("[    0.153049] E: ", Level.ERROR),
    ):
        assert peel(f"{head}{said}")[1] is level, head
    assert peel(f"(acme:7225): Gtk-WARNING **: {said}")[0] == said
    assert peel(f"[    0.153049] E: {said}")[0] == said


def test_of_lines_that_tell_alike_the_first() -> None:
    said = (
        "Now creating a backup archive from the files collected…",
        "do_known_hosts: hostkeys_foreach failed: No such file or directory",
        "do_known_hosts: hostkeys_foreach failed: No such file or directory",
        "Script execution failed: /srv/hooks/backup/05-borg_app",
        "Custom backup method failure on 'backup' step",
    )
    assert "hostkeys_foreach" in sentence(*said)
    warned = [f"WARNING {line}" for line in said]
    assert "hostkeys_foreach" not in sentence(*warned)  # of warnings the last tells most


def test_an_error_of_tcl_that_shows_where_in_the_text_it_is() -> None:
    lines = (
        'error "unclosed token" at line 5 character 2',
        "0</rate>",
        "< <--Error-- ban",
        '"',
        "    while executing",
        '"dom parse [read $f]"',
        '    (file "/opt/rates/rates.tcl" line 4)',
    )
    assert 'error: error "unclosed token" at line 5' in sentence("started", *lines).replace(
        chr(92), ""
    )
    plain = ("can't read the rates", *lines[4:])
    assert "error: can't read the rates (/opt/rates/rates.tcl line 4)" in sentence(
        "error: none", *plain
    )
