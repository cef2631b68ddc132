# SPDX-License-Identifier: MIT
"""What needs a capability that the unit does not leave to its program (capabilities(7)).

A service that was hardened with CapabilityBoundingSet=, or runs as a user without
AmbientCapabilities=, says "Operation not permitted" and hardly ever of what it had too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.subjects import paths_in
from failhook.diagnose.text import Message

_FORBIDDEN = re.compile(
    r"operation not permitted|\bEPERM\b|not permitted|n[o']t have permission"
    r"|insufficient (?:privileges?|permissions?)|(?:requires?|need(?:s|ed)?|must be (?:run )?(?:as )?) ?(?:the )?(?:root|superuser|cap_\w+)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"permission denied|\bEACCES\b", re.IGNORECASE
)  # of modes, not of capabilities
_OF_OWNERS = "cap_fowner"  # only root misses it: who owns nothing there has another trouble
# What a line speaks of, and what that takes; the first that fits.
_NEEDED = tuple(
    (re.compile(words, re.IGNORECASE), capability)
    for words, capability in (
        (r"\b(?P<named>cap_[a-z_]{3,30})\b", ""),
        (r"raw socket|packet socket|\bsocket: operation not permitted|\bAF_PACKET\b|SOCK_RAW|\bpcap|\bcaptur|\bicmp\b|\bsniff|promisc", "cap_net_raw"),
        ((r"RTNETLINK|netlink|/dev/net/tun|TUNSETIFF|\btun(?:nel)?\b|\btap\b|iptables|nftables|\bnft\b|ipset"
         r"|\b(?:add|set|delete|create|bring)\w{0,4} (?:the )?(?:route|address|interface|link|device)|SO_BINDTODEVICE|SO_MARK|SIOCSIF|ip link|multicast rout"), "cap_net_admin"),
        (r"\bset(?:res|re|e)?gid|setgroups|initgroups|change (?:the )?group|drop(?:ping)? (?:group )?privileges to group", "cap_setgid"),
        (r"\bset(?:res|re|e)?uid|change (?:to )?(?:the )?user|switch(?:ing)? (?:to )?user|drop(?:ping)? (?:root )?privilege|su:", "cap_setuid"),
        (r"\bf?l?chown|change (?:the )?owner|set owner", "cap_chown"),
        (r"chang\w{3} permissions|\bl?f?chmod|set(?:ting)? (?:the )?(?:permissions|mode|times)|preserving (?:permissions|times)|\butimes?\b", _OF_OWNERS),
        (r"chroot", "cap_sys_chroot"),
        (r"settimeofday|clock_settime|adjtimex|set (?:the )?(?:system )?(?:time|clock)", "cap_sys_time"),
        (r"mlock|lock (?:its |the )?memory|memory lock", "cap_ipc_lock"),
        (r"sched_set|setpriority|real-?time (?:priority|scheduling)|\bnice\b|set (?:the )?priority", "cap_sys_nice"),
        (r"setrlimit|rlimit|raise (?:the )?(?:limit|number of)", "cap_sys_resource"),
        (r"\bptrace\b", "cap_sys_ptrace"),
        (r"\bmknod\b", "cap_mknod"),
        (r"\bu?mount\b|unshare|sethostname|pivot_root|quotactl|namespace", "cap_sys_admin"),
        (r"\bkill\b.{0,40}(?:process|pid)", "cap_kill"),
        (r"\bbind", "cap_net_bind_service"),
    )
)  # fmt: skip


def _needs(text: str) -> str:
    """The capability that a line is about; empty: none that is known."""
    for words, capability in _NEEDED:
        match = words.search(text)
        if match is not None:
            return capability or match["named"].lower()
    return ""


def _missing(case: Case, message: Message) -> Finding | None:
    bounding = case.unit.properties.get("CapabilityBoundingSet")  # empty: none at all
    if bounding is None:
        return None
    if _DENIED.search(message.text):
        return _files_of_others(case, message, bounding)
    needed = _needs(message.text[:600]) if _FORBIDDEN.search(message.text) else ""
    if not needed or (needed == _OF_OWNERS and (case.uid or message.uid)):
        return None
    if needed not in bounding.lower().split():
        return _taken_away(case, message, needed)
    ambient = (case.unit.get("AmbientCapabilities") or "").lower().split()
    if not case.uid or needed in (*ambient, "cap_net_bind_service"):
        return None
    user = case.facts.user(case.uid)
    return from_message(
        case, message, "capability",
        what=f"{user} has no {needed.upper()}: “{quote(message.text, 170)}”",
        advice=f"AmbientCapabilities={needed.upper()}", confidence=SAID + 0.02,
        more=[case.checked(f"AmbientCapabilities={' '.join(ambient)}", "unit/show.txt")],
    )  # fmt: skip


def _taken_away(case: Case, message: Message, needed: str) -> Finding:
    return from_message(
        case, message, "capability",
        what=f"CapabilityBoundingSet= takes {needed.upper()} away, which it needs: "
        f"“{quote(message.text, 170)}”",
        advice=f"add {needed.upper()} to CapabilityBoundingSet=", confidence=SEEN,
        more=[case.checked(f"CapabilityBoundingSet= has no {needed}", "unit/show.txt")],
    )  # fmt: skip


def _files_of_others(case: Case, message: Message, bounding: str) -> Finding | None:
    """Root, of whom CapabilityBoundingSet= makes a user like others: the modes count for him."""
    if case.uid or "cap_dac_override" in bounding.lower().split() or message.uid:
        return None
    for path in paths_in(message.raw):
        fact = case.path(path)
        if fact is not None and fact.exists and fact.owner not in (None, "root"):
            return _taken_away(case, message, "cap_dac_override")
    return None


def _look(case: Case) -> Iterator[Finding]:
    yield from each(case, _missing)


CAUSES = (Cause("capabilities", "what needs a capability that it does not have", _look),)
