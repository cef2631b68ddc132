# SPDX-License-Identifier: MIT
"""What is written is read back, whatever it holds; what is damaged is noticed."""

import contextlib
import copy
import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import incident as model
from failhook.incident import Incident, rfc3339, unix_time
from failhook.store.codec import CodecError, dump, load, load_changes
from tests.unit.samples import incident
from tests.unit.test_incident import FULL

TEXT = st.text(max_size=20)  # lone surrogates and control characters too
MAYBE = st.none() | TEXT
NUMBER = st.integers(0, 1 << 62)
TIME = st.integers(0, 4102444800 * 10**6).map(lambda n: unix_time(rfc3339(n / 1e6) or ""))
MAYBE_TIME = st.none() | TIME
OBJECT = st.dictionaries(TEXT, TEXT | NUMBER | st.booleans() | st.none(), max_size=3)


def _several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=3).map(tuple)


PROOF = st.builds(model.Proof, TEXT, TEXT, MAYBE)
VERDICT = st.builds(
    model.Verdict,
    summary=TEXT,
    cause=MAYBE,
    confidence=st.none() | st.floats(0, 1),
    advice=MAYBE,
    evidence=_several(PROOF),
)
EVIDENCE = st.builds(
    model.Evidence,
    name=TEXT,
    status=st.sampled_from(model.Status),
    took_ms=NUMBER,
    bytes=NUMBER,
    truncated=st.booleans(),
    reason=MAYBE,
)
CHANGE = st.builds(model.Change, TEXT, TEXT, TEXT, MAYBE_TIME)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXT,
    "host": TEXT,
    "boot_id": TEXT,
    "unit": TEXT,
    "first_seen": TIME,
    "last_seen": TIME,
    "manager": st.sampled_from(["system", "user"]),
    "invocation_id": MAYBE,
    "triggers": _several(st.builds(model.TriggerNote, TEXT, TEXT, TIME, MAYBE, st.booleans())),
    "result": MAYBE,
    "exit_code": MAYBE,
    "exit_status": MAYBE,
    "exit_status_name": MAYBE,
    "control": st.none() | st.builds(model.Control, TEXT, MAYBE, MAYBE),
    "main": st.builds(model.Process, st.none() | NUMBER, MAYBE_TIME, MAYBE_TIME),
    "trigger_unit": MAYBE,
    "phase": st.sampled_from(model.Phase),
    "attempt": st.none() | NUMBER,
    "attempts": st.none() | NUMBER,
    "state": st.sampled_from(model.State),
    "recovered_at": MAYBE_TIME,
    "stage": st.sampled_from(model.Stage),
    "tries": NUMBER,
    "count": st.integers(1, 1 << 62),
    "signature": MAYBE,
    "dying_words": _several(TEXT),
    "verdict": st.none() | VERDICT,
    "changes": _several(CHANGE),
    "last_well": MAYBE_TIME,
    "evidence": _several(EVIDENCE),
    "actions": _several(OBJECT),
    "decision": st.none() | OBJECT,
    "bundle": st.none() | st.builds(model.Bundle, TEXT, NUMBER, TEXT),
    "aftermath": st.none()
    | st.builds(
        model.Aftermath,
        TEXT,
        TEXT,
        TEXT,
        MAYBE_TIME,
        MAYBE,
        MAYBE,
        st.booleans(),
        st.none() | st.booleans(),
        _several(TEXT),
    ),
    "pinned": st.booleans(),
    "notes": _several(TEXT),
    "problems": _several(TEXT),
}


def test_the_round_trip_below_knows_every_field() -> None:
    assert list(FIELDS) == [field.name for field in dataclasses.fields(Incident)]


@given(st.builds(Incident, **FIELDS))
def test_every_field_comes_back(one: Incident) -> None:
    data = dump(one)
    assert data.decode("utf-8")
    assert load(data) == one


def _changed(**changes: object) -> bytes:
    document = json.loads(dump(FULL))
    document["incident"] |= changes
    return json.dumps(document).encode()


def test_the_file_is_for_people_too() -> None:
    text = dump(replace(FULL, host="büro")).decode()
    assert text.endswith("}\n")
    assert '"host": "büro"' in text
    assert json.loads(text)["schema"] == 1


def test_keys_of_another_version_are_ignored() -> None:
    assert load(_changed(mood="sour", verdict=FULL.to_json()["verdict"])) == FULL
    document = json.loads(dump(FULL))
    document["written_by"] = "failhook 9"
    document["incident"]["verdict"]["mood"] = 1
    document["incident"]["evidence"][0]["mood"] = 1
    assert load(json.dumps(document).encode()) == FULL


def test_keys_that_are_missing_have_their_defaults() -> None:
    document = json.loads(dump(FULL))
    needed = ("id", "host", "boot_id", "unit", "first_seen", "last_seen")
    document["incident"] = {name: document["incident"][name] for name in needed}
    one = load(json.dumps(document).encode())
    assert (one.id, one.unit, one.triggers, one.count) == (FULL.id, FULL.unit, (), 1)
    for name in needed:
        less = copy.deepcopy(document)
        del less["incident"][name]
        with pytest.raises(CodecError, match=name):
            load(json.dumps(less).encode())


def _wrong() -> list[tuple[str, object]]:
    """Each field with values of types that make no sense there."""
    samples: list[object] = [7, 1.5, True, "text", ["x"], {"x": "y"}, [7], [None], [[]]]
    fitting = {
        **dict.fromkeys(("attempt", "attempts", "tries", "count"), (int,)),
        **dict.fromkeys(("control", "main", "verdict", "bundle"), ()),
        **dict.fromkeys(("dying_words", "notes", "problems"), ("texts",)),
        **dict.fromkeys(("changes", "actions", "triggers", "evidence"), ()),
        "pinned": (bool,),
        "decision": (dict,),
    }
    wrong = []
    for name in FIELDS:
        for sample in samples:
            fits = fitting.get(name, (str,))
            if type(sample) in fits or ("texts" in fits and sample == ["x"]):
                continue
            if name == "main" and sample == {"x": "y"}:
                continue  # nothing of it is needed
            wrong.append((name, sample))
    return wrong


def test_a_wrong_type_is_noticed_and_never_half_believed() -> None:
    for name, value in _wrong():
        with pytest.raises(CodecError):
            print(name, value, load(_changed(**{name: value})))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("verdict", "confidence"), "high"),
        (("verdict", "confidence"), True),
        (("verdict", "summary"), None),
        (("verdict", "evidence"), [7]),
        (("evidence", 0, "status"), "fine"),
        (("evidence", 0, "truncated"), "no"),
        (("triggers", 0, "at"), "now"),
        (("changes", 0, "at"), "now"),
        (("changes", 0, "what"), None),
        (("changes", 0, "after"), 7),
        (("last_well",), "soon"),
        (("phase",), "moon"),
        (("first_seen",), "yesterday"),
        (("first_seen",), "0001-01-01T00:00:00"),
        (("main", "pid"), "7"),
    ],
)
def test_a_wrong_inner_value_is_noticed(at: tuple[str | int, ...], value: object) -> None:
    document = json.loads(dump(FULL))
    place = document["incident"]
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value
    with pytest.raises(CodecError):
        load(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{}",
        b'{"schema": 1}',
        b'{"schema": 1, "incident": []}',
        b'{"schema": 1, "incident": null}',
        b'{"schema": 1, "incident": "x"}',
        b'{"schema": "1", "incident": {}}',
        b'{"schema": null, "incident": {}}',
        b"[" * 100000,
        b"\xff\xfe",
        b"\0" * 4096,
    ],
)
def test_what_is_no_incident(data: bytes) -> None:
    with pytest.raises(CodecError):
        load(data)


def test_a_newer_schema_is_refused_in_words() -> None:
    data = dump(FULL).replace(b'"schema": 1', b'"schema": 2')
    with pytest.raises(CodecError, match="newer failhook"):
        load(data)


def test_a_document_of_before_there_were_changes() -> None:
    document = json.loads(dump(FULL))
    del document["incident"]["last_well"], document["incident"]["changes"]
    one = load(json.dumps(document).encode())
    assert (one.changes, one.last_well) == ((), None)


def test_the_changes_of_a_bundle_are_read_as_those_of_an_incident() -> None:
    document = FULL.to_json()
    told = {"last_well": document["last_well"], "changes": document["changes"]}
    assert load_changes(json.dumps(told).encode()) == (FULL.changes, FULL.last_well)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"[" * 100000,
        b'{"changes": 7}',
        b'{"changes": [7]}',
        b'{"changes": [{"what": null}]}',
        b'{"changes": [], "last_well": NaN}',
        b'{"changes": [], "last_well": "soon"}',
    ],
)
def test_what_is_no_list_of_changes(data: bytes) -> None:
    with pytest.raises(CodecError):
        load_changes(data)


def test_numbers_that_json_does_not_have() -> None:
    data = dump(FULL).replace(b"0.9", b"NaN")
    with pytest.raises(CodecError):
        load(data)


def test_every_beginning_of_a_file_is_noticed() -> None:
    data = dump(FULL)
    for length in range(0, len(data) - 2, 7):
        with pytest.raises(CodecError):
            load(data[:length])


@given(st.binary(max_size=300))
def test_any_bytes_give_an_error_and_no_crash(data: bytes) -> None:
    with pytest.raises(CodecError):
        load(data)


@given(st.integers(0, len(dump(incident())) - 1), st.integers(0, 255))
def test_any_byte_that_flips_gives_an_incident_or_an_error(place: int, byte: int) -> None:
    data = bytearray(dump(incident()))
    data[place] = byte
    with contextlib.suppress(CodecError):
        assert isinstance(load(bytes(data)), Incident)
