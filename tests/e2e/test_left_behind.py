# SPDX-License-Identifier: MIT
"""A collector that SIGKILL does not end. No unit test: it writes to the machine's cgroups."""

import os
import time
from pathlib import Path

import pytest

from failhook.collector import Collector, Context, Sink
from failhook.gather import offspring
from failhook.gather.stage import gather
from failhook.incident import Incident, Status
from failhook.systemd.unit import UnitState

_FREEZER = Path("/sys/fs/cgroup/freezer")
_CONTEXT = Context(Incident("x", "h", "b" * 32, "u.service", 1.0, 1.0), UnitState("u.service", {}))


@pytest.mark.skipif(
    os.geteuid() != 0 or not (_FREEZER / "tasks").exists(),
    reason="needs root and the freezer of cgroup version 1",
)
def test_it_is_left_behind_and_reaped_later() -> None:
    """Under this freezer a process takes no SIGKILL until it is thawed, as in D state."""
    group = _FREEZER / f"failhook-test-{os.getpid()}"
    group.mkdir()

    def collect(_: Context, sink: Sink) -> None:
        sink.put("pid", str(os.getpid()))
        (group / "tasks").write_text(str(os.getpid()))
        (group / "freezer.state").write_text("FROZEN")
        time.sleep(60)

    try:
        started = time.monotonic()
        (one,) = gather(
            _CONTEXT, [Collector("c", "", collect, timeout_s=0.3)], lambda data, _: (data, {})
        )
        assert time.monotonic() - started < 1.5
        assert one.evidence.status is Status.TIMEOUT
        assert "cannot be killed (D state) and was left behind" in (one.evidence.reason or "")
        pid = int(one.items[0].data)
        assert Path(f"/proc/{pid}").exists()
    finally:
        (group / "freezer.state").write_text("THAWED")
        time.sleep(0.2)
        offspring.reap_left_behind()
        group.rmdir()
    assert not Path(f"/proc/{pid}").exists()
