# SPDX-License-Identifier: MIT
"""Apprise: used where it is, named where it is missing, and its URLs never said."""

import sys
from types import ModuleType
from typing import Any, ClassVar

import pytest

from failhook import testing
from failhook.actions.apprise import ACTION
from failhook.message import Event
from tests.unit.formats import samples

URLS = ["tgram://very-secret/1", "json://very-secret.example/"]


class _Apprise:
    """As much of Apprise as is used."""

    told: ClassVar[list[dict[str, Any]]] = []
    answer: ClassVar[bool] = True

    def __init__(self) -> None:
        self.urls: list[str] = []

    def add(self, url: str) -> bool:
        self.urls.append(url)
        return "://" in url

    def notify(self, **what: Any) -> bool:
        self.told.append(what | {"urls": self.urls})
        return self.answer


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[_Apprise]:
    """Installed for this test."""
    module = ModuleType("apprise")
    _Apprise.told, _Apprise.answer = [], True
    module.Apprise = _Apprise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "apprise", module)
    return _Apprise


@pytest.mark.parametrize(
    ("event", "kind"),
    [(Event.OPENED, "failure"), (Event.RECOVERED, "success"), (Event.TEST, "info")],
)
def test_it_is_told(fake: type[_Apprise], event: Event, kind: str) -> None:
    message = testing.message(event)
    outcome = testing.run(ACTION, {"url": URLS}, message=message)
    assert outcome.ok
    (told,) = fake.told
    assert told["urls"] == URLS
    assert (told["notify_type"], told["body_format"]) == (kind, "text")
    assert told["title"]
    assert "Host: web1.example" in told["body"]


def test_hostile_text_is_visible(fake: type[_Apprise]) -> None:
    testing.run(ACTION, {"url": URLS}, message=samples.nasty())
    assert samples.hidden(fake.told) == []


def test_one_url_need_not_be_a_list(fake: type[_Apprise]) -> None:
    assert testing.run(ACTION, {"url": URLS[0]}).ok
    assert fake.told[0]["urls"] == URLS[:1]


def test_where_it_is_missing_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = testing.run(ACTION, {"url": URLS})
    assert (outcome.ok, outcome.final) == (False, False)
    assert "pip install 'failhook[apprise]'" in outcome.detail


@pytest.mark.parametrize("url", ["nonsense-very-secret", URLS[0]])
def test_a_failure_names_no_url(fake: type[_Apprise], url: str) -> None:
    fake.answer = False
    outcome = testing.run(ACTION, {"url": url})
    assert not outcome.ok
    assert "very-secret" not in outcome.detail


def test_a_dry_run_needs_no_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = testing.run(ACTION, {"url": URLS}, dry_run=True)
    assert outcome.detail.startswith("would tell 2 URLs: gitea.service failed to start")


def test_a_secret_that_is_missing(fake: type[_Apprise]) -> None:
    outcome = testing.run(ACTION, {"url": {"credential": "no-such"}})
    assert "no-such" in outcome.detail
    assert fake.told == []
