# SPDX-License-Identifier: MIT
"""Several messages as one: oldest first, and the same id for the same messages."""

from dataclasses import replace
from typing import Any

from failhook import testing
from failhook.deliver.digest import compose
from failhook.message import Entry, Event, Message


def _message(number: int, **changes: Any) -> Message:
    about = testing.incident(id=f"inc{number}", unit=f"u{number}.service")
    return testing.message(
        incident=about, id=f"m{number}", at=100.0 + number, opened=90.0 + number, **changes
    )


def test_one_alone_is_told_as_itself() -> None:
    assert compose([_message(1)], "night", ["m1"]) == _message(1)


def test_many_are_told_oldest_first() -> None:
    made = compose([_message(3), _message(1), _message(2)], "night", ["m3", "m1", "m2"])
    assert made.event is Event.DIGEST
    assert [one.id for one in made.entries] == ["inc1", "inc2", "inc3"]
    assert made.entries[0].unit == "u1.service"
    assert (made.at, made.opened, made.count) == (103.0, 91.0, 3)
    assert (
        "night" in compose([_message(1, reason=""), _message(2, reason="")], "night", "ab").reason
    )


def test_its_id_is_made_of_theirs_in_any_order() -> None:
    ids = ["m1", "m2", "m3"]
    whole = compose([_message(1), _message(2), _message(3)], "g", ids)
    rest = compose([_message(2), _message(3)], "g", ids[::-1])
    assert rest.id == whole.id
    assert compose([_message(1), _message(2)], "g", ["m1", "m2"]).id != whole.id


def test_a_digest_in_a_digest_is_taken_apart() -> None:
    inner = _message(1, event=Event.DIGEST)
    inner = replace(inner, entries=(Entry("x", "s", "1", 5.0), Entry("y", "t", "2", 300.0)))
    made = compose([inner, _message(2)], "g", ["m1", "m2"])
    assert [one.unit for one in made.entries] == ["x", "u2.service", "y"]


def test_no_evidence_gets_into_it() -> None:
    made = compose([_message(1, excerpt=("x",)), _message(2, excerpt=("y",))], "g", ["m1", "m2"])
    assert made.excerpt == ()
