# SPDX-License-Identifier: MIT

"""Options as people and editors are told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from failhook import values
from failhook.action import Action, Outcome, Request, done, option
from failhook.actions import schema
from failhook.secret import Secret
from failhook.values import Rate


@dataclass(frozen=True)
class Options:
    """One of each sort."""

    lamp: str = option(values.TEXT, "which lamp")
    mode: str = option(values.choice("on", "off"), "what to do")
    seconds: float = option(values.DURATION, "for how long", default=10.0)
    rooms: tuple[str, ...] = option(values.TEXTS, "where", default=("hall",))
    env: tuple[tuple[str, str], ...] = option(values.PAIRS, "more", default=(("A", "b"),))
    limit: Any = option(values.RATE, "how often", default=Rate(3, 60.0))
    key: Any = option(values.SECRET, "the key", default=None)
    word: Any = option(values.SECRET, "the word", default=Secret("text", "hunter2"))
    loud: bool = option(values.FLAG, "with sound", default=False)


def run(_: Request[Options]) -> Outcome:
    """Nothing."""
    return done("")


ACTION = Action("lamp", "switches a lamp on", Options, run)


def test_the_schema_of_an_action() -> None:
    assert schema.action_schema(ACTION) == {
        "type": "object",
        "description": "switches a lamp on",
        "required": ["lamp", "mode"],
        "properties": {
            "lamp": {"type": "string", "description": "which lamp"},
            "mode": {"enum": ["on", "off"], "description": "what to do"},
            "seconds": {
                "type": ["string", "number"],
                "description": "for how long",
                "default": 10.0,
            },
            "rooms": {
                "type": "array",
                "items": {"type": "string"},
                "description": "where",
                "default": ["hall"],
            },
            "env": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "more",
                "default": {"A": "b"},
            },
            "limit": {
                "type": "string",
                "pattern": " per ",
                "description": "how often",
                "default": "3 per 60s",
            },
            "key": {**_plain(values.SECRET.schema), "description": "the key"},
            "word": {
                **_plain(values.SECRET.schema),
                "description": "the word",
                "default": "***",
            },
            "loud": {"type": "boolean", "description": "with sound", "default": False},
        },
    }


def _plain(value: Any) -> Any:
    return dict(value)


def test_what_a_default_says_can_be_read_back() -> None:
    for told in schema.options_of(ACTION):
        field = Options.__dataclass_fields__[told.name]
        if told.default is not None and told.kind != "secret":
            assert field.metadata["kind"].read(told.default) == field.default


def test_an_action_without_options_or_with_any() -> None:
    @dataclass(frozen=True)
    class Nothing:
        made_up: int = 3

    bare = Action("x", "does x", Nothing, run)  # type: ignore[arg-type]
    assert schema.action_schema(bare) == {
        "type": "object",
        "description": "does x",
        "properties": {},
    }
    assert not schema.is_open(bare)
    assert schema.is_open(Action("x", "", Nothing, run, bind=lambda _: (Nothing(), [])))
    assert not schema.is_open(ACTION)


def test_secrets_wherever_they_stand() -> None:
    options = Options("red", "on", key=Secret("env", "KEY"))
    assert schema.secrets_in(options) == [Secret("env", "KEY"), Secret("text", "hunter2")]
    raw = {"a": {"file": "/x"}, "b": [{"env": "Y"}], "c": {"d": {"credential": "z"}}, "e": "text"}
    assert schema.secrets_in(raw) == [
        Secret("file", "/x"),
        Secret("env", "Y"),
        Secret("credential", "z"),
    ]
    assert schema.secrets_in(None) == []
    assert schema.secrets_in({"a": "b"}) == []
