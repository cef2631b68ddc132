# SPDX-License-Identifier: MIT
"""What a program needs a capability for that its unit does not leave to it."""

import pytest

from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import UID, case, entry, found, there, what

ALL = "cap_chown cap_dac_override cap_net_admin cap_net_raw cap_setgid cap_setuid cap_sys_time"
CAPTURE = (
    "pcap_open_live() error: lo: You don't have permission to perform this capture on that device"
)


@pytest.mark.parametrize(
    ("line", "bounding", "taken"),
    [
        (CAPTURE, "cap_dac_override cap_net_admin", "CAP_NET_RAW"),
        ("ping: socket: Operation not permitted (raw socket)", "cap_net_admin", "CAP_NET_RAW"),
        ("RTNETLINK answers: Operation not permitted", "cap_net_raw", "CAP_NET_ADMIN"),
        ("setgroups(): Operation not permitted", "cap_setuid", "CAP_SETGID"),
        ("cannot setuid to user a: Operation not permitted", "cap_setgid", "CAP_SETUID"),
        ("chown /run/a: Operation not permitted", "cap_setgid", "CAP_CHOWN"),
        ("adjtimex: Operation not permitted", "cap_setgid", "CAP_SYS_TIME"),
        ("mlockall() failed: Operation not permitted", "cap_setgid", "CAP_IPC_LOCK"),
        ("CAP_BPF required: not permitted", "", "CAP_BPF"),
        ("chmod: changing permissions of '/run/a': Operation not permitted", ALL, "CAP_FOWNER"),
    ],
)
def test_what_the_bounding_set_takes_away(line: str, bounding: str, taken: str) -> None:
    said = what(case(line, show={"CapabilityBoundingSet": bounding}), "capability")
    assert said is not None
    assert f"CapabilityBoundingSet= takes {taken} away, which it needs: “" in said


@pytest.mark.parametrize(
    ("line", "show"),
    [
        (CAPTURE, {"CapabilityBoundingSet": ALL}),
        (CAPTURE, {}),  # systemd knows nothing of the unit
        (
            "open /srv/a: Permission denied",
            {"CapabilityBoundingSet": "cap_setuid cap_dac_override"},
        ),
        ("capture started on lo", {"CapabilityBoundingSet": "cap_setuid"}),
        ("login: Permission denied, please try again", {"CapabilityBoundingSet": "cap_setuid"}),
        ("mount point /mnt/a: Permission denied", {"CapabilityBoundingSet": "cap_setuid"}),
    ],
)
def test_what_is_no_lack_of_it(line: str, show: dict[str, str]) -> None:
    assert "capability" not in found(case(line, show=show))


def test_a_user_without_ambient_capabilities() -> None:
    show = {"CapabilityBoundingSet": ALL, "User": "a", "UID": str(UID)}
    facts = Facts(names={UID: "a"}, users={"a": UID})
    line = {"MESSAGE": CAPTURE, "_UID": str(UID)}
    said = what(case(line, show=show, facts=facts), "capability")
    assert said is not None
    assert said.startswith("a has no CAP_NET_RAW: “")
    show["AmbientCapabilities"] = "cap_net_raw"
    assert "capability" not in found(case(line, show=show, facts=facts))


def test_files_of_others_are_closed_to_such_a_root() -> None:
    show = {"CapabilityBoundingSet": "cap_setuid"}
    line = "cannot open /var/lib/a/key: Permission denied"
    facts = Facts(paths={"/var/lib/a/key": there(0o600, "a")})
    said = what(case(line, show=show, facts=facts), "capability")
    assert said is not None
    assert "takes CAP_DAC_OVERRIDE away" in said
    facts = Facts(paths={"/var/lib/a/key": there(0o600)})
    assert "capability" not in found(case(line, show=show, facts=facts))


def test_an_owner_is_missed_only_by_root() -> None:
    line = "chmod: changing permissions of '/run/a': Operation not permitted"
    of_a_user = entry(line, 1, _UID=str(UID))
    assert what(case(of_a_user, show={"CapabilityBoundingSet": ALL}), "capability") is None
