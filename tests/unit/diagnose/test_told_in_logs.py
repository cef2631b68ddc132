# SPDX-License-Identifier: MIT
"""What logs of strangers taught about the lines around the one that tells: in lines of our own."""
# ruff: noqa: E501 - messages are as long as they are

from failhook.diagnose.finding import quote
from failhook.diagnose.level import Level
from failhook.diagnose.structured import with_fields
from failhook.diagnose.text import peel
from failhook.diagnose.tracebacks import crashes
from failhook.diagnose.wording import is_consequence, is_dying_reason
from failhook.incident import Process
from tests.unit.diagnose.cases import case, judge, sentence

_SUPERVISOR = (
    "=SUPERVISOR REPORT==== 7-Nov-2026::11:12:13.141516 ===",
    "    supervisor: {local,ledger_sup}",
    "    errorContext: start_error",
    "    reason: {on_load_function_failed,ledger_nif,",
    '                {error,{load,"no such library (2)."}}}',
    "    offender: [{pid,undefined},",
    "               {id,ledger_safe_sup},",
    "               {mfargs,{supervisor,start_link,[ledger_safe_sup]}}]",
)


def test_a_supervisor_of_erlang_says_why_its_child_did_not_come() -> None:
    said = judge(case("Starting the ledger", *_SUPERVISOR))
    assert said.cause == "crash-erlang"
    assert "ledger_nif" in said.summary and "no such library" in said.summary
    assert "ledger_safe_sup" not in said.summary  # the child, and no reason
    other = [line.replace("start_error", "child_terminated") for line in _SUPERVISOR]
    assert judge(case(*other)).cause != "crash-erlang"  # it was started again
    (crash,) = crashes(case(*_SUPERVISOR))
    assert (crash.first, crash.last) == (3, 4)
    cut = judge(case(*_SUPERVISOR[:4]))
    assert cut.cause == "crash-erlang" and "ledger_nif" in cut.summary


def test_what_builds_and_runs_it_is_not_well_when_it_has_failed() -> None:
    lines = (
        "2026-11-07 11:12:13.100 ERROR [main] o.s.b.SpringApplication: Application run failed",
        "org.acme.BeanError: the bean ledger is no good",
        "\tat org.acme.Beans.make(Beans.java:5)",
        "Caused by: org.acme.PlaceholderError: Could not resolve placeholder 'ledger.uri'",
        "\tat org.acme.Places.of(Places.java:9)",
        "[INFO] ------------------------------------------------------------------------",
        "[INFO] BUILD FAILURE",
        "[INFO] ------------------------------------------------------------------------",
        "[ERROR] Failed to execute goal org.acme:run (default-cli): Process terminated with exit code: 1",
        "[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.",
        "[ERROR] Re-run Maven using the -X switch to enable full debug logging.",
    )
    told = judge(case(*lines))
    assert told.cause == "crash-java" and "ledger.uri" in told.summary
    well = [
        line.replace("BUILD FAILURE", "ledger is ready").replace("-----", "serve") for line in lines
    ]
    assert judge(case(*well)).confidence < told.confidence - 0.2  # type: ignore[operator]


def test_an_assertion_of_nim_without_words_is_told_by_the_line_above() -> None:
    said = 'ERR 2026-11-07 11:12:13.141+00:00 Cannot open the skeleton file=worker.nim:42 msg="the ttl is not set"'
    defect = (
        "Error: unhandled exception: /srv/a/beacon.nim(143, 12) `ctx.start()`  [AssertionDefect]"
    )
    assert "the ttl is not set" in sentence("starting", said, defect)
    worded = defect.replace("`  [", "` the peer has no key [")
    assert "the peer has no key" in sentence("starting", said, worded)


def test_a_long_chain_of_exceptions_is_quoted_from_its_innermost() -> None:
    wrapped = "java.util.CompletionException: org.acme.JournalException: java.nio.FileSystemException: /srv/a/log: Operation not permitted"
    assert quote(wrapped, 200) == wrapped
    assert quote(wrapped, 80).startswith("java.nio.FileSystemException: /srv/a/log: Operation")
    alone = "java.nio.FileSystemException: /srv/a/log: Operation not permitted"
    assert quote(alone, 60).startswith("java.nio.FileSystemException: /srv")


def test_an_error_of_go_that_was_printed_with_its_stack() -> None:
    stack = (
        "2026/11/07 06:32:36 Key not found",
        "acme.example/store/badger.init",
        "\t/tmp/go/src/acme.example/store/vendor/badger/errors.go:36",
        "runtime.goexit",
        "\t/opt/go1.21/src/runtime/asm_amd64.s:1337",
        "acme.example/store/posting.(*List).rollup",
        "\t/home/build/store/posting/list.go:853",
    )
    said = judge(case("rolling up", *stack))
    assert said.cause == "crash-go"
    assert "error: Key not found (/home/build/store/posting/list.go line 853" in said.summary
    assert judge(case(*stack[:3])).cause != "crash-go"  # a place, and no stack
    inside = judge(case(f"[ERROR] unable to lock: no TLS   stack={stack[1]}", *stack[2:]))
    assert inside.cause != "crash-go" and "no TLS" in inside.summary


def test_a_file_of_assembly_is_no_configuration() -> None:
    said = sentence("starting", "error: the key is missing (/usr/local/go/src/asm_amd64.s:1337)")
    assert "a mistake in /usr" not in said


def test_a_null_pointer_in_nothing_but_libraries_has_the_place_of_the_outermost() -> None:
    head = "java.lang.NullPointerException: null"
    frames = (
        "\tat java.util.HashMap.forEach(HashMap.java:17)",
        "\tat org.apache.oap.Index.diffFields(Index.java:135)",
        "\tat org.apache.oap.Start.main(Start.java:9)",
    )
    assert "(Index.java line 135, in diffFields)" in sentence(head, *frames)
    worded = "java.lang.IllegalStateException: the index oap is closed"
    assert "Index.java" not in sentence(worded, *frames)


def test_panics_of_rust_in_several_lines() -> None:
    old = ("thread 'main' panicked at 'the state is:", "none', src/state.rs:3:5")
    assert "panic: the state is: none (src/state.rs line 3)" in sentence(*old)
    new = (
        "thread 'main' panicked at src/state.rs:3:5:",
        "the state is",
        "no more",
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    )
    assert "panic: the state is no more (src/state.rs line 3)" in sentence(*new)
    assert "panic: the state is (src/state.rs line 3)" in sentence(*new[:2], "bye", "bye")
    eyre = (
        "The application panicked (crashed).",
        'Message:  opening "/srv/a/state" failed: it is locked',
        "Location: src/disk.rs:905",
        "",
        "Metadata:",
        "target triple: x86_64-unknown-linux-gnu",
        "optimization level: 0",
        "debug checks: true",
        "rust compiler: 1.85.0",
    )
    assert "/srv/a/state" in sentence(*eyre) and "triple" not in sentence(*eyre)
    assert judge(case(*eyre[:2])).cause != "crash-rust"
    cut = ("thread 'main' panicked at 'NO_ADDRESS", "stopping all", "all stopped")
    assert "panic: NO_ADDRESS" in sentence(*cut) and "panic: NO_ADDRESS stopping" not in sentence(
        *cut
    )
    assert "panic (src/state.rs line 3)" in sentence(new[0], new[3])
    triple = "the target x86_64-unknown-acme is no target"
    assert "unknown-acme" in sentence("starting", triple)


def test_what_is_wrong_in_a_configuration_is_told_before_what_comes_of_it() -> None:
    lines = (
        "/etc/ups/mon.conf line 86: invalid directive monitor",
        "Using the flag file /etc/killpower",
        "Fatal error: insufficient power configured!",
        "Edit your mon.conf and change the values.",
    )
    assert "a mistake in /etc/ups/mon.conf line 86: " in sentence(*lines)
    other = (lines[0].replace("mon.conf", "set.conf"), *lines[1:])
    assert "line 86" not in sentence(*other)
    assert "a mistake in /etc/ups/mon.conf line 86: " in sentence(
        "mon.conf line 86: invalid directive", "reads /etc/ups/mon.conf", *lines[1:]
    )
    of_another = {"MESSAGE": lines[0], "_PID": "77"}
    foreign = judge(case(of_another, *lines[1:], main=Process(100))).summary
    assert "a mistake in /etc/ups/mon.conf: “Fatal error: insufficient power" in foreign
    unplaced = ("unknown words in /etc/ups/mon.conf", *lines[1:])
    assert "insufficient power" in sentence(*unplaced)
    harmless = (lines[0].replace("invalid directive", "directive"), *lines[1:])
    assert "line 86" not in sentence(*harmless)
    unnamed = (
        "Using the flag file /etc/killpower",
        "Unable to use the old MONITOR line without a username",
        "Fatal error: unusable configuration",
    )
    assert "MONITOR" in sentence(*unnamed) and "killpower" not in sentence(*unnamed)
    where = ("This construct is valid only for users' files", "fatal: Error reading configuration")
    assert "valid only for users' files" in sentence(*where)
    assert "This construct" not in sentence("This construct is for users' files", where[1])
    for named in ("Using the file /etc/a/killpower.yml", "Reads options of /etc/killpower"):
        assert named.rpartition(" ")[2] in sentence(named, unnamed[2])
    read = ("Reading configuration /etc/killpower", unnamed[2])
    assert "/etc/killpower" in sentence(*read)


def test_an_error_at_a_line_of_a_configuration_is_no_mere_consequence() -> None:
    lines = (
        "Warning: Obsolete setting in /etc/a/10-ssl.conf:21: dh_length",
        "Fatal: Error in configuration file /etc/a/10-ssl.conf line 59: cert: Unknown setting: cert",
    )
    assert "line 59" in sentence(*lines)


def test_the_end_of_a_long_chain_of_errors_is_quoted() -> None:
    chain = f"initializing: starting: building {'x' * 300}: opening: no genesis block"
    assert quote(chain).startswith("initializing: starting: building xxx")
    assert quote(chain).endswith("opening: no genesis block") and len(quote(chain)) <= 260
    assert quote(chain, 140).endswith("xx…")  # beside a sentence that names it
    assert quote(f"{'y' * 300}: no genesis block").endswith("yy…")


def test_a_read_that_fails_when_the_line_was_hung_up_is_no_disk() -> None:
    error = "ERROR: read: Input/output error"
    assert judge(case("Modem hangup", error)).cause != "io-error"
    assert judge(case("Modem is up", error)).cause == "io-error"
    of_a_file = "ERROR: read /srv/a/log: Input/output error"
    assert judge(case("Modem hangup", of_a_file)).cause == "io-error"


def test_an_object_at_the_end_of_a_line_tells_its_error() -> None:
    zap = '2026-11-07T17:11:52Z\tERROR\tservices\tshut down\t{"Process": "node", "error": "no space for it", "errorVerbose": "no space for it\\n\\tacme.Run:134\\n\\truntime/pprof.Do:51"}'
    assert sentence(zap).endswith("“services shut down: no space for it”")
    for text in (
        'it said {"a": 1}',
        "it said {",
        'it said {"error": 5}',
        'it said {"error": "x"} y',
    ):
        assert with_fields(text) == text
    assert with_fields('it said {"error": "x", "path": "/a"}') == "it said: x: path /a"


def test_what_another_shell_or_language_would_know_is_no_missing_command() -> None:
    bash = "/srv/a/run.sh: 48: [[: not found"
    assert judge(case(bash)).cause == "unclear" and "[[: not found" in sentence(bash)
    crash = ("java.lang.RuntimeException: it was started already", "\tat org.acme.A.b(A.java:2)")
    assert "started already" in sentence(bash, *crash)
    python = sentence("/srv/a/run: line 3: __requires__: command not found")
    assert "/srv/a/run is read by the shell and is no script of it" in python
    assert "the command import " in sentence("bash: import: command not found")
    assert "the command requires" in sentence("/srv/a/run: line 3: requires: command not found")


def test_rights_of_a_device_that_udev_sets() -> None:
    hint = "Please fix the device permissions, e.g. by installing the udev rules file sdr.rules"
    lines = ("usb_open error -3", hint, "ERROR: Failed parsing Config: Failed to open the device.")
    told = judge(case("Using device #0", *lines))
    assert told.cause == "permission" and "usb_open error -3 / Please fix" in told.summary
    alone = judge(case("Using device #0", hint))
    assert alone.cause == "permission" and "Using device" not in alone.summary
    assert judge(case("permission denied by the rules of the house")).summary.count("udev") == 0


def test_what_stands_before_the_words() -> None:
    thread = "7f204f467300 Fatal error: can't bind to the port"
    assert peel(thread) == ("Fatal error: can't bind to the port", Level.FATAL)
    assert peel("7f204f467300 is no thread")[0] == "7f204f467300 is no thread"
    assert peel("daemon.err acmed[5]: no such user", frozenset({"acmed"})) == (
        "no such user", Level.ERROR
    )  # fmt: skip
    assert peel("daemon.five acmed: no")[0] == "daemon.five acmed: no"
    assert peel("0|shop | Error: no such user") == ("no such user", Level.ERROR)
    node = ("SyntaxError: Unexpected token } in JSON at position 118", "    at JSON.parse (<anonymous>)",
            "    at Object.<anonymous> (/srv/shop/index.js:4:21)")  # fmt: skip
    prefixed = [f"0|shop | {line}" for line in node]
    assert judge(case(*prefixed)).summary == judge(case(*node)).summary


def test_the_word_of_the_end_and_the_reason_before_it() -> None:
    nothing = "Nothing to log, and not the primary logger ... good-bye"
    config = [f"the configuration of host {n} was taken" for n in range(9)]
    assert "Nothing to log" in sentence(*config, nothing, "Log finished on Monday")
    assert is_dying_reason(nothing)
    for text in ("aborting", "Fatal error, exiting", "could not start, exiting",
                 "failed to load configuration, aborting",
        "no key, exiting",
        "registration of the peer failed early, exiting",
        "the main process has ended now, exiting", "Nothing to log, and not the primary"):  # fmt: skip
        assert not is_dying_reason(text)
    assert is_consequence("error while starting, aborting")
    assert not is_consequence("No module for the protocol loaded, aborting")


def test_a_script_that_dies_since_a_command_failed_was_told_why_above() -> None:
    why = "cannot open 'vault/zfs': dataset does not exist"
    died = "CRITICAL ERROR: zfs send 'cache' | zfs receive 'vault/zfs' failed: 256 at /usr/sbin/syncoid line 549."
    more = (
        "cannot receive new stream: unable to restore it",
        "warning: cannot send 'cache': signal received",
    )
    assert "does not exist" in sentence("sending", why, died)
    assert "does not exist" in sentence("sending", why, *more, died)
    between = [f"the host {n} was asked" for n in range(7)]
    assert "failed: 256" in sentence("sending", why, *between, died)
    other = died.replace("failed: 256", "has no key")
    assert "has no key" in sentence("sending", why, other)


def test_what_it_could_not_start_is_nothing_good() -> None:
    lines = (
        "OpenSM 3.3.23",
        "osm_vendor_bind: ERR 5426: Unable to register class 129 version 1",
        "osm_sm_mad_ctrl_bind: ERR 3118: Vendor specific bind failed",
        "osm_sm_bind: ERR 2E10: SM MAD Controller bind failed (IB_ERROR)",
        "perfmgr_mad_unbind: ERR 5405: No previous bind",
        "osm_congestion_control_shutdown: ERR C108: No previous bind",
        "osm_sa_mad_ctrl_unbind: ERR 1A11: No previous bind",
        "Exiting SM",
    )
    assert "class 129" in sentence(*lines)


def test_an_error_without_a_name_has_the_call_at_which_it_ended() -> None:
    trace = (
        "Traceback (most recent call last):",
        '  File "/srv/a/show.py", line 165, in <module>',
        "    display.show()",
        '  File "/usr/lib/python3/dist-packages/ink.py", line 184, in setup',
        "    self._spi.open(0, self.pin)",
        "FileNotFoundError: [Errno 2] No such file or directory",
    )
    told = "(/srv/a/show.py line 165: display.show(), in the end self._spi.open(0, self.pin))"
    assert told in sentence(*trace)
    for code in ("return func(a.b)", "raise self._spi.failed()", "(self._spi)", "x = [1"):
        assert "in the end" not in sentence(*trace[:4], f"    {code}", trace[5])
    marked = (*trace[:5], "    ~~~~~~~~~^^^^^^^", trace[5])
    assert told in sentence(*marked)
    without_code = (*trace[:4], trace[5])
    assert "in the end" not in sentence(*without_code)
    own = (*trace[:3], trace[5])
    assert "display.show())" in sentence(*own) and "in the end" not in sentence(*own)


def test_reasons_in_a_list_of_objects() -> None:
    line = '{"internal":[{"name":"Remote","reason":"no answer from https://acme.example/"},5],"path":"$","error":"inconsistent metadata"}'
    assert "no answer from https://acme.example/" in sentence("starting", line)
    assert "no answer" not in sentence("starting", line.replace("internal", "external"))


def test_an_exception_of_erlang_over_several_lines() -> None:
    report = (
        "=CRASH REPORT==== 7-Nov-2026::15:33:12 ===",
        "  crasher:",
        "    pid: <0.76.0>",
        "    exception exit: {bad_return,",
        "                        {{ledger,start,[normal]},",
        "                         {'EXIT',{undef,[{ledger_db,open,[]}]}}}}",
        "      in function  application_master:init/4 (application_master.erl, line 138)",
        "    ancestors: [<0.75.0>]",
    )
    said = sentence(*report)
    assert "{'EXIT',{undef,[{ledger_db,open,[]}]}}" in said and "line 138" in said
    assert "ancestors" not in said and "bad_return" not in said
    one = (*report[:3], "    exception error: no clause of f({a}) matches 5", *report[6:])
    assert "error: no clause of f({a}) matches 5 (application_master.erl line 138" in sentence(*one)
