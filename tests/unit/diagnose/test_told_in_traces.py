# SPDX-License-Identifier: MIT
"""Tracebacks, panics and aborts of logs that people showed where they asked for help.

The lines are made up in the shape of theirs. Each with a near miss: the same words elsewhere.
"""
# ruff: noqa: E501 - messages are as long as they are

from tests.unit.diagnose.cases import case, command, found, judge, sentence


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
    another = "the helper /srv/acme/bin/watch failed with [2]"
    assert "starting java failed with [1]" in sentence(head, frame, "output:", another)
    talk = "INFO: cannot find /srv/acme/colours"
    assert "starting java failed with [1]" in sentence(head, frame, "output:", talk)


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


def test_an_exception_below_an_error_is_that_errors() -> None:
    head = "[Fatal] App: EPIC FAIL!"
    why = "[v2.0.0.5337] Acme.Core.CorruptDatabaseException: Database file: /srv/acme/acme.db is corrupt"
    assert "/srv/acme/acme.db is corrupt" in sentence(head, why)
    elsewhere = {"MESSAGE": why, "_PID": "77"}
    assert "EPIC FAIL" in sentence(elsewhere, "[Info] App: starting", "[Info] App: ready", head)
    assert "EPIC FAIL" in sentence("[Info] App: starting", head, elsewhere)
    vague = "[Error] App: it did not work out"
    assert "it did not work out" in sentence("[Info] App: starting", vague, elsewhere)


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


def test_an_error_does_not_announce_a_traceback() -> None:
    lines = (
        "[45] ERROR: Daemon startup error",
        "Traceback (most recent call last):",
        '  File "/srv/optimus/daemon.py", line 27, in main',
        "    config = load_config()",
        "             ^^^^^^^^^^^^^",
        '  File "/srv/optimus/config.py", line 114, in check',
        '    raise ConfigError("no header")',
        "optimus.config.ConfigError: Cannot find header for section [optimus]",
    )
    told = {"ExecStart": command("/usr/sbin/a", "/etc/a/optimus.conf")}
    said = sentence(
        "[43] INFO: Copying /etc/a/optimus.conf to /srv/optimus/copy.conf", *lines, show=told
    )
    assert "Cannot find header for section [optimus]" in said and "Traceback" not in said
    for head in ("Startup failed", "[45] ERROR: the daemon of optimus has failed to come up"):
        said = sentence(
            "[43] INFO: Copying /etc/a/optimus.conf to /srv/optimus/copy.conf",
            head,
            *lines[1:],
            show=told,
        )
        assert "Cannot find header for section [optimus]" in said and "Traceback" not in said


def test_perl_whose_line_was_cut_off() -> None:
    cut = "[Mon Oct 16 20:40:25.021011 2023] [perl:error] [pid 2559] Can't locate Apache/Stock/Plugins.pm in @INC (you may need"
    assert "Apache::Stock::Plugins is not installed" in sentence(cut, "Action 'start' failed.")


def test_what_a_program_said_long_before_it_aborted() -> None:
    fatal = "FATAL: OpenAlertFile() => fopen() alert file ./stats.log: Permission denied"
    dump = [f"4c99 9a65 0000 {n:04} 3dd5 0900" for n in range(9)]
    how = {"exit_code": "dumped", "exit_status": "ABRT", "result": "core-dump"}
    assert "./stats.log: Permission denied" in sentence(fatal, "Version: 3.1.28.0", *dump, **how)


def test_a_framework_of_dotnet_that_is_not_there() -> None:
    lines = (
        "You must install or update .NET to run this application.",
        "App: /srv/queue/Queue.dll",
        "Framework: 'Microsoft.NETCore.App', version '8.0.0' (x64)",
        ".NET location: /usr/share/dotnet/",
        "No frameworks were found.",
        "Learn more:",
        "https://example.org/dotnet/app-launch-failed",
    )
    assert (
        "the .NET framework Microsoft.NETCore.App 8.0.0, which its program needs, is not installed"
        in sentence(*lines)
    )
    steps = [f"step {n}" for n in range(6)]
    assert "https://" not in sentence("Learn more:", lines[-1], "No such thing as x", *steps)
    assert "is not installed" not in sentence("Framework: ready", lines[-1])


def test_an_error_whose_reason_only_announces_one() -> None:
    lines = (
        "2026-10-14 07:55:41.926 ERROR 29624 --- [   main] o.s.boot.SpringApplication   : Application run failed",
        "java.lang.IllegalStateException: Logback configuration error detected:",
        "ERROR in ch.qos.logback.core.rolling.RollingFileAppender[x] - openFile(shop.log,true) call failed. java.io.FileNotFoundException: shop.log (Permission denied)",
    )
    assert "shop.log (Permission denied)" in sentence(*lines)
    play = (
        "[error] p.a.l.c.CryptoConfigParser - The application secret has not been set, and we are in prod mode.",
        "[error] p.a.l.c.CryptoConfigParser - To set it, please read https://example.org/ApplicationSecret",
        "Oops, cannot start the server.",
        "@722ojlbll: Configuration error",
        "        at play.api.libs.crypto.CryptoConfigParser.get(Crypto.scala:498)",
    )
    assert "secret has not been set" in sentence(*play)


def test_the_first_of_two_errors_where_the_second_tells_how_a_child_ended() -> None:
    lines = (
        "ERROR: ArgumentError: Package Genie not found in current path.",
        "Stacktrace:",
        " [1] macro expansion",
        "   @ ./loading.jl:1630 [inlined]",
        " [2] require(into::Module, mod::Symbol)",
        "   @ Base ./loading.jl:1611",
        " [3] include(fname::String)",
        "   @ Base.MainInclude ./client.jl:478",
        "ERROR: LoadError: failed process: Process(setenv(`julia -e '",
        "      using Pkg;",
        "      Pkg.update(; io = devnull);",
    )
    assert "Package Genie not found" in sentence(*lines)
    assert "failed process: Process" in sentence("starting", *lines[8:])


def test_what_it_says_before_it_aborts() -> None:
    said = "GdmSession: no session desktop files installed, aborting..."
    how = {"exit_code": "dumped", "exit_status": "TRAP", "result": "core-dump"}
    assert "no session desktop files" in sentence(
        "accounts: user (null) has no username (uid: -1)", said, **how
    )
    terminate = "Error: API version mismatch. Restarting the app...terminate called without an active exception"
    assert "API version mismatch" in sentence("started", terminate, "Aborted (core dumped)")
    assert "std::terminate" in sentence("terminate called without an active exception")


def test_what_it_was_about_to_do_stands_above_the_word_that_it_failed() -> None:
    lines = (
        "[I 13:37:56.199 Hub] Starting the proxy: ['configurable-proxy', '--port', '8000']",
        "[C 13:37:56.206 Hub] Failed to start",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3/subprocess.py", line 1327, in _execute_child',
        "    raise child_exception",
        "OSError: [Errno 2] No such file or directory",
    )
    assert "configurable-proxy" in sentence(*lines)
    assert "configurable-proxy" not in sentence(
        lines[0], "[I 13:37:56.2 Hub] users are read", *lines[1:]
    )


def test_configuration_errors_that_are_listed_before_the_exception() -> None:
    lines = (
        "2023-02-06T10:52:45.951+0800\tERROR\tmain\tio.acme.server.Server\tConfiguration errors:",
        "1) Error: Invalid configuration property logs.location: file does not exist: var/log/http.log (for class Logs)",
        "1 error",
        "End of classname legend:",
        "=======",
        "io.acme.ApplicationConfigurationException: Configuration errors:",
    )
    assert "logs.location" in sentence("starting", *lines)
    assert "logs.location" not in sentence(
        "starting", "1) logs.location was read", "ready", lines[-1]
    )


def test_lua_without_the_ending_of_a_name() -> None:
    lines = (
        "lua: ./gateway:77: module 'tinyyaml' not found:",
        "\tno field package.preload['tinyyaml']",
        "\tno file '/usr/local/share/lua/5.3/tinyyaml.lua'",
        "stack traceback:",
        "\t[C]: in function 'require'",
        "\t./gateway:77: in main chunk",
    )
    assert "the Lua module tinyyaml is not installed" in sentence(*lines)
    steps = [f"step {n}" for n in range(6)]
    assert "cannot open the gate" in sentence(*steps, "cannot open the gate", *lines[3:])


def test_ruby_on_the_java_machine() -> None:
    lines = (
        "LoadError: no such file to load -- facter",
        "  require at org/jruby/RubyKernel.java:1072",
        "   (root) at /usr/lib/ruby/vendor_ruby/2.2.0/puppet.rb:10",
    )
    said = sentence("OpenJDK warning: ignoring option MaxPermSize=256m", *lines)
    assert "the Ruby module facter is not installed" in said and "puppet.rb line 10" in said
    assert "crash-ruby" not in found(case("ValueError: no colour", "  seen at the door"))


def test_an_exception_of_dotnet_that_was_logged() -> None:
    lines = (
        "[Fatal] ConsoleApp: EPIC FAIL!",
        "[v5.23.3.9987] System.TypeInitializationException: The type initializer for 'X' threw",
        " ---> System.IO.FileNotFoundException: Could not load file or assembly 'System.Xml.ReaderWriter, Version=6.0.0.0'",
        "   at Acme.Xml.Decryptor..cctor()",
        "   --- End of inner exception stack trace ---",
    )
    assert (
        "FileNotFoundException: Could not load file or assembly 'System.Xml.ReaderWriter"
        in sentence(*lines)
    )
    assert "crash-dotnet" not in found(case(lines[0], lines[2], "ready"))


def test_an_assertion_in_the_format_of_a_log() -> None:
    line = "04/12 10:14:27.167: [core] FATAL: slice_find: Assertion `num_of_slices' failed. (../lib/core/types.c:529)"
    said = sentence("04/12 10:14:27.1: [app] INFO: ready (../src/main.c:1)", line)
    assert (
        "the assertion num_of_slices failed (../lib/core/types.c line 529, in slice_find)" in said
    )
    assert "assertion" not in sentence("slice_find: Assertion failed. (no place)")


def test_a_traceback_is_nothing_that_it_was_about_to_do() -> None:
    lines = (
        "Starting the daemon: Traceback (most recent call last):",
        'File "/usr/bin/cobblerd", line 76, in main',
        "api = make(daemon=True)",
        "MemoryError",
    )
    assert "after" not in sentence(*lines) and "MemoryError" in sentence(*lines)


def test_what_was_null_is_the_consequence_of_the_line_above() -> None:
    first = "Unable to init the peer manager. System.IO.InvalidDataException: Malformed data"
    second = "Step InitializeNetwork failed after 197ms System.NullReferenceException: Object reference not set to an instance of an object."
    step = "   at Acme.Init.Steps.InitializeNetwork.{}()"
    lines = (first, step.format("InitPeer"), second, step.format("Initialize"))
    assert "Malformed data" in sentence("starting", "reading", "ready", *lines)
    assert "InitializeNetwork failed" in sentence("starting", "reading", "ready", *lines[2:])


def test_a_traceback_that_begins_behind_other_words() -> None:
    lines = (
        "web: Traceback (most recent call last):",
        '  File "/srv/shop/app.py", line 3, in load',
        "ValueError: no colour in /srv/shop/colours",
    )
    assert judge(case("ready", *lines)).cause == "crash-python"


def test_what_erlang_ended_with_counts_more_than_that_it_ended() -> None:
    report = "[error] [<0.123.0>] {error_report,<0.59.0>,"
    terms = "{\"init terminating in do_boot\",{{badmatch,{error,{bad_return,{{couch,start,[]},{'EXIT',{undef,[{crypto,rand_bytes,[16],[]}]}}}}}}}}"
    assert judge(case("starting", report, terms)).cause == "crash-erlang"
    assert "rand_bytes" in sentence("starting", report, terms)


def test_lines_of_other_processes_are_no_part_of_a_trace() -> None:
    first = {"MESSAGE": 'server at "192.0.2.9" gave no answer', "_PID": "77"}
    second = "\tIs the server running? at /srv/perl5/DBI.pm line 1639."
    assert "192.0.2.9" not in sentence(first, second)
    code = {"MESSAGE": "1 │ . = pase_syslog!(x)", "_PID": "77"}
    label = ("  │     ^^^^^^^^^^^", "  │     undefined function")
    assert "pase_syslog" not in sentence("Loading", "from a", "and b", code, *label)
    assert "crash-dotnet" not in found(case("Acme.SomeException: it went wrong", "ready"))


def test_a_task_whose_exception_nobody_asked_for() -> None:
    error = "[ERROR] [launch]: Caught exception in launch: __init__() missing 1 required keyword-only argument: 'executable'"
    between = ("file_name : waffle.urdf", "other_name : robot.urdf")
    task = (
        "Task exception was never retrieved",
        "Traceback (most recent call last):",
        '  File "/srv/ros/launch/service.py", line 181, in process',
        "    await self.process(event)",
        "RuntimeError: Signal event received before the transport was available.",
    )
    said = judge(case(error, *between, *task))
    assert "'executable'" in said.summary and said.cause == "configuration"
    assert "RuntimeError: Signal event" in sentence(error, *between, *task[1:])
