# SPDX-License-Identifier: MIT
"""For the author of a plugin: a realistic incident, a request on it, and options as they are read.

    from failhook import testing
    from my_plugin import ACTION, COLLECTOR

    def test_it_shines() -> None:
        outcome = testing.run(ACTION, {"lamp": "red"})
        assert outcome.ok

    def test_it_looks_at_the_lamps() -> None:
        found = testing.run_collector(COLLECTOR, answers={"lampctl list": "red on"})
        assert found.text("lamps/list.txt") == "red on"

`load_action` and `load_collector` take an executable or a Python file as failhook itself does,
`Receiver` is a web server on loopback that keeps what an action sends.
"""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from failhook import isolate
from failhook.action import Action, Outcome, Request
from failhook.actions import table
from failhook.collector import Collector, Context, Skipped
from failhook.gather.sink import CollectorSink
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
from failhook.item import Item
from failhook.message import Event, Message
from failhook.systemd.unit import UnitState

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

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


def run_isolated(action: Action[Any], raw: Mapping[str, object], **changes: Any) -> isolate.Report:
    """As `run`, but as failhook does it: in a process of its own, ended after ``deadline_s``."""
    asked = request(action, raw, **changes)
    with warnings.catch_warnings():  # Python 3.12: a `Receiver` is a thread; ours only polls
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return isolate.watched(lambda: action.run(asked), timeout_s=asked.deadline_s)


# -- plugins that are files -----------------------------------------------------------------------


def load_action(path: Path | str, name: str | None = None) -> Action[Any]:
    """The action that an executable or a Python file is; ``name`` where a file has several.

    Loads the code of a Python file here. Raises OSError, LookupError, and what that code raises.
    """
    from failhook.plugins import executable

    file = _file(path)
    if file.suffix == ".py" and not _is_script(file):
        found: Action[Any] = _one(_loaded(file)[0], name, file)
        return found
    return executable.action(file.stem, file)


def load_collector(path: Path | str, name: str | None = None) -> Collector:
    """As `load_action`, the collector."""
    from failhook.plugins import executable

    file = _file(path)
    if file.suffix == ".py" and not _is_script(file):
        found: Collector = _one(_loaded(file)[1], name, file)
        return found
    return executable.collector(file.stem, file)


def _file(path: Path | str) -> Path:
    file = Path(path).absolute()
    if not file.is_file():
        raise FileNotFoundError(2, "No such file", str(file))
    return file


def _is_script(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"#!" and os.access(file, os.X_OK)


def _loaded(file: Path) -> tuple[list[Action[Any]], list[Collector]]:
    from failhook.plugins.source import Source

    return Source(file, frozenset()).load()


def _one(offered: Sequence[Any], name: str | None, file: Path) -> Any:
    for one in offered:
        if name is None or one.name == name:
            return one
    raise LookupError(f"{file} offers no {name or 'such thing'}")


# -- recorders ------------------------------------------------------------------------------------


class Recorder(CollectorSink):
    """Where a collector's evidence goes in a test: nothing is masked, limits are those of the real
    one. Keeps what was put where, which commands were asked for, and what was said to be missing.
    """

    def __init__(self, collector: Collector, answers: Mapping[str, str | bytes] | None) -> None:
        self.items: dict[str, Item] = {}
        self.commands: list[tuple[str, ...]] = []
        self.problems: list[str] = []
        self.skipped: str | None = None
        self._answers = answers
        super().__init__(
            collector.name,
            collector.max_bytes,
            lambda data, _: (data, {}),
            self._take,
            self.problems.append,
            left_s=collector.timeout_s,
        )

    def _take(self, item: Item) -> None:
        if item.path in self.items:
            raise AssertionError(f"{item.path} was put twice")
        self.items[item.path] = item

    def text(self, path: str) -> str:
        """An item, decoded. Raises KeyError."""
        return self.items[path].data.decode("utf-8", "replace")

    def command(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        keep: str = "head",
    ) -> bytes:
        """Give the answer to the command line that the test has for it, or run it where the test
        has no answers at all."""
        self.commands.append(tuple(argv))
        if self._answers is None:
            return super().command(name, argv, timeout_s=timeout_s, max_bytes=max_bytes, keep=keep)
        given = self._answers.get(" ".join(argv))
        if given is None:
            self.put(name, b"", reason=f"{argv[0]} could not be started: the test has no answer")
            return b""
        self.put(name, given)
        return given.encode() if isinstance(given, str) else given


def run_collector(
    collector: Collector,
    *,
    incident: Incident | None = None,
    properties: Mapping[str, str] | None = None,
    answers: Mapping[str, str | bytes] | None = None,
    **changes: Any,
) -> Recorder:
    """Run ``collector`` here and return what it gave. ``properties`` are the unit's, as `systemctl
    show` has them; ``answers`` what commands print, by their command line; ``changes`` are fields
    of `failhook.plugin.Context`."""
    about = incident or _sample()
    context = Context(about, UnitState(about.unit, dict(properties or {})), **changes)
    recorder = Recorder(collector, answers)
    try:
        collector.collect(context, recorder)
    except Skipped as skipped:
        recorder.skipped = str(skipped)
    return recorder


def _sample() -> Incident:
    return incident()


class Received(NamedTuple):
    """One request that a `Receiver` got."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


class Receiver:
    """A web server on loopback, in a thread, at a port that was free: keeps what it gets.

    with testing.Receiver() as receiver:
        testing.run(ACTION, {"url": receiver.url})
    assert receiver.requests[0].document["text"] == "..."
    """

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.status, self.body = status, body
        self.requests: list[Received] = []
        self.url = ""

    def __enter__(self) -> Self:
        import http.server
        import threading

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        import http.server

        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.command, self.path, headers, self.rfile.read(length))
                receiver.requests.append(received)
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler
