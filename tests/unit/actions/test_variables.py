# SPDX-License-Identifier: MIT
"""The incident as variables: all of them always, and nothing in them that ends a line."""

from pathlib import Path

import pytest

from failhook import testing
from failhook.actions import journal, variables


def test_what_is_unknown_is_empty_and_there() -> None:
    bare = testing.incident(
        verdict=None, exit_code=None, exit_status=None, result=None, signature=None
    )
    known, unknown = variables.of(testing.incident()), variables.of(bare)
    assert known.keys() == unknown.keys()
    assert unknown["FAILHOOK_RESULT"] == unknown["FAILHOOK_CAUSE"] == ""
    assert unknown["FAILHOOK_SUMMARY"] == "gitea.service failed"


def test_those_of_a_request() -> None:
    asked = testing.request(journal.ACTION, {}, message=testing.message(), attempt=3, dry_run=True)
    found = variables.of_request(asked, bundle="/run/b.tar.gz", state=Path("/var/s"))
    assert found.items() >= variables.of(asked.incident).items()
    more = {
        name: value for name, value in found.items() if name not in variables.of(asked.incident)
    }
    assert more == {
        "FAILHOOK_ACTION": "journal",
        "FAILHOOK_REQUEST_ID": asked.id,
        "FAILHOOK_ATTEMPT": "3",
        "FAILHOOK_EVENT": "incident.opened",
        "FAILHOOK_BUNDLE": "/run/b.tar.gz",
        "FAILHOOK_STATE_DIRECTORY": "/var/s",
        "FAILHOOK_DRY_RUN": "1",
    }
    plain = variables.of_request(testing.request(journal.ACTION, {}), bundle=None)
    assert plain.keys() == found.keys()
    assert plain["FAILHOOK_DRY_RUN"] == plain["FAILHOOK_BUNDLE"] == plain["FAILHOOK_EVENT"] == ""


@pytest.mark.parametrize(
    "sign", ["\n", "\r", "\0", "\x1b", "\x85", "\x9b", "\u2028", "\u2029", "\ud800", "\udcff"]
)
def test_a_value_is_one_line_that_can_be_encoded(sign: str) -> None:
    assert variables.plain(f"a{sign}b").encode() == b"a b"


def test_a_value_is_bounded() -> None:
    assert len(variables.plain("\u00fc" * 200_000).encode()) <= 16 << 10
