# SPDX-License-Identifier: MIT
"""What changed, as a collector: costs nothing where there is nothing to compare with."""

import os
import pickle
from dataclasses import replace

from failhook.changes import stage
from failhook.changes.fingerprint import Fingerprint, Package
from failhook.changes.keep import Keep
from failhook.diagnose.stage import CHANGES
from failhook.incident import Change
from failhook.places import Places
from failhook.store import codec
from tests.unit.collect import bench
from tests.unit.collect.bench import Gave

UNIT = bench.BASE.unit
BEFORE = Fingerprint(UNIT, seen=bench.BASE.first_seen - 3600, kernel="0.0.1", key="k")


def run(where: Places) -> Gave:
    (collector,) = stage.collectors(where, UNIT)
    return bench.run(collector, bench.context())


def test_nothing_to_compare_with_is_no_collector_and_leaves_no_trace(where: Places) -> None:
    assert stage.collectors(where, UNIT) == []
    assert not where.units.exists()


def test_it_can_be_switched_off(where: Places) -> None:
    Keep(where).save(BEFORE)
    assert len(stage.collectors(where, UNIT)) == 1
    assert stage.collectors(where, UNIT, ("boot", "changes")) == []
    assert stage.collectors(where, "other.service") == []


def test_it_is_bounded_and_can_be_sent_to_a_process_that_waits(where: Places) -> None:
    collector = stage.collector(where)
    assert collector.timeout_s <= 1.0
    assert collector.shares_process
    assert pickle.loads(pickle.dumps(collector)).name == "changes"


def test_what_changed(where: Places) -> None:
    Keep(where).save(BEFORE)
    gave = run(where)
    assert gave.problems == []
    changes, last_well = codec.load_changes(gave.items[CHANGES].data)
    assert last_well == BEFORE.seen
    (change,) = changes
    assert change.at is not None  # when this boot began
    assert change == Change("kernel", "0.0.1", os.uname().release, change.at)


def test_nothing_changed_is_said_as_well(where: Places) -> None:
    Keep(where).save(replace(BEFORE, kernel=os.uname().release))
    changes, last_well = codec.load_changes(run(where).items[CHANGES].data)
    assert (changes, last_well) == ((), BEFORE.seen)


def test_one_that_is_damaged_is_a_problem_and_no_crash(where: Places) -> None:
    Keep(where).save(BEFORE)
    Keep(where).path(UNIT).write_bytes(b"{")
    gave = run(where)
    assert gave.items == {}
    assert len(gave.problems) == 1


def test_versions_that_cannot_be_read_are_named(where: Places, programs: bench.Programs) -> None:
    del programs  # no package manager that answers
    packages = {"no-such-package-here": Package("rpm", "1")}
    Keep(where).save(replace(BEFORE, packages=packages, kernel=os.uname().release))
    gave = run(where)
    changes, _ = codec.load_changes(gave.items[CHANGES].data)
    assert changes or gave.problems == ["the versions of packages could not be read"]
