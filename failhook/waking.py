# SPDX-License-Identifier: MIT
"""What ends a wait of those who work off a directory: something new in it, an ended child, SIGTERM.

Each of them sleeps in a selector; the values that are registered here are functions that take the
file object and drain it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_PIPE_BYTES = 1 << 20  # the most that a pipe of an ordinary user holds (pipe(7))
_IN_MOVED_TO = 0x80  # inotify(7)
_IN_CREATE = 0x100


class Watch:
    """Wakes a selector when something appears in a directory (inotify(7))."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        path = os.fsencode(directory)
        if libc.inotify_add_watch(self._fd, path, _IN_MOVED_TO | _IN_CREATE) < 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, os.strerror(error), str(directory))

    def fileno(self) -> int:
        """For a selector."""
        return self._fd

    def drain(self) -> None:
        """Take all news at once; the directory itself says what they are."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, 65536):
                pass

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


@contextlib.contextmanager
def waking(
    selector: selectors.BaseSelector, directory: Path, asked_to_stop: Callable[[], None]
) -> Iterator[None]:
    """While this lasts ``selector`` returns for all of that; SIGTERM and SIGINT also call
    ``asked_to_stop``. In the main thread only (signal(3))."""
    watch = Watch(directory)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    selector.register(watch, selectors.EVENT_READ, Watch.drain)
    selector.register(wake_read, selectors.EVENT_READ, _drain)
    before = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    handlers = {signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None)}
    for number in (signal.SIGTERM, signal.SIGINT):
        handlers[number] = signal.signal(number, lambda *_: asked_to_stop())
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        selector.unregister(watch)
        selector.unregister(wake_read)
        watch.close()
        os.close(wake_read)
        os.close(wake_write)


def drain_fifo(path: Path) -> None:
    """Forget what was written into a FIFO so far, if there is one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.read(fd, _PIPE_BYTES)
    except BlockingIOError:
        pass
    finally:
        os.close(fd)


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)
