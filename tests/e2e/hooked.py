# SPDX-License-Identifier: MIT
"""A bed with failhook installed, and how a test asks it what it recorded."""

import json
from typing import Any, TypeAlias

from tests.bed import Machine

Incident: TypeAlias = dict[str, Any]

WIRING = {
    "stop-post": ("", "ExecStopPost=failhook\n"),
    "on-failure": ("OnFailure=failhook@%n.service\n", ""),
    "both": ("OnFailure=failhook@%n.service\n", "ExecStopPost=-failhook %n\n"),
}


class Hooked:
    """Asks the failhook of a bed, as an administrator would."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def incidents(self, unit: str) -> list[Incident]:
        """What ``failhook list --json`` says of ``unit``, oldest first."""
        done = self.machine.run(["failhook", "list", "--json", "--unit", unit])
        document = json.loads(done.stdout)
        assert document["schema"] == 1
        found: list[Incident] = document["incidents"]
        return found[::-1]

    def show(self, which: str) -> Incident:
        """What ``failhook show --json`` says."""
        done = self.machine.run(["failhook", "show", which, "--json"])
        document = json.loads(done.stdout)
        assert document["schema"] == 1
        incident: Incident = document["incident"]
        return incident

    def wait_done(self, unit: str, count: int = 1, timeout: float = 20) -> list[Incident]:
        """Wait until ``count`` incidents of ``unit`` are worked off; the incidents in full."""

        def done() -> bool:
            found = self.incidents(unit)
            return len(found) >= count and all(one["stage"] == "done" for one in found)

        try:
            self.machine.wait(done, timeout=timeout, what=f"{count} incidents of {unit}")
        except BaseException as error:
            raise AssertionError(f"{error}; there are: {self.incidents(unit)}") from error
        return [self.show(one["id"]) for one in self.incidents(unit)]

    def wait_field(self, unit: str, name: str, value: object, timeout: float = 25) -> Incident:
        """Wait until the newest incident of ``unit`` says so."""
        self.machine.wait(
            lambda: self.incidents(unit)[-1][name] == value, timeout=timeout, what=f"{name} {value}"
        )
        return self.show(unit)

    def bundle_files(self, incident: Incident) -> dict[str, bytes]:
        """The files in an incident's bundle, by their path below its top directory."""
        path = self.machine.run(["failhook", "bundle", incident["id"]]).text.strip()
        self.machine.run(["failhook", "verify", path])
        listing = self.machine.run(["tar", "tzf", path]).text.splitlines()
        names = [name for name in listing if not name.endswith("/")]
        contents = {}
        for name in names:
            data = self.machine.run(["tar", "xzOf", path, "--", name]).stdout
            contents[name.partition("/")[2]] = data
        return contents


def service(wiring: str, body: str, unit: str = "") -> str:
    """A service unit with one of `WIRING`."""
    in_unit, in_service = WIRING[wiring]
    return f"[Unit]\n{unit}{in_unit}[Service]\n{body}{in_service}"
