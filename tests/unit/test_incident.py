# SPDX-License-Identifier: MIT
"""The incident as data: its JSON is a contract, its id is the same for every trigger of a run."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.incident import (
    Bundle,
    Change,
    Control,
    Evidence,
    Process,
    Proof,
    Status,
    TriggerNote,
    Verdict,
    incident_id,
    rfc3339,
    unix_time,
)
from tests.unit.samples import AT, incident, run_id

# design.md, "Command line": what an incident has at least.
CONTRACT = {
    *("host", "boot_id", "id", "unit", "invocation_id", "triggers", "result", "exit_code"),
    *("exit_status", "exit_status_name", "control", "phase", "first_seen", "last_seen", "count"),
    *("signature", "state", "verdict", "changes", "evidence", "actions", "bundle"),
}
FULL = replace(
    incident(),
    triggers=(TriggerNote("1", "stop-post", AT, "exit-code"),),
    exit_status_name="NOTIMPLEMENTED",
    control=Control("ExecStartPre", "exited", "7"),
    main=Process(812, AT - 2, AT - 1),
    verdict=Verdict(
        "it failed", "port-taken", 0.9, "move it", (Proof("journal", "in use", "j:1"),)
    ),
    changes=(Change("grafana (dpkg)", "11.1", "11.2", AT), Change("mount /srv", "a", "not there")),
    last_well=AT - 3600,
    evidence=(Evidence("journal", Status.OK, 12, 345, truncated=True),),
    actions=({"name": "tell-ops", "type": "webhook", "state": "delivered", "attempts": 1},),
    bundle=Bundle("/x/bundle.tar.gz", 41000, "0" * 64),
)


def test_every_field_of_the_contract_is_there() -> None:
    assert FULL.to_json().keys() >= CONTRACT
    assert incident().to_json().keys() >= CONTRACT


@pytest.mark.parametrize(
    ("at", "keys"),
    [
        (("control",), ("command", "exit_code", "exit_status")),
        (("verdict",), ("summary", "cause", "confidence", "advice", "evidence")),
        (("verdict", "evidence", 0), ("source", "text", "ref")),
        (("changes", 0), ("what", "before", "after", "at")),
        (("evidence", 0), ("name", "status", "took_ms", "bytes", "truncated")),
        (("bundle",), ("path", "bytes", "sha256")),
        (("changes", 0), ("what", "before", "after", "at")),
    ],
)
def test_every_inner_field_of_the_contract_is_there(
    at: tuple[str | int, ...], keys: tuple[str, ...]
) -> None:
    found: object = json.loads(json.dumps(FULL.to_json()))
    for step in at:
        found = found[step]  # type: ignore[index]
    assert isinstance(found, dict)
    assert set(keys) <= found.keys()


def test_values_are_plain_and_spelled_as_systemd_does() -> None:
    document = FULL.to_json()
    assert document == json.loads(json.dumps(document))
    assert (document["result"], document["exit_code"], document["exit_status"]) == (
        "exit-code",
        "exited",
        "3",
    )
    assert document["first_seen"] == "2026-11-21T22:49:37.250000Z"
    assert document["phase"] == "unknown"
    assert document["state"] == "open"


def test_what_is_unknown_is_null_and_never_guessed() -> None:
    bare = replace(incident(), invocation_id=None, result=None, exit_code=None, exit_status=None)
    document = bare.to_json()
    unknown = {name for name, value in document.items() if value is None}
    assert unknown >= {
        *("invocation_id", "result", "exit_code", "exit_status", "exit_status_name", "control"),
        *("verdict", "bundle", "signature", "recovered_at", "attempt", "attempts"),
    }


def test_what_has_no_place_in_an_incident_is_refused() -> None:
    with pytest.raises(TypeError):
        replace(incident(), actions=({"what": object()},)).to_json()  # type: ignore[dict-item]


def test_ids_tell_runs_units_and_boots_apart() -> None:
    keys = [
        incident_id(boot, unit, run)
        for boot in ("b", "c")
        for unit in ("a.service", "b.service")
        for run in (run_id(1), run_id(2))
    ]
    assert len(set(keys)) == 8
    assert all(len(key) == 12 and int(key, 16) >= 0 for key in keys)
    assert incident_id("b", "a.service", run_id(1)) == keys[0]
    assert incident_id("ab", "c", "d") != incident_id("a", "bc", "d")
    assert incident_id("b", "a\udcff.service", "x")


@given(st.integers(0, 4102444800 * 10**6))
def test_times_come_back_to_the_microsecond(microseconds: int) -> None:
    text = rfc3339(microseconds / 1e6)
    assert text is not None
    assert text.endswith("Z")
    assert round(unix_time(text) * 1e6) == microseconds


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "12:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        unix_time(text)
