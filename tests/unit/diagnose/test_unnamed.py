# SPDX-License-Identifier: MIT
"""Sentences that say what happened and not to what admit it; those that say it do not."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.finding import Finding
from failhook.diagnose.unnamed import admitted


def _said(cause: str, sentence: str) -> str:
    return admitted("a.service", Finding(cause, f"a.service failed: {sentence}", "", 0.8)).sentence


@pytest.mark.parametrize(
    ("cause", "sentence", "more"),
    [
        ("connection-refused", "a server that it needs refused the connection: “[Errno 111] Connection refused”", ", it is unclear which server"),
        ("connection-refused", "a server that it needs refused the connection: “ldap3.core.exceptions.LDAPSocketOpenError: [Errno 111] Connection refused” (/opt/a.py line 9)", ", it is unclear which server"),
        ("file-missing", "a file is missing: “and/or http:/x </b>: no such file”", ", it is unclear which file"),
        ("disk-full", "there was no space left: “No space left on device”", ", it is unclear on which disk"),
        ("port-taken", "an address was already in use: “bind: Address already in use”", ", it is unclear which port"),
        ("crash-python", "FileNotFoundError: [Errno 2] No such file or directory (/opt/a.py line 12)", ", it is unclear of what"),
    ],
)  # fmt: skip
def test_nothing_is_named(cause: str, sentence: str, more: str) -> None:
    assert more in _said(cause, sentence)


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        ("connection-refused", "the server db.example.org refused the connection: “Connection refused”"),
        ("connection-refused", "a server that it needs refused the connection: “connect to 5432: Connection refused”"),
        ("disk-full", "there was no space left: “/var/lib/a/wal: No space left on device”"),
        ("file-missing", "/backup does not exist: “cd: can't cd to /backup”"),  # of one part
        ("port-taken", "an address was already in use, it is unclear which (others listen on 67: a)"),
        ("locked", "another instance runs: “lock file '/srv/lock' exists”"),
        ("crash-python", "FileNotFoundError: [Errno 2] No such file or directory: 'a.txt' (/opt/a.py line 12)"),
        ("crash-python", "ValueError: nothing there (/opt/a.py line 12)"),
        ("configuration", "a mistake in its configuration or command line"),
    ],
)  # fmt: skip
def test_something_is_named(cause: str, sentence: str) -> None:
    assert _said(cause, sentence) == f"a.service failed: {sentence}"
