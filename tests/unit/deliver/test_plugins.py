# SPDX-License-Identifier: MIT
"""A plugin that delivers: whatever it does, it changes nothing but the outcome of its own try."""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from failhook import isolate
from failhook.action import Action
from failhook.config.model import ActionTable, Configuration
from failhook.deliver import destination, engine
from failhook.deliver.engine import Deliverer
from failhook.places import Places
from failhook.plugins.find import find_action
from tests.unit.deliver.bench import Bench, quick

PLUGIN = """
import os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
from failhook.plugin import *

@dataclass(frozen=True)
class Options:
    mark: str = option(PATH, "a file")
    key: Secret = option(SECRET, "a key", default=Secret("text", "open sesame"))

def run(request):
    with open(request.options.mark + ".tried", "a") as stream:
        stream.write(request.id + "\\n")
    {body}

ACTION = Action("evil", "does no good", Options, run, delivers=True)
"""
FORKS_AWAY = (
    "pid = os.fork() or (os.setsid(), os.fork() and os._exit(0), "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN), "
    "Path(request.options.mark).write_text(str(os.getpid())), time.sleep(1000)); "
    "[time.sleep(0.01) for _ in iter(lambda: Path(request.options.mark).exists(), True)]; "
)
SAYS_SO = "signal.signal(signal.SIGTERM, lambda *_: os._exit(print('cleaned up') or 0)); "
# What it does, and a word of what is said of it.
BODIES = {
    "hangs": ("time.sleep(1000)", "did not finish within 1 s"),
    "hangs and says so": (
        SAYS_SO + "time.sleep(1000)",
        "cleaned up",
    ),
    "hangs and is deaf": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
        "did not finish within 1 s",
    ),
    "can be ended": ("return failed(repr(signal.getsignal(signal.SIGTERM)))", "SIG_DFL"),
    "stops": ("os.kill(os.getpid(), signal.SIGSTOP)", "did not finish within 1 s"),
    "leaves": ("os._exit(0)", "without saying how it went (status 0)"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "(SIGSEGV)"),
    "raises": ("raise ValueError('no ' + request.options.key.read())", "no [masked:secret]"),
    "exits": ("sys.exit(3)", "left with status 3"),
    "floods": ("[os.write(1, b'x' * 65536) for _ in iter(int, 1)]", "did not finish within 1 s"),
    "closes all": ("os.closerange(0, 1024)", "without saying how it went"),
    "ends its group": ("os.killpg(0, signal.SIGKILL)", "(SIGKILL)"),
    "forks away": (FORKS_AWAY + "return failed('no answer')", "no answer"),
    "forks away and hangs": (FORKS_AWAY + "time.sleep(1000)", "did not finish within 1 s"),
}


@pytest.fixture
def evil(bench: Bench, where: Places, tmp_path: Path) -> Callable[[str], Any]:
    """Installs the plugin with a body, and gives how the engine finds it beside the bench's."""
    etc = tmp_path / "plugins-etc"
    directory = etc / "plugins"
    directory.mkdir(parents=True)
    for one in (etc, directory):
        one.chmod(0o755)
    places = replace(where, configuration=(etc,), user=os.geteuid() != 0)

    def install(body: str) -> Any:
        path = directory / "evil.py"
        path.write_text(PLUGIN.format(body=body))
        path.chmod(0o644)
        configuration = Configuration(plugins=(path,))

        def find(name: str) -> Action[Any] | None:
            return bench.find(name) or find_action(places, configuration, name)

        return find

    return install


def _table(tmp_path: Path, **changes: Any) -> ActionTable:
    raw = {"mark": str(tmp_path / "mark")}
    return ActionTable("tell-evil", "evil", raw, **{"timeout_s": 1.0, **changes})


def _tried(tmp_path: Path) -> list[str]:
    return (tmp_path / "mark.tried").read_text().split()


def _deliver(bench: Bench, find: Any, *tables: ActionTable) -> tuple[int, str]:
    """In a process of its own, as failhook-deliver.service: its exit code and what it printed."""
    printed = bench.log.with_name("printed")
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            fd = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            Deliverer(bench.places, bench.configuration(*tables), find=find, idle_s=0.05).run()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must not go on as the test
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), printed.read_text()


@pytest.mark.parametrize(("body", "said"), BODIES.values(), ids=BODIES)
def test_it_changes_nothing_but_its_own_outcome(
    bench: Bench,
    evil: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    said: str,
) -> None:
    quick(monkeypatch, 60.0)
    monkeypatch.setattr(engine, "_PAUSE_S", 0.05)
    for number in range(2):
        bench.put(number, action="tell-evil")
        bench.put(10 + number, action="works")
    code, printed = _deliver(bench, evil(body), _table(tmp_path), ActionTable("works", "test"))
    assert (code, len(printed) < 4096) == (0, True)
    assert bench.tried == ["m10", "m11"]
    entry = bench.entry(0)
    assert (entry["state"], entry["attempts"], entry["type"]) == ("waiting", 1, "evil")
    assert said in entry["detail"]
    assert "killed" not in entry["detail"]  # that was not the engine, whose limit is a longer one
    assert _tried(tmp_path) == ["m0"]  # the second one waits behind it
    assert len(bench.queue.later()) == 2
    mark = tmp_path / "mark"
    if mark.exists():
        assert not Path(f"/proc/{mark.read_text()}").exists()
    # Mended, it is told both, under the same ids and in order.
    destination.release(bench.places, "tell-evil")
    code, _ = _deliver(bench, evil("return done('taken')"), _table(tmp_path))
    assert code == 0
    assert _tried(tmp_path) == ["m0", "m0", "m1"]
    assert [bench.entry(number)["state"] for number in range(2)] == ["done", "done"]
    assert bench.items() == []


def test_what_it_leaves_behind_after_it_delivered_is_ended(
    bench: Bench, evil: Callable[[str], Any], tmp_path: Path
) -> None:
    bench.put(0, action="tell-evil")
    code, _ = _deliver(bench, evil(FORKS_AWAY + "return done('taken')"), _table(tmp_path))
    assert code == 0
    assert bench.entry(0)["detail"] == "taken"
    assert not Path(f"/proc/{(tmp_path / 'mark').read_text()}").exists()


def test_rubbish_instead_of_an_outcome_is_the_end_of_that_message(
    bench: Bench, evil: Callable[[str], Any], tmp_path: Path
) -> None:
    """Whether it was told is not known, and a mistake in a program does not mend itself."""
    bench.put(0, action="tell-evil")
    code, _ = _deliver(bench, evil("return object()"), _table(tmp_path))
    assert code == 0
    assert bench.entry(0)["state"] == "failed"
    assert "not an Outcome" in bench.entry(0)["detail"]
    assert len(bench.queue.dead()) == 1


def test_its_words_are_heard(
    bench: Bench,
    evil: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To come again later, that one message is refused, that it is gone."""
    quick(monkeypatch, 60.0, 60.0, 60.0)
    bench.put(0, action="tell-evil")
    _deliver(bench, evil("return failed('busy', retry_after_s=900)"), _table(tmp_path))
    (item,) = bench.items()
    (path,) = bench.queue.later()
    assert int(path.name[:12]) >= item.created + 900
    destination.release(bench.places, "tell-evil")
    bench.put(1, action="tell-evil")
    refuse = "return Outcome(request.id != 'm0', 'x', data={'about': 'message'})"
    _deliver(bench, evil(refuse), _table(tmp_path))
    assert [bench.entry(number)["state"] for number in range(2)] == ["waiting", "done"]
    bench.put(2, action="tell-evil")
    _deliver(bench, evil("return Outcome(False, 'no more', gone=True)"), _table(tmp_path))
    assert bench.entry(2)["state"] == "failed"


def test_asked_to_stop_it_leaves_nothing_running(
    bench: Bench, evil: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_STOP_S", 0.2)
    mark = tmp_path / "mark"
    bench.put(0, action="tell-evil")
    find = evil(FORKS_AWAY + "time.sleep(1000)")
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            tables = bench.configuration(_table(tmp_path, timeout_s=100.0))
            Deliverer(bench.places, tables, find=find, idle_s=0.05).run()
            os._exit(0)
        os._exit(70)
    until = time.monotonic() + 20
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    stray = Path(f"/proc/{mark.read_text()}/stat")
    while stray.exists() and b") Z" not in stray.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)
    # It is due again; whether its try was seen to fail before the end is a matter of luck.
    assert [item.attempts for item in bench.items()] in ([0], [1])


def test_a_limit_that_the_plugin_breaks_is_its_own(
    bench: Bench, evil: Callable[[str], Any], tmp_path: Path
) -> None:
    """The engine's limit is beyond all that `failhook.isolate` needs to end it."""
    from failhook.deliver.attempt import limit_s, longest_s

    find = evil("return done('')")
    table = _table(tmp_path)
    assert limit_s(table, find) == 1.0
    assert longest_s(table, find) > 1.0 + 10.0 + isolate.TERM_S
    assert longest_s(ActionTable("t", "test", timeout_s=3.0), bench.find) == 3.0
