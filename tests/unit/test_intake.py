# SPDX-License-Identifier: MIT
"""Who may speak for which unit; with real sockets, and credentials that the kernel vouches for."""

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from failhook import hook, intake
from failhook.intake import Intake, Refused, check, listeners, speaks_for
from failhook.places import Places
from failhook.spool import Spool
from failhook.trigger import Kind, Trigger, parse
from tests.unit.collect.bench import Programs
from tests.unit.samples import record, spooled

NOBODY = 65534
PYTHON = "/usr/bin/python3"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may report any unit")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
# Whoever is in no unit's cgroup speaks for none by his place.
_PEER = """
import socket, sys
peers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(int(sys.argv[2]))]
for peer in peers:
    peer.settimeout(5)
    peer.connect("\\0" + sys.argv[1])
data = sys.stdin.buffer.read()
if data:
    peers[0].send(data)
    print(peers[0].recv(512).decode())
else:
    print(sum(peer.recv(512) == b"" for peer in peers))
"""


@dataclass
class Door:
    """An `Intake` at a socket with an abstract name (unix(7)), and the loop that serves it."""

    name: str
    where: Places
    intake: Intake
    selector: selectors.BaseSelector

    def turn(self, timeout_s: float = 0.05) -> None:
        for key, _ in self.selector.select(timeout_s):
            key.data(key.fileobj)
        self.intake.expire()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(f"\0{self.name}")
        return client

    def say(self, data: bytes) -> str:
        """What a peer with our own credentials is answered."""
        with self.connect() as client:
            client.send(data)
            client.settimeout(0.01)
            for _ in range(100):
                self.turn(0.01)
                try:
                    return client.recv(512).decode()
                except TimeoutError:
                    continue
        raise AssertionError("no answer")

    def peer(self, data: bytes = b"", count: int = 1, uid: int = NOBODY) -> str:
        """What a process of ``uid`` is answered."""
        argv = [PYTHON, "-IS", "-c", _PEER, self.name, str(count)]
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=uid, group=uid, text=False
        )
        assert child.stdin is not None
        child.stdin.write(data)
        child.stdin.close()
        child.stdin = None
        until = time.monotonic() + 10
        while child.poll() is None and time.monotonic() < until:
            self.turn()
        return child.communicate(timeout=5)[0].decode().strip()

    def spooled(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.where.spool.iterdir())]


@pytest.fixture
def door(where: Places) -> Iterator[Door]:
    Spool(where).make()
    name = f"failhook-test-{os.getpid()}"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        selectors.DefaultSelector() as selector,
    ):
        listener.bind(f"\0{name}")
        listener.listen(1024)
        listener.setblocking(False)
        served = Intake([listener], str(where.run), selector)
        yield Door(name, where, served, selector)
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


@pytest.fixture
def unit_of_nobody(programs: Programs) -> None:
    """``b.service`` has User=nobody, all others are root's."""
    programs.add(
        "systemctl",
        'case "$*" in *b.service) printf "Id=b.service\\nUser=nobody\\nUID=65534\\n";;'
        ' *) printf "Id=a.service\\nUID=[not set]\\n";; esac; echo LoadState=loaded',
    )


@as_root
def test_root_may_report_any_unit_and_the_kernel_says_who_it_was(door: Door) -> None:
    lies = spooled(uid=4711, pid=4711)
    assert door.say(lies) == "ok"
    (written,) = door.spooled()
    assert (written["uid"], written["pid"]) == (os.geteuid(), os.getpid())
    assert written["unit"] == "a.service"
    assert not door.intake.busy


@root_only
@pytest.mark.usefixtures("unit_of_nobody")
def test_a_unit_that_runs_as_the_peers_own_uid(door: Door) -> None:
    assert door.peer(spooled("b.service", uid=0)) == "ok"
    assert [written["uid"] for written in door.spooled()] == [NOBODY]


@root_only
@pytest.mark.usefixtures("unit_of_nobody")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "refused: uid 65534 has no power over a.service"),
        ({"unit": "b.service", "kind": "on-failure"}, "only a stopping unit may report"),
        ({"unit": "b.service", "kind": "manual"}, "only a stopping unit may report"),
        ({"unit": "b.service", "kind": "journal"}, "only a stopping unit may report"),
        ({"unit": "b.service", "manager": "user"}, "no reports for user managers"),
        ({"unit": "../b.service"}, "is not a unit name"),
    ],
)
def test_what_others_may_not(door: Door, changes: dict[str, Any], words: str) -> None:
    assert words in door.peer(spooled(**changes))
    assert door.spooled() == []


@pytest.mark.parametrize("data", [b"{}", b"\0", b"[" * 100000, b"x" * 200000, b"\xff" * 10, b"7"])
def test_rubbish_is_refused_in_words(door: Door, data: bytes) -> None:
    assert door.say(data).startswith("refused: ")
    assert door.spooled() == []


def test_a_message_that_is_cut_is_refused(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_MAX_MESSAGE", 100)
    assert "not JSON" in door.say(spooled())


@as_root
def test_a_peer_that_hangs_up_at_once(door: Door) -> None:
    for _ in range(3):
        door.connect().close()
    client = door.connect()
    client.send(spooled())
    client.close()
    for _ in range(3):
        door.turn()
    assert not door.intake.busy
    assert len(door.spooled()) == 1  # he did not wait for the answer, and was root


@as_root
def test_no_place_for_it(door: Door) -> None:
    door.where.incoming.rmdir()
    assert door.say(spooled()).startswith("not taken: ")


@as_root
def test_a_silent_peer_holds_nobody_up_and_is_sent_away(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_PATIENCE_S", 1.0)
    with door.connect() as silent:
        start = time.monotonic()
        assert door.say(spooled()) == "ok"
        assert time.monotonic() - start < 0.9
        while door.intake.busy:
            door.turn()
        assert 1.0 <= time.monotonic() - start < 10
        assert silent.recv(100) == b""


@root_only
def test_one_user_cannot_take_all_places(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE_S", 0.3)
    answers: list[str] = []
    crowd = threading.Thread(target=lambda: answers.append(_crowd(door)))
    crowd.start()
    until = time.monotonic() + 5
    while not door.intake.busy and time.monotonic() < until:
        door.turn()
    assert door.say(spooled()) == "ok"
    assert len(door.intake._peers) <= intake._MAX_PEERS_OF_ONE
    while crowd.is_alive():
        door.turn()
    crowd.join()
    assert answers == ["60"]
    assert not door.intake.busy


def _crowd(door: Door) -> str:
    done = subprocess.run(
        [PYTHON, "-IS", "-c", _PEER, door.name, "60"],
        input=b"",
        capture_output=True,
        user=NOBODY,
        group=NOBODY,
        timeout=20,
        check=False,
    )
    return done.stdout.decode().strip()


@as_root
def test_the_hook_is_answered(
    door: Door, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real client against the real server."""
    answers: list[str] = []
    text = json.dumps(record())

    def ask() -> None:
        answers.append(hook._hand_over(f"\0{door.name}", text))

    client = threading.Thread(target=ask)
    client.start()
    while client.is_alive():
        door.turn(0.01)
    assert answers == ["ok"]
    assert [written["unit"] for written in door.spooled()] == ["a.service"]


def test_nobody_answers_the_hook(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "ACKNOWLEDGE_S", 0.1)
    assert "timed out" in hook._hand_over(f"\0{door.name}", json.dumps(record()))
    assert "refused" in hook._hand_over("\0failhook-nowhere", "{}")


@as_root
def test_a_record_that_is_too_large_for_one_packet_goes_without_its_counters(door: Door) -> None:
    text = json.dumps(
        record() | {"cgroup_path": "/x", "cgroup": {"memory.peak": "x" * 400_000}},
        separators=(",", ":"),
    )
    answers: list[str] = []
    client = threading.Thread(
        target=lambda: answers.append(hook._hand_over(f"\0{door.name}", text))
    )
    client.start()
    while client.is_alive():
        door.turn(0.01)
    assert answers == ["ok"]
    assert "cgroup" not in door.spooled()[0]


# -- who has power over what ----------------------------------------------------------------------


def _trigger(**changes: Any) -> Trigger:
    return replace(parse("x", spooled("b.service")), **changes)


@pytest.mark.parametrize(
    ("shown", "allowed"),
    [
        ("User=nobody\nUID=65534\nLoadState=loaded", True),
        ("User=65534\nUID=[not set]\nLoadState=loaded", True),
        ("User=nobody\nUID=4294967295\nLoadState=loaded", True),
        ("User=\nUID=65534\nLoadState=loaded", True),  # DynamicUser= while it runs
        ("User=no-such-user\nUID=[not set]\nLoadState=loaded", False),
        ("User=root\nUID=0\nLoadState=loaded", False),
        ("User=\nUID=[not set]\nLoadState=loaded", False),
        ("User=nobody\nUID=65534\nLoadState=not-found", False),
        ("", False),
    ],
)
def test_the_units_own_uid(programs: Programs, shown: str, allowed: bool) -> None:
    programs.add("systemctl", f"printf '{shown}\\n'")
    if allowed:
        check(_trigger(), 1, NOBODY)
    else:
        with pytest.raises(Refused):
            check(_trigger(), 1, NOBODY)


def test_no_setting_ever_means_that_everybody_may(programs: Programs) -> None:
    """4294967295 is how systemd writes "no uid"; nobody has it, and so he must not match."""
    programs.add("systemctl", "printf 'UID=4294967295\\nLoadState=loaded\\n'")
    with pytest.raises(Refused):
        check(_trigger(), 1, 4294967295)


@root_only
def test_being_in_the_units_cgroup_is_enough(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "unit_of", lambda _: ("b.service", False))
    sleeper = subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY)
    try:
        check(_trigger(), sleeper.pid, NOBODY)
        assert programs.calls == []
        with pytest.raises(Refused):  # recycled: the process is another's now
            check(_trigger(), sleeper.pid, 1234)
        with pytest.raises(Refused):
            check(_trigger(unit="c.service"), sleeper.pid, NOBODY)
        check(_trigger(kind=Kind.CLEAN_STOP), sleeper.pid, NOBODY)
        with pytest.raises(Refused):
            check(_trigger(kind=Kind.ON_FAILURE), sleeper.pid, NOBODY)
    finally:
        sleeper.kill()
        sleeper.wait()
    with pytest.raises(Refused):  # gone
        check(_trigger(), sleeper.pid, NOBODY)


@pytest.mark.parametrize(
    ("cgroups", "speaks"),
    [
        ("0::/system.slice/b.service\n", True),
        ("0::/system.slice/b.service/.control\n", True),
        ("12:memory:/x\n1:name=systemd:/system.slice/b.service\n0::/\n", True),
        ("0::/system.slice/a.service/b.service\n", False),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/b.service\n", False),
        # a user's own part of a controller's hierarchy (libpam-cgfs, lxc)
        (
            "4:cpu,cpuacct:/user/bob/0/b.service\n0::/user.slice/user-7.slice/session-1.scope\n",
            False,
        ),
        ("0::/\n", False),
        ("", False),
        ("rubbish\n", False),
    ],
)
def test_whose_cgroup_it_is(cgroups: str, speaks: bool) -> None:
    assert speaks_for("b.service", cgroups) == speaks


# -- what systemd hands over ----------------------------------------------------------------------


def test_sockets_of_somebody_else_are_left_alone() -> None:
    assert listeners({}) == []
    assert listeners({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert listeners({"LISTEN_PID": str(os.getpid())}) == []
    assert listeners({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) == []


def test_sockets_that_are_ours() -> None:
    script = (
        "import os, socket, sys\n"
        f"sys.path.insert(0, {str(Path(intake.__file__).parents[1])!r})\n"
        "one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "os.dup2(one.fileno(), 3)\n"
        "from failhook.intake import listeners\n"
        "(found,) = listeners({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})\n"
        "print(found.fileno(), found.getblocking(), os.get_inheritable(3))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "False", "False"]


def test_a_fifo_has_only_woken_us() -> None:
    script = (
        "import os, socket, sys\n"
        f"sys.path.insert(0, {str(Path(intake.__file__).parents[1])!r})\n"
        "one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "fifo = os.pipe()[0]\n"
        "os.dup2(one.fileno(), 13)\n"
        "os.dup2(fifo, 4)\n"
        "os.dup2(13, 3)\n"
        "from failhook.intake import listeners\n"
        "(found,) = listeners({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2'})\n"
        "print(found.fileno(), os.path.exists('/proc/self/fd/4'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "False"]


def test_credentials_are_those_of_unix_7() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        raw = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
        assert intake._credentials(one) == (os.getpid(), os.geteuid())
        assert len(raw) == 12
