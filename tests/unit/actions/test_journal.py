# SPDX-License-Identifier: MIT
"""The entry in the journal: its fields, its encoding, and that the catalog knows its ids."""

import re
import socket
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import testing
from failhook.actions import journal
from failhook.incident import Phase, State
from failhook.message import Event
from failhook.setup.layout import unit_files
from failhook.systemd.export import ExportParser

_ENTRY = re.compile(r"^-- ([0-9a-f]{32})\n((?:[A-Z][\w-]*: .*\n)+)\n((?:.*\n)+?)(?=-- |\Z)", re.M)


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A socket in the place of journald's."""
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(5)
    monkeypatch.setattr(journal, "SOCKET", path)
    monkeypatch.setattr(journal.send, "__defaults__", (path,))
    return listener


def _fields(data: bytes) -> dict[str, str]:
    (entry,) = ExportParser().feed(b"__REALTIME_TIMESTAMP=1\n" + data + b"\n")
    return {name: entry.text(name) for name in entry.fields if not name.startswith("__")}


def test_an_entry(journald: socket.socket) -> None:
    with closing(journald):
        outcome = testing.run(journal.ACTION, {})
        assert outcome.ok
        found = _fields(journald.recv(1 << 16))
    assert found["MESSAGE"].startswith("gitea.service failed to start: port 3000")
    assert found["MESSAGE"].endswith(" (failhook show 7f3a5c1e9b20)")
    assert found["MESSAGE_ID"] == journal.GAVE_UP == outcome.data["message_id"]
    assert found["PRIORITY"] == "3"
    assert found["UNIT"] == found["OBJECT_SYSTEMD_UNIT"] == "gitea.service"
    assert found["SYSLOG_IDENTIFIER"] == "failhook"
    assert found["FAILHOOK_ID"] == "7f3a5c1e9b20"
    assert found["FAILHOOK_CAUSE"] == "port-in-use"
    assert found["FAILHOOK_SIGNATURE"] == "3f2a9c1d5e7b8a60"


def test_of_a_user(journald: socket.socket) -> None:
    with closing(journald):
        about = testing.incident(manager="user")
        assert testing.run(journal.ACTION, {"priority": "crit"}, incident=about).ok
        found = _fields(journald.recv(1 << 16))
    assert (found["USER_UNIT"], found["OBJECT_SYSTEMD_USER_UNIT"]) == ("gitea.service",) * 2
    assert "UNIT" not in found
    assert found["PRIORITY"] == "2"


def test_a_dry_run_and_a_journald_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.send, "__defaults__", (str(tmp_path / "none"),))
    assert (
        "would write to the journal: gitea" in testing.run(journal.ACTION, {}, dry_run=True).detail
    )
    outcome = testing.run(journal.ACTION, {})
    assert (outcome.ok, outcome.final) == (False, False)
    assert "No such file" in outcome.detail


@pytest.mark.parametrize(
    ("changes", "event", "wanted"),
    [
        ({"phase": Phase.FAILED}, None, journal.FAILED),
        ({"phase": Phase.RESTARTING}, None, journal.FAILED),
        ({"phase": Phase.GAVE_UP}, None, journal.GAVE_UP),
        ({"phase": Phase.DEPENDENCY}, None, journal.VICTIM),
        ({"state": State.RECOVERED}, None, journal.RECOVERED),
        ({"phase": Phase.FAILED}, Event.RECOVERED, journal.RECOVERED),
        ({"phase": Phase.FAILED}, Event.GAVE_UP, journal.GAVE_UP),
    ],
)
def test_each_event_has_its_id(
    changes: dict[str, object], event: Event | None, wanted: str
) -> None:
    assert journal.event_of(testing.incident(**changes), event) == wanted


@given(st.text(max_size=200))
def test_no_text_can_become_a_field(text: str) -> None:
    data = journal.encoded({"MESSAGE": text, "AFTER": "x"})
    found = _fields(data)
    assert set(found) == {"MESSAGE", "AFTER"}
    assert found["AFTER"] == "x"


def test_the_catalog_knows_every_id() -> None:
    text = (unit_files() / "failhook.catalog").read_text(encoding="utf-8")
    entries = {found[1]: found for found in _ENTRY.finditer(text)}
    wanted = {journal.FAILED, journal.GAVE_UP, journal.VICTIM, journal.RECOVERED}
    assert set(entries) == wanted
    fields = journal.fields_of(testing.incident(), journal.FAILED, 4)
    for found in entries.values():
        assert "Subject: " in found[2]
        assert set(re.findall(r"@(\w+)@", found[0])) <= set(fields)
