# SPDX-License-Identifier: MIT
"""Which line of a cascade is the cause: retries that were given up, lines that say nothing, errors that
go over several lines or pass on what another one said.
"""
# ruff: noqa: E501 - messages are as long as they are

import re

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.finding import SAID
from failhook.diagnose.level import Level
from failhook.diagnose.text import peel
from failhook.diagnose.wording import is_consequence, says_nothing
from tests.unit.diagnose.cases import (
    STARTED,
    case,
    command,
    control,
    entry,
    found,
    gone,
    judge,
    process,
)

WARN = '{"level":"warn","attempt":%d,"error":"Put \\"https://vault.example:8200/v1/login\\": x509: certificate signed by unknown authority","message":"login failed, retrying"}'
RETRIED = [
    # What was tried until the program gave up is the cause, though it calls it a warning.
    ((WARN % 1, WARN % 2, '{"level":"error","error":"retry budget exhausted","message":"secrets unavailable"}', '{"level":"fatal","error":"bootstrap: secrets unavailable","message":"exiting"}'), r"vault\.example.*unknown authority"),
    (("WARN cannot reach 'db1': no quorum, retrying in 2s", "WARN cannot reach 'db1': no quorum, retrying in 4s", "ERROR giving up after 2 attempts"), "db1"),
    (("INFO connect to broker 'b1' failed, attempt 1/2", "INFO connect to broker 'b1' failed, attempt 2/2", "FATAL too many failed attempts"), "b1"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), RETRIED)
def test_what_it_gave_up_on_is_the_cause(lines: tuple[str, ...], said: str) -> None:
    assert re.search(said, judge(case(*lines)).summary)


def test_what_came_right_in_the_end_is_not() -> None:
    lines = (
        "WARN cannot reach 'db1', retrying in 2s",
        "INFO connected to 'db1'",
        "WARN cannot open 'spool', retrying",
        "ERROR giving up after 2 attempts",
    )
    assert "'spool'" in judge(case(*lines)).summary


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("BOOT FAILED", True),
        ("Error occurred during initialization of VM", True),
        ("The application failed to start", True),
        ("exited with code 255", True),
        ("failed to start the mixer", False),
        ("error: PORT", False),
    ],
)
def test_a_line_that_says_nothing(text: str, nothing: bool) -> None:
    assert says_nothing(text) is nothing


SEVERAL_LINES = [
    (("Error occurred during initialization of VM", "Initial heap size set to a larger value than the maximum heap size"), "Initial heap size"),
    (("2026-11-21 21:49:37.1+00:00 [error] <0.227.0> BOOT FAILED", "2026-11-21 21:49:37.1+00:00 [error] <0.227.0> Error during startup: {error,", "2026-11-21 21:49:37.1+00:00 [error] <0.227.0>       {integrity_check_failed,", "2026-11-21 21:49:37.1+00:00 [error] <0.227.0>          [{table_missing,listener}]}}"), "table_missing,listener"),
    (("01:20:40    Database Error in model returns (models/returns.sql)", "  permission denied for schema raw_returns", "01:20:40  Done. PASS=59 ERROR=1"), "schema raw_returns"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), SEVERAL_LINES)
def test_an_error_over_several_lines(lines: tuple[str, ...], said: str) -> None:
    assert said in judge(case(*lines)).summary


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("cannot read the file 'x'. Please check its owner", False),
        ("please check its owner", True),
        ("aborting because of a version mismatch", False),
        ("aborting because of previous errors", True),
        ("the store is closed, exiting", True),
    ],
)
def test_advice_after_the_error_makes_it_no_consequence(text: str, whole: bool) -> None:
    assert is_consequence(text) is whole


@pytest.mark.parametrize(
    ("raw", "said", "level"),
    [
        ("2026-11-21 21:49:37,123 ERROR [org.example.runtime.cli.ExecutionExceptionHandler] (main) ERROR: no key", "no key", Level.ERROR),
        ("2026-11-21 21:49:37,123 ERROR [org.example.Pool] (main) FATAL: no role 'x'", "no role 'x'", Level.FATAL),
        ("(2026-11-21 21:49:37): [sssd] [main] (0x0010): no key", "no key", Level.UNKNOWN),
    ],
)  # fmt: skip
def test_what_stands_before_the_words(raw: str, said: str, level: Level) -> None:
    assert peel(raw, frozenset({"sssd"})) == (said, level)


def test_the_server_whose_certificate_it_is() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/srv/a/pull.py", line 61, in <module>',
        "    session.get(URL)",
        "ssl.SSLCertVerificationError: certificate verify failed: certificate has expired (_ssl.c:1006)",
        "During handling of the above exception, another exception occurred:",
        "Traceback (most recent call last):",
        '  File "/srv/a/pull.py", line 61, in <module>',
        "    session.get(URL)",
        "requests.exceptions.SSLError: HTTPSConnectionPool(host='rates.example', port=443): Max retries exceeded",
    )
    assert "rates.example" in judge(case(*lines)).summary
    help_only = ("SSL certificate problem: certificate has expired", "More details: https://curl.example/docs")  # fmt: skip
    assert "curl.example" not in judge(case(*help_only)).summary


def test_all_versions_that_a_program_wants_of_a_library() -> None:
    line = "/srv/a: /lib/libc.so.6: version `GLIBC_2.%d' not found (required by /srv/a)"
    said = judge(case(line % 32, line % 34)).summary
    assert "GLIBC_2.32, GLIBC_2.34" in said


def test_the_exception_inside_of_an_exit() -> None:
    lines = (
        "** (Mix) Could not start application shop: exited in: Shop.Application.start(:normal, [])",
        "    ** (EXIT) an exception was raised:",
        "        ** (RuntimeError) environment variable SECRET_KEY_BASE is missing",
    )
    assert "RuntimeError: environment variable SECRET_KEY_BASE" in judge(case(*lines)).summary


def test_the_port_in_the_name_of_a_connector() -> None:
    lines = (
        "SEVERE: Failed to initialize connector [Connector[HTTP/1.1-8080]]",
        "org.example.LifecycleException: Protocol handler initialization failed",
        "\tat org.example.Connector.initInternal(Connector.java:1042)",
        "Caused by: java.net.BindException: Address already in use",
        "\tat java.base/sun.nio.ch.Net.bind0(Native Method)",
    )
    assert "port 8080" in judge(case(*lines)).summary


CHAINS = [
    (("org.example.StartException: cannot read /etc/a/realm.json", "\tat org.example.Main.run(Main.java:1)", "Caused by: org.example.ParseException: a comma is missing", "\tat org.example.Parser.next(Parser.java:2)"), r"ParseException: a comma is missing.*/etc/a/realm\.json"),
    (("java.lang.RuntimeException: Failed to start", "\tat org.example.Main.run(Main.java:1)", "Caused by: org.example.DeploymentException: Validation failed:", "\tjava.util.NoSuchElementException: the property registry.url is required", "\tat org.example.Config.check(Config.java:3)"), r"registry\.url"),
    (("Unhandled exception. System.IO.InvalidDataException: Failed to load configuration from file '/opt/a/appsettings.json'.", " ---> System.Text.Json.JsonReaderException: '\"' is invalid after a value. LineNumber: 18.", "   at System.Text.Json.Parse()", "   --- End of inner exception stack trace ---", "   at Program.Main() in /build/Program.cs:line 7"), r"LineNumber: 18.*appsettings\.json"),
    (("Traceback (most recent call last):", '  File "/srv/a/main.py", line 3, in <module>', "ValueError: a comma is missing", "", "The above exception was the direct cause of the following exception:", "", "Traceback (most recent call last):", '  File "/srv/a/main.py", line 5, in <module>', "SettingsError: cannot read '/etc/a/realm.json'"), r"ValueError: a comma is missing.*/etc/a/realm\.json"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), CHAINS)
def test_what_the_exception_around_the_root_names(lines: tuple[str, ...], said: str) -> None:
    assert re.search(said, judge(case(*lines)).summary)


def test_a_step_of_a_stack_is_no_mistake_in_a_configuration() -> None:
    lines = (
        'CRITICAL [console] Error thrown: "Environment variable not found: "MAILER_DSN"."',
        "Exception trace:",
        " Application->run() at /srv/a/vendor/Runner.php:54",
        " require_once() at /srv/a/public/front:15",
    )
    assert "MAILER_DSN" in judge(case(*lines)).summary


def test_what_it_was_about_to_do_where_the_exception_names_nothing() -> None:
    lines = (
        "INFO telemetry.bus: opening channel can1",
        "Traceback (most recent call last):",
        '  File "/srv/a/bus.py", line 61, in bind',
        "    sock.bind((channel,))",
        "OSError: [Errno 19] No such device",
    )
    assert "opening channel can1" in judge(case(*lines)).summary


def test_a_line_of_the_log_with_the_words_of_the_exception() -> None:
    lines = (
        "ERROR Connection to node -1 (kafka-1.example:9093) failed: the credentials are not those of the listener",
        'Exception in thread "main" org.example.SaslException: the credentials are not those of the listener',
    )
    assert "kafka-1.example:9093" in judge(case(*lines)).summary


def test_a_run_that_hung_until_its_time_was_over() -> None:
    tried = {
        "MESSAGE": "nc: connect to db.example (10.0.0.8) port 3306 (tcp) timed out: in progress",
        "__REALTIME_TIMESTAMP": "1795301377000000",  # a minute and a half before the end
    }
    said = judge(
        case(tried, "db.example:3306 not ready, next try in 5 s", "got SIGTERM, bye", result="timeout",
             show={"Type": "notify"}, exit_code="killed", exit_status="TERM",
             manager=(STARTED, "a.service: start operation timed out. Terminating."))
    ).summary  # fmt: skip
    assert "db.example (10.0.0.8) port 3306" in said


LOGINS = [
    ("git@git.example: Permission denied (publickey).", True),
    ("FATAL: password authentication failed for user \"shop\"", True),
    ("HTTPError: 401 Client Error: Unauthorized for url: https://api.example/v1", True),
    ("ERROR: permission denied for schema raw", True),
    ("invalid user name or password for 'shop'", True),
    ("authentication failed for user x from 10.0.0.9", False),
    ("INFO: login failed for guest", False),
    ("GET /admin 403 Forbidden", False),
]  # fmt: skip


@pytest.mark.parametrize(("line", "refused"), LOGINS)
def test_logins_that_were_refused(line: str, refused: bool) -> None:
    assert ("login-refused" in found(case(line))) is refused


def test_the_login_before_the_words_of_the_end() -> None:
    lines = (
        "git@git.example: Permission denied (publickey).",
        "fatal: Could not read from remote repository.",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    )
    assert "git.example" in judge(case(*lines)).summary


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("[1203:1203:0512/060002.114381:ERROR:platform_x11.cc(243)] Missing X server or $DISPLAY", "display"),
        ("qt.qpa.xcb: could not connect to display", "display"),
        ("the input device is not a TTY", "terminal"),
        ("Cannot autolaunch D-Bus without X11 $DISPLAY", "session-bus"),
        ("the display driver is loaded", None),
    ],
)  # fmt: skip
def test_what_a_service_does_not_have(line: str, cause: str | None) -> None:
    names = {"display", "terminal", "session-bus"} & set(found(case(line)))
    assert (cause in names) if cause else not names


MORE_CRASHES = [
    (("Error: The module '/srv/a/sqlite.node'", "was compiled against a different version using", "NODE_MODULE_VERSION 108.", "    at Module.load (node:internal/modules/cjs/loader:1288:32)", "    at Object.<anonymous> (/srv/a/db.js:4:12)"), r"sqlite\.node.*NODE_MODULE_VERSION 108"),
    (("==3==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60e0", "    #0 0x55d1 in decode(char*) /build/src/rle.cpp:58:19", "SUMMARY: AddressSanitizer: heap-buffer-overflow /build/src/rle.cpp:58:19 in decode(char*)", "==3==ABORTING"), r"heap-buffer-overflow.*rle\.cpp line 58, in decode"),
    (("/build/src/rle.cpp:58:19: runtime error: signed integer overflow: 2147483647 + 1",), r"signed integer overflow.*rle\.cpp line 58"),
    (("Error: P3009", "found failed migrations, new ones will not be applied", "The `20250210_add` migration failed"), r"P3009.*20250210_add"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), MORE_CRASHES)
def test_further_crashes(lines: tuple[str, ...], said: str) -> None:
    assert re.search(said, judge(case(*lines)).summary)


def test_what_was_taken_back_on_the_next_line() -> None:
    lines = (
        'fatal: [localhost]: FAILED! => {"cmd": "test", "msg": "non-zero return code"}',
        "...ignoring",
        "TASK [install agent] ***",
        'fatal: [localhost]: FAILED! => {"msg": "No package matching \'agent2\' is available"}',
    )
    assert "agent2" in judge(case(*lines)).summary


def test_neutral_lines_after_an_early_complaint() -> None:
    lines = (
        'could not change directory to "/root": Permission denied',
        "== nightly begins",
        "-- globals",
        "-- database erp",
        "dump: error: aborting because of server version mismatch: 16.2 is too new",
    )
    assert "version mismatch" in judge(case(*lines)).summary


def test_a_command_of_a_script_that_a_signal_ended() -> None:
    line = "/srv/a/nightly.sh: line 31: 20771 Killed                  python3 train.py --epochs 20"
    said = judge(case("Epoch 3/20", line, result="oom-kill")).summary
    assert re.search(r"python3 train\.py.*line 31 of /srv/a/nightly\.sh.*out-of-memory", said)
    assert "Killed" in judge(case(line)).summary
    assert "command-killed" not in found(case("/srv/a.sh: line 3: 7 files left"))


FURTHER = [
    # What cleans up after the error, and a step of a stack, are not its cause.
    (("dump: error: aborting because of server version mismatch: 16.2", "rm: cannot remove '/var/backups/crm.part': No such file or directory", "ERROR: backup failed"), "version mismatch"),
    (("You are connecting to Redis 5.0.3, Sidekiq requires Redis 6.2.0", "/srv/a/lib/cli.rb:80:in `run'", "/usr/local/gems/exe/bundle:37:in `<top (required)>'"), r"Redis 5\.0\.3"),
    (("Could not set interface wlan0 flags (UP): Operation not possible due to RF-kill", "nl80211: Could not configure driver mode"), "RF-kill"),
    # The words of an exception over several lines, up to its first frame.
    (('Exception in thread "main" org.example.ValidateException: Validate failed', "checksum mismatch for version 7.2", "-> applied: 3", "\tat org.example.Main.run(Main.java:3)"), r"version 7\.2"),
    (("tar: /srv/data: file changed as we read it", "gzip: stdout: No space left on device", "tar: /mnt/backup/x.tar.gz: Cannot write: Broken pipe"), r"space.*/mnt/backup/x\.tar\.gz|/mnt/backup/x\.tar\.gz.*space"),
    (("[2024-08-11 02:44:37,881] ERROR Error while appending to dir /data/kafka", "java.io.IOException: No space left on device", "\tat kafka.log.UnifiedLog.append(UnifiedLog.scala:919)"), "space left for /data/kafka"),
    # X servers grade their lines with two letters.
    (('(WW) The directory "/usr/share/fonts/cyrillic" does not exist.', '(EE) Failed to load module "nvidia" (module does not exist, 0)', "(EE) No drivers available."), "nvidia"),
    (("rules-restore: Set blocklist doesn't exist.", "Error occurred at line: 14"), "blocklist"),
    (("gpg: 9A1B2C3D4E5F6071: skipped: No public key", "gpg: [stdin]: encryption failed: No public key"), "9A1B2C3D4E5F6071"),
    (("Error: ", "   0: could not open the spool", "   1: No such file or directory (os error 2)"), "spool.*No such file"),
    (('time="x" level=fatal msg="plugin could not be loaded" plugin=geoip error="built with a different version"',), "different version.*geoip"),
    (("> ParseError at [row,col]:[171,17]", "> Message: Unexpected attribute 'pool' encountered"), "pool"),
    (("ERROR: [1] bootstrap checks failed. You must address the points described in the following [1] lines. For more information see [https://www.example.org/guide/en/reference/current/bootstrap-checks-and-more.html?page=1&section=2&highlight=everything]", "check failure [1] of [1]: vm.max_map_count [65530] is too low, increase to at least [262144]; for more information see [https://www.example.org/guide/en/reference/current/bootstrap-checks-and-more.html]"), r"vm\.max_map_count"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), FURTHER)
def test_further_cascades(lines: tuple[str, ...], said: str) -> None:
    assert re.search(said, judge(case(*lines)).summary)


def test_what_it_complained_of_until_its_time_was_over() -> None:
    said = judge(
        case("waiting for db.example:5432", *("db.example:5432 - no response",) * 4, result="timeout",
             exit_code="killed", exit_status="TERM",
             manager=(STARTED, "a.service: start operation timed out. Terminating."))
    ).summary  # fmt: skip
    assert "db.example:5432" in said


def test_an_error_of_the_system_about_a_configuration_is_no_mistake_in_it() -> None:
    assert judge(case("cannot load the configuration database: Operation not permitted")).cause != "configuration"  # fmt: skip
    assert judge(case("entry for /mnt/a not found in /etc/mtab")).cause != "configuration"
    assert judge(case("1 renew failure(s), 0 parse failure(s) of /etc/a.conf")).cause != "configuration"  # fmt: skip


ASKED = entry(
    "head: cannot open '/etc/mailname' for reading: No such file or directory", 1, _PID="105"
)
OWN = entry(
    'Error in config file "/etc/a/50-user": syntax error at /etc/a/50-user line 5, near "$level"', 2
)
NO_MAILNAME = Facts(paths={"/etc/mailname": gone("/etc/mailname")})


def test_what_a_helper_could_not_read_is_not_what_its_program_died_of() -> None:
    """amavisd asks head(1) for the name of the host, and goes on without it."""
    one = case(ASKED, OWN, facts=NO_MAILNAME, main=process(100))
    assert "/etc/a/50-user line 5" in judge(one).summary


def test_what_a_script_could_not_read_is_it() -> None:
    """A script of a shell goes on with what it could not read."""
    show = {"ExecStart": command("/bin/sh", "/srv/job.sh")}
    end = entry("job: nothing was sent", 2)
    one = case(ASKED, end, facts=NO_MAILNAME, main=process(100), show=show)
    assert "/etc/mailname does not exist" in judge(one).summary


def test_what_a_helper_could_not_read_is_told_where_nothing_else_is() -> None:
    one = case(ASKED, facts=NO_MAILNAME, main=process(100))
    assert "/etc/mailname does not exist" in judge(one).summary


SETUP = entry(
    "/usr/sbin/a-setup: 15: /usr/libexec/a/table: not found",
    1,
    _PID="90",
    SYSLOG_IDENTIFIER="a-setup",
    _COMM="a-setup",
)
INTERFACE = entry("CRIT: Fatal error: Invalid interface specification: 'ens192'", 2)


@pytest.mark.parametrize("setting", ["ExecStartPre", "ExecStopPost"])
def test_a_command_beside_the_main_process_that_failed(setting: str) -> None:
    """rtpengine: its set-up of the firewall complains of a program that it can do without."""
    show = {setting: command("/usr/sbin/a-setup", status="0")}
    missing = Facts(paths={"/usr/libexec/a/table": gone("/usr/libexec/a")})
    one = case(SETUP, INTERFACE, show=show, facts=missing, main=process(100))
    assert "ens192" in judge(one).summary
    helper = entry("no table 'ens192', failed", 2, _PID="91", SYSLOG_IDENTIFIER="ip", _COMM="ip")
    failed = case(SETUP, helper, show=show, facts=missing, control=control(setting, "127"))
    assert judge(failed).cause == "file-missing"
    assert (judge(failed).confidence or 0) > SAID


def test_the_frame_of_a_cython_module_is_a_librarys() -> None:
    """It gives its files without a directory, as if they stood where the program does."""
    said = judge(
        case(
            "Traceback (most recent call last):",
            '  File "/srv/broker.py", line 7, in <module>',
            '    frontend.bind(os.environ["BROKER_ENDPOINT"])',
            '  File "zmq/backend/cython/socket.pyx", line 568, in zmq.backend.cython.socket.bind',
            '  File "zmq/backend/cython/checkrc.pxd", line 28, in zmq.backend.cython._check_rc',
            "zmq.error.ZMQError: No such device",
        )
    ).summary
    assert "/srv/broker.py line 7" in said
    assert "BROKER_ENDPOINT" in said


def test_the_newest_of_its_log_files_has_the_last_word() -> None:
    """Each run of some programs has a file of its own; the collector gives the newest first."""
    items = {
        "logs/a/2": b"W1128 02:20:53.907 main.cpp:18] starting\n"
        b"E1128 02:20:53.908 main.cpp:20] cannot open the index /srv/new\n",
        "logs/a/1": b"E1128 02:20:52.548 main.cpp:20] cannot open the index /srv/old\n",
    }
    one = case(items=items)
    assert [message.level for message in one.messages] == [Level.ERROR, Level.WARNING, Level.ERROR]
    assert one.messages[-1].text == "cannot open the index /srv/new"


def test_the_first_half_of_a_sentence_stands_above() -> None:
    """snapraid: each line is half of what it says."""
    lines = (
        "WARNING! All the files previously present in disk 'd2' at dir '/mnt/disk2/'",
        "are now missing or rewritten!",
        "This could happen when some disks are not mounted",
        "in the expected directory.",
        "If you want to 'sync' anyway, use 'snapraid --force-empty sync'.",
    )
    said = judge(case(*lines)).summary
    assert "'d2' at dir '/mnt/disk2/' are now missing or rewritten" in said


def test_another_program_on_a_port_that_it_does_not_name() -> None:
    """supervisord says no more; the warning before it is no reason."""
    line = "Error: Another program is already listening on a port that one of our HTTP servers is configured to use."
    assert found(case("CRIT Server is running as root.", line))["port-taken"].at == 1


def test_a_sentence_that_has_ended_is_no_first_half() -> None:
    lines = (
        "The store was opened at /srv/a by the user a.",
        "at least one file is missing: 'x.db'",
    )
    rest = ["a line that tells nothing of it, and is as long as the others are"] * 4
    assert "The store was opened" not in judge(case(*rest, *lines)).summary
