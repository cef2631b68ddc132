# SPDX-License-Identifier: MIT
"""The diagnosis as a stage: whom it waits for."""

from failhook.collect import table
from failhook.diagnose import stage


def test_it_waits_for_those_whose_items_it_looks_at() -> None:
    own = {stage.CHANGES, stage.FACTS, stage.VERDICT, stage.VERDICT_PLUGINS}
    wanted = (*(path for path in stage._WANTED if path not in own), *stage._WANTED_BELOW)
    directories = {path.partition("/")[0] for path in wanted}
    assert set(stage.SOURCES) == directories - {"output"}  # that one is of `logs`
    assert set(stage.SOURCES) <= set(table.NAMES)


def test_nobody_starts_before_those_it_waits_for() -> None:
    """Otherwise they would have a process for themselves while a verdict waits."""
    assert table.NAMES[: len(stage.SOURCES)] == stage.SOURCES
