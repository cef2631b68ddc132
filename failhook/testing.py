# SPDX-License-Identifier: MIT
"""For the author of a plugin: a realistic incident, a request on it, and options as they are read.

from failhook import testing
from my_plugin import ACTION

def test_it_shines() -> None:
    outcome = testing.run(ACTION, {"lamp": "red"})
    assert outcome.ok
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from failhook.action import Action, Outcome, Request
from failhook.actions import table
from failhook.incident import (
    Bundle,
    Incident,
    Phase,
    Process,
    Proof,
    Stage,
    State,
    TriggerNote,
    Verdict,
)
from failhook.message import Event, Message

_AT = 1_750_000_000.0


class OptionsWrong(ValueError):
    """What was given as options is not what the action takes."""


def incident(**changes: Any) -> Incident:
    """A server that found its port taken; ``changes`` are fields of `failhook.plugin.Incident`."""
    sample = Incident(
        id="7f3a5c1e9b20",
        host="web1.example",
        boot_id="6f1c0d2b8f0e4c6a9f3d5b7a1c2e4f60",
        unit="gitea.service",
        first_seen=_AT,
        last_seen=_AT,
        invocation_id="9d3f0c5a7b1e4d2c8a6f1b3e5d7c9a10",
        triggers=(TriggerNote("00000000000000000001-1", "stop-post", _AT, "exit-code"),),
        result="exit-code",
        exit_code="exited",
        exit_status="1",
        main=Process(pid=4711, started=_AT - 0.4, exited=_AT),
        phase=Phase.GAVE_UP,
        attempt=5,
        attempts=5,
        state=State.OPEN,
        stage=Stage.DONE,
        count=14,
        signature="3f2a9c1d5e7b8a60",
        dying_words=("[E] listen tcp :3000: bind: address already in use",),
        verdict=Verdict(
            summary=(
                "gitea.service failed to start: port 3000 (::) is already held by grafana "
                "(pid 812, grafana-server.service)"
            ),
            cause="port-in-use",
            confidence=0.97,
            advice="move one of the two: HTTP_PORT in /etc/gitea/app.ini",
            evidence=(
                Proof(
                    "journal",
                    "[E] listen tcp :3000: bind: address already in use",
                    "journal/journal.txt:12",
                ),
            ),
        ),
        bundle=Bundle("bundle.tar.gz", 41_984, "0" * 64),
    )
    return dataclasses.replace(sample, **changes)


def message(event: Event = Event.OPENED, **changes: Any) -> Message:
    """A message about `incident`; ``changes`` are fields of `failhook.plugin.Message`."""
    about = changes.pop("incident", None) or incident()
    sample = Message(
        id=f"msg_{about.id}_tell-ops_1",
        event=event,
        thread=about.id,
        at=_AT + 1,
        incident=about,
        destination="tell-ops",
        opened=about.first_seen,
        count=1,
        step=1,
        reason="1st failure in 1 h (rule acme)",
        downtime_s=42.0 if event is Event.RECOVERED else None,
        helped="gently" if event is Event.RECOVERED else None,
    )
    return dataclasses.replace(sample, **changes)


def request(action: Action[Any], raw: Mapping[str, object], **changes: Any) -> Request[Any]:
    """What ``action`` would get for the options ``raw``, as TOML has them; ``changes`` are fields
    of `failhook.plugin.Request`. Raises OptionsWrong with every mistake."""
    options, mistakes = table.bind(action, raw)
    if options is None:
        raise OptionsWrong("; ".join(f"{one.key} {one.message} ({one.hint})" for one in mistakes))
    about = changes.pop("incident", None) or incident()
    told = changes.pop("message", None)
    if told is None and action.delivers:
        told = message(incident=about)
    base = Request(
        name=action.name,
        options=options,
        incident=about,
        id=f"{about.id}-{action.name}-1",
        message=told,
        deadline_s=action.timeout_s,
    )
    return dataclasses.replace(base, **changes)


def run(
    action: Action[Any], raw: Mapping[str, object], *, state: Path | None = None, **changes: Any
) -> Outcome:
    """Run ``action`` here, in this process, and return how it went."""
    return action.run(request(action, raw, state=state, **changes))
