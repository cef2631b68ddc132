# SPDX-License-Identifier: MIT
"""What systemd itself says, and whose victim a unit is: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

import json

import pytest

from failhook.diagnose.case import Case
from failhook.incident import Phase
from tests.unit.diagnose.cases import (
    PROGRAM,
    STARTED,
    case,
    command,
    control,
    entry,
    judge,
    what,
)

TIMED_OUT = (STARTED, "a.service: start operation timed out. Terminating.")
CACHE = "/usr/local/bin/warm-cache"
POST = {"ExecStartPost": command(CACHE, status="7"), "Type": "simple"}
TABLE = "!  UNIT LOAD ACTIVE SUB RESULT RELATION\n"


def said_before(*lines: str) -> dict[str, bytes]:
    """What the journal has of the time before this run."""
    text = "".join(f"2026-11-21T20:49:37.123456+00:00 {line}\n" for line in lines)
    return {"journal/before.txt": text.encode()}


CYCLE = "a.service: Found ordering cycle on b.service/start"


def neighbours(*rows: str) -> dict[str, bytes]:
    """unit/dependencies.txt."""
    return {"unit/dependencies.txt": (TABLE + "".join(f"!  {row}\n" for row in rows)).encode()}


B_SAID = {
    "unit/required.json": json.dumps(
        {"b.service": [json.dumps(entry("cannot open /srv/b: No such device", SYSLOG_IDENTIFIER="b"))]}
    ).encode()
}  # fmt: skip
CHAIN = neighbours(
    "b.service loaded inactive dead success Requires",
    "c.mount loaded failed failed exit-code Requires<b.service",
)

FOUND: tuple[tuple[str, Case, str], ...] = (
    ("runtime-max", case(manager=(STARTED, "a.service: Service reached runtime time limit. Stopping."), result="timeout", show={"RuntimeMaxUSec": "1min"}), 'a.service failed: it ran longer than RuntimeMaxSec=1min allows'),
    ("timeout-start", case(manager=TIMED_OUT, result="timeout", show={"Type": "notify", "TimeoutStartUSec": "90s"}), 'Type=notify, but its program did not send READY=1 within TimeoutStartSec=90s'),
    ("timeout-start", case(manager=TIMED_OUT, result="timeout", show={"Type": "forking", "TimeoutStartUSec": "90s"}), 'Type=forking, but its program stayed in the foreground and did not exit within TimeoutStartSec=90s'),
    ("timeout-start", case(manager=TIMED_OUT, result="timeout", show={"Type": "dbus", "BusName": "org.x", "TimeoutStartUSec": "90s"}), 'its program did not take the bus name org.x within TimeoutStartSec=90s'),
    ("timeout-start", case(manager=TIMED_OUT, result="timeout", show={"Type": "oneshot", "TimeoutStartUSec": "90s"}), '“/usr/sbin/a” did not end within TimeoutStartSec=90s (Type=oneshot)'),
    ("timeout-start", case(manager=(STARTED, "a.service: start-pre operation timed out. Terminating."), result="timeout", show={"ExecStartPre": command("/bin/sleep"), "TimeoutStartUSec": "90s"}), 'ExecStartPre=/bin/sleep did not end within TimeoutStartSec=90s'),
    ("pid-file", case(manager=("a.service: Can't open PID file /run/a.pid (yet?) after start: No such file or directory", "a.service: start operation timed out. Terminating."), result="timeout", show={"Type": "forking", "PIDFile": "/run/a.pid", "TimeoutStartUSec": "90s"}), 'the PID file /run/a.pid did not appear within TimeoutStartSec=90s: Type=forking waits for it'),
    ("timeout-stop", case(manager=(STARTED, "a.service: State 'stop-sigterm' timed out. Killing."), result="timeout", show={"TimeoutStopUSec": "2s"}), 'a.service failed: it did not end within TimeoutStopSec=2s of SIGTERM and was killed'),
    ("timeout-stop", case(manager=(STARTED, "a.service: State 'stop' timed out. Terminating."), result="timeout", show={"TimeoutStopUSec": "2s", "ExecStop": command("/usr/bin/hang")}), 'a.service failed: ExecStop=/usr/bin/hang did not end within TimeoutStopSec=2s'),
    ("watchdog", case(manager=(STARTED, "a.service: Watchdog timeout (limit 2s)!"), result="watchdog", show={"WatchdogUSec": "2s"}), 'a.service failed: it sent no keep-alive (WATCHDOG=1) within WatchdogSec=2s: it hung, and was killed'),
    ("protocol", case(result="protocol", exit_status="0", show={"Type": "notify"}), 'Type=notify, but its main process exited with status 0 before it sent READY=1'),
    ("protocol", case(result="protocol", show={"Type": "forking", "PIDFile": "/run/a.pid"}), 'Type=forking, but its program exited and left no process behind, and PIDFile=/run/a.pid was not there'),
    ("start-limit", case(manager=("a.service: Start request repeated too quickly.",), result="start-limit-hit", exit_status="0", show={"StartLimitBurst": "5", "StartLimitIntervalUSec": "10s", "Restart": "always"}), 'it was started more than 5 times within 10s (StartLimitBurst=); Restart=always started it again each time its main process exited with success'),
    ("signal", case(exit_code="killed", exit_status="KILL", result="signal"), '/usr/sbin/a was ended by SIGKILL: somebody (not the kernel for memory, not systemd) killed it'),
    ("signal", case(exit_code="killed", exit_status="PIPE", result="signal"), '/usr/sbin/a was ended by SIGPIPE: it wrote to a pipe or socket that nobody reads any more'),
    ("sandbox", case(exit_code="killed", exit_status="SYS", result="signal", show={"SystemCallFilter": "read write"}, items={"kernel/kernel.txt": b"audit: type=1326 audit(1.2:3): syscall=41 compat=0"}), '/usr/sbin/a made a system call (number 41) that SystemCallFilter=read write forbids, and was killed by SIGSYS'),
    ("crash", case(exit_code="dumped", exit_status="SEGV", result="core-dump", items={"coredump/core.txt": b"#0  0x000055d0c0ffee00 frob (a + 0x1139)\n"}), '/usr/sbin/a crashed with a segmentation fault (SIGSEGV) in frob and left a core'),
    ("crash", case(exit_code="killed", exit_status="ABRT", result="signal"), '/usr/sbin/a crashed with its own abort (SIGABRT)'),
    ("unclear", case(), '/usr/sbin/a ended with status 3/NOTIMPLEMENTED and wrote nothing, it is unclear why (by convention: something is not implemented)'),
    ("unclear", case(manager=()), '/usr/sbin/a ended with status 3/NOTIMPLEMENTED; the journal has nothing of this run, it is unclear why (by convention: something is not implemented)'),
    ("unclear", case(exit_status="78"), '/usr/sbin/a ended with status 78/CONFIG and wrote nothing, it is unclear why (by convention: a mistake in its configuration)'),
    ("unclear", case("loading", "at work"), '/usr/sbin/a ended with status 3/NOTIMPLEMENTED; its last words: “loading / at work”'),
    ("unclear", case({"MESSAGE": "http://127.0.0.1:9000/ does not answer", "SYSLOG_IDENTIFIER": "warm-cache"}, show=POST, control=control("ExecStartPost", "7"), exit_code="killed", exit_status="TERM"), 'ExecStartPost=/usr/local/bin/warm-cache ended with status 7/NOTRUNNING: “http://127.0.0.1:9000/ does not answer”'),
    ("unclear", case(show=POST, control=control("ExecStartPost", "7")), 'ExecStartPost=/usr/local/bin/warm-cache ended with status 7/NOTRUNNING and wrote nothing, it is unclear why (by convention: the program is not running)'),
    ("unclear", case(exit_status="0", control=control("ExecStopPost", "4"), show={"ExecStopPost": command("/usr/bin/clean", status="4")}), 'a.service failed: the run itself was clean, but ExecStopPost=/usr/bin/clean ended with status 4/NOPERMISSION and wrote nothing, it is unclear why (by convention: not enough privileges)'),
    ("resources", case(manager=("a.service: Failed to run 'start' task: Device or resource busy",), result="resources"), "systemd could not start it: Failed to run 'start' task: Device or resource busy"),
    ("job-timeout", case(manager=("a.service: Job a.service/start timed out.",), phase=Phase.JOB_TIMEOUT, show={"JobTimeoutUSec": "3s"}, items=neighbours("b.service loaded activating start success Requires")), 'its start job waited longer than JobTimeoutSec=3s for b.service, which is still starting'),
    ("ordering-cycle", case(items=said_before(f"systemd[1]: {CYCLE}", "systemd[1]: a.service: Job b.service/start deleted to break ordering cycle starting with a.service/start")), 'systemd broke an ordering cycle and left a unit out: a.service: Job b.service/start deleted to break ordering cycle starting with a.service/start'),
    ("ordering-cycle", case(manager=(CYCLE,)), 'systemd broke an ordering cycle and left a unit out: a.service: Found ordering cycle on b.service/start'),
    ("mount", case({"MESSAGE": "mount: /srv: wrong fs type", "SYSLOG_IDENTIFIER": "mount"}, unit="srv.mount", show={"Id": "srv.mount", "Where": "/srv", "What": "/dev/sdb1"}), 'srv.mount failed to start: /dev/sdb1 cannot be mounted on /srv: “mount: /srv: wrong fs type”'),
    ("dependency", case(manager=("Dependency failed for a.service - A.",), phase=Phase.DEPENDENCY, items=neighbours("b.service loaded failed failed exit-code Requires") | B_SAID), 'a.service is a victim: it requires b.service, which failed: “cannot open /srv/b: No such device”'),
    ("dependency", case(phase=Phase.DEPENDENCY, items=CHAIN), 'a.service is a victim: it requires c.mount (by way of b.service), which failed: result exit-code'),
    ("dependency", case(phase=Phase.DEPENDENCY, items=neighbours("b.service not-found inactive dead - Requires")), 'a.service is a victim: it requires b.service, which does not exist'),
    ("dependency", case(phase=Phase.DEPENDENCY), 'something that it requires failed'),
    ("dependency", case(phase=Phase.STOPPED, items=neighbours("b.service loaded failed failed exit-code BindsTo")), 'a.service was stopped with b.service (BindsTo=), which failed: result exit-code'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("runtime-max", case("Service reached runtime time limit", result="timeout")),
    ("timeout-start", case("start operation timed out", result="exit-code")),
    ("watchdog", case("Watchdog timeout", result="exit-code")),
    ("start-limit", case("Start request repeated too quickly.")),
    ("signal", case(exit_code="killed", exit_status="TERM", control=control("ExecStartPost", "7"))),
    ("signal", case(exit_code="killed", exit_status="KILL", result="timeout")),
    ("sandbox", case("killed by SIGSYS")),
    ("crash", case("Segmentation fault in a child", exit_status="139")),
    ("job-timeout", case(phase=Phase.FAILED)),
    ("ordering-cycle", case(CYCLE)),
    ("ordering-cycle", case("no /srv/x", items=said_before("systemd[1]: a.service:13: Unit uses KillMode=none, which disables systemd's process lifecycle management."))),
    ("ordering-cycle", case("no /srv/x", items=said_before("a[9]: garbage collection: 3 cycles"))),
    ("ordering-cycle", case("no /srv/x", items=said_before("a[9]: no ordering cycle in the graph"))),
    ("mount", case("mount: /srv: wrong fs type")),
    ("dependency", case("Dependency failed for a.service", items=CHAIN)),
)  # fmt: skip


def test_a_control_command_is_the_reason_for_the_signal_to_the_main_process() -> None:
    """systemd ends the main process itself then: "somebody ended it" would be an invention."""
    one = case(
        {"MESSAGE": "nothing answers", "SYSLOG_IDENTIFIER": "warm-cache", "_PID": "119"},
        show=POST,
        control=control("ExecStartPost", "7"),
        exit_code="killed",
        exit_status="TERM",
    )
    assert judge(one).summary == (
        f"a.service failed to start: ExecStartPost={CACHE} ended with status 7/NOTRUNNING: “nothing answers”"
    )


def test_the_program_is_named_with_its_path() -> None:
    assert PROGRAM in judge(case()).summary


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None


@pytest.mark.parametrize(
    ("program", "advice"),
    [
        ("/usr/sbin/acmed", "/usr/sbin/acmed"),
        ("/bin/sh", "what systemctl cat a.service has"),
        ("/usr/bin/python3.11", "what systemctl cat a.service has"),
    ],
)
def test_what_to_run_by_hand(program: str, advice: str) -> None:
    one = case(show={"ExecStart": command(program)})
    assert judge(one).advice == f"run it by hand as the unit's user: {advice}"
