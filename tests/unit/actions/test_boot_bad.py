# SPDX-License-Identifier: MIT
"""boot-bad: what is asked before a mark, what is marked, and how the machine goes down then."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from failhook import places, testing
from failhook.actions import boot_bad
from failhook.boot import going_down, guards, proven
from failhook.boot.guards import Guards
from failhook.places import Places
from failhook.plugin import Outcome, Request, done, failed
from tests.unit.actions.conftest import Systemd
from tests.unit.boot.machine import Machine

NEW, OLD = "deb-56+2-1.conf", "deb-55.conf"


@dataclass(slots=True)
class Bench:
    """A machine, and what the end of its boot was asked for."""

    machine: Machine
    where: Places
    objection: Outcome | None = None
    went_down: list[dict[str, Any]] = field(default_factory=list)
    careful: list[Guards | None] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: done("asked systemd for reboot"))

    def run(self, raw: dict[str, object] | None = None, **changes: Any) -> Outcome:
        """The action, on this machine."""
        request = testing.request(boot_bad.ACTION, raw or {}, **changes)
        return boot_bad.run(request, self.machine.host)

    @property
    def entries(self) -> list[str]:
        """What is on the ESP."""
        return self.machine.names("/efi/loader/entries")


@pytest.fixture
def bench(tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Nothing speaks against it, and no machine goes down."""
    machine = Machine(tmp_path / "root")
    machine.root.mkdir()
    made = Bench(machine, where)

    def objection(request: Request[Any], careful: Guards | None = None) -> Outcome | None:
        made.careful.append(careful)
        return made.objection

    def go_down(request: Request[Any], how: str, reason: str, **told: Any) -> Outcome:
        made.went_down.append({"how": how, "reason": reason, **told})
        return made.outcome

    monkeypatch.setattr(guards, "objection", objection)
    monkeypatch.setattr(going_down, "go_down", go_down)
    monkeypatch.setattr(places, "find", lambda *, user: where)
    return made


def test_a_new_entry_is_marked_and_left(bench: Bench) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    assert bench.run() == done("asked systemd for reboot")
    assert bench.entries == [OLD, "deb-56+0-1.conf"]
    assert bench.went_down == [
        {
            "how": "reboot",
            "reason": "deb-56.conf is marked bad, because gitea.service failed to start: port 3000 "
            "(::) is already held by grafana (pid 812, grafana-server.service)",
            "expects": "deb-55.conf",
            "entry": "deb-56.conf",
            "careful": Guards(60.0, 600.0),
        }
    ]
    assert set(proven.read(bench.where).given_up) == {"deb-56.conf"}


def test_what_speaks_against_a_reboot_is_asked_before_the_mark(bench: Bench) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    bench.objection = failed("put off: an upgrade is in progress", retry_after_s=60.0)
    raw: dict[str, object] = {"min_uptime": "2min", "pause": 5, "unless_logged_in": True}
    assert bench.run(raw) == bench.objection
    assert bench.careful == [Guards(120.0, 5.0, logged_in=True)]
    assert bench.entries == [OLD, NEW]
    assert bench.went_down == []


def test_put_off_after_the_mark_it_goes_on_at_the_next_try(bench: Bench) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    bench.outcome = failed("put off: shutdown is inhibited by apt", retry_after_s=60.0)
    assert bench.run() == bench.outcome
    bench.outcome = done("asked systemd for reboot")
    assert bench.run(attempt=2).ok
    assert len(bench.went_down) == 2
    assert len([call for call in bench.machine.calls if call.endswith("bless-boot bad")]) == 1
    assert bench.went_down[1]["expects"] == "deb-55.conf"


def test_the_mark_alone(bench: Bench) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    outcome = bench.run({"reboot": False})
    assert (outcome.ok, outcome.detail) == (
        True,
        "deb-56.conf is marked bad: deb-56.conf is new, and still on trial",
    )
    assert bench.went_down == []


def test_a_mark_that_fails_reboots_nothing(bench: Bench) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    bench.machine.answers["/usr/lib/systemd/systemd-bless-boot bad"] = (1, "I/O error\n")
    outcome = bench.run()
    assert (outcome.ok, outcome.final) == (False, True)
    assert outcome.detail.startswith("deb-56.conf was not marked bad: ")
    assert outcome.detail.endswith("I/O error")
    assert bench.went_down == []
    assert proven.read(bench.where).given_up == {}


def test_a_proven_entry_is_rebooted_once_and_then_left_running(
    bench: Bench, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.machine.systemd_boot(OLD, "deb-54.conf", counted=False)
    raw: dict[str, object] = {"stop": ["acme-batch.service", "acme-web.service"]}
    assert bench.run(raw).ok
    assert bench.went_down[0]["expects"] == "deb-55.conf"
    assert "has proven itself; it is rebooted once, because gitea" in bench.went_down[0]["reason"]
    monkeypatch.setattr(proven, "boot_id", lambda: "f" * 32)  # the boot after it
    outcome = bench.run(raw)
    assert outcome.ok
    assert outcome.data == {"left_running": True}
    assert outcome.detail.startswith(
        "left running, acme-batch.service, acme-web.service stopped: deb-55.conf has proven itself"
    )
    assert len(bench.went_down) == 1
    assert systemd.asked == ["systemctl --no-block stop -- acme-batch.service acme-web.service"]


def test_left_running_with_nothing_to_stop(
    bench: Bench, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.machine.systemd_boot("deb-56+0-3.conf", "deb-55+0-3.conf")
    outcome = bench.run()
    assert outcome.ok
    assert outcome.detail.startswith("left running: a reboot would bring it up again")
    assert (bench.went_down, systemd.asked) == ([], [])


def test_a_stop_that_is_refused_is_told(bench: Bench, systemd: Systemd) -> None:
    bench.machine.systemd_boot("deb-56+0-3.conf", "deb-55+0-3.conf")
    systemd.programs.add("systemctl", "echo 'Unit x.service not loaded.' >&2; exit 5")
    outcome = bench.run({"stop": ["x.service"]})
    assert not outcome.ok
    assert outcome.detail.endswith("Unit x.service not loaded.")


def test_another_failure_may_reboot_it_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.machine.systemd_boot(OLD, counted=False)
    bench.run()
    monkeypatch.setattr(proven, "boot_id", lambda: "f" * 32)
    bench.run(incident=testing.incident(unit="other.service"))
    assert len(bench.went_down) == 2


def test_a_proven_entry_is_not_rebooted_where_no_reboot_is_wanted(bench: Bench) -> None:
    bench.machine.systemd_boot(OLD, counted=False)
    outcome = bench.run({"reboot": False})
    assert outcome.data == {"left_out": True}
    assert bench.went_down == []


def _container(machine: Machine) -> None:
    machine.write("/run/systemd/container", "docker\n")


def _kexec(machine: Machine) -> None:
    machine.write("/proc/sys/kernel/bootloader_type", "208\n")


@pytest.mark.parametrize("change", [_container, _kexec])
def test_where_it_cannot_be_told_it_refuses(
    bench: Bench, change: Callable[[Machine], None]
) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    change(bench.machine)
    outcome = bench.run()
    assert (outcome.ok, outcome.final) == (False, True)
    assert outcome.detail.startswith("not marked: this ")
    assert (bench.went_down, bench.entries) == ([], [OLD, NEW])


@pytest.mark.parametrize("raw", [{"reboot": True}, {"reboot": False}])
def test_a_dry_run_says_it_and_does_nothing(bench: Bench, raw: dict[str, object]) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    outcome = bench.run(raw, dry_run=True)
    assert outcome.ok
    assert outcome.detail.startswith("would mark deb-56.conf bad")
    assert ("and reboot into deb-55.conf" in outcome.detail) == raw["reboot"]
    assert (bench.went_down, bench.entries) == ([], [OLD, NEW])
    assert not (bench.where.state / "boots").exists()


def test_other_dry_runs(bench: Bench) -> None:
    bench.machine.systemd_boot(OLD, counted=False)
    assert bench.run(dry_run=True).detail.startswith("would reboot: deb-55.conf has proven itself")
    bench.machine.systemd_boot("deb-56+0-3.conf", "deb-55.conf")
    left = bench.run({"stop": ["a.service"]}, dry_run=True)
    assert left.detail.startswith("would leave it running and stop a.service: ")
    assert bench.went_down == []
    assert not (bench.where.state / "boots").exists()


@pytest.mark.parametrize(
    "changes", [{"user": True}, {"incident": testing.incident(manager="user")}]
)
def test_not_for_units_of_ordinary_users(bench: Bench, changes: dict[str, Any]) -> None:
    bench.machine.systemd_boot(NEW, OLD)
    outcome = bench.run(**changes)
    assert (outcome.ok, outcome.final) == (False, True)
    assert "ordinary user" in outcome.detail
    assert bench.entries == [OLD, NEW]


def test_no_reboot_without_a_record_of_it(bench: Bench) -> None:
    """Else it would be "once" at every boot."""
    bench.where.state.mkdir()
    (bench.where.state / "boots").write_text("in the way")
    bench.machine.systemd_boot(OLD, counted=False)
    outcome = bench.run()
    assert not outcome.ok
    assert outcome.detail.startswith("no reboot without a record of it")
    bench.machine.systemd_boot(NEW, OLD)
    assert "no reboot without a record of it" in bench.run().detail
    assert bench.went_down == []
