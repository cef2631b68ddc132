# SPDX-License-Identifier: MIT
"""What is known of a destination outlives the process, and nothing bad comes of its loss."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook import outbox, testing
from failhook.config.model import ActionTable
from failhook.deliver import destination
from failhook.deliver.destination import Destination, fingerprint, load, release, save, waiting
from failhook.places import Places
from failhook.queue import Queue

KNOWN = Destination("tell", 3, 5.0, 9.0, "HTTP 503", "abc", {"night": ("a", "b")})


def test_it_is_kept(where: Places) -> None:
    save(where, KNOWN)
    assert load(where, "tell") == KNOWN
    assert waiting(where) == [KNOWN]
    assert load(where, "other") == Destination("other")


def test_nothing_known_is_no_file(where: Places) -> None:
    save(where, KNOWN)
    save(where, Destination("tell"))
    assert waiting(where) == []


def test_an_answer_ends_the_trouble_and_not_the_digest() -> None:
    after = KNOWN.answered()
    assert (after.failures, after.until, after.reason, after.gone) == (0, 0.0, "", "")
    assert after.composed == KNOWN.composed


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"failures": "x"}', b"\xff", b"[" * 99999]
)
def test_a_damaged_file_is_a_destination_that_nothing_is_known_of(
    where: Places, content: bytes
) -> None:
    save(where, KNOWN)
    (where.outbox / "destinations" / "tell.json").write_bytes(content)
    assert load(where, "tell") == Destination("tell")


def test_released_all_that_waits_is_due(where: Places) -> None:
    queue = Queue(where.outbox)
    message = testing.message()
    for number, action in enumerate(("tell", "tell", "other")):
        path = outbox.enqueue(where, replace(message, id=f"m{number}"), action=action)
        queue.postpone(path, time.time() + 500)
    save(where, KNOWN)
    assert release(where, "tell") == 2
    assert (len(queue.waiting()), len(queue.later())) == (2, 1)
    assert load(where, "tell") == Destination("tell")
    assert release(where, "tell") == 0


def test_there_is_nothing_to_release_where_nothing_was_ever_told(where: Places) -> None:
    assert release(where, "tell") == 0


def test_the_fingerprint_is_the_configurations() -> None:
    table = ActionTable("tell", "webhook", {"url": "https://secret.example/", "format": "json"})
    same = ActionTable("tell", "webhook", {"format": "json", "url": "https://secret.example/"})
    other = replace(table, raw={**table.raw, "url": "https://other.example/"})
    assert fingerprint(table) == fingerprint(same) != fingerprint(other)
    assert fingerprint(table) != fingerprint(replace(table, type="mail"))
    assert "secret" not in fingerprint(table)


def test_its_file_is_private(where: Places) -> None:
    save(where, KNOWN)
    path = where.outbox / destination._DIRECTORY / "tell.json"
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(Path(path.parent).stat().st_mode)[-3:] == "700"
