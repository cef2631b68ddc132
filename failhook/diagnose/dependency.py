# SPDX-License-Identifier: MIT
"""A victim: it never ran, because something that it requires failed. Down to the root of the chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from failhook.diagnose.around import Neighbour
from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SEEN, Cause, Finding, fails, quote
from failhook.diagnose.general import telling
from failhook.incident import Phase

_NEEDS = ("Requires", "Requisite", "BindsTo")


def _needed(case: Case) -> list[Neighbour]:
    return [one for one in case.neighbours if set(_NEEDS) & set(one.relations)]


def _victim(case: Case) -> Iterator[Finding]:
    if case.incident.phase is not Phase.DEPENDENCY:
        return
    chain = _chain(case)
    if not chain:
        what = "something that it requires failed"
        yield Finding("dependency", fails(case, what), "systemctl list-dependencies", LIKELY)
        return
    first, root = chain[0], chain[-1]
    way = f" (by way of {', '.join(one.name for one in chain[:-1])})" if len(chain) > 1 else ""
    why = _why(case, root)
    sentence = (
        f"{case.incident.unit} is a victim: it requires {root.name}{way}, {_fate(root)}"
        f"{f': {why}' if why else ''}"
    )
    proof = [
        case.checked(_state(one), "unit/dependencies.txt") for one in dict.fromkeys((first, root))
    ]
    line = case.said("Dependency failed") or case.said("dependency")
    if line is not None:
        proof.insert(0, case.proof_of(line.message))
    advice = f"mend {root.name} first: failhook show {root.name}, systemctl status {root.name}"
    yield Finding("dependency", sentence, advice, SEEN, tuple(proof))


def _chain(case: Case) -> list[Neighbour]:
    """From what it requires itself to the one that failed of its own."""
    needed = [one for one in _needed(case) if one.active != "active"]
    chain: list[Neighbour] = []
    seen: set[str] = set()
    while needed:
        failed = [one for one in needed if one.active == "failed"]
        one = (failed or needed)[0]
        if one.name in seen:
            break
        seen.add(one.name)
        chain.append(one)
        if one.active == "failed":
            break
        needed = [
            each
            for each in case.neighbours
            if f"<{one.name}" in " ".join(each.relations) and each.active != "active"
        ]
    return chain


def _fate(one: Neighbour) -> str:
    if one.load in ("not-found", "masked", "bad-setting"):
        words = {"not-found": "which does not exist", "masked": "which is masked"}
        return words.get(one.load, "whose unit file cannot be read")
    if one.active == "failed":
        return "which failed"
    if one.active in ("activating", "deactivating"):
        return f"which is {one.active}"
    return "which is not running"


def _state(one: Neighbour) -> str:
    return f"{one.name}: {one.load}, {one.active} ({one.sub}), result {one.result}"


def _why(case: Case, root: Neighbour) -> str:
    """What the root itself said, as the unit collector kept it: the line that tells most."""
    messages = case.required.get(root.name, ())
    own = [message for message in messages if message.identifier]
    for said in (own, messages):
        best = telling(replace(case, messages=tuple(said), earlier=frozenset()), said)
        if best:
            return f"“{quote(best[0][1].text, 220)}”"
    return f"result {root.result}" if root.result not in ("-", "success", "") else ""


def _bound(case: Case) -> Iterator[Finding]:
    """It was stopped because a unit that it is bound to went away."""
    if case.incident.phase not in (Phase.STOPPED, Phase.UNKNOWN, Phase.FAILED, Phase.RESTARTING):
        return
    by_itself = case.incident.exit_code == "exited" and case.incident.exit_status not in (
        None,
        "0",
        "143",
    )
    if by_itself and case.incident.phase is not Phase.STOPPED:
        return  # it did not end because it was told to
    for one in case.neighbours:
        bound = {"BindsTo", "PartOf", "Requires"} & set(one.relations)
        if (
            bound
            and one.active in ("failed", "inactive")
            and re.search(r"\.(service|mount|device|socket)$", one.name)
        ):
            setting = sorted(bound)[0]
            why = _why(case, one)
            sentence = (
                f"{case.incident.unit} was stopped with {one.name} ({setting}=), {_fate(one)}"
                f"{f': {why}' if why else ''}"
            )
            proof = (case.checked(_state(one), "unit/dependencies.txt"),)
            sure = SEEN if case.incident.phase is Phase.STOPPED else LIKELY - 0.3
            yield Finding("dependency", sentence, f"mend {one.name} first", sure, proof)
            return


_TOO_OFTEN = ("unit-start-limit-hit", "service-start-limit-hit", "trigger-limit-hit")


def _watched(paths: str) -> str:
    """``PathExists=/srv/x`` of ``/srv/x (PathExists)``, as systemctl show has it."""
    path, _, setting = paths.partition("\n")[0].rpartition(" (")
    return f"{setting.rstrip(')')}={path}" if path.startswith("/") else ""


def _trigger(case: Case) -> Iterator[Finding]:
    """A path or socket unit that gave up (systemd.path(5), systemd.socket(5), TriggerLimitBurst=):
    what it starts fails each time, or leaves in place what it was started for."""
    started = next((one for one in case.neighbours if "Triggers" in one.relations), None)
    if case.incident.result not in _TOO_OFTEN or started is None:
        return
    unit = case.incident.unit
    proof = (case.checked(_state(started), "unit/dependencies.txt"),)
    if started.active == "failed" and started.result != "start-limit-hit":
        why = _why(case, started)
        sentence = (
            f"{unit} gave up: it started {started.name} again and again, which failed each time"
        )
        yield Finding(
            "trigger-limit", f"{sentence}{f': {why}' if why else ''}",
            f"mend {started.name} first: failhook show {started.name}, systemctl status {started.name}",
            SEEN, proof,
        )  # fmt: skip
        return
    watched = _watched(case.unit.get("Paths") or "") or "what it waits for"
    yield Finding(
        "trigger-limit",
        f"{unit} gave up: it started {started.name} too often in too short a time, since {watched} "
        "was still so after each run",
        f"{started.name} has to remove or take what it was started for; else TriggerLimitBurst=",
        SEEN - 0.05,
        proof,
    )


CAUSES = (
    Cause("trigger", "what a path or socket unit starts, it starts too often", _trigger),
    Cause("dependency", "something that it requires failed", _victim),
    Cause("bound", "a unit that it is bound to went away", _bound),
)
