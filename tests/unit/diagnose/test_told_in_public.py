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


def test_the_line_to_which_a_compiler_points() -> None:
    lines = (
        "1 │ . = pase_syslog!(string!(.message))",
        "  │     ^^^^^^^^^^^",
        "  │     undefined function",
        '  │     did you mean "parse_syslog"?',
        "  = learn more about error code 105 at https://errors.example.org/105",
    )
    before = ("Loading the configuration", "from one file")
    said = sentence(*before, *lines)
    assert "undefined function: . = pase_syslog!(string!(.message))" in said
    assert "pase_syslog" not in sentence(*before, lines[0], *lines[2:])


def test_an_exception_that_was_one_elsewhere() -> None:
    lines = (
        "2017-06-01 11:15:16,192 ERROR [main] master.Master: Failed to become active master",
        "org.acme.ipc.RemoteException(java.lang.NoClassDefFoundError): org/acme/proto/Protos",
        "        at org.acme.proto.Protos.get(Protos.java)",
        "        at org.acme.Engine.call(Engine.java:599)",
    )
    assert "NoClassDefFoundError): org/acme/proto/Protos" in sentence(*lines)
    assert "Failed to become active master" in sentence(lines[0], *lines[2:])


def test_a_check_of_v8() -> None:
    lines = (
        "#",
        "# Fatal error in , line 0",
        "# Check failed: reservation_.SetPermissions(start, size).",
        "#",
    )
    assert "the check reservation_.SetPermissions(start, size) failed" in sentence(*lines)
    assert "the check" not in sentence("Check failed: disk 3 has bad sectors")


def test_what_perl_dies_of_in_two_lines() -> None:
    first = 'DBI connect failed: connection to server at "192.0.2.9", port 5432 failed: No route to host'
    second = "\tIs the server running on that host? at /srv/perl5/DBI.pm line 1639."
    assert "192.0.2.9" in sentence(first, second)
    assert "loading" not in sentence("loading", second.strip())


def test_what_a_program_said_before_it_aborted_stands_above_its_stack() -> None:
    said = "Process terminated. Couldn't find a valid ICU package installed on the system."
    frames = [f"   at System.Globalization.Culture{n}..cctor()" for n in range(12)]
    how = {"exit_code": "dumped", "exit_status": "ABRT", "result": "core-dump"}
    assert "Couldn't find a valid ICU package" in sentence("started", said, *frames, **how)
    steps = [f"step {n} done" for n in range(12)]
    assert "ICU" not in sentence("started", said, *steps, **how)


def test_levels_of_more_programs() -> None:
    glog = (
        "I20230724 12:04:10.301215  1352 main.cc:627] Starting acme 1.6",
        "F20230724 12:04:10.363903  1352 listener.cc:77] Check failed: 1 == SSL_CTX_use_PrivateKey_file(ctx) (1 vs. 0)",
        "*** Check failure stack trace: ***",
        *(f"    @     0x5627f4e7ca2{n}  google::LogMessage::Fail()" for n in range(6)),
    )
    how = {"exit_code": "dumped", "exit_status": "ABRT", "result": "core-dump"}
    assert "SSL_CTX_use_PrivateKey_file" in sentence(*glog, **how)
    panic = (
        "2018-11-28T12:35:36.279893077 [:ERROR:src/main.rs:50] Panic occurred: Cannot create VMM: Kvm(Error(2))",
        "2018-11-28T12:35:36.291705915 [:ERROR:src/main.rs:54] stack backtrace:",
        "   0:           0x54bb7c - backtrace::trace",
    )
    assert "Kvm(Error(2))" in sentence(*panic, **how)


def test_a_task_whose_exception_nobody_asked_for() -> None:
    error = "[ERROR] [launch]: Caught exception in launch: __init__() missing 1 required keyword-only argument: 'executable'"
    task = (
        "Task exception was never retrieved",
        "Traceback (most recent call last):",
        '  File "/opt/ros/launch/service.py", line 181, in process',
        "    await self.process(event)",
        "RuntimeError: Signal event received before the transport was available.",
    )
    assert "'executable'" in sentence(error, *task)
    assert "RuntimeError: Signal event" in sentence("starting", *task)


def test_frames_of_javascript_that_a_logger_has_trimmed() -> None:
    lines = (
        "ERR: /srv/mesh/mesh.js:1501",
        "if (config.secret == null) { make(config); }",
        "^",
        "TypeError: Cannot create property 'secret' on string '{}'",
        "at Job. (/srv/mesh/mesh.js:1501:137)",
    )
    assert "TypeError: Cannot create property 'secret'" in sentence(
        "ERROR: it failed, check errors.txt", *lines
    )
    assert "crash-node" not in found(case("TypeError: bad colour", "at the door"))
