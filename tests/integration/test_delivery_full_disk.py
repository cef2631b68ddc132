# SPDX-License-Identifier: MIT
"""Deliveries on a disk that is full: nothing is lost, nothing is told twice, and it says so.

On a real file system without a page left, and with every single call that writes refused in turn.
"""

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from failhook.config.model import ActionTable
from failhook.incident import Incident
from failhook.queue import Queue
from failhook.store.incidents import Store
from tests.integration.small_disk import mounted
from tests.integration.test_delivery import DOWN, Site, kill
from tests.unit import receiver as to
from tests.unit.receiver import Receiver

_SIZE = 4 << 20
_SOME = 2
_QUICK: dict[str, Any] = {"AGAIN_S": 0.05, "IN_PROCESS_S": 1.0}


def _wait(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def _ids(there: Receiver) -> list[str]:
    return [asked.headers["webhook-id"] for asked in there.asked]


def _ends(pid: int, site: Site) -> None:
    """It leaves by itself, with success."""
    _, status = os.waitpid(pid, 0)
    site.pids.remove(pid)
    assert status == 0, site.log.read_text()[-3000:]


def _incidents(site: Site) -> list[Incident]:
    """All of them, read from their records; none may be damaged."""
    store = Store(site.places)
    names = [path.name for path in site.places.incidents.iterdir() if path.name[0] != "."]
    found = [store.load(name) for name in sorted(names)]
    store.close()
    assert None not in found
    return [one for one in found if one is not None]


# -- a file system that is full -------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """A site whose state is on a file system of 4 MiB."""
    with mounted(tmp_path / "state", _SIZE):
        site = Site(tmp_path)
        try:
            yield site
        finally:
            site.end()


def _fill(site: Site, left: int = 0) -> Path:
    """A file that takes all room but so many pages."""
    ballast = site.places.state / "ballast"
    page = os.sysconf("SC_PAGE_SIZE")
    free = os.statvfs(site.places.state).f_bavail
    with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        for _ in range(free - left):
            stream.write(bytes(page))
    assert os.statvfs(site.places.state).f_bavail == left
    return ballast


def test_each_receiver_hears_the_first_and_the_rest_when_there_is_room(small: Site) -> None:
    number = 6
    with Receiver() as there, Receiver() as other:
        for name, receiver in (("tell", there), ("other", other)):
            raw = {"url": receiver.url()}
            small.tables[name] = ActionTable(name, "webhook", raw, timeout_s=0.5)
            small.put(range(number), name)
        ballast = _fill(small)
        pid = small.start(**_QUICK, GRACE_S=0.1)
        _wait(lambda: small.log.read_text().count("cannot write in") == 2, "two complaints")
        time.sleep(1.0)  # twenty more looks whether there is room, and beyond the limit of a try
        assert (_ids(there), _ids(other)) == (["tell-00000"], ["other-00000"])
        assert len(_incidents(small)) == 2 * number
        assert len(small.queue.waiting()) == 2 * number
        assert all(small.queue.read(path) for path in small.queue.waiting())
        assert "No space left on device" in small.log.read_text()
        # Nothing remembers that it was told but the process: so much for a kill, under the same id.
        kill(pid)
        small.pids.remove(pid)
        pid = small.start(**_QUICK)
        _wait(lambda: small.log.read_text().count("cannot write in") == 4, "two more complaints")
        ballast.unlink()
        _ends(pid, small)
        expected = [f"-{one:05}" for one in (0, 0, *range(1, number))]
        assert _ids(there) == [f"tell{one}" for one in expected]
        assert _ids(other) == [f"other{one}" for one in expected]
    assert set(small.states().values()) == {"done"}
    assert len(small.states()) == 2 * number
    assert small.queue.waiting() == small.queue.later() == small.queue.dead() == []
    assert small.log.read_text().count("cannot write in") == 4  # once for each, not once a second
    assert "Traceback" not in small.log.read_text()


@pytest.mark.parametrize("left", range(1, 14, 2))
def test_with_few_pages_left(small: Site, left: int) -> None:
    """It gets through, or waits; in neither case anything is damaged or told twice."""
    with Receiver() as there:
        small.to("tell", there)
        small.put(range(4))
        ballast = _fill(small, left)
        pid = small.start(**_QUICK)
        is_full = _full_or_over(small, pid)
        assert len(_incidents(small)) == 4
        ballast.unlink()
        if is_full:
            _ends(pid, small)
        assert _ids(there) == [f"tell-{one:05}" for one in range(4)]
    assert set(small.states().values()) == {"done"}


def _full_or_over(site: Site, pid: int) -> bool:
    """Wait until it complains (True) or has left (False)."""
    while "cannot write in" not in site.log.read_text():
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            site.pids.remove(pid)
            return False
        time.sleep(0.01)
    return True


# -- every call that writes -----------------------------------------------------------------------


class Refuse:
    """From the ``number``-th call that writes on all of them are refused, in every process, while
    the file ``full`` is there."""

    def __init__(self, number: int, full: Path) -> None:
        self.left = number
        self.full = full

    def __call__(self) -> None:
        """In the deliverer: its lanes go on counting where it is."""
        for name in ("fsync", "rename", "mkdir"):
            setattr(os, name, self._guarded(getattr(os, name)))
        plain = os.open

        def guarded(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & os.O_CREAT and not Path(path).exists():
                self._count(path)
            return plain(path, flags, *more, **named)

        os.open = guarded

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        makes = call is os.mkdir

        def guarded(*given: Any, **named: Any) -> Any:
            if not makes or not Path(given[0]).exists():
                self._count(given[0])
            return call(*given, **named)

        return guarded

    def _count(self, what: object) -> None:
        self.left -= 1
        if self.left <= 0 and self.full.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(what))


def _every_write(
    tmp_path: Path,
    prepare: Callable[[Site, Receiver], None],
    check: Callable[[Site, Receiver], None],
    *,
    stride: int = 1,
) -> int:
    """Deliver once for every call that writes (every ``stride``-th), with that one and all after it
    refused for a while. Returns how many calls there are."""
    number, was_refused = 1 - stride, True
    while was_refused:
        number += stride
        full = tmp_path / f"full-{number}"
        full.touch()
        (tmp_path / str(number)).mkdir()
        site = Site(tmp_path / str(number))
        with Receiver() as there:
            prepare(site, there)
            pid = site.start(Refuse(number, full), **_QUICK, SCHEDULE_S=(0.0, 0.05, 60.0))
            try:
                was_refused = _full_or_over(site, pid)
                assert len(_incidents(site)) == _SOME
                full.unlink()
                if was_refused:
                    _ends(pid, site)
                check(site, there)
            finally:
                site.end()
        assert "Traceback" not in site.log.read_text()
        assert number < 200
    return number


@pytest.mark.parametrize("group", [None, "night"], ids=["alone", "digest"])
def test_refused_at_every_write_it_is_told_once(tmp_path: Path, group: str | None) -> None:
    def prepare(site: Site, there: Receiver) -> None:
        site.to("tell", there)
        site.put(range(_SOME), group=group)

    def check(site: Site, there: Receiver) -> None:
        ids = _ids(there)
        assert ids == [f"tell-{one:05}" for one in range(_SOME)] if group is None else len(ids) == 1
        assert set(site.states().values()) == {"done"}
        assert [*site.queue.waiting(), *site.queue.later(), *site.queue.dead()] == []

    assert _every_write(tmp_path, prepare, check) > 10


@pytest.mark.parametrize(
    ("answer", "state"),
    [(DOWN, "done"), (to.status(400), "done"), (to.status(410), "left-out")],
    ids=["down", "refused", "gone"],
)
def test_refused_at_a_write_after_a_failure(tmp_path: Path, answer: to.Answer, state: str) -> None:
    """What was put off or given up stays so, and no try is made twice."""

    def prepare(site: Site, there: Receiver) -> None:
        there.answers = [answer]
        site.to("tell", there)
        site.put(range(_SOME))

    def check(site: Site, there: Receiver) -> None:
        site.move_due()
        site.run(**_QUICK)
        ids = _ids(there)
        if state == "done":
            assert sorted(ids) == ["tell-00000", "tell-00000", "tell-00001"]
            assert set(site.states().values()) == {"done"}
        else:
            assert ids == ["tell-00000"]
            assert sorted(site.states().values()) == ["failed", "left-out"]
            assert len(site.queue.dead()) == _SOME
        assert site.queue.waiting() == []

    assert _every_write(tmp_path, prepare, check, stride=2) > 10


def test_one_that_is_not_in_the_configuration_holds_up_nobody(tmp_path: Path) -> None:
    """The engine itself cannot write that it leaves something out, and goes on with the others."""
    full = tmp_path / "full"
    full.touch()
    site = Site(tmp_path)
    with Receiver() as there:
        site.to("tell", there)
        site.put(range(2), "forgotten")
        site.put(range(1))
        pid = site.start(Refuse(1, full), **_QUICK)
        try:
            _wait(lambda: _ids(there) == ["tell-00000"], "the other one's message")
            assert len(site.queue.waiting()) == 3
            full.unlink()
            _ends(pid, site)
        finally:
            site.end()
    assert sorted(site.states().values()) == ["done", "left-out", "left-out"]
    assert "forgotten: cannot write in" in site.log.read_text()


def test_a_crash_on_a_full_disk_is_no_end_of_the_others(tmp_path: Path) -> None:
    """The try of a process that was killed cannot be written down: as if it had not been made."""
    full = tmp_path / "full"
    full.touch()
    site = Site(tmp_path)
    with Receiver() as there, Receiver() as silent:
        silent.always = lambda *_: time.sleep(60)
        site.to("tell", there)
        raw = {"url": silent.url()}
        site.tables["silent"] = ActionTable("silent", "webhook", raw, timeout_s=0.2)
        site.put(range(1), "silent")
        site.put(range(1))
        pid = site.start(Refuse(1, full), **_QUICK, GRACE_S=0.1, SCHEDULE_S=(0.0, 300.0))
        try:
            _wait(lambda: "silent: cannot write in" in site.log.read_text(), "the complaint")
            _wait(lambda: _ids(there) == ["tell-00000"], "the other one's message")
            full.unlink()
            _ends(pid, site)
        finally:
            site.end()
    assert site.states() == {"silent00000": "waiting", "tell00000": "done"}
    assert [json.loads(path.read_bytes())["attempts"] for path in Queue(site.places.outbox).later()]
