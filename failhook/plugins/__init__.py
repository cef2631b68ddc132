# SPDX-License-Identifier: MIT
"""Actions and collectors of others: an executable, one Python file, an installed package.

`failhook.plugins.find` finds them; `docs/plugins.md` is for those who write them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failhook.plugins import entry_points

if TYPE_CHECKING:
    from failhook.collector import Collector
    from failhook.config.model import Configuration
    from failhook.places import Places


def collectors_to_run(places: Places, configuration: Configuration) -> list[Collector]:
    """The collectors of plugins for an incident. Costs next to nothing where there are none: every
    cold start of a worker asks."""
    if not (
        configuration.plugins
        or any((directory / "collectors").is_dir() for directory in places.configuration)
        or entry_points.of_group("failhook.collectors")
    ):
        return []
    from failhook.plugins import find

    return find.to_run(places, configuration)
