# SPDX-License-Identifier: MIT
"""The socket for those who may not write the spool: who is asking, and may he speak for that unit?

A peer may report the unit whose cgroup he is in, or a unit that runs as his own uid (he could kill
that one anyway); root may report any. The kernel says who he is (SO_PEERCRED, unix(7)); his cgroup
is read while he waits for our word, and only if the process still has the uid of the one who
connected, so that a recycled pid gains nobody a right he had not. On an overloaded machine a peer
may have left before we look, and with him the uid of a DynamicUser= unit: such a report is taken as
unproven, and counts if the journal shows that the uid ran in that very invocation.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pwd
import selectors
import socket
import stat
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from failhook import hook
from failhook.systemd import unit
from failhook.systemd.unit import UnitState
from failhook.trigger import Kind, Trigger, TriggerError, parse

logger = logging.getLogger(__name__)
_MAX_MESSAGE = 256 << 10
_PATIENCE_S = 1.0  # a peer that connects and says nothing is sent away then
_MAX_PEERS = 256
_MAX_PEERS_OF_ONE = 32  # one user cannot take all the places
_MAX_UNPROVEN = 256  # of one runner's life: each of them costs a question to the journal
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


class Refused(Exception):
    """He may not report this: says why, for him and for the journal."""


class Unproven(Refused):
    """He left, and his uid may have been the unit's own: the journal can tell."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """Who knocked, and until when he may speak (monotonic)."""

    pid: int
    uid: int
    until: float


class Intake:
    """Serves everybody at the socket without ever waiting for one of them."""

    def __init__(
        self, listeners: list[socket.socket], run: str, selector: selectors.BaseSelector
    ) -> None:
        self._run = run
        self._selector = selector
        self._peers: dict[socket.socket, _Peer] = {}
        self._unproven = 0
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ, self._accept)

    def _accept(self, listener: socket.socket) -> None:
        """Let a batch in; a flood of them leaves time for the rest of the loop."""
        for _ in range(64):
            try:
                peer, _address = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            pid, uid = _credentials(peer)
            of_his = sum(one.uid == uid for one in self._peers.values())
            if len(self._peers) >= _MAX_PEERS or (uid and of_his >= _MAX_PEERS_OF_ONE):
                logger.warning("too many knocks by uid %d: one was sent away", uid)
                peer.close()
                continue
            peer.setblocking(False)
            self._peers[peer] = _Peer(pid, uid, time.monotonic() + _PATIENCE_S)
            self._selector.register(peer, selectors.EVENT_READ, self._read)

    def _read(self, peer: socket.socket) -> None:
        """Take his report and tell him what became of it; he may have left by now."""
        known = self._peers.pop(peer)
        self._selector.unregister(peer)
        with peer, contextlib.suppress(OSError):
            peer.send(self._answer(peer, known).encode())

    def _answer(self, peer: socket.socket, known: _Peer) -> str:
        try:
            data = peer.recv(_MAX_MESSAGE)
            trigger = parse("socket", data)
            self._write(data, known, proven=self._is_proven(trigger, known))
        except (Refused, TriggerError) as refusal:
            logger.warning("refused a report of uid %d (pid %d): %s", known.uid, known.pid, refusal)
            return f"refused: {refusal}"
        except OSError as error:
            logger.error("a report of uid %d is lost: %s", known.uid, error)
            return f"not taken: {error}"
        return "ok"

    def _is_proven(self, trigger: Trigger, known: _Peer) -> bool:
        """Raises Refused where he may not report this."""
        try:
            check(trigger, known.pid, known.uid)
        except Unproven:
            self._unproven += 1
            if self._unproven > _MAX_UNPROVEN:
                raise
            return False
        return True

    def _write(self, data: bytes, known: _Peer, *, proven: bool) -> None:
        record = json.loads(data) | {"uid": known.uid, "pid": known.pid, "unproven": not proven}
        if not proven:
            for name in ("cgroup", "processes", "cgroup_path"):
                record.pop(name, None)
        hook.write_spool(self._run, json.dumps(record))

    def expire(self) -> None:
        """Send away who said nothing."""
        now = time.monotonic()
        for peer in [peer for peer, known in self._peers.items() if known.until < now]:
            del self._peers[peer]
            self._selector.unregister(peer)
            peer.close()

    @property
    def busy(self) -> bool:
        """Somebody is at the socket."""
        return bool(self._peers)


def _credentials(peer: socket.socket) -> tuple[int, int]:
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


def check(trigger: Trigger, pid: int, uid: int) -> None:
    """Raises Refused where the peer has no power over the unit that he speaks of."""
    if trigger.user:
        raise Refused("the system's failhook takes no reports for user managers")
    if uid == 0:
        return
    if trigger.kind not in (Kind.STOP_POST, Kind.CLEAN_STOP):
        raise Refused(f"only a stopping unit may report, not {trigger.kind}")
    if _in_cgroup_of(trigger.unit, pid, uid):
        return
    state = unit.show_many([trigger.unit], ["User", "UID", "DynamicUser", "LoadState"])
    found = state.get(trigger.unit)
    if found is not None and uid in _uids_of(found):
        return
    why = f"uid {uid} has no power over {trigger.unit}"
    dynamic = found is not None and found.get("DynamicUser") == "yes"
    if dynamic and trigger.kind is Kind.STOP_POST and not _is_there(pid):
        raise Unproven(why)
    raise Refused(why)


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _in_cgroup_of(name: str, pid: int, uid: int) -> bool:
    try:
        if _uid_of(pid) != uid:
            return False
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            return speaks_for(name, stream.read())
    except OSError:
        return False


def speaks_for(name: str, cgroups: str) -> bool:
    """Is a process with these lines in /proc/PID/cgroup part of the unit ``name``?

    Only systemd's own hierarchy counts (cgroups(7)): a part of another may be a user's own.
    """
    for line in cgroups.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd") and hook.unit_of(path) == (name, False):
            return True
    return False


def _uid_of(pid: int) -> int | None:
    """The effective uid of a process (proc(5), status); its /proc entry's owner may be root."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return None


def _uids_of(state: UnitState) -> set[int]:
    """The uids that the unit runs as, by its own settings; never root by a missing setting."""
    if not state.found:
        return set()
    uids = {number for number in [state.number("UID")] if number is not None}
    user = state.get("User")
    if user is not None and user.isdigit():
        uids.add(int(user))
    elif user is not None:
        with contextlib.suppress(KeyError):
            uids.add(pwd.getpwnam(user).pw_uid)
    return {number for number in uids if number < (1 << 32) - 1}


def listeners(environ: dict[str, str]) -> list[socket.socket]:
    """The sockets that systemd handed over (sd_listen_fds(3)); a FIFO has only woken us."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    found = []
    for number in range(3, 3 + count):
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            found.append(socket.socket(fileno=number))
        else:
            os.close(number)
    for one in found:
        one.setblocking(False)
        os.set_inheritable(one.fileno(), False)
    return found
