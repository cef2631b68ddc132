# SPDX-License-Identifier: MIT
"""Secrets known by where they stand: the table's own promises, and what each row leaves alone."""

import re

import pytest

from failhook.mask.shapes import SHAPES, Shape
from failhook.mask.tokens import NAME
from failhook.mask.vendors import VENDORS
from failhook.redact import Redactor

UNBOUNDED = re.compile(rb"(?<!\\)(?:[*+]|\{\d+,\})")


def masked(line: str) -> str:
    return Redactor().mask(line.encode())[0].decode()


@pytest.mark.parametrize("shape", [*SHAPES, *VENDORS], ids=lambda shape: shape.rule)
def test_a_row_keeps_the_rules_of_the_table(shape: Shape) -> None:
    assert NAME.match(shape.rule)
    assert shape.hints
    assert all(hint == hint.lower() and hint for hint in shape.hints)
    assert "s" in shape.pattern.groupindex


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("postgres://app:a1@db/x", "postgres://app:[masked:url-password]@db/x"),
        ("redis://:a1@db/0", "redis://:[masked:url-password]@db/0"),
        ("https://u:p@h/?email=a@b", "https://u:[masked:url-password]@h/?email=a@b"),
        ("http://localhost:8080/@me", "http://localhost:8080/@me"),
        ("http://[::1]:8080/user@example.org", "http://[::1]:8080/user@example.org"),
        ("postgres://app:${DB_PASSWORD}@db/x", "postgres://app:${DB_PASSWORD}@db/x"),
        ("ssh://git@github.com/x", "ssh://git@github.com/x"),
        ("https://0123456789abcdef0123@sentry.io/1", "https://[masked:url-token]@sentry.io/1"),
        ("jdbc:oracle:thin:app/a1@db:1521", "jdbc:oracle:thin:app/[masked:url-password]@db:1521"),
        ("Authorization: Basic YTpi", "Authorization: Basic [masked:authorization]"),
        ("Basic authentication required", "Basic authentication required"),
        ("authorization: denied by policy", "authorization: denied by policy"),
        ("Authorization: Bearer token missing", "Authorization: Bearer token missing"),
        (
            'Authorization: Digest username="a", response="b"',
            "Authorization: Digest [masked:authorization]",
        ),
        ('"Cookie": "a=b; c=d", "x": 1', '"Cookie": "[masked:cookie]", "x": 1'),
        ("cookie: blocked", "cookie: blocked"),
        ('_auth="YTpi"', '_auth="[masked:authorization]"'),
        ("auth=plain", "auth=plain"),
        ("<password>a b</password>", "<password>[masked:password]</password>"),
        ("<tokens_used>5</tokens_used>", "<tokens_used>5</tokens_used>"),
        ('{"name":"PORT","value":"80"}', '{"name":"PORT","value":"80"}'),
    ],
)
def test_row(line: str, expected: str) -> None:
    assert masked(line) == expected
