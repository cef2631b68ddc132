# SPDX-License-Identifier: MIT
"""Users and groups that a program names and that the machine does not have."""

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.subjects import find
from tests.unit.diagnose.cases import case, found, judge

FACTS = Facts(users={"vpn": None, "root": 0}, groups={"vpn": None, "root": 0})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("unknown user: vpn", "the user vpn does not exist"),
        ("no user vpn: Success", "the user vpn does not exist"),
        ("getpwnam: unable to find user: 'vpn'", "the user vpn does not exist"),
        ("getpwnam(vpn): Success", "the user vpn does not exist"),
        ("getgrnam_r('vpn'): No such file", "the group vpn does not exist"),
        ("no vpn user for privilege separation, please create it", "the user vpn does not exist"),
        ("Can't find group vpn", "the group vpn does not exist"),
        ("cannot look up group 'vpn'", "the group vpn does not exist"),
    ],
)
def test_one_that_is_not_there(line: str, said: str) -> None:
    one = case(line, facts=FACTS)
    assert said in judge(one).summary
    assert {"vpn"} <= set(find(one.unit, one.messages, ()).users)


@pytest.mark.parametrize(
    "line",
    [
        "unknown user: root",  # it is there
        "unknown user: other",  # was not looked at
        'password authentication failed for user "vpn"',
        "FATAL: role of user 'vpn' does not exist",
        "Access denied for user 'vpn'@'localhost'",
        "user vpn logged in",
        "Failed at step USER vpn x: No such process",
        "no such file for user vpn spawning a child",
    ],
)
def test_near_misses(line: str) -> None:
    assert not {"user-missing", "group-missing"} & set(found(case(line, facts=FACTS)))
