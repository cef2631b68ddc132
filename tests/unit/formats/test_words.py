# SPDX-License-Identifier: MIT
"""The sentence first, visible, bounded; and what a person wants to know next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import testing
from failhook.formats import words
from failhook.incident import Aftermath
from failhook.message import Entry, Event
from tests.unit.formats import samples

SUMMARY = testing.message().summary


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (testing.message(), SUMMARY),
        (testing.message(count=3), f"{SUMMARY} (3 times)"),
        (testing.message(Event.ESCALATED, count=4), f"{SUMMARY} (4 times)"),
        (testing.message(Event.GAVE_UP), f"{SUMMARY}; nobody tries again"),
        (testing.message(Event.RECOVERED), "gitea.service recovered after 42 s, gently helped"),
        (
            testing.message(Event.RECOVERED, helped=None, downtime_s=None),
            "gitea.service recovered",
        ),
        (
            samples.digest(),
            "3 units failed on web1.example: u0.service, u1.service, u2.service",
        ),
        (
            samples.digest(5),
            "5 units failed on web1.example: u0.service, u1.service, u2.service and 2 more",
        ),
        (
            testing.message(
                Event.DIGEST, entries=(Entry("a.service", "", "1", 1.0, Event.RECOVERED),)
            ),
            "1 unit recovered on web1.example: a.service",
        ),
        (
            testing.message(Event.TEST),
            "test message of failhook on web1.example: this channel works",
        ),
    ],
)
def test_the_sentence(message: object, said: str) -> None:
    assert words.headline(message) == said  # type: ignore[arg-type]


@pytest.mark.parametrize("message", samples.EVERY + samples.HOSTILE, ids=lambda one: one.event)
@pytest.mark.parametrize("limit", [60, 130, 300])
def test_a_sentence_is_one_line_within_its_limit(message: object, limit: int) -> None:
    said = words.headline(message, limit)  # type: ignore[arg-type]
    assert 0 < len(said) <= limit
    assert "\n" not in said
    assert samples.hidden(said) == []


@given(st.text(), st.integers(1, 200))
def test_what_is_cleaned_is_visible_and_bounded(text: str, limit: int) -> None:
    found = words.clean(text, limit)
    assert len(found) <= limit
    assert samples.hidden(found) == []
    assert "\n" not in found
    found.encode()


@given(st.text(max_size=200), st.integers(10, 100))
def test_cut_by_bytes(text: str, limit: int) -> None:
    text = words.clean(text, 10_000)
    found = words.cut_bytes(text, limit)
    assert len(found.encode()) <= limit
    assert found == text or found.endswith("…")


def test_lines_keep_their_spaces() -> None:
    assert words.clean_lines(["  a\tb\n c \x1b[0m"]) == ["  a    b  c  [0m"]


def test_facts_name_what_comes_next() -> None:
    facts = dict(words.facts(testing.message()))
    assert facts["Unit"] == "gitea.service"
    assert facts["Result"] == "exit-code (1)"
    assert facts["Do"].startswith("move one of the two")
    assert facts["Why now"] == "1st failure in 1 h (rule acme)"
    assert facts["More"] == "failhook show 7f3a5c1e9b20"
    assert dict(words.facts(testing.message(Event.RECOVERED)))["It was"] == SUMMARY
    assert dict(words.facts(testing.message(Event.TEST))) == {"Host": "web1.example"}


def test_without_a_verdict_it_says_what_is_known() -> None:
    bare = testing.message(incident=testing.incident(verdict=None, result=None))
    assert words.headline(bare) == "gitea.service failed"
    assert "Do" not in dict(words.facts(bare))


def test_evidence_is_there_where_it_was_allowed_only() -> None:
    message = testing.message(excerpt=("[E] no", "[E] never"))
    assert words.plain(message).endswith("[E] no\n[E] never")
    assert "[E]" not in words.plain(replace(message, excerpt=()))


def test_a_digest_lists_its_incidents_up_to_a_number() -> None:
    lines = words.lines(samples.digest(30))
    assert len(lines) == words.MOST_ENTRIES + 1
    assert lines[0] == "01:46 UTC  u0.service: u0.service failed: no space left"
    assert lines[1].endswith("(2 times)")
    assert lines[-1] == "and 5 more: failhook list"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7500, "2 h 5 min"),
        (3 * 86400 + 3700, "3 d 1 h"),
        (None, "an unknown time"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


def test_what_the_machine_went_through_is_told_once() -> None:
    story = Aftermath("rebooted at 04:12 because it failed\n; it is well now", "failhook", "b")
    about = testing.incident(aftermath=story)
    well = testing.message(Event.RECOVERED, incident=about)
    assert ("Machine", "rebooted at 04:12 because it failed ; it is well now") in words.facts(well)
    booted = testing.message(Event.REBOOTED, incident=about)
    assert (
        words.headline(booted)
        == "web1.example rebooted at 04:12 because it failed ; it is well now"
    )
    assert "Machine" not in dict(words.facts(booted))
    assert "Machine" not in dict(words.facts(testing.message()))
