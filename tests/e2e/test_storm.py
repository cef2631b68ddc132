# SPDX-License-Identifier: MIT
"""Many units fail at once, one fails without end: nothing is lost, nobody waits for another."""

import time

from tests.e2e.hooked import Hooked, service

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
    """Ordinary users' units at once, from a cold runner. A hook waits for a second at most, which
    a machine under load may not keep: then it says so in its unit's journal."""
    bed = fresh_hooked.machine
    names = [f"users-{number}.service" for number in range(30)]
    kinds = ("User=nobody\n", "DynamicUser=yes\n", "ProtectSystem=strict\n")
    bed.units({name: service("stop-post", kinds[n % 3] + _FAIL) for n, name in enumerate(names)})
    bed.systemctl("start", *names, check=False, timeout=120)

    def done() -> bool:
        found = fresh_hooked.incidents("users-*")
        known = {one["unit"] for one in found} | complained()
        return known == set(names) and all(one["stage"] == "done" for one in found)

    def complained() -> set[str]:
        lines = bed.journal("SYSLOG_IDENTIFIER=failhook", "PRIORITY=3")
        return {str(line.get("_SYSTEMD_UNIT")) for line in lines} & set(names)

    bed.wait(done, timeout=90, what="thirty incidents")
    assert len(fresh_hooked.incidents("users-*")) >= 27


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
