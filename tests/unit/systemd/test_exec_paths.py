# SPDX-License-Identifier: MIT
"""NoExecPaths= and ExecPaths=: the innermost of both decides."""

import pytest

from failhook.systemd.exec_paths import is_closed
from failhook.systemd.unit import UnitState


@pytest.mark.parametrize(
    ("closed", "opened", "program", "said"),
    [
        ("", "", "/usr/bin/a", False),
        ("", "/usr", "/opt/a", False),
        ("/", "", "/usr/bin/a", True),
        ("/", "/usr", "/usr/bin/a", False),
        ("/", "/usr", "/usrlocal/a", True),
        ("/ /usr/bin", "/usr", "/usr/bin/a", True),
        ("-/srv +/opt/", "", "/opt/a", True),
        ("/", "/bin /lib", "/usr/bin/sh", False),
        ("/", "/usr/bin", "/bin/sh", False),
        ("/opt/a", "", "/opt/a", True),
    ],
)
def test_what_may_be_executed(closed: str, opened: str, program: str, said: bool) -> None:
    state = UnitState("a.service", {"NoExecPaths": closed, "ExecPaths": opened})
    assert is_closed(state, program) == said
