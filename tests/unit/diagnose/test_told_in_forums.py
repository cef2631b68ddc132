# SPDX-License-Identifier: MIT
"""What logs taught that people showed in forums and bug trackers: in lines of our own."""
# ruff: noqa: E501 - messages are as long as they are

import pytest

from failhook.diagnose.config_file import paths_of
from failhook.diagnose.facts import Facts, PathFact
from failhook.diagnose.level import Level
from failhook.diagnose.text import peel
from failhook.diagnose.wording import FAILURE, FRAME, HARMLESS, says_nothing
from tests.unit.diagnose.cases import PROGRAM, case, command, judge, sentence, there


@pytest.mark.parametrize(
    ("line", "text", "level"),
    [
        ("lxc-start 20180423094557.459 ERROR    lxc_conf - conf.c:lxc_setup_rootfs:1254 - Failed to mount it", "Failed to mount it", Level.ERROR),
        ("lxc-start web 20180423094557.459 WARN     conf - conf.c:lxc_map_ids:2836 - newuidmap is missing", "newuidmap is missing", Level.WARNING),
        ("lxc-start is no time", "lxc-start is no time", Level.UNKNOWN),
        ("7f31f1a17740 ERROR DND failed to lock it", "DND failed to lock it", Level.ERROR),
        ("[*] Could not find it", "Could not find it", Level.UNKNOWN),
        ("[*] Looking for it", "Looking for it", Level.TALK),
        ("[ !! ] There is none", "There is none", Level.ERROR),
        ("[ .. ] Looking for it", "Looking for it", Level.TALK),
        ("[ ** ] Unhandled lines", "Unhandled lines", Level.UNKNOWN),
        ("14/8/2020 -- 16:07:46 - <Error> - [ERRCODE: SC_ERR_AFP(190)] - no socket", "no socket", Level.ERROR),
        ("2024.01.02 10:20:30.123456 [ 85183 ] {} <Error> Application: no socket", "no socket", Level.ERROR),
        ("[ 85183 ] {a5b-0} <Trace> Context (a): looking", "looking", Level.TALK),
        ("18:06:23 web.1  | Error: no socket", "no socket", Level.ERROR),
        ("web_1  | Error: no socket", "no socket", Level.ERROR),
        ("a web.1 | no socket", "a web.1 | no socket", Level.UNKNOWN),
    ],
)  # fmt: skip
def test_what_stands_before_the_words(line: str, text: str, level: Level) -> None:
    assert peel(line) == (text, level)


def test_words_of_failure() -> None:
    for text in ("on /dev/sda1: Device or resource busy", "network is unreachable", "`wg0' already exists",
                 "Resource temporarily unavailable", "reset by peer", "vm.max_map_count is too low",
                 "the entry is malformed", "the frame size is bigger than the block size", "it should be run by root", "File format problem in a.hmm",
                 "acme needs a UTF-8 native locale to run", "Unhandled lines in it"):  # fmt: skip
        assert FAILURE.search(text), text
    assert not FAILURE.search("it exists and is low")
    assert HARMLESS.search("timezone is not set, set to system default: CST")
    assert says_nothing("A fatal internal error occurred, see debug.log for details")
    assert not says_nothing("A fatal internal error in the ledger, see debug.log for details")
    for line in ("@ 000000000004251f (unknown)", "*** Aborted at 1744597422 (Unix time) ***",
                 "*** Signal 6 (SIGABRT) (0x1) received by PID 1"):  # fmt: skip
        assert FRAME.match(line), line
    assert not FRAME.match("*** Aborted by the user ***")


def test_what_it_could_not_take_away_follows_from_what_failed() -> None:
    why = "apparmor.c: apparmor_process_label_set: 200 No such file or directory - failed to change apparmor profile to lxc-default"
    more = (
        "sync.c: __sync_wait: 51 invalid sequence number 1. expected 4",
        "start.c: __lxc_start: 1087 failed to spawn 'web'",
    )
    left = [
        f"cgfs.c: cgroup_rmdir: 207 Device or resource busy - cgroup_rmdir: failed to delete /sys/fs/cgroup/{one}/lxc/web"
        for one in ("hugetlb", "perf_event", "blkio", "net_cls", "freezer", "devices")
    ]
    assert "lxc-default" in sentence(why, *more, *left)
    assert "/sys/fs/cgroup/" in sentence("starting", *left)


def test_a_guess_of_the_program_is_no_lock_that_is_held() -> None:
    missing = "Unable to create file db/acme.lck (No such file or directory)."
    guess = (
        "This probably means you do not have permission to start",
        "this server, or that it is already running.",
    )
    assert "db/acme.lck" in sentence("starting", missing, *guess)
    sure = judge(case("It is probably late", guess[1].capitalize()))
    assert sure.cause == "locked" and (sure.confidence or 0) > 0.7
    assert "db/acme.lck" in sentence(missing, "If acmed is already running, please stop it.")
    assert (
        judge(case("lockfile creation failed: exceeded maximum number of lock attempts")).cause
        == "locked"
    )
    held = "Unable to lock file /srv/a/acme.lck (Resource temporarily unavailable)."
    assert judge(case("ERROR: plugin 2: none", held, *guess)).cause == "locked"


def test_a_statement_that_failed_at_a_place_was_told_why_above() -> None:
    why = "ERROR: driver error: Access denied for user 'sip'@'localhost' (using password: YES)"
    place = "ERROR: fixing failed (code=-1) at cfg:/etc/sip/sip.cfg:750"
    assert "Access denied" in sentence(why, place)
    assert "/etc/sip/sip.cfg line 750" in sentence("starting", place)
    for words in ("unknown word", "fixing failed: unknown word"):
        wrong = place.replace("fixing failed (code=-1)", words)
        assert "unknown word" in sentence(why, wrong)
    another = "ERROR: a fault at /etc/sip/other.cfg:3"
    assert "sip.cfg line 750" in sentence(another, place) or "other.cfg" in sentence(another, place)


def test_a_redirection_to_nothing_follows_from_the_command_that_failed() -> None:
    made = (
        "mktemp: failed to create file via template ‘/srv/files/x.XXXX’: No such file or directory"
    )
    redirect = "/srv/bin/pre: line 44: $initfile: ambiguous redirect"
    assert "/srv/files" in sentence(made, redirect)
    assert judge(case("starting", redirect)).cause == "script"
    syntax = "/srv/bin/pre: line 44: syntax error near unexpected token `fi'"
    assert judge(case(made, syntax)).cause == "script"


def test_a_machine_that_did_not_sleep_is_no_disk() -> None:
    said = judge(case("Failed to put system to sleep. System resumed again: Input/output error"))
    assert said.cause != "io-error"


def test_of_what_may_be_and_what_it_dies_of() -> None:
    dies = "ERROR failed to lock file /srv/a/.running, the database may be running, quit"
    assert "/srv/a/.running" in sentence(
        "the zone is not configured, set to system default: CST", dies
    )


def test_what_an_error_says_that_should_be_is_a_demand() -> None:
    demand = "fatal: the backend should be run by acme-launch, or logind should provide its API"
    assert "acme-launch" in sentence("starting", demand, "fatal: failed to create the backend")
    hint = demand.replace("fatal: ", "")
    assert "acme-launch" not in sentence("starting", hint, "fatal: failed to create the backend")


def test_an_abort_without_a_word_came_after_the_last_complaint() -> None:
    why = "[WARN] Failed to open /dev/hidraw5: open: No such file or directory"
    ended = "terminate called without an active exception"
    assert "after “Failed to open /dev/hidraw5" in sentence("starting", why, ended)


def test_a_database_that_may_not_be_written() -> None:
    line = "ERROR: db_exec failed: attempt to write a readonly database (/srv/a/a.db)"
    assert judge(case("starting", line)).cause == "permission"


def test_a_parser_that_failed_at_an_include_was_told_why_above() -> None:
    why = "opening configfile /etc/web/conf-enabled/50-my.conf failed: No such file or directory"
    place = "source: /etc/web/web.conf line: 47 pos: 15 parser failed somehow near here: (EOL)"
    assert "50-my.conf" in sentence(why, place)
    alone = judge(case("opening configfile /etc/web/conf-enabled/50-my.conf", place))
    assert "/etc/web/web.conf line 47" in alone.summary
    assert alone.confidence is not None and alone.confidence > 0.8


def test_what_was_to_answer_where_no_server_is_named() -> None:
    refused = "ERROR: Connection error [Connection refused]"
    lost = "Redis has disconnected, reconnecting [remaining attempts: 2]"
    assert "the Redis server that it needs refused the connection" in sentence(refused, lost)
    assert "the Redis server" not in sentence(refused, "waiting", "waiting", lost)
    foreign = {"MESSAGE": lost, "_PID": "77"}
    assert "the Redis server" not in judge(case(refused, foreign)).summary
    assert "the Redis server" not in sentence(refused, "reads /etc/redis/redis.conf")


def test_an_interface_without_an_address() -> None:
    lines = (
        "ioctl(s, SIOCGIFADDR, ...): Cannot assign requested address",
        "Error parsing address/mask (or interface name) : lan",
        'can\'t parse "lan" as a valid LAN address or interface name',
    )
    said = sentence(*lines)
    assert "a network interface that it is told to use has no address" in said and '"lan"' in said
    foreign = {"MESSAGE": lines[2], "_PID": "77"}
    assert '"lan"' not in judge(case(lines[0], foreign)).summary.partition("; ")[0]
    bound = sentence("bind(s, ...): Cannot assign requested address")
    assert "an address that it is to listen on" in bound


def test_the_line_that_stands_below() -> None:
    lines = (
        "Error reading config: There is no such command.",
        "Error occured processing line 15, below:",
        "mpls ldp",
    )
    assert "line 7 of its" not in sentence("config error in line 7: there is no such command 'x'")
    assert "line 15 of its configuration" in sentence(*lines) and "mpls ldp" in sentence(*lines)


def test_what_is_recommended_is_no_word_of_a_child() -> None:
    lines = (
        "NOTICE: root '': --vfs-cache-mode full is recommended for this remote as it can't stream",
        "mount helper error: fusermount: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
        "Fatal error: failed to mount FUSE fs: fusermount: exit status 1",
    )
    assert "allow_other" in sentence(*lines)


def test_a_sink_of_sound_that_refuses_is_no_server() -> None:
    said = "Audio Sink Error Connection Refused: <AlsaSink> Device default May be Invalid, 'ENOENT: No such file'"
    assert judge(case("ERROR: starting", said)).cause != "connection-refused"
    server = "ERROR: the audio relay: connect to 10.0.0.5:5000: Connection refused"
    assert judge(case(server)).cause == "connection-refused"


def test_a_place_in_the_source_is_no_thing_that_was_named() -> None:
    lines = (
        "WARN Couldn't resolve server broker:9092 from bootstrap.servers (org.acme.ClientUtils:90)",
        "ERROR Error while running ready. (io.acme.cli.ReadyCommand:149)",
        "org.acme.KafkaException: Failed to create new client",
        "\tat org.acme.Admin.create(Admin.java:571)",
    )
    assert "after “Couldn't resolve server broker:9092" in sentence(*lines)


def test_a_panic_of_rust_within_a_line_of_the_log() -> None:
    line = "2026-11-07 11:12:13 Thread 'tokio-runtime-worker' panicked at 'Trie lookup error: missing', /srv/state.rs:192:5"
    said = judge(case("starting", line))
    assert said.cause == "crash-rust" and "Trie lookup error: missing" in said.summary


def test_why_a_configuration_is_no_good_is_told_with_where_it_stands() -> None:
    lines = (
        '[notice] Read configuration file "/etc/onion/torrc".',
        "[warn] Entry 'default}' in ExitNodes is malformed. Discarding entire list.",
        "[warn] Failed to parse/validate config: Invalid router list.",
        "[err] Reading config failed--see warnings above.",
    )
    said = sentence(*lines)
    assert "a mistake in /etc/onion/torrc: “Entry 'default}' in ExitNodes is malformed" in said
    foreign = {"MESSAGE": lines[1], "_PID": "77"}
    assert "ExitNodes" not in judge(case(lines[0], foreign, *lines[2:])).summary
    assert "ExitNodes" not in sentence(lines[0], lines[1].replace("malformed", "read"), *lines[2:])
    below = sentence(lines[0], lines[2], lines[1], lines[3])
    assert "ExitNodes' is malformed. Discarding entire list: Failed" not in below


def test_where_perl_looked_for_a_module_is_no_file_that_is_missing() -> None:
    line = "Can't locate Net/DNS.pm in @INC (you may need to install the Net::DNS module) (@INC contains: /usr/bin/modules/lib /etc/perl) at /usr/share/perl5/Mail/Net.pm line 27."
    facts = Facts(
        paths={"/usr/bin/modules/lib": PathFact("missing", missing_at="/usr/bin/modules")}
    )
    assert judge(case(line, facts=facts)).cause == "module-missing"


def test_a_value_of_a_setting_is_no_failure() -> None:
    lines = (
        'self-connect-mode is "Don\'t restrict self connect requests"',
        *(f"the port {n} was registered" for n in range(6)),
        'control open "hw:Scarlett" (No such device)',
        "Cannot initialize driver",
    )
    assert "Scarlett" in sentence(*lines) and "restrict" not in sentence(*lines)
    assert "restrict" in sentence('ERROR: the mode is "Don\'t restrict"', "stopped")


def test_who_gets_it_is_not_who_takes_it() -> None:
    refused = "Could not connect(2): Connection refused"
    to_both = command(PROGRAM, "-S", "mta=smtp://127.0.0.1:2525", "office@example.org")
    said = sentence(refused, show={"ExecStart": to_both})
    assert "127.0.0.1" in said and "example.org" not in said
    with_user = command(PROGRAM, "postgres://a@db.example.org/a")
    assert "db.example.org" in sentence(refused, show={"ExecStart": with_user})
    alone = command(PROGRAM, "backup@store.example.org")
    assert "store.example.org" in sentence(refused, show={"ExecStart": alone})


def test_what_cannot_be_read_is_the_one_that_is_called_so() -> None:
    paths = {"/srv/a/win.wim": there(), "/srv/a/out": PathFact("missing", missing_at="/srv/a/out")}
    show = {"ExecStart": command(PROGRAM, "apply", "/srv/a/win.wim", "/srv/a/out")}
    line = "ERROR: Error reading data from WIM file: Invalid argument"
    assert judge(case(line, show=show, facts=Facts(paths=paths))).cause != "file-missing"
    other = line.replace("WIM", "the")
    assert judge(case(other, show=show, facts=Facts(paths=paths))).cause == "file-missing"
    gone = "/srv/a/out.wim"
    of_its_kind = {"/srv/a/win.wim": there(), gone: PathFact("missing", missing_at=gone)}
    both = {"ExecStart": command(PROGRAM, "apply", *of_its_kind)}
    assert judge(case(line, show=both, facts=Facts(paths=of_its_kind))).cause != "file-missing"
    said = line.replace("Invalid argument", "No such file or directory")
    assert judge(case(said, show=both, facts=Facts(paths=of_its_kind))).cause == "file-missing"
    directory = {
        "/srv/wim.d/in": there(),
        "/srv/a/out": PathFact("missing", missing_at="/srv/a/out"),
    }
    plain = {"ExecStart": command(PROGRAM, *directory)}
    said = line.replace("WIM", "in")
    assert judge(case(said, show=plain, facts=Facts(paths=directory))).cause == "file-missing"


def test_what_a_script_writes_is_not_what_it_reads() -> None:
    script = "#!/bin/sh\nlynx http://127.0.0.1/ >/srv/menu/today.txt 2>> '/srv/menu/log.txt'\nsort /srv/menu/in.txt\n"
    assert [path for _, path, _ in paths_of(script)] == ["/srv/menu/in.txt"]
    configuration = "<file>/srv/menu/today.txt</file>\n"
    assert [path for _, path, _ in paths_of(configuration)] == ["/srv/menu/today.txt"]


def test_a_file_that_the_sandbox_lets_nobody_make_for_no_reason_told() -> None:
    line = "acme: error creating temp file /srv/web/acme-0.tmp: mkstemps() failed"
    facts = Facts(
        paths={"/srv/web/acme-0.tmp": PathFact("missing", missing_at="/srv/web/acme-0.tmp")}
    )
    strict = {"ProtectSystem": "strict", "ExecStart": command(PROGRAM)}
    assert "ProtectSystem=strict" in sentence(line, show=strict, facts=facts)
    full = strict | {"ProtectSystem": "full"}
    assert "ProtectSystem" not in sentence(line, show=full, facts=facts)
    reason = line.replace("mkstemps() failed", "No space left on device")
    assert "ProtectSystem" not in sentence(reason, show=strict, facts=facts)


def test_a_socket_whose_directory_is_missing_and_no_reason_is_told() -> None:
    line = "/usr/lib/ruby/em.rb:534:in `start': no unix-domain acceptor (RuntimeError)"
    gone = {"/run/relay/a.sock": PathFact("missing", missing_at="/run/relay")}
    named = {"/run/relay/a.sock": "/etc/systemd/system/a.service:4"}
    said = sentence(line, facts=Facts(paths=gone, absent=named))
    assert "the directory /run/relay does not exist" in said and "a.service line 4" in said
    there_is = {"/run/relay/a.sock": PathFact("missing", missing_at="/run/relay/a.sock")}
    assert "does not exist" not in sentence(line, facts=Facts(paths=there_is, absent=named))
    told = {"ExecStart": command(PROGRAM, "--socket", "/run/relay/a.sock")}
    for words in (line, "ERROR: cannot bind the unix socket: No such file or directory"):
        said = sentence(words, show=told, facts=Facts(paths=gone))
        assert "the directory /run/relay does not exist" in said and "(ExecStart=)" in said
    other = {"/run/relay/a.pid": PathFact("missing", missing_at="/run/relay")}
    named = {"/run/relay/a.pid": "/etc/systemd/system/a.service:4"}
    assert "does not exist" not in sentence(line, facts=Facts(paths=other, absent=named))
