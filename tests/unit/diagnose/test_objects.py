# SPDX-License-Identifier: MIT
"""What is missing at a server, and whom ssh(1) does not believe: no file or login of ours."""

import pytest

from tests.unit.diagnose.cases import case, found, judge

SOCKET = 'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: FATAL:  '


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f'{SOCKET}database "shop" does not exist', "the database shop does not exist"),
        ('ERROR: relation "orders" does not exist', "the relation orders does not exist"),
        ("the bucket 'nightly' does not exist", "the bucket nightly does not exist"),
    ],
)
def test_what_a_server_does_not_have(line: str, said: str) -> None:
    verdict = judge(case(line))
    assert verdict.cause == "object-missing"
    assert said in verdict.summary


@pytest.mark.parametrize(
    "line",
    [
        'the file "shop" does not exist',
        "database /srv/a/shop.db does not exist",
        'database "shop" exists',
        'cannot open database "shop"',
    ],
)
def test_what_may_be_a_file(line: str) -> None:
    assert "object-missing" not in found(case(line))


def test_a_host_that_shows_another_key() -> None:
    lines = (
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
        "Host key for backup.example.com has changed and you have requested strict checking.",
        "Host key verification failed.",
    )
    verdict = judge(case(*lines))
    assert verdict.cause == "host-key"
    assert "the host key of backup.example.com is not known here, or is another" in verdict.summary
    unknown = judge(
        case("No ED25519 host key is known for a.example and you have requested", lines[2])
    )
    assert "the host key of a.example is not known" in unknown.summary
    assert "the host key is not known here" in judge(case(lines[2])).summary
    assert "host-key" not in found(case("Permission denied (publickey)."))
    assert "host-key" not in found(case("generating the host key for this machine"))
