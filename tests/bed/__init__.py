# SPDX-License-Identifier: MIT
"""A real systemd as PID 1 in Linux namespaces, for end-to-end tests and for the demo.

`trees` makes root trees, `Machine` boots them. Nothing here may leave a trace on the machine
that runs it: see `enter.sh` for what a bed can reach, and `supervisor` for how it ends.
"""

from tests.bed import trees
from tests.bed.machine import Machine, Result
from tests.bed.namespaces import BedError, BootError, CommandError, unavailable
from tests.bed.product import failhook_tree
from tests.bed.trees import Tree

__all__ = [
    "BedError",
    "BootError",
    "CommandError",
    "Machine",
    "Result",
    "Tree",
    "failhook_tree",
    "trees",
    "unavailable",
]
