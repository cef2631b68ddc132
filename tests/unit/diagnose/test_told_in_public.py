# SPDX-License-Identifier: MIT
"""What logs teach that people showed where they asked for help: programs that are in no archive.

The lines are made up in the shape of theirs. Each with a near miss: the same words elsewhere.
"""
# ruff: noqa: E501 - messages are as long as they are

from tests.unit.diagnose.cases import case, found, judge, process, sentence

DENIED = (
    "1 store(/srv/osd/3/block) _read_label failed to open /srv/osd/3/block: (13) Permission denied"
)
NO_STORE = "1 ** ERROR: unable to open the store on /srv/osd/3: (2) No such file or directory"


def test_a_directory_is_not_missing_where_something_in_it_could_not_be_opened() -> None:
    assert judge(case(DENIED, NO_STORE)).cause == "permission"
    elsewhere = NO_STORE.replace("/srv/osd/3", "/srv/queue")
    assert judge(case(DENIED, elsewhere)).cause == "file-missing"


def test_a_process_that_comes_after_the_main_one_cleans_up() -> None:
    """ExecStopPost= with the same program: its lines have the same name before them."""
    main = process(lived=0.015)  # the second line is younger
    own = "backend error: could not make the filter: could not get iptables version: exit status 1"
    late = {
        "MESSAGE": "TPM: error opening: stat /dev/tpmrm0: no such file or directory",
        "_PID": "200",
    }
    assert "iptables version" in judge(case(own, late, main=main)).summary
    spoke_before = {"MESSAGE": "loading", "_PID": "200"}
    assert "tpmrm0" in judge(case(spoke_before, own, late, main=process(lived=0.025))).summary
    assert "tpmrm0" in judge(case("loading", late, main=main)).summary  # it complained of nothing


def test_what_was_not_there_another_line_said() -> None:
    trace = (
        "Traceback (most recent call last):",
        '  File "/srv/fan/fan.py", line 7, in <module>',
        "    pwm.set_mode(servo)",
        "AttributeError: 'NoneType' object has no attribute 'send'",
    )
    before = ("Can't connect to gpiod at localhost(8888)", "Did you start the daemon?", "%%%%")
    assert "after “Can't connect to gpiod at localhost(8888)”" in sentence(*before, *trace)
    other = (*trace[:-1], "KeyError: 'colour'")
    assert "gpiod" not in sentence(*before, *other)


def test_perl_that_could_not_be_compiled() -> None:
    warns = (
        "Possible precedence issue with control flow operator at /usr/share/perl5/Ware.pm line 21."
    )
    gone = "Can't locate shop/options.pm in @INC (you may need to install the shop::options module) (@INC contains: /etc/perl) at /usr/share/perl5/shop/common.pm line 26."
    echo = "BEGIN failed--compilation aborted at /usr/share/perl5/shop/common.pm line 26."
    assert "the Perl module shop::options is not installed" in sentence(warns, gone, echo)
    survived = "cannot read the colours at /usr/bin/shop line 3."
    assert "shop::options" in sentence(survived, gone, echo)
    assert "cannot read the colours" in sentence(survived, "and that at /usr/bin/shop line 9.")


def test_a_traceback_with_something_before_each_line() -> None:
    before = "(Core_0 pid=2827) ERROR 02-22 06:35:2{} [core.py:946] "
    lines = (
        "Traceback (most recent call last):",
        '  File "/srv/ai/cache.py", line 634, in check',
        "    raise ValueError(",
        "ValueError: 3.0 GiB of cache are needed, which is more than 1.87 GiB",
    )
    inner = [before.format(number) + line for number, line in enumerate(lines)]
    outer = (
        "(Server pid=1633) Traceback (most recent call last):",
        '(Server pid=1633)   File "/srv/ai/utils.py", line 992, in wait',
        "(Server pid=1633)     raise RuntimeError(",
        "(Server pid=1633) RuntimeError: initialization failed. See root cause above. Failed: {}",
    )
    said = sentence(*inner, *outer)
    assert "ValueError: 3.0 GiB of cache are needed" in said and "/srv/ai/cache.py line 634" in said
    own = (*outer[:-1], "(Server pid=1633) RuntimeError: no model in /srv/ai/models")
    assert "RuntimeError: no model in /srv/ai/models" in sentence("starting", *own)


def test_a_program_that_only_tells_how_another_one_ended() -> None:
    head = 'Exception in thread "main" java.lang.RuntimeException: starting java failed with [1]'
    frame = "\tat org.acme.launcher.Main.start(Main.java:71)"
    why = "[0.001s][error][logging] Error opening log file '/var/log/acme/gc.log': No such file or directory"
    assert "/var/log/acme/gc.log" in sentence(head, frame, "output:", why)
    concrete = head.replace("starting java failed with [1]", "no licence in /etc/acme/key")
    assert "no licence in /etc/acme/key" in sentence(concrete, frame, "output:", why)
    assert "starting java failed with [1]" in sentence(head, frame, "output:", "nothing")


def test_a_stack_overflow_of_dotnet_is_no_exception() -> None:
    step = "   at Acme.Media.Folder.Validate(...)"
    assert "stack overflow: in Acme.Media.Folder.Validate" in sentence("Stack overflow.", step)
    assert "crash-dotnet" not in found(case("Stack overflow.", "and no frames"))


def test_a_panic_of_go_in_several_lines() -> None:
    stack = ("", "goroutine 1 [running]:", "main.main()", "\t/srv/a/app.go:34 +0x23c")
    lines = (
        "panic: yaml: unmarshal errors:",
        "  line 1: cannot unmarshal !!str `tcp://1...` into int",
    )
    said = sentence(*lines, *stack)
    assert (
        "panic: yaml: unmarshal errors: line 1: cannot unmarshal !!str `tcp://1...` into int"
        in said
    )
    signal = ("panic: nil map", "[signal SIGSEGV: segmentation violation]", *stack)
    assert "panic: nil map (" in sentence(*signal)


def test_erlang_prints_terms_over_many_lines_and_the_innermost_is_the_reason() -> None:
    lines = (
        '{"Kernel pid terminated",',
        "    application_controller,",
        '    "{application_start_failure,',
        "        shop,",
        "        {bad_return,",
        "            {{'Elixir.Shop',start,[normal,[]]},",
        "                {'EXIT',",
        "                    {undef,",
        "                        [{'Elixir.Collectable',into,[],[]}]}}}}}\"}",
    )
    said = sentence(*lines)
    assert (
        "the application shop did not start: {'EXIT',{undef,[{'Elixir.Collectable',into,[],[]}]}}"
        in said
    )
    crasher = "2023-01-03T09:44:49 [error] crasher: initial call: application_master:init/4, pid: <0.19.0>, registered_name: [], exit: {{shutdown,{failed_to_start_child,boot,{'EXIT',{badmatch,{aborted,{bad_type,telemetry}}}}}},[]}"
    assert "{bad_type,telemetry}" in sentence(
        crasher, '{"Kernel pid terminated",x,"{application_start_failure,boot,{shutdown'
    )
    assert "Collectable" not in sentence(lines[0], "not of the term", *lines[2:])


def test_levels_of_tendermint() -> None:
    dialing = 'E[2019-05-03|00:30:41.408] Dialing failed   module=pex err="dial tcp 192.0.2.1:26656: i/o timeout"'
    healthy = "I[2019-05-03|00:30:4{}.223] Committed state   module=state height=1"
    panic = "panic: Failed to process the block (2:6874A607): Wrong Block.Header.AppHash. Expected 442D1FDA"
    assert "AppHash" in sentence(dialing, healthy.format(2), healthy.format(3), panic)
    assert judge(case(dialing, "going down")).cause == "unreachable"


def test_an_exception_below_an_error_is_that_errors() -> None:
    head = "[Fatal] App: EPIC FAIL!"
    why = "[v2.0.0.5337] Acme.Core.CorruptDatabaseException: Database file: /srv/acme/acme.db is corrupt"
    assert "/srv/acme/acme.db is corrupt" in sentence(head, why)
    elsewhere = {"MESSAGE": why, "_PID": "77"}
    assert "EPIC FAIL" in sentence(elsewhere, "[Info] App: starting", "[Info] App: ready", head)


def test_words_that_say_nothing() -> None:
    node = (
        "ERROR: undefined",
        "21 Mar 18:36:18 - TypeError: Cannot read property 'toString' of undefined",
        "    at Node.status (/srv/red/Node.js:575:16)",
    )
    assert "TypeError: Cannot read property 'toString' of undefined" in sentence(*node)
    database = (
        "1 [ERROR] [MY-012960] [InnoDB] Cannot create redo log files because data files are corrupt or the database was not shut down cleanly",
        "1 [ERROR] [MY-010334] [Server] Failed to initialize DD Storage Engine",
        "0 [ERROR] [MY-010020] [Server] Data Dictionary initialization failed.",
    )
    assert "data files are corrupt" in sentence(*database)
    assert "the GPU initialization failed on card0" in sentence(
        "the GPU initialization failed on card0", "bye"
    )
    plugins = (
        "No plugins found, not dispatching events",
        "Error receiving a packet (No buffer space available)",
    )
    assert "No buffer space" in sentence(*plugins, "The daemon is exiting.")


def test_what_a_script_finds_done_already_is_no_mistake() -> None:
    done = 'psql:/tmp/grants.sql:1: ERROR:  role "shop" already exists'
    version = "Don't know how to upgrade from version 2192 to 2171"
    assert "2192" in sentence(version, done)
    assert "line 1" in sentence("x", done.replace("already exists", "does not exist"))


def test_where_a_file_is_wrong_is_not_what_was_denied() -> None:
    line = "The entry cn=config in file /etc/a/dse.ldif (lineno: 10) is invalid, error code 53 - accesslog-mode: Failed to chmod the log, errno 1 (Operation not permitted)"
    said = sentence(line)
    assert "a mistake in /etc/a/dse.ldif line 10" in said and "may not use" not in said
    assert "may not use /etc/a/dse.ldif" in sentence(
        "cannot open /etc/a/dse.ldif: Permission denied"
    )


def test_another_one_that_runs() -> None:
    held = "pbs_mom: Resource temporarily unavailable (11) in pbs_mom, pbs_mom: another mom running"
    assert judge(case(held, "pbs_mom startup failed, exit 1 aborting.")).cause == "locked"
    assert judge(case("fork: Resource temporarily unavailable")).cause != "locked"
