# SPDX-License-Identifier: MIT
"""What changed since a unit last ran well, under a real systemd."""

import re
import time

from tests.bed import Machine
from tests.e2e.hooked import Hooked, Incident, service

_SECRET = "hunter2-and-a-half"
_FAIL = "Type=oneshot\nExecStart=sh -c 'exit 3'\n"


def _with_timer(bed: Machine, unit: str, text: str) -> None:
    """As such jobs are; systemd forgets a oneshot unit that nothing refers to when it is done."""
    timer = unit.replace(".service", ".timer")
    bed.units({unit: text, timer: "[Timer]\nOnCalendar=2090-01-01\n"})
    bed.systemctl("start", timer)
    bed.systemctl("start", unit)


def _rest(hooked: Hooked) -> None:
    """Make the runner come to rest: it then looks at those that run well."""
    bed = hooked.machine
    name = f"rest-{time.monotonic_ns()}.service"
    bed.units({name: service("both", _FAIL)})
    bed.systemctl("start", name, check=False)
    hooked.wait_done(name)


def _known(bed: Machine, unit: str) -> bytes:
    """The fingerprint of ``unit``; empty while there is none."""
    return bed.shell(f"cat /var/lib/failhook/units/{unit}-*.json 2>/dev/null || :").stdout


def _changes(incident: Incident) -> dict[str, Incident]:
    return {one["what"]: one for one in incident["changes"]}


def test_what_was_edited_since(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "edited.service"
    bed.write("/etc/edited.conf", f"mode = calm\npassword = {_SECRET}\n")
    run = "Type=oneshot\nExecStart=sh -c 'grep -q calm /etc/edited.conf || exit 9'\n"
    _with_timer(bed, unit, service("both", run))
    _rest(hooked)
    bed.wait(lambda: _known(bed, unit) != b"", timeout=60, what="the fingerprint")
    assert _SECRET.encode() not in _known(bed, unit)
    mode = bed.shell("stat -c '%a %U' /var/lib/failhook/units").text.split()
    assert mode == ["700", "root"]

    time.sleep(1.1)  # the file's time tells it apart
    bed.write("/etc/edited.conf", f"mode = wild\npassword = {_SECRET}\n")
    bed.write("/etc/systemd/system/edited.service.d/10-nice.conf", "[Service]\nNice=5\n")
    bed.systemctl("daemon-reload")
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)

    changes = _changes(incident)
    assert set(changes) == {
        "/etc/edited.conf",
        "/etc/systemd/system/edited.service.d/10-nice.conf",
    }
    edited = changes["/etc/edited.conf"]
    assert "content changed" in edited["after"]
    assert edited["at"] is not None and incident["last_well"] < edited["at"]
    verdict = incident["verdict"]
    assert verdict["cause"] == "unclear" and "wrote nothing" in verdict["summary"]
    assert "; since it last ran well, /etc/" in verdict["summary"]
    assert "/etc/edited.conf was changed" in verdict["summary"]
    assert verdict["advice"].startswith("look first at what became of /etc/")
    added = changes["/etc/systemd/system/edited.service.d/10-nice.conf"]
    assert added["before"] == "not there"
    shown = bed.run(["failhook", "show", "last"]).text
    print(shown)
    assert "Ran well  last seen " in shown
    with_time = r"Changed +\d\d:\d\d  "
    assert re.search(rf"{with_time}/etc/edited.conf: \d+ bytes -> \d+ bytes, content", shown)
    assert re.search(rf"{with_time}/etc/systemd/system/edited.service.d/10-nice.conf: not", shown)
    path = bed.run(["failhook", "bundle", incident["id"]]).text.strip()
    explained = bed.run(["failhook", "explain", path]).text
    assert "/etc/edited.conf: " in explained and "/etc/edited.conf was changed" in explained
    (evidence,) = [one for one in incident["evidence"] if one["name"] == "changes"]
    print(evidence)
    assert evidence["status"] == "ok" and evidence["took_ms"] <= 1000
    files = hooked.bundle_files(incident)
    assert b"/etc/edited.conf" in files["changes.json"]
    assert all(_SECRET.encode() not in content for content in files.values())


def test_what_was_upgraded_since(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "upgraded.service"
    _install(bed, "1.0", "exit 0")
    _with_timer(bed, unit, service("stop-post", "Type=oneshot\nExecStart=/usr/bin/acme-tool\n"))
    _rest(hooked)
    bed.wait(lambda: b"acme-tool" in _known(bed, unit), timeout=60, what="the fingerprint")
    time.sleep(1.1)
    _install(bed, "1.1", "echo cannot open the ledger >&2; exit 1")
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    change = _changes(incident)["acme-tool (dpkg)"]
    assert (change["before"], change["after"]) == ("1.0", "1.1")
    assert change["at"] is not None
    # its words name a thing, and yet not why
    assert incident["verdict"]["summary"].endswith(
        "“cannot open the ledger”; since it last ran well, acme-tool is 1.1 (1.0 before)"
    )


def _install(bed: Machine, version: str, body: str) -> None:
    control = f"Package: acme-tool\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\n"
    bed.write("/root/deb/DEBIAN/control", f"{control}Description: x\n")
    bed.write("/root/deb/usr/bin/acme-tool", f"#!/bin/sh\n{body}\n", mode=0o755)
    bed.shell(
        "dpkg-deb --build --root-owner-group /root/deb /root/acme.deb && dpkg -i /root/acme.deb"
    )


def test_one_that_was_repaired_is_remembered_as_it_runs_then(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "repaired.service"
    start = "ExecStart=sh -c 'grep -q calm /etc/repaired.conf && exec sleep 600'\n"
    bed.write("/etc/repaired.conf", "wild\n")
    bed.units({unit: service("both", start)})
    bed.systemctl("start", unit, check=False)
    (first,) = hooked.wait_done(unit)
    assert (first["changes"], first["last_well"]) == ([], None)
    bed.write("/etc/repaired.conf", "calm\n")
    bed.systemctl("restart", unit)
    bed.wait(lambda: _known(bed, unit) != b"", timeout=60, what="the fingerprint")
    assert b'"libc6' in _known(bed, unit)  # what the process has mapped can be seen
    bed.write("/etc/repaired.conf", "mild\n")
    bed.systemctl("restart", unit, check=False)
    *_, second = hooked.wait_done(unit, count=2)
    assert set(_changes(second)) == {"/etc/repaired.conf"}


def test_enable_remembers_who_runs(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "steady.service"
    bed.write("/usr/local/bin/steady", "#!/bin/sh\nexec sleep 600\n", mode=0o755)
    bed.units({unit: "[Service]\nExecStart=/usr/local/bin/steady\n"})
    bed.systemctl("start", unit)
    time.sleep(10.5)  # younger ones may still fail
    bed.run(["failhook", "enable", unit])
    assert _known(bed, unit) != b""
    bed.write("/usr/local/bin/steady", "#!/bin/sh\nexit 4\n", mode=0o755)
    bed.systemctl("restart", unit, check=False)
    (incident, *_) = hooked.wait_done(unit)
    assert "/usr/local/bin/steady" in _changes(incident)
    assert "/etc/systemd/system/steady.service.d/50-failhook.conf" not in _changes(incident)


def test_nothing_is_said_of_a_unit_that_never_ran_well(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.units({"never.service": service("both", _FAIL)})
    bed.systemctl("start", "never.service", check=False)
    (incident,) = hooked.wait_done("never.service")
    assert (incident["changes"], incident["last_well"]) == ([], None)
    assert "Changed" not in bed.run(["failhook", "show", "never"]).text
