# SPDX-License-Identifier: MIT
"""Addresses and network interfaces that a program is told to use and this machine does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from failhook.diagnose.case import Case
from failhook.diagnose.endpoints import ANY, INTERFACE, Named, addresses_in, told
from failhook.diagnose.finding import (
    LIKELY,
    SAID,
    SEEN,
    Finding,
    fails,
    from_message,
    quote,
)
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE, NAMES_A_THING

_NOT_HERE = re.compile(
    r"cannot assign requested address|can't assign requested address|\baddress not available|EADDRNOTAVAIL|errno[ =:]*99\b"
    r"|\b(?:not|cannot|can't|unable to|failed to) listen(?:ing)? on\b"
    r"|no (?:such )?(?:local )?(?:interface|address) (?:matches|found)|not a local address",
    re.IGNORECASE,
)
# ENODEV of a request that is about a network interface (netdevice(7)), and where others name it.
_NO_INTERFACE = re.compile(
    r"\b(?:SIOC[A-Z]{3,20}|ioctl)\b.{0,40}no such device|\b(?:interface|pcap|netdev(?:ice)?)\w*\b.{0,60}no such device"
    r"|no such (?:network )?(?:interface|device exists)|no (?:network )?interface (?:named|called) "
    r"|\b(?:network |net )?interface ['\"]?[\w.:-]{1,20}['\"]?:? (?:does not exist|doesn't exist|(?:was |is )?not found|is missing)"
    r"|no device matches name|\bnetlink\b.{0,40}no such device"
    r"|cannot find device|could not find (?:network )?interface|unknown (?:network )?interface\b",
    re.IGNORECASE,
)
_ANSWERS = re.compile(r"\bRTNETLINK answers\b")
_ABOVE = 3  # lines
_MADE = re.compile(r"tun|tap|wg|ppp|br|veth|docker|dummy|virbr|team|bond")
_BINDS = re.compile(
    r"\b(?:error|failed|failure|cannot|can't|could not|unable)\b.{0,20}\bbind", re.IGNORECASE
)
_LISTENING = re.compile(r"\blisten(?:ing)? on\b", re.IGNORECASE)
_INTERFACE = re.compile(
    r"^(?P<first>[a-z]{2,12}\d{1,3}(?:[.-]\w{1,8})?): |\b(?i:interface) (?P<name>[a-z]{2,12}\d{1,3})\b"
)
_OF_AN_INTERFACE = re.compile(r"\bSIOCGIF(?:ADDR|NETMASK|BRDADDR|DSTADDR)\b")


def not_here(case: Case, message: Message) -> Finding | None:
    """An address that it is to listen on, or to send from (EADDRNOTAVAIL, bind(2))."""
    if not _NOT_HERE.search(message.text):
        return None
    own = set(case.facts.addresses or ())
    addresses = addresses_in(message.text)
    if not addresses:
        around = [one for one in case.messages if abs(one.number - message.number) <= 3]
        addresses = [address for one in around for address in addresses_in(one.text)]
    missing = [one for one in addresses if one not in own and one not in ANY]
    if _LISTENING.search(message.text) and (not missing or case.facts.addresses is None):
        return None  # for whatever reason
    if not missing:
        return _some_address(case, message, own)
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


def _some_address(case: Case, message: Message, own: set[str]) -> Finding:
    """The program does not say which; of those that it was told to use few are not here."""
    named: Mapping[str, str] = {}
    if case.facts.addresses is not None:
        told_to = Named.of(case, addresses_in)
        named = told_to.those(lambda one: one in case.facts.listens and _is_foreign(one, own))
        named = named or told_to.those(lambda one: _is_foreign(one, own))
    if _OF_AN_INTERFACE.search(message.text):
        return _no_address(case, message)
    if not named:
        return from_message(
            case, message, "address-not-here",
            what=f"an address that it is to listen on is not one of this machine: "
            f"“{quote(message.text, 160)}”",
            advice="compare its configuration with: ip address",
        )  # fmt: skip
    be = "is" if len(named) == 1 else "are"
    return from_message(
        case, message, "address-not-here",
        what=f"it is told to use {told(named)}, which {be} not of this machine: "
        f"“{quote(message.text, 140)}”",
        advice="correct the address there, or wait for the network "
        "(After=network-online.target) if it comes late",
        confidence=SAID + (0.08 if len(named) == 1 else 0.02),
        more=[case.checked(f"this machine has {', '.join(sorted(own)[:8])}")],
    )  # fmt: skip


def _no_address(case: Case, message: Message) -> Finding:
    """netdevice(7), SIOCGIFADDR: EADDRNOTAVAIL. Which interface that is, the lines below tell."""
    below = [
        one.text
        for one in case.messages[message.number + 1 : message.number + 3]
        if one.pid == message.pid and FAILURE.search(one.text[:600])
    ]
    return from_message(
        case, message, "address-not-here",
        what="a network interface that it is told to use has no address: "
        f"“{quote(' / '.join((message.text, *below[-1:])), 200)}”",
        advice="compare its configuration with: ip address",
    )  # fmt: skip


def unsaid(case: Case) -> Iterator[Finding]:
    """It says nothing of it, and is told to listen on an address that is not of this machine."""
    own = set(case.facts.addresses or ())
    if case.facts.addresses is None or not case.ended_badly:
        return
    if any(
        FAILURE.search(one.text) and NAMES_A_THING.search(one.text)
        for one in case.messages
        if "/etc/init.d/" not in one.text  # the script's own words, not the program's
        and not _BINDS.search(one.text)
    ):
        return
    interfaces = _told_interfaces(case)
    if len(interfaces) == 1 and not _made_by_itself(interfaces):
        yield Finding(
            "interface-missing",
            fails(
                case,
                f"it is told to use the network interface {told(interfaces)}, which does not exist",
            ),
            "ip link shows those that there are; is its driver loaded, was it renamed?",
            LIKELY + 0.04,
            (case.checked(f"this machine has {', '.join(sorted(case.links)[:8])}"),),
        )
    binds = any(_BINDS.search(one.text) for one in case.messages)
    named = Named.of(case, addresses_in).those(
        lambda one: (binds or one in case.facts.listens) and _is_foreign(one, own)
    )
    if len(named) == 1:
        yield Finding(
            "address-not-here",
            fails(case, f"it is told to listen on {told(named)}, which is not of this machine"),
            "correct the address there, or wait for the network (After=network-online.target)",
            LIKELY + 0.05,
            (case.checked(f"this machine has {', '.join(sorted(own)[:8])}"),),
        )


def _made_by_itself(named: Mapping[str, str]) -> bool:
    """A tunnel or a bridge, which the program itself may have had to make."""
    return any(_MADE.match(one) for one in named)


def _is_foreign(address: str, own: set[str]) -> bool:
    return address not in own and address not in ANY and not address.startswith("127.")


def no_interface(case: Case, message: Message) -> Finding | None:
    """The line may not say which; those of the same process around it do, or what it was told."""
    if not _NO_INTERFACE.search(message.text) or _was_not_made(case, message):
        return None
    near = case.messages[max(0, message.number - 5) : message.number + 8]
    found = interfaces_in(message.text)
    found += [
        match["first"] or match["name"]
        for one in (message, *near)
        if one.pid == message.pid and (match := _INTERFACE.search(one.text)) is not None
    ]
    named = dict.fromkeys(found[:1], "") or _told_interfaces(case)
    which = f"the network interface {_or(named)}" if named else "a network interface"
    return from_message(
        case, message, "interface-missing",
        what=f"{which} does not exist: “{quote(message.text)}”",
        advice="ip link shows those that there are; is its driver loaded, was it renamed?",
        confidence=SAID + (0.08 if named else -0.04),
    )  # fmt: skip


def _was_not_made(case: Case, message: Message) -> bool:
    """Just before it could not make the interface: that it is not there follows."""
    above = case.messages[max(0, message.number - _ABOVE) : message.number]
    return any(
        FAILURE.search(one.text) or _ANSWERS.search(one.text)
        for one in above
        if one.pid == message.pid and not _NO_INTERFACE.search(one.text)
    )


def interfaces_in(text: str) -> list[str]:
    """The network interfaces that a line names."""
    return [match.group() for match in INTERFACE.finditer(text)]


def _told_interfaces(case: Case) -> Mapping[str, str]:
    """Those that it was told to use and this machine has not."""
    if not case.links:
        return {}
    return Named.of(case, interfaces_in).those(lambda one: one not in case.links)


def _or(named: Mapping[str, str]) -> str:
    return told(named) if any(named.values()) else " or ".join(named)
