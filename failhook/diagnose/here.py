# SPDX-License-Identifier: MIT
"""Addresses and network interfaces that a program is told to use and this machine does not have."""

from __future__ import annotations

import ipaddress
import re

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Finding, from_message, quote
from failhook.diagnose.text import Message

_NOT_HERE = re.compile(
    r"cannot assign requested address|can't assign requested address|EADDRNOTAVAIL|errno[ =:]*99\b"
    r"|\b(?:not|cannot|can't|unable to|failed to) listen(?:ing)? on\b"
    r"|no (?:such )?(?:local )?(?:interface|address) (?:matches|found)|not a local address",
    re.IGNORECASE,
)
# ENODEV of a request that is about a network interface (netdevice(7)), and where others name it.
_NO_INTERFACE = re.compile(r"\bSIOC[A-Z]{3,20}\b.{0,40}no such device", re.IGNORECASE)
_LISTENING = re.compile(r"\blisten(?:ing)? on\b", re.IGNORECASE)
_INTERFACE = re.compile(
    r"^(?P<first>[a-z]{2,12}\d{1,3}(?:[.-]\w{1,8})?): |\b(?i:interface) (?P<name>[a-z]{2,12}\d{1,3})\b"
)
ADDRESS = re.compile(
    r"(?<![\w.:])(?P<v4>\d{1,3}(?:\.\d{1,3}){3})(?![\w.]*\d)|(?<![\w.:])(?P<v6>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})(?![\w:])",
    re.IGNORECASE,
)
_ANY = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, nothing is bound


def _addresses(text: str) -> list[str]:
    """The addresses of a line: 21:49:37 is none."""
    found = [match["v4"] or match["v6"] for match in ADDRESS.finditer(text)]
    return [one for one in found if _is_address(one)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def not_here(case: Case, message: Message) -> Finding | None:
    """An address that it is to listen on, or to send from (EADDRNOTAVAIL, bind(2))."""
    if not _NOT_HERE.search(message.text):
        return None
    own = set(case.facts.addresses or ())
    addresses = _addresses(message.text)
    if not addresses:
        around = [one for one in case.messages if abs(one.number - message.number) <= 3]
        addresses = [address for one in around for address in _addresses(one.text)]
    missing = [one for one in addresses if one not in own and one not in _ANY]
    if _LISTENING.search(message.text) and (not missing or case.facts.addresses is None):
        return None  # for whatever reason
    if not missing:
        return from_message(
            case, message, "address-not-here",
            what=f"an address that it is to listen on is not one of this machine: "
            f"“{quote(message.text, 160)}”",
            advice="compare its configuration with: ip address",
        )  # fmt: skip
    known = case.facts.addresses is not None
    return from_message(
        case,
        message,
        "address-not-here",
        what=f"the address {missing[0]} is not one of this machine's: “{quote(message.text, 140)}”",
        advice="correct the address in its configuration, or wait for the network "
        "(After=network-online.target) if it comes late",
        confidence=SEEN if known else SAID,
        more=[case.checked(f"this machine has {', '.join(sorted(own)[:8])}")] if known else [],
    )


def no_interface(case: Case, message: Message) -> Finding | None:
    """The line does not say which; those of the same process around it do."""
    if not _NO_INTERFACE.search(message.text):
        return None
    near = case.messages[max(0, message.number - 5) : message.number + 8]
    found = [
        match["first"] or match["name"]
        for one in (message, *near)
        if one.pid == message.pid and (match := _INTERFACE.search(one.text)) is not None
    ]
    which = f"the network interface {found[0]}" if found else "a network interface"
    return from_message(
        case, message, "interface-missing",
        what=f"{which} does not exist: “{quote(message.text)}”",
        advice="ip link shows those that there are; is its driver loaded, was it renamed?",
        confidence=SAID + (0.04 if found else -0.04),
    )  # fmt: skip
