# SPDX-License-Identifier: MIT
"""One try: options of today, defects that are no more than a failed try, nothing secret said."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from failhook import testing
from failhook.action import Action, Outcome, Request, done, option
from failhook.actions import table as actions
from failhook.config.model import ActionTable
from failhook.deliver.attempt import Try, attempt, find_built_in, limit_s
from failhook.places import Places
from failhook.values import SECRET, TEXT
from tests.unit.deliver.bench import Bench

TRY = Try(testing.message(excerpt=("x",)), "20250615T150640Z-gitea.service-7f3a5c1e9b20", 3)


@dataclass(frozen=True)
class Options:
    lamp: str = option(TEXT, "which")
    key: Any = option(SECRET, "its key", default=None)


def _find(run: Any, **changes: Any) -> Any:
    made = Action("lamp", "x", Options, run, delivers=True, **changes)
    return lambda name: made if name == "lamp" else None


def test_it_gets_what_it_needs(where: Places) -> None:
    asked: list[Request[Options]] = []

    def run(request: Request[Options]) -> Outcome:
        asked.append(request)
        return done("x" * 9999)

    table = ActionTable("tell", "lamp", {"lamp": "red"}, timeout_s=7.0, excerpt=True)
    directory = where.incidents / TRY.incident
    directory.mkdir(parents=True)
    (directory / "bundle.tar.gz").write_bytes(b"x")
    outcome = attempt(where, table, _find(run), TRY)
    assert (outcome.ok, len(outcome.detail)) == (True, 500)
    (request,) = asked
    assert request.options == Options("red")
    assert (request.name, request.id, request.attempt) == ("tell", TRY.message.id, 3)
    assert (request.deadline_s, request.message) == (7.0, TRY.message)
    assert request.bundle == directory / "bundle.tar.gz"
    assert request.state == where.action_state / "tell"
    assert oct(request.state.stat().st_mode)[-3:] == "700"


def test_without_a_bundle_there_is_none(where: Places) -> None:
    def run(request: Request[Options]) -> Outcome:
        assert request.bundle is None
        assert request.message is not None
        assert request.message.excerpt == ()
        return done("")

    assert attempt(where, ActionTable("t", "lamp", {"lamp": "x"}), _find(run), TRY).ok


@pytest.mark.parametrize(
    "error",
    [ValueError("https://secret.example/token"), KeyError("token"), RecursionError(), OSError(5)],
)
def test_what_it_raises_is_a_failed_try_and_not_repeated(where: Places, error: Exception) -> None:
    def run(_: Request[Options]) -> Outcome:
        raise error

    outcome = attempt(where, ActionTable("t", "lamp", {"lamp": "x"}), _find(run), TRY)
    assert not outcome.ok
    assert not outcome.final
    assert type(error).__name__ in outcome.detail
    assert "test_attempt.py:" in outcome.detail
    assert "token" not in outcome.detail


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (ActionTable("t", "unheard-of"), "no type"),
        (ActionTable("t", "lamp"), "configuration"),
        (ActionTable("t", "lamp", {"lamp": 5}), "configuration"),
        (ActionTable("t", "lamp", {"lamp": "x", "key": {"secret-word": "y"}}), "configuration"),
    ],
)
def test_a_mistake_in_the_configuration_loses_nothing(
    where: Places, table: ActionTable, said: str
) -> None:
    outcome = attempt(where, table, _find(lambda _: done("")), TRY)
    assert (outcome.ok, outcome.final, outcome.gone) == (False, False, False)
    assert said in outcome.detail
    assert "secret-word" not in outcome.detail


def test_only_what_delivers_is_for_the_outbox(where: Places) -> None:
    silent = replace(_find(lambda _: done(""))("lamp"), delivers=False)
    outcome = attempt(where, ActionTable("t", "lamp", {"lamp": "x"}), lambda _: silent, TRY)
    assert "delivers" in outcome.detail


def test_the_limit_is_the_tables_or_the_types(bench: Bench) -> None:
    assert limit_s(ActionTable("t", "test", timeout_s=3.0), bench.find) == 3.0
    assert limit_s(ActionTable("t", "test"), bench.find) == bench.limit_s
    assert limit_s(ActionTable("t", "other"), bench.find) == 30.0


@pytest.mark.parametrize("name", [name for name, one in actions.BUILT_IN.items() if one.delivers])
def test_built_in_ones_are_found(name: str) -> None:
    found = find_built_in(name)
    assert found is not None
    assert (found.name, found.delivers) == (name, True)


def test_others_are_not() -> None:
    assert find_built_in("unheard-of") is None
