# SPDX-License-Identifier: MIT
"""Many units fail at once, one fails without end: nothing is lost, nobody waits for another."""

import json
import time
from typing import Any

from tests.e2e.hooked import Hooked, service

_RECORD: dict[str, Any] = {
    "schema": 1,
    "kind": "stop-post",
    "unit": "theirs.service",
    "manager": "system",
    "boot_id": "0" * 32,
    "realtime": 1.0,
    "monotonic": 1.0,
    "uid": 1,
    "pid": 1,
    "env": {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "SEGV"},
}
_FAIL = "ExecStart=sh -c 'echo %n is going down; exit 3'\n"


def test_sixty_units_fail_at_once(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    names = [f"storm-{number}.service" for number in range(60)]
    bed.units({name: service("stop-post", _FAIL) for name in names})
    bed.systemctl("start", *names, check=False, timeout=120)

    def done() -> bool:
        found = fresh_hooked.incidents("storm-*")
        return len(found) == len(names) and all(one["stage"] == "done" for one in found)

    bed.wait(done, timeout=120, what="sixty incidents")
    found = fresh_hooked.incidents("storm-*")
    assert {one["unit"] for one in found} == set(names)
    assert all(one["bundle"] and one["count"] == 1 for one in found)
    runner = bed.show("failhook.service", "MainPID", "NRestarts")
    assert runner["NRestarts"] == "0"
    peak = bed.shell(f"grep VmHWM /proc/{runner['MainPID']}/status").text.split()[1]
    assert int(peak) < 150 * 1024


def test_a_looping_unit_is_counted_exactly_and_delays_nobody(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    loop, other = "loop.service", "other.service"
    limits = "StartLimitIntervalSec=0\n"
    body = f"Restart=always\nRestartSec=20ms\n{_FAIL}"
    bed.units({loop: service("stop-post", body, limits), other: service("stop-post", _FAIL)})
    bed.systemctl("start", loop, check=False)
    time.sleep(4)
    start = time.monotonic()
    bed.systemctl("start", other, check=False)
    fresh_hooked.wait_done(other)
    assert time.monotonic() - start < 5
    time.sleep(4)
    bed.systemctl("stop", loop, check=False)
    failures = len(
        bed.journal(f"UNIT={loop}", "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c", "_PID=1")
    )
    assert failures > 30

    def done() -> bool:
        found = fresh_hooked.incidents(loop)
        return len(found) >= failures and all(one["stage"] == "done" for one in found)

    bed.wait(done, timeout=60, what=f"{failures} incidents")
    found = fresh_hooked.incidents(loop)
    assert len(found) == failures
    assert len({one["invocation_id"] for one in found}) == failures
    # the same failure each time: one signature, an exact count, and few bundles
    assert len({one["signature"] for one in found}) == 1
    assert sorted(one["count"] for one in found) == list(range(1, failures + 1))
    with_bundle = [one["count"] for one in found if one["bundle"]]
    assert with_bundle[:3] == [1, 2, 3]
    assert len(with_bundle) < failures / 2
    assert found[-1]["bundle"]
    lines = bed.run(["failhook", "list", "--unit", loop]).text.splitlines()
    assert len(lines) == 2
    assert f" {failures} " in lines[1]


def test_a_storm_through_the_socket(fresh_hooked: Hooked) -> None:
    """Ordinary users' units at once, from a cold runner. A hook waits for a second at most; one
    whose uid is gone when the runner looks (DynamicUser=) is believed by the journal's word."""
    bed = fresh_hooked.machine
    names = [f"users-{number}.service" for number in range(30)]
    kinds = ("User=nobody\n", "DynamicUser=yes\n", "ProtectSystem=strict\n")
    bed.units({name: service("stop-post", kinds[n % 3] + _FAIL) for n, name in enumerate(names)})
    bed.systemctl("start", *names, check=False, timeout=120)

    def done() -> bool:
        found = fresh_hooked.incidents("users-*")
        return len(found) == len(names) and all(one["stage"] == "done" for one in found)

    bed.wait(done, timeout=120, what="thirty incidents")
    assert {one["unit"] for one in fresh_hooked.incidents("users-*")} == set(names)


def test_who_left_and_never_ran_in_the_unit_is_not_believed(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    bed.units({"theirs.service": service("on-failure", f"DynamicUser=yes\n{_FAIL}")})
    bed.systemctl("start", "theirs.service", check=False)
    (real,) = fresh_hooked.wait_done("theirs.service")
    forged = {**_RECORD, "env": {**_RECORD["env"], "INVOCATION_ID": real["invocation_id"]}}
    script = (
        "import socket\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
        "s.connect('/run/failhook/socket')\n"
        f"s.send({json.dumps(forged)!r}.encode())\n"
    )
    bed.systemctl("stop", "failhook.service")  # nobody answers before the peer has gone
    bed.run(["python3", "-c", script], user="daemon")

    def refused() -> bool:
        said = [line["MESSAGE"] for line in bed.journal("_SYSTEMD_UNIT=failhook.service")]
        return any(text.startswith("refused a report of uid 1 ") for text in said)

    bed.wait(refused, what="the refusal")
    assert len(fresh_hooked.incidents("theirs.service")) == 1
    assert fresh_hooked.show("theirs")["triggers"] == real["triggers"]


def test_silent_peers_hold_nobody_up(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    script = (
        "import socket,time\n"
        "held=[]\n"
        "for n in range(200):\n"
        "  s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.setblocking(False)\n"
        "  try: s.connect('/run/failhook/socket'); held.append(s)\n"
        "  except OSError: pass\n"
        "time.sleep(30)\n"
    )
    bed.write("/usr/local/lib/silent.py", script)
    bed.units(
        {
            "silent.service": "[Service]\nUser=daemon\n"
            "ExecStart=python3 /usr/local/lib/silent.py\n",
            "speaks.service": service("stop-post", f"User=nobody\n{_FAIL}"),
        }
    )
    bed.systemctl("start", "silent.service")
    bed.shell("sleep 0.5")
    bed.systemctl("start", "speaks.service", check=False)
    fresh_hooked.wait_done("speaks.service")
