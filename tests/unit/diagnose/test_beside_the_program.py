# SPDX-License-Identifier: MIT
"""What the unit, the disk and the neighbours of a line add to what the program says."""

from dataclasses import replace

import pytest

from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import (
    case,
    command,
    control,
    entry,
    found,
    gone,
    judge,
    process,
    there,
    what,
)

LOG = "/var/log/a/a.log"
STRICT = {"ProtectSystem": "strict"}
LINE = f"Failed to open the file {LOG}, cause: n/a"
MIB = 1 << 20


def _mount(
    point: str, free: int, inodes_free: int = 100_000, size: int = 6 * MIB
) -> dict[str, object]:
    return {"point": point, "type": "tmpfs", "options": "rw", "bytes": size, "free": free,
            "inodes": 100_000, "inodes_free": inodes_free}  # fmt: skip


def _said(show: dict[str, str], path: str = LOG) -> str:
    facts = Facts(paths={path: gone(path)})
    return judge(case(LINE.replace(LOG, path), show=show, facts=facts)).summary


def test_a_log_that_the_sandbox_does_not_let_it_make() -> None:
    for path in (LOG, "/var/lib/a/a.sqlite", "/var/lib/a/load.rrd"):
        assert f"{path}: ProtectSystem=strict makes it read-only for the unit" in _said(
            STRICT, path
        )


@pytest.mark.parametrize(
    ("show", "path"),
    [
        ({}, LOG),
        ({**STRICT, "ReadWritePaths": "/var/log/a"}, LOG),
        ({**STRICT, "LogsDirectory": "a"}, LOG),
        (STRICT, "/etc/a/a.conf"),  # to be read: that it is missing is the point
    ],
)
def test_a_sandbox_that_is_not_at_fault(show: dict[str, str], path: str) -> None:
    assert "ProtectSystem" not in _said(show, path)


def test_a_disk_that_has_some_room_again() -> None:
    mounts = [_mount("/", 5 * MIB), _mount("/srv/backup", 300 << 10)]
    one = case("OSError: [Errno 28] No space left on device", system={"mounts": mounts})
    assert "there was no space left, as it seems on /srv/backup (95 % of its space in use)" in (
        judge(one).summary
    )


def test_inodes_that_are_nearly_used_up() -> None:
    mounts = [_mount("/srv/repo", 5 * MIB, 12)]
    one = case("opening /srv/repo/x.new: No space left on device", system={"mounts": mounts})
    assert "/srv/repo (99 % of its inodes in use)" in (what(one, "disk-full") or "")


def test_disks_with_room_are_not_blamed() -> None:
    mounts = [_mount("/", 5 * MIB), _mount("/srv/backup", 4 * MIB)]
    one = case("write: No space left on device", system={"mounts": mounts})
    assert "/srv/backup" not in (what(one, "disk-full") or "")


def test_the_command_that_failed_speaks_for_itself() -> None:
    show = {"ExecStartPost": command("/usr/sbin/a-admin", "-e", status="255")}
    lines = (
        "can't adjust nr_open 1048576: Operation not permitted",
        entry(
            'Block "<target>" has no EndBlock statement', 2, SYSLOG_IDENTIFIER="a-admin", _PID="7"
        ),
    )
    one = case(*lines, show=show, control=control("ExecStartPost", "255"))
    assert "EndBlock" in judge(one).summary
    # Where that command is silent, what the main process said is all there is.
    one = case(lines[0], show=show, control=control("ExecStartPost", "255"))
    assert "nr_open" in judge(one).summary


def test_what_perl_only_warns_of_is_no_death() -> None:
    missing = (
        "WARNING: file /etc/a.conf: Cannot open file '/etc/a.conf'. (No such file or directory)"
    )
    lines = ("readline() on closed filehandle FD at /usr/bin/a line 1487.", missing)
    facts = Facts(paths={"/etc/a.conf": gone("/etc/a.conf")})
    assert "/etc/a.conf does not exist" in judge(case(*lines, facts=facts)).summary
    dies = case("no such method at /usr/bin/a line 3.")
    assert "crash-perl" in found(dies)
    assert "crash-perl" not in found(case(lines[0]))


def test_what_it_complained_of_before_it_crashed() -> None:
    one = case(
        "decode: missing '@@end_db' in the database",
        exit_code="killed", exit_status="SEGV", result="signal",
    )  # fmt: skip
    assert "after “decode: missing '@@end_db' in the database”" in judge(one).summary
    silent = case("all is well", exit_code="killed", exit_status="SEGV", result="signal")
    assert "after" not in judge(silent).summary


def test_the_reason_below_a_line_that_only_names_the_file() -> None:
    lines = (
        "Parse error in /etc/a/a.conf",
        "'--max-connections' must be between 1 and 16.",
    )
    assert "'--max-connections'" in judge(case(*lines)).summary
    other = entry(lines[1], 2, _PID="4711")
    assert "'--max-connections'" not in judge(case(lines[0], other)).summary


def test_a_log_in_a_directory_that_is_not_there() -> None:
    show = {"ExecStart": command("/usr/sbin/a", "--logfile", LOG)}
    facts = Facts(paths={LOG: gone("/var/log/a")})
    one = case("unable to open log file: No such file or directory", show=show, facts=facts)
    assert f"{LOG} (ExecStart=) does not exist" in judge(one).summary
    made = Facts(paths={LOG: gone(LOG)})
    one = case("unable to open log file: No such file or directory", show=show, facts=made)
    assert "does not exist" not in judge(one).summary


def test_the_help_text_after_a_wrong_option_is_no_cause() -> None:
    lines = (
        "flag provided but not defined: -poll-interval",
        "a version 3.0.0",
        "Usage:",
        "  -log_errors",
        "    	Enables logging of runtime errors to the log, started by default",
        "  -workers int",
        "    	ready workers that are running; none if the path cannot be opened",
    )
    assert "-poll-interval" in judge(case(*lines)).summary
    # "usage" before any complaint is nothing of that kind
    assert "cannot open '/srv/x'" in judge(case("usage: 3 %", "cannot open '/srv/x'")).summary


def _input(*, size: int = 5) -> Facts:
    return Facts(paths={"/srv/ship/a.cpio": replace(there(), size=size)})


ARCHIVE = {"ExecStart": command("/usr/bin/cpio", "-F", "/srv/ship/a.cpio")}


def test_an_input_that_is_cut_off() -> None:
    one = case("premature end of file", show=ARCHIVE, facts=_input())
    assert "/srv/ship/a.cpio, as it seems, is cut off or damaged" in judge(one).summary
    assert "file-damaged" not in found(case("no such user", show=ARCHIVE, facts=_input()))
    named = case("/srv/other: premature end of file", show=ARCHIVE, facts=_input())
    assert "file-damaged" not in found(named)
    assert "file-damaged" not in found(case("premature end of file", show=ARCHIVE))


@pytest.mark.parametrize(
    ("words", "server"),
    [
        (("--url", "redis://127.0.0.1:6379/0"), " by redis://127.0.0.1:6379 (ExecStart=)"),
        (("--url", "redis://u:geheim@127.0.0.1:6379/0"), ""),  # no password into a sentence
        (("redis://a:1/0", "redis://b:1/0"), ""),
    ],
)
def test_the_server_that_refuses_a_login(words: tuple[str, ...], server: str) -> None:
    show = {"ExecStart": command("/usr/bin/rq", *words)}
    said = what(case("Authentication required.", show=show), "login-refused")
    assert said == f"a login was refused{server}: “Authentication required”"


@pytest.mark.parametrize(
    "said",
    [
        "error: hook pre-backup.sh failed",
        "ERROR: the command /usr/bin/backup returned 3",
        "ERROR: script /srv/backup.sh did not succeed",
        "error: hook pre-backup.sh failed: exit status 3",
    ],
)
def test_how_another_process_ended_is_no_error_of_its_own(said: str) -> None:
    """What the child says of itself is as sure as if nobody had spoken after it, and tells more."""
    child = {"MESSAGE": "cannot open /srv/x/a.db: No such file or directory", "_PID": "91"}
    facts = Facts(paths={"/srv/x/a.db": gone("/srv/x/a.db")})
    verdict = judge(case(child, {"MESSAGE": said, "_PID": "100"}, facts=facts, main=process()))
    assert "/srv/x/a.db does not exist" in verdict.summary
    assert (verdict.confidence or 0) > 0.8
    own = {"MESSAGE": "ERROR: no table 'orders' in shop", "_PID": "100"}
    assert "no table 'orders'" in judge(case(child, own, facts=facts, main=process())).summary
    damaged = {"MESSAGE": "cannot open /srv/x/a.db: database is damaged", "_PID": "91"}
    main = {"MESSAGE": said, "_PID": "100"}
    assert "is damaged" in judge(case(damaged, main, main=process())).summary
