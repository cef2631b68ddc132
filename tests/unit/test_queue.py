# SPDX-License-Identifier: MIT
"""The durable queue: order, states, claims, bounds, and what is no item."""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook import queue as module
from failhook.queue import Item, Name, Queue, QueueFull, dump, load, name_of

ITEM = Item(id="a-1", action="tell-ops", kind="message", incident="20260101T000000Z-a-1", created=9)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """An empty one."""
    made = Queue(tmp_path / "outbox")
    made.make()
    yield made


def _ids(paths: list[Path]) -> list[str]:
    return [name.id for path in paths if (name := name_of(path))]


def test_what_is_due_is_in_now(queue: Queue) -> None:
    path = queue.put(ITEM)
    assert path.parent == queue.now
    assert queue.read(path) == ITEM
    assert queue.waiting() == [path]
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(path.parent.stat().st_mode)[-3:] == "700"


def test_what_has_to_wait_is_in_later(queue: Queue) -> None:
    at = time.time() + 60.5
    path = queue.put(replace(ITEM, not_before=at))
    assert queue.later() == [path]
    name = name_of(path)
    assert name is not None
    assert 0 <= name.due - at < 1  # never before its time
    assert path.name.startswith(f"{name.due:012d}-")


def test_the_order_is_the_one_in_which_they_were_put(queue: Queue) -> None:
    for number in range(5):
        queue.put(replace(ITEM, id=f"i{number}", not_before=0.0 if number % 2 else 5.0))
    assert _ids(queue.waiting()) == [f"i{number}" for number in range(5)]


@pytest.mark.parametrize("state", ["now", "later", "dead"])
def test_the_same_id_is_put_once_in_whatever_state_it_is(queue: Queue, state: str) -> None:
    path = queue.put(ITEM)
    if state == "later":
        path = queue.postpone(path, time.time() + 100)
    elif state == "dead":
        path = queue.bury(path, ITEM)
    assert queue.put(replace(ITEM, attempts=7)) == path
    assert len([*queue.waiting(), *queue.later(), *queue.dead()]) == 1
    found = queue.read(path)
    assert found is not None
    assert found.attempts == 0


def test_an_id_that_ends_as_another_is_another(queue: Queue) -> None:
    queue.put(ITEM)
    queue.put(replace(ITEM, id="1"))
    assert _ids(queue.waiting()) == ["a-1", "1"]


def test_postponed_it_keeps_its_place(queue: Queue) -> None:
    first, second = (queue.put(replace(ITEM, id=name)) for name in ("x", "y"))
    later = queue.postpone(first, time.time() + 100)
    assert later.parent == queue.postponed
    assert _ids(queue.waiting()) == ["y"]
    back = queue.postpone(later, 0.0)
    assert queue.waiting() == [back, second]


def test_many_are_postponed_at_once_and_one_that_is_gone_does_not_matter(queue: Queue) -> None:
    paths = [queue.put(replace(ITEM, id=f"i{number}")) for number in range(4)]
    queue.done(paths[1])
    due = time.time() + 50
    queue.postpone_all(paths, due)
    assert _ids(queue.later()) == ["i0", "i2", "i3"]
    queue.postpone_all(queue.later(), 0.0)
    assert _ids(queue.waiting()) == ["i0", "i2", "i3"]


def test_replaced_it_is_due_when_it_says(queue: Queue) -> None:
    path = queue.put(ITEM)
    at = time.time() + 100
    later = queue.replace(path, replace(ITEM, attempts=1, not_before=at))
    assert (later.parent, not path.exists()) == (queue.postponed, True)
    found = queue.read(later)
    assert found is not None
    assert (found.attempts, found.not_before) == (1, at)
    again = queue.replace(later, found, due=0.0)
    assert again.parent == queue.now
    assert queue.read(again) == found  # the plan's own time is kept


def test_what_is_gone_is_not_written_again(queue: Queue) -> None:
    path = queue.put(ITEM)
    queue.done(path)
    queue.done(path)
    for call in (queue.replace, queue.bury):
        with pytest.raises(FileNotFoundError):
            call(path, ITEM)
    assert queue.read(path) is None
    assert not list(queue.directory.rglob("*.json"))


def test_buried_and_exhumed(queue: Queue) -> None:
    first = queue.put(replace(ITEM, attempts=10, started=5.0))
    second = queue.put(replace(ITEM, id="b"))
    dead = queue.bury(first, replace(ITEM, attempts=11))
    assert (queue.dead(), queue.waiting()) == ([dead], [second])
    back = queue.exhume(dead)
    assert back is not None
    assert queue.waiting() == [back, second]
    found = queue.read(back)
    assert found is not None
    assert (found.attempts, found.started, found.not_before) == (0, None, 0.0)
    assert found.created == pytest.approx(time.time(), abs=10)


def test_the_dead_are_bounded(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DEAD", 3)
    for number in range(5):
        item = replace(ITEM, id=f"i{number}")
        queue.bury(queue.put(item), item)
    assert _ids(queue.dead()) == ["i2", "i3", "i4"]


class TestTooMany:
    """A queue has an end, and what goes then is what says nothing new."""

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST", 3)

    def _put(self, queue: Queue, name: str, **changes: object) -> None:
        queue.put(replace(ITEM, id=name, **changes))  # type: ignore[arg-type]

    def test_the_oldest_repeat_goes_first(
        self, queue: Queue, caplog: pytest.LogCaptureFixture
    ) -> None:
        self._put(queue, "first", payload={"count": 1})
        self._put(queue, "again", payload={"count": 2}, not_before=time.time() + 99)
        self._put(queue, "more", payload={"count": 3})
        self._put(queue, "new", payload={"count": 1})
        assert set(_ids([*queue.waiting(), *queue.later()])) == {"first", "more", "new"}
        assert "again" in caplog.text

    def test_then_the_oldest_message(self, queue: Queue) -> None:
        for name in ("a", "b", "c", "d"):
            self._put(queue, name)
        assert _ids(queue.waiting()) == ["b", "c", "d"]

    def test_a_step_never_goes(self, queue: Queue) -> None:
        for name in ("a", "b", "c"):
            self._put(queue, name, kind="step")
        with pytest.raises(QueueFull):
            self._put(queue, "d", kind="step")
        assert _ids(queue.waiting()) == ["a", "b", "c"]


class TestClaims:
    """Two processes never work the same item."""

    def test_one_has_it(self, queue: Queue) -> None:
        path = queue.put(ITEM)
        other = queue.put(replace(ITEM, id="other"))
        again = Queue(queue.directory)
        with queue.claim(path) as first, again.claim(path) as second, again.claim(other) as third:
            assert (first, second, third) == (True, False, True)
        with again.claim(path) as later:
            assert later

    def test_it_holds_while_the_file_is_replaced(self, queue: Queue) -> None:
        path = queue.put(ITEM)
        with queue.claim(path):
            path = queue.replace(path, replace(ITEM, attempts=1))
            with Queue(queue.directory).claim(path) as second:
                assert not second

    def test_of_what_is_gone_there_is_none(self, queue: Queue) -> None:
        path = queue.put(ITEM)
        queue.done(path)
        with queue.claim(path) as is_ours:
            assert not is_ours

    def test_it_ends_with_its_process(self, queue: Queue) -> None:
        path = queue.put(ITEM)
        ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with queue.claim(path):
                    os.write(ready[1], b"1")
                    time.sleep(60)
            finally:
                os._exit(0)
        os.read(ready[0], 1)
        with queue.claim(path) as while_it_lives:
            assert not while_it_lives
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        with queue.claim(path) as afterwards:
            assert afterwards
        for fd in ready:
            os.close(fd)

    def test_putting_does_not_wait_for_a_claim(self, queue: Queue) -> None:
        path = queue.put(ITEM)
        with queue.claim(path):
            queue.put(replace(ITEM, id="b"))
        assert len(queue.waiting()) == 2


def _put_all(directory: Path) -> None:
    for number in range(20):
        Queue(directory).put(replace(ITEM, id=f"i{number}"))


def test_many_processes_put_the_same_items_once(queue: Queue) -> None:
    context = multiprocessing.get_context("fork")
    many = [context.Process(target=_put_all, args=(queue.directory,)) for _ in range(6)]
    for one in many:
        one.start()
    for one in many:
        one.join()
        assert one.exitcode == 0
    assert sorted(_ids(queue.waiting())) == sorted(f"i{number}" for number in range(20))


GOOD = json.loads(dump(ITEM))
WRONG: tuple[dict[str, object], ...] = (
    {"id": "../x"},
    {"id": 5},
    {"id": ""},
    {"action": "-x"},
    {"action": "a/b"},
    {"kind": "other"},
    {"created": "now"},
    {"created": True},
    {"created": 1e300},
    {"attempts": "1"},
    {"attempts": True},
    {"payload": []},
    {"incident": None},
    {"group": 5},
    {"started": "x"},
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        *(json.dumps(GOOD | change).encode() for change in WRONG),
        json.dumps(GOOD | {"created": float("nan")}).encode(),
    ],
)
def test_rubbish_is_set_aside_once(
    queue: Queue, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = queue.now / str(Name(0, 1, "x", "y"))
    path.write_bytes(content)
    assert queue.read(path) is None
    assert "set aside" in caplog.text
    assert queue.waiting() == []
    assert queue.dead() == []  # it is no item, and nobody will exhume it
    (kept,) = queue.buried.iterdir()
    assert kept.read_bytes() == content


def test_what_is_no_file_does_not_wake_for_ever(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    name = str(Name(0, 1, "x", "y"))
    (queue.now / name).symlink_to(tmp_path / "target")
    (queue.now / "stranger").write_text("x")
    os.mkfifo(queue.postponed / "pipe")
    (queue.now / ".hidden.999999999.new").write_text("half made")
    good = queue.put(ITEM)
    queue.tidy()
    assert queue.read(queue.now / name) is None
    assert sorted(os.listdir(queue.now)) == [good.name]
    assert os.listdir(queue.postponed) == []
    assert (tmp_path / "target").read_text() == "mine"


def test_an_item_that_is_too_large_is_refused(queue: Queue) -> None:
    with pytest.raises(ValueError, match="bytes"):
        queue.put(replace(ITEM, payload={"text": "x" * module.MAX_BYTES}))
    assert queue.waiting() == []


def test_a_directory_that_is_missing_is_an_empty_queue(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "none")
    assert (queue.waiting(), queue.later(), queue.dead()) == ([], [], [])


@pytest.mark.parametrize("name", ["x.json", "1-2-a@b.json", "", f"{'0' * 12}-{'0' * 20}-a@b.txt"])
def test_names_that_are_none_of_ours(name: str) -> None:
    assert name_of(Path("/x") / name) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.builds(
        Item,
        id=st.from_regex(r"[A-Za-z0-9_.-]{1,80}", fullmatch=True),
        action=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True),
        kind=st.sampled_from(module.KINDS),
        incident=st.text(max_size=50),
        created=st.floats(0, 1e12),
        attempts=st.integers(0, 1000),
        not_before=st.floats(0, 1e12),
        started=st.none() | st.floats(0, 1e12),
        step=st.none() | st.integers(1, 99),
        group=st.none() | st.text(max_size=20),
        payload=st.dictionaries(st.text(max_size=9), st.none() | st.text(max_size=30), max_size=4),
    )
)
def test_an_item_is_read_as_it_was_written(item: Item) -> None:
    assert load(dump(item)) == item
    name = Name(5, 6, item.id, item.action)
    assert len(str(name)) < 200
    assert name_of(Path(str(name))) == name
