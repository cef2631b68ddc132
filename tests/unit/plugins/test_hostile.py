# SPDX-License-Identifier: MIT
"""A plugin that hangs, crashes, floods or forks away: bound, run and collected as the engine does
it, it changes nothing but its own outcome."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook import testing
from failhook.action import Action, Outcome
from failhook.collector import Context
from failhook.gather import offspring
from failhook.gather.stage import gather
from failhook.incident import Status
from failhook.isolate import run_isolated
from failhook.plugins import find, python
from failhook.systemd.unit import UnitState
from tests.unit.plugins.conftest import Etc

PLUGIN = """
    import os, signal, sys, time
    from dataclasses import dataclass
    from pathlib import Path
    from failhook.plugin import *

    @dataclass(frozen=True)
    class Options:
        mark: str = option(PATH, "a file")

    def run(request):
        {body}

    def collect(context, sink):
        sink.put("evil/first.txt", "kept")
        class request: options = Options("{mark}")
        {body}

    ACTION = Action("evil", "does no good", Options, run)
    COLLECTOR = Collector("evil", "does no good", collect, timeout_s=1.0)
    """
BODIES = {
    "hang": "time.sleep(1000)",
    "hang deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
    "exit": "os._exit(0)",
    "sys.exit": "sys.exit(0)",
    "kill": "os.kill(os.getpid(), 9)",
    "abort": "os.abort()",
    "flood": "[os.write(1, b'x' * 65536) for _ in iter(int, 1)]",
    "close": "os.closerange(0, 1024)",
    "recurse": "run(request) if 'options' in dir(request) else None",
    "memory": "raise MemoryError",
    "rubbish": "return object()",
    "stop": "os.kill(os.getpid(), signal.SIGSTOP)",
    "fork away": (
        "pid = os.fork() or (os.setsid(), os.fork() and os._exit(0), "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN), "
        "Path(request.options.mark).write_text(str(os.getpid())), time.sleep(1000)); "
        "[time.sleep(0.01) for _ in iter(lambda: Path(request.options.mark).exists(), True)]"
    ),
}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No child outlives its test."""
    yield
    until = time.monotonic() + 20
    while offspring.own_children() and time.monotonic() < until:
        offspring.reap_left_behind()
        time.sleep(0.01)
    assert offspring.own_children() == set()


def install(etc: Etc, body: str, mark: Path) -> Action[object]:
    """The plugin with ``body``; it can be described, whatever it does when it runs."""
    etc.python("evil.py", PLUGIN.format(body=body, mark=mark))
    found = find.find_action(etc.places, etc.configuration, "evil")
    assert found is not None
    return found


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_as_an_action(etc: Etc, tmp_path: Path, body: str) -> None:
    mark = tmp_path / "mark"
    action = install(etc, body, mark)
    asked = testing.request(action, {"mark": str(mark)})

    def call() -> Outcome:
        return action.run(asked)

    outcome = run_isolated(call, timeout_s=1.5)
    assert not outcome.ok
    assert outcome.detail
    assert "\n" not in outcome.detail
    if mark.exists():
        assert not Path(f"/proc/{mark.read_text()}").exists()
    # The next one is as well as ever.
    etc.script("actions/good", "echo fine")
    good = find.find_action(etc.places, etc.configuration, "good")
    assert good is not None
    assert testing.run_isolated(good, {}).outcome.detail == "fine"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_as_a_collector(etc: Etc, tmp_path: Path, body: str) -> None:
    install(etc, body, tmp_path / "mark")
    etc.script("collectors/good", "echo fine")
    collectors = find.to_run(etc.places, etc.configuration)
    incident = testing.incident()
    context = Context(incident, UnitState(incident.unit, {}))
    gathered = {
        one.evidence.name: one
        for one in gather(context, collectors, lambda data, _: (data, {}), deadline_s=20)
    }
    good, evil = gathered["good"], gathered["evil"]
    assert [item.data for item in good.items] == [b"fine\n"]
    assert evil.evidence.status in (Status.FAILED, Status.TIMEOUT, Status.OK)
    if "closerange" not in body:
        assert evil.items[0].data == b"kept"


def test_while_it_is_described(etc: Etc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "LOAD_S", 0.5)
    for name, body in BODIES.items():
        if "request" not in body and "return" not in body:
            etc.python(
                f"{name.replace(' ', '_').replace('.', '_')}.py",
                f"import os, signal, sys, time\n{body}\n",
            )
    etc.script("actions/good", "echo fine")
    began = time.monotonic()
    listing = find.actions(etc.places, etc.configuration)
    assert [one.action.name for one in listing.found if one.source.endswith("good")] == ["good"]
    assert len(listing.problems) >= 9
    assert time.monotonic() - began < 30
    again = time.monotonic()
    find.actions(etc.places, etc.configuration)  # nobody waits a second time for the same file
    assert time.monotonic() - again < 0.5


def test_a_fork_while_it_is_described(etc: Etc, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    etc.python(
        "forks.py",
        f"""
        import os, time
        if os.fork() == 0:
            os.setsid()
            open({str(mark)!r}, "w").write(str(os.getpid()))
            time.sleep(1000)
        while not os.path.exists({str(mark)!r}) or not os.path.getsize({str(mark)!r}):
            time.sleep(0.01)
        """,
    )
    assert find.problems(etc.places, etc.configuration) == []
    assert not Path(f"/proc/{mark.read_text()}").exists()
