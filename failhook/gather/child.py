# SPDX-License-Identifier: MIT
"""What happens in a collector's process: its surroundings, its function, and how it ended.

The process (a lane) keeps nothing of its parent's but memory: descriptors are closed (a lock that a
process in D state still held would lock the next runner out), signals are as at the start of a
program, and what a function prints goes nowhere. Between two collectors and at the end it waits, so
that what they left running can still be found by its parent.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from failhook.collector import Collector, Context, Skipped
from failhook.gather import frames, offspring
from failhook.gather.frames import End
from failhook.gather.sink import CollectorSink, Mask
from failhook.incident import Status
from failhook.item import Item

# For the traceback of a crash, beyond the collector's own limit.
ERROR_BYTES = 32768
KILL_WAIT_S = 0.2
SOUND = (Status.OK, Status.SKIPPED)


def run_here(
    collector: Collector, context: Context, mask: Mask
) -> tuple[list[Item], list[str], End]:
    """Run an ``in_process`` collector: its items, its problems, and how it ended."""
    items: list[Item] = []
    problems: list[str] = []
    sink = CollectorSink(collector.name, collector.max_bytes, mask, items.append, problems.append)
    return items, problems, _run(collector, context, sink, _error_sink(collector, mask, sink))


@dataclass(frozen=True, slots=True)
class Task:
    """What a lane works on; None stands for a collector that is not for this lane."""

    collectors: tuple[Collector | None, ...]
    context: Context
    mask: Mask


@dataclass(frozen=True, slots=True)
class Terms:
    """What a lane is given: its two channels, and about the process it comes from."""

    orders: socket.socket  # from the parent: which collector is next, and how long it may take
    pipe: int  # to the parent: frames
    parent: int
    handled: Sequence[int]  # signals


_ORDER = struct.Struct(">Id")


def send_order(orders: socket.socket, number: int, left_s: float, task: int | None) -> None:
    """Tell a lane which collector is next, and of which task where that is not the one it knows:
    a descriptor of a file that holds it. Raises OSError where the lane has gone."""
    order = _ORDER.pack(number, left_s)
    if task is None:
        orders.send(order)
    else:
        socket.send_fds(orders, [order], [task])


def _next_order(orders: socket.socket, task: Task | None) -> tuple[Task, int, float] | None:
    """The next one; None when the parent has gone. What a task holds was written by our parent."""
    order, fds, _, _ = socket.recv_fds(orders, _ORDER.size, 1)
    if not order:
        return None
    for fd in fds:
        task = pickle.loads(_whole(fd))  # noqa: S301 - of our parent, who forked us
        os.close(fd)
    assert task is not None
    number, left_s = _ORDER.unpack(order)
    return task, number, left_s


def _whole(fd: int) -> bytes:
    """All of a file, without its position: other lanes read the same one at the same time."""
    size, data = os.fstat(fd).st_size, bytearray()
    while len(data) < size:
        data += os.pread(fd, size - len(data), len(data))
    return bytes(data)


def handled_signals() -> list[int]:
    """The signals for which this process has a handler; looked up once for many forks."""
    return [one for one in signal.valid_signals() if callable(signal.getsignal(one))]


def serve_and_exit(task: Task | None, terms: Terms, first: Callable[[], None] | None) -> NoReturn:
    """The life of a lane: one collector after the other as the parent orders them, and everything
    that they have to say goes through the pipe. It ends when it is killed."""
    try:
        _settle(terms)
        if first is not None:
            first()
        while (order := _next_order(terms.orders, task)) is not None:
            task, number, left_s = order
            collector = task.collectors[number]
            assert collector is not None
            _serve(collector, task.context, task.mask, terms.pipe, left_s)
    finally:
        os._exit(1)


def _serve(collector: Collector, context: Context, mask: Mask, pipe: int, left_s: float) -> None:
    sink = CollectorSink(
        collector.name,
        collector.max_bytes,
        mask,
        lambda item: frames.send_item(pipe, item),
        lambda reason: frames.send_problem(pipe, reason),
        left_s=left_s,
    )
    end = _run(collector, context, sink, _error_sink(collector, mask, sink))
    frames.send_end(pipe, End(end.status, end.reason, offspring.have_any()))


def _settle(terms: Terms) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    gc.disable()  # a collection would copy every page of the parent's memory
    signal.set_wakeup_fd(-1)
    for number in terms.handled:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    logging.disable(logging.CRITICAL)  # its handlers' descriptors are closed below
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    sys.stdout = sys.stderr = os.fdopen(1, "w", closefd=False)  # they may have been anything
    offspring.close_all_but(terms.orders.fileno(), terms.pipe)
    os.umask(0o077)
    os.chdir("/")
    offspring.keep_in_reach()
    offspring.die_with(terms.parent)


def _error_sink(collector: Collector, mask: Mask, sink: CollectorSink) -> CollectorSink:
    return CollectorSink(collector.name, ERROR_BYTES, mask, sink.pass_on, sink.problem)


def _run(collector: Collector, context: Context, sink: CollectorSink, errors: CollectorSink) -> End:
    try:
        collector.collect(context, sink)
    except Skipped as skipped:
        return End(Status.SKIPPED, sink.masked_reason(str(skipped)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one collector must not end the others
        errors.put(f"collectors/{collector.name}.error.txt", traceback.format_exc())
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return End(Status.FAILED, sink.masked_reason(what))
    return End(Status.OK)
