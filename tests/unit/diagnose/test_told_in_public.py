# SPDX-License-Identifier: MIT
"""What logs teach that people showed where they asked for help: programs that are in no archive.

The lines are made up in the shape of theirs. Each with a near miss: the same words elsewhere.
"""
# ruff: noqa: E501 - messages are as long as they are

from typing import Any

from tests.unit.diagnose.cases import (
    STARTED,
    case,
    control,
    judge,
    process,
    sentence,
)

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
    alone = judge(case("loading", late, main=main))  # the main one complained of nothing
    assert alone.cause == "file-missing" and (alone.confidence or 0) > 0.6
    assert "tpmrm0" in judge(case(own, late, main=process(lived=0.5))).summary  # it lived on
    assert "tpmrm0" in judge(case(own, late, "bye", main=main)).summary  # its words came late
    post = control("ExecStopPost")
    assert "tpmrm0" in judge(case(own, late, main=main, control=post)).summary  # that one failed


def test_levels_of_tendermint() -> None:
    dialing = 'E[2019-05-03|00:30:41.408] Dialing failed   module=pex err="dial tcp 192.0.2.1:26656: i/o timeout"'
    healthy = "I[2019-05-03|00:30:4{}.223] Committed state   module=state height=1"
    panic = "panic: Failed to process the block (2:6874A607): Wrong Block.Header.AppHash. Expected 442D1FDA"
    assert "AppHash" in sentence(dialing, healthy.format(2), healthy.format(3), panic)
    assert judge(case(dialing, "going down")).cause == "unreachable"


def test_words_that_say_nothing() -> None:
    node = (
        "ERROR: undefined",
        "21 Mar 18:36:18 - TypeError: Cannot read property 'toString' of undefined",
        "    at Node.status (/srv/red/Node.js:575:16)",
    )
    assert "TypeError: Cannot read property 'toString' of undefined" in sentence(*node)
    assert judge(case(*node)).cause == "crash-node"
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


def test_levels_in_four_letters() -> None:
    lines = (
        "INFO[0000]main.go:887 setupDatabase Connected to the database",
        "PANI[0000]main.go:903 setupDatabase Dirty database version 103. Fix and force version.",
        "panic: (*logrus.Entry) 0xc0014ce380",
        "",
        "goroutine 1 [running]:",
        "main.setupDatabase()",
        "\t/srv/museum/main.go:903 +0x298",
    )
    assert "Dirty database version 103" in sentence(*lines)
    lora = (
        "2020-10-30 14:57:09.368 [TCE:INFO] Starting the engine",
        "2020-10-30 14:57:12.457 [RAL:ERRO] Concentrator start failed: lgw_start",
        "2020-10-30 14:57:12.457 [any:ERRO] Closing connection to muxs - error in s2e_onMsg",
    )
    assert "Concentrator start failed: lgw_start" in sentence(*lora)
    bare = lora[1].replace(": lgw_start", "")
    assert "s2e_onMsg" in sentence(lora[0], bare, lora[2])
    gvm = "md manage:{}:2022-08-14 09h39.31 utc:20537: {}"
    said = sentence(
        gvm.format("WARNING", "cannot open /srv/gvm/old"),
        *(gvm.format("MESSAGE", f"no feed {name}") for name in ("a1", "b2", "c3")),
        gvm.format("CRITICAL", "no extension 'pg-gvm'"),
    )
    assert "pg-gvm" in said


def test_a_heading_of_one_word() -> None:
    head = "error: `core` experienced an error related to `configuration`."
    said = "No repository config file found for `rest:http://192.0.2.7:8000/`."
    assert "http://192.0.2.7:8000" in sentence(
        "[INFO] starting", head, "Message:", said, "Backtrace:"
    )
    assert "192.0.2.7" not in sentence("[INFO] starting", head, "Messages: 3", said, "Backtrace:")


def test_what_is_said_after_the_fatal_word_is_beside_the_point() -> None:
    fatal = 'Fatal Error: The file "core.se2" is missing or broken.'
    touch = "touch: cannot touch '/var/lock/a': Permission denied"
    assert "core.se2" in sentence("-- Alert --", fatal, "Please check core.se2.", touch)
    assert "/var/lock/a" in sentence("-- Alert --", fatal.replace("Fatal Error: ", ""), touch)
    vague = judge(case("-- Alert --", "Fatal Error: the worst has failed", touch))
    assert vague.cause == "permission"
    went_on = [f"connected to peer {n}, ready" for n in range(4)]
    assert "/var/lock/a" in sentence("-- Alert --", fatal, *went_on, touch)
    lock = "the lock file /run/a.lock already exists"
    assert judge(case("-- Alert --", fatal, lock)).cause != "locked"
    assert judge(case("-- Alert --", lock)).cause == "locked"


def test_what_a_child_says_is_passed_on_as_information() -> None:
    child = "2017-05-06 12:16:18.265505 I | mkfs-mon0: auth: error parsing file /srv/mon0/keyring"
    end = "Error: failed to run mon: Failed to complete mkfs-mon0: exit status 1"
    assert "/srv/mon0/keyring" in sentence("2017-05-06 12:16:17.1 I | starting", child, end)
    assert "keyring" not in sentence(child, "ready", end.replace(": exit status 1", " of mon0"))
    of_another = {"MESSAGE": child, "_PID": "77"}
    assert "keyring" not in sentence("starting", of_another, end)


def test_a_command_that_is_missing_in_no_file() -> None:
    assert "(line" not in sentence("/bin/bash: line 1: host: command not found")
    assert "(line 24 of /runner/init)" in sentence("/runner/init: line 24: ruby: command not found")


def test_another_instance_that_the_last_error_tells_of() -> None:
    lines = (
        'ERROR: "/root/.config/a/config.json" does not exist',
        "ERROR: Is the service already running? (name already exists on the bus)",
    )
    assert judge(case(*lines)).cause == "locked"
    assert judge(case(lines[0])).cause == "file-missing"


def test_options_that_a_program_lists_without_a_heading() -> None:
    complaint = "connect-all: unrecognized option '-e'"
    options = (
        "  [  --keep-alive=<LIST>, -k <LIST> ] --- keep alive timeout period in",
        "  [  --reconnect-delay=<LIST>, -c <LIST> ] --- no reconnect timeout period in",
        "  -x, --expire=N   timed out connections after",
    )
    assert "unrecognized option '-e'" in sentence(complaint, *options)
    assert "timed out" in sentence("ready", " --- connection to 192.0.2.1 timed out ---")


def test_times_and_levels_of_openthread() -> None:
    lines = (
        "49d.17:04:20.112 [W] Platform------: Error processing result: NotFound",
        "49d.17:04:22.114 [C] Platform------: HandleRcpTimeout() at radio_impl.hpp:2226: RadioNoResponse",
    )
    assert "RadioNoResponse" in sentence("ready", *lines)


def test_a_mount_whose_helper_has_told_why() -> None:
    why = "mount helper error: fusermount: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
    end = "Fatal error: failed to mount FUSE fs: fusermount: exit status 1"
    assert "allow_other" in sentence("NOTICE: ready soon", why, end)
    assert "fusermount: exit status 1" in sentence("NOTICE: ready soon", end)


def test_which_name_was_not_resolved() -> None:
    line = "Couldn't resolve server broker:9092 from bootstrap.servers as DNS resolution failed for broker (org.acme.Client:90)"
    assert "the host name broker cannot be resolved" in sentence(line)
    assert "the host name db.example.org cannot be resolved" in sentence(
        "could not resolve db.example.org: it failed"
    )


def test_what_a_program_said_that_left_no_process_behind() -> None:
    how: Any = {"result": "protocol", "exit_code": "exited", "exit_status": "0"}
    show = {"Type": "forking", "PIDFile": "/run/a.pid"}
    manager = (STARTED, "a.service: Failed with result 'protocol'.")
    said = judge(case("Using X", "No sources found", show=show, manager=manager, **how)).summary
    assert "left no process behind" in said and "it said “No sources found”" in said
    silent = judge(case("Using X", show=show, manager=manager, **how)).summary
    assert "left no process behind" in silent and "it said" not in silent
    notify = judge(
        case("No sources found", show={"Type": "notify"}, manager=manager, **how)
    ).summary
    assert "before it sent READY=1; it said “No sources found”" in notify


PARAGRAPH = (
    "Error during the hole punch test. The block manager requires a",
    "filesystem with hole punching support such as ext4 or xfs. On el6,",
    "kernel version 2.6.32-358 or newer is required. To run without hole",
    "punching (at the cost of some efficiency and scalability), reconfigure",
    "it with --block_manager=file. Refer to the documentation for more",
    "details. Raw error message follows.",
)


def test_a_paragraph_that_was_broken_into_lines_begins_with_what_is_wrong() -> None:
    said = sentence(*PARAGRAPH)
    assert "“Error during the hole punch test. The block manager requires a filesystem with" in said
    apart = [line[0].upper() + line[1:] for line in PARAGRAPH]
    assert "hole punch test" not in sentence(*apart)
    lock = (
        "The Directory Server could not acquire an exclusive lock on file",
        "/srv/locks/server.lock: The exclusive lock requested was not granted",
    )
    assert "server.lock" in sentence(
        "starting", "reading the configuration", *lock, "bye", "stopped"
    )


def test_levels_of_log4j_and_times_without_a_year() -> None:
    lines = (
        "log4j:WARN No such property [rollingPolicy] in org.acme.DailyRollingFileAppender.",
        'Exception in thread "main" BindHttpException[Failed to bind to [7992]]',
    )
    assert "7992" in sentence("Starting", *lines)
    hss = (
        "10/27 16:45:00.377: [dbi] ERROR: Failed to connect to server [mongodb://localhost/shop] (../lib/dbi.c:91)",
        "10/27 16:45:00.377: [app] ERROR: Failed to initialize HSS (../src/app-init.c:28)",
    )
    assert "mongodb://localhost/shop" in sentence("Open daemon v1.0.0", *hss)


def test_what_a_program_complained_of_whose_pid_file_did_not_come() -> None:
    manager = (
        STARTED,
        "a.service: Can't open PID file /run/a.pid (yet?) after start: No such file or directory",
        "a.service: start operation timed out. Terminating.",
    )
    show = {"Type": "forking", "PIDFile": "/run/a.pid", "TimeoutStartUSec": "90s"}
    how: Any = {"result": "timeout", "exit_code": "killed", "exit_status": "TERM"}
    said = judge(case("Can't initialise the library", show=show, manager=manager, **how)).summary
    assert "/run/a.pid did not appear" in said and "Can't initialise the library" in said
    calm = judge(case("ready to serve", show=show, manager=manager, **how)).summary
    assert "/run/a.pid did not appear" in calm and "ready to serve" not in calm


def test_a_licence_is_no_complaint() -> None:
    lines = (
        "SvxLink comes with ABSOLUTELY NO WARRANTY. This is free software, and you are",
        "welcome to redistribute it in accordance with the terms and conditions in the licence.",
        "Using the configuration file: /etc/a/repeater.conf",
        "--- Using sample rate 48000Hz",
        '*** ERROR: Logic TYPE not specified for logic "RepeaterLogik". Skipping...',
        "*** ERROR: No logics available. Bailing out...",
    )
    assert "RepeaterLogik" in sentence(*lines)
    went_on = "*** ERROR: cannot open the device /dev/radio0"
    assert "/dev/radio0" in sentence(*lines[:5], went_on)
    assert "the warranty of disk 3 has ended" in sentence(
        "ready", "no disk left: the warranty of disk 3 has ended"
    )


def test_the_main_process_only_passes_on_what_its_helper_said() -> None:
    helper = {
        "MESSAGE": "ssh: connect to host jump.example port 2200: Connection refused",
        "_PID": "200",
    }
    main = "c : fatal: failed to establish ssh session (2)"
    said = judge(case("starting", helper, main, main=process()))
    assert said.cause == "connection-refused" and "jump.example" in said.summary
    own = "c : fatal: no route for /srv/net/office"
    assert "/srv/net/office" in judge(case("starting", helper, own, main=process())).summary
    calm = {"MESSAGE": "the map is /srv/net/map", "_PID": "201"}
    vague = {"MESSAGE": "the last try has failed", "_PID": "201"}
    for between in (calm, vague, "cannot find the map /srv/net/map"):
        said = judge(case("starting", helper, between, main, main=process()))
        assert said.cause != "connection-refused", between
