# SPDX-License-Identifier: MIT
"""Peers that do not answer, names that do not resolve; beside it `ports`, `here` and `tls`."""

from __future__ import annotations

import re

from failhook.diagnose import here, tls
from failhook.diagnose.acts import kept_from_address, without_network
from failhook.diagnose.case import Case
from failhook.diagnose.endpoints import (
    ADDRESS,
    NO_HOST,
    Named,
    addresses_in,
    hosts_in,
    peer_of,
    proxy_of,
    told,
    unknown_host,
)
from failhook.diagnose.finding import (
    LIKELY,
    SAID,
    SEEN,
    Cause,
    Finding,
    each,
    from_message,
    quote,
)
from failhook.diagnose.ports import COMPLAINS, PORT, cannot_listen, near, privileged, taken
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FRAME
from failhook.systemd import families

_CONNECTS_TO = re.compile(r"\bconnect(?:ion|ing)?\b|\bdial\b|contact|reach", re.IGNORECASE)
_TO = re.compile(
    r"\b(?:opening|connecting|connect|socket|request|contacting) (?:\w+ )?(?:to|with)\b",
    re.IGNORECASE,
)
_NO_SOCKET = re.compile(
    r"\b(?:can(?:no|')t|could not|couldn't|unable to|failed to)\b.{0,20}\b(?:create|open|make|get)\b.{0,30}\bsocket",
    re.IGNORECASE,
)
_OF_KERBEROS = re.compile(r"\bKDC\b|getting (?:initial )?credentials", re.IGNORECASE)
_REALM = re.compile(r"[\w/.-]@([A-Z][A-Z0-9-]{0,60}(?:\.[A-Z0-9-]{1,60}){1,6})\b")
_LOCAL = re.compile(
    r"(?<![\w.])(?:\[?127(?:\.\d{1,3}){3}\]?|localhost|\[::1\]):(?P<port>\d{1,5})(?!\d)"
)
_REFUSED = re.compile(
    r"connection (?:refused(?!:? ?(?:not auth|bad user|identifier|unacceptable))|(?:to|with)\b.{1,80}? (?:was|is|got|has been) (?:actively )?refused)|ECONNREFUSED|actively refused|can't connect to (?:(?:local )?(?:mysql|mariadb) )?server on '[^']{1,80}' \((?:111|115)\)|errno[ =:]*111\b",
    re.IGNORECASE,
)
_TIMED_OUT = re.compile(
    r"TimeoutError: timed out|dial (?:tcp|udp)\d? \S{1,120}: i/o timeout|connection timed out|ETIMEDOUT|connect(?:ion)? (?:timed[ -]?out|time-?out(?!s?\b[ \w]{0,12}[=:]? ?(?:\d|is\b|set\b|to\b)))|errno[ =:]*110\b"
    r"|connect(?:ing|ion)? to \S[^\n]{0,120}? timed out|no route to host|EHOSTUNREACH|network is unreachable|ENETUNREACH|host is (?:down|unreachable)",
    re.IGNORECASE,
)
_UNRESOLVED = re.compile(
    r"(?:\bcurl\b.{0,40}\b(?:returned|exit(?:ed)?|status|code|error)\b.{0,8}\b6\b|curl: \(6\)"  # curl(1), EXIT CODES
    r"|name or service not known|temporary failure in name resolution"
    r"|resource temporarily unavailable while getting initial credentials|getting (?:initial )?credentials: resource temporarily unavailable"
    r"|(?:could not|couldn't|cannot|can't|unable to|failed to) resolve(?! (?:the |all )?['\"]?(?:placeholder|dependenc"
    r"|module|import|symbol|reference|type|plugin|package|conflict|path|class|bean|property|variable|version|tag"
    r"|revision|ref\b|schema|template|\.{0,2}/))"
    r"|\bDNS look ?up (?:error|fail)|no such host|unknown host|\bENOTFOUND\b|EAI_AGAIN|EAI_NONAME|nodename nor servname"
    r"|host (?:name )?(?:not found|lookup fail)|name resolution|host not found|getaddrinfo(?!\()"
    r"|no (?:ip )?address(?:es)? (?:associated|(?:was |were )?found for)|UnknownHostException|(?:host|address|domain|server|dns)\b.{0,60}not (?:be )?resolved)",
    re.IGNORECASE,
)
_NO_NAMES = ("correct", "valid", "invalid", "right", "wrong", "known", "unknown", "resolvable")
_CLASS = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")  # urllib3.connection.HTTPSConnection
_URL_HOST = re.compile(r"://(?:[^/@\s]{1,80}@)?([A-Za-z][\w.-]{2,250})")
# "Couldn't resolve server broker:9092 from bootstrap.servers as DNS resolution failed for broker"
_RESOLVED = re.compile(
    r"\bresolution failed for ['\"]?([A-Za-z][\w.-]{1,250})(?=[\s'\":,;)]|$)",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?<![\w.@/-])(?P<name>[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9][a-z0-9-]{0,62}){1,8})(?![\w/(-])"
    r"|['\"](?P<quoted>[a-z0-9][\w.-]{1,100})['\"]|host(?:name)?[ :=]{1,3}(?!name\b|not\b|could\b|in\b|is\b|for\b|lookup\b|of\b)(?P<after>[a-z0-9][\w.-]{1,100})",
    re.IGNORECASE,
)
_FAMILY = re.compile(r"address family not supported|EAFNOSUPPORT|errno[ =:]*97\b", re.IGNORECASE)
_OF_SOUND = re.compile(
    r"\balsa|\baudio\b|\bpulse(?:audio)?\b|\bpcm\b", re.IGNORECASE
)  # of no server
_PRODUCT = re.compile(
    r"(?<![\w/.-])(?P<name>Redis|Valkey|MySQL|MariaDB|PostgreSQL|Postgres|MongoDB|RabbitMQ|AMQP|Kafka|LDAP|memcached?|Elasticsearch"
    r"|OpenSearch|InfluxDB|ClickHouse|Cassandra|etcd|Consul|Vault|ZooKeeper|NATS|MQTT|SMTP|IMAP|Docker|libvirt)(?![\w/.-])",
    re.IGNORECASE,
)


def _cannot_connect(case: Case, message: Message) -> Finding | None:
    """A line that complains of connecting without saying why, and on this machine nobody listens."""
    text = message.text
    if not case.looked:
        return None
    complains = _CONNECTS_TO.search(text) and COMPLAINS.search(text)
    if not complains and not _is_last_attempt(case, message):
        return None
    for match in _LOCAL.finditer(text):
        port = int(match["port"])
        if 0 < port < 65536 and not any(one.port == port for one in case.listeners):
            return from_message(
                case, message, "connection-refused",
                what=f"nobody listens on {match.group()}: “{quote(text, 160)}”",
                advice="start the server that belongs there, before this unit (After=, Wants=)",
                confidence=SAID + 0.05 if complains else LIKELY + 0.06,
                more=[case.checked(f"no listener on port {port}", "system/listening.txt")],
            )  # fmt: skip
    return None


def _is_last_attempt(case: Case, message: Message) -> bool:
    """``opening socket to 127.0.0.1:5672``, and then it was over."""
    is_last = message is case.messages[-1] and case.ended_badly
    return is_last and _TO.search(message.text) is not None


def _refused(case: Case, message: Message) -> Finding | None:
    if not _REFUSED.search(message.text):
        return None
    if (alone := without_network(case, message)) is not None:
        return alone
    ports = near(case, message)
    port = next((one for one in ports if one), None)
    if port is None and _OF_SOUND.search(message.text):
        return None
    if port is None:
        host, place = unknown_host(case, message)
        told_of = f"{host}{_at(place)}" if host else peer_of(case)
        server = f"the server {told_of}" if told_of else _kind_of_server(case, message)
        what = f"{server} refused the connection: “{quote(message.text, 180)}”"
        return from_message(case, message, "connection-refused", what=what,
                            advice="is that server running, and on that address?",
                            confidence=SAID + 0.04)  # fmt: skip
    holder = next((one for one in case.listeners if one.port == port), None)
    address = ADDRESS.search(message.text)
    host = (address["v4"] or address["v6"]) if address else _host_with(case, message, port)
    where = f"{host} port {port}" if host else f"port {port}"
    local = host in ("", "localhost", "::1", "[::1]") or host.startswith("127.")
    if holder is None and local and case.looked:
        return from_message(
            case, message, "connection-refused",
            what=f"the connection to {where} was refused, nobody listens there: "
            f"“{quote(message.text, 140)}”",
            advice="start the server that belongs there, before this unit (After=, Wants=)",
            confidence=SEEN,
            more=[case.checked(f"no listener on port {port}", "system/listening.txt")],
        )  # fmt: skip
    return from_message(
        case, message, "connection-refused",
        what=f"the connection to {where} was refused: “{quote(message.text, 160)}”",
        advice="is that server running, and does it listen on that address?",
        confidence=SAID + 0.08,
    )  # fmt: skip


def _kind_of_server(case: Case, message: Message) -> str:
    """Where neither host nor port is told: what is to run there, if a line close to it says that."""
    close = case.messages[max(0, message.number - 1) : message.number + 2]
    for one in (message, *close):
        if one.pid == message.pid and (match := _PRODUCT.search(one.text[:600])) is not None:
            return f"the {match['name']} server that it needs"
    return "a server that it needs"


def _host_with(case: Case, message: Message, port: int) -> str:
    """The host that stands before the port, in the line or in the one above."""
    for one in reversed(case.messages[max(0, message.number - 1) : message.number + 1]):
        for match in PORT.finditer(one.text):
            if match["port"] == str(port) and len(match["host"] or "") > 1:
                return str(match["host"])
    return ""


def _unreachable(case: Case, message: Message) -> Finding | None:
    if not _TIMED_OUT.search(message.text):
        return None
    if (alone := without_network(case, message)) is not None:
        return alone
    if (kept := kept_from_address(case, message)) is not None:
        return kept
    return from_message(
        case,
        message,
        "unreachable",
        what=f"a server that it needs cannot be reached: “{quote(message.text, 180)}”",
        advice="is the network up, is there a route, does a firewall drop it?",
        confidence=SAID - 0.05,
    )


def _unresolved(case: Case, message: Message) -> Finding | None:
    if not _UNRESOLVED.search(message.text) or FRAME.match(message.raw):
        return None
    if (alone := without_network(case, message)) is not None:
        return alone
    names = [match[1] for match in _RESOLVED.finditer(message.text)]
    names += [
        name
        for match in _HOST.finditer(message.text)
        if (name := match["name"] or match["quoted"] or match["after"])
        and not name.lower().endswith((*NO_HOST, "error", "exception"))
        and any(map(str.isalpha, name))
        and not _CLASS.search(name)
        and name.lower() not in _NO_NAMES
    ]
    servers = case.facts.name_servers
    more = []
    why = ""
    if servers == () or servers is None:
        why = " (/etc/resolv.conf names no name server)"
        more = [case.checked("/etc/resolv.conf names no name server")]
    host = next((name for name in names if case.facts.hosts.get(name.lower()) is False), None)
    url = _URL_HOST.search(message.text)
    host = host or next(iter(names), None) or (url[1] if url is not None else None)
    place = ""
    if proxy := proxy_of(case):
        host, place = proxy
    elif host is None:
        host, place = unknown_host(case, message)
    if not host:
        unnamed = _kdc(case, message) or "a host name cannot be resolved"
        what = f"{unnamed}{why}: “{quote(message.text, 180)}”"
    else:
        what = f"the host name {host}{_at(place)} cannot be resolved{why}: “{quote(message.text, 150)}”"
    return from_message(
        case, message, "name-unresolved", what=what,
        advice=f"correct the name, or its DNS: getent hosts {host or 'NAME'}",
        confidence=SAID + (0.05 if host else 0), more=more,
    )  # fmt: skip


def _kdc(case: Case, message: Message) -> str:
    """libkrb5 looks for the servers of a realm by name, and does not say which it was."""
    if not _OF_KERBEROS.search(message.text):
        return ""
    realm = case.once("realm", lambda: _realm(case))
    of_realm = f"of the realm {realm} " if realm else ""
    return f"no KDC {of_realm}can be reached, its name cannot be resolved"


def _realm(case: Case) -> str:
    texts = (*(one.text for one in case.messages), case.unit.get("ExecStart") or "")
    return next((match[1] for text in texts if (match := _REALM.search(text)) is not None), "")


def _no_way_to_resolve(case: Case, message: Message) -> Finding | None:
    """It cannot connect to a name that nobody can resolve: /etc/hosts has it not, and there is no
    name server."""
    text = message.text
    connects = _CONNECTS_TO.search(text) and COMPLAINS.search(text)
    if not connects or case.facts.name_servers or case.facts.at == 0.0:
        return None
    unknown = [one for one in hosts_in(text) if case.facts.hosts.get(one.lower()) is False]
    if not unknown:
        return None
    return from_message(
        case, message, "name-unresolved",
        what=f"the host name {unknown[-1]} cannot be resolved, as it seems (/etc/resolv.conf names "
        f"no name server): “{quote(text, 150)}”",
        advice=f"correct the name, or its DNS: getent hosts {unknown[-1]}",
        confidence=SAID - 0.04, more=[case.checked("/etc/resolv.conf names no name server")],
    )  # fmt: skip


def _at(place: str) -> str:
    """Where something stands that the program did not name."""
    return f" ({place})" if place else ""


def _family(case: Case, message: Message) -> Finding | None:
    """A kind of socket that the unit may not open, or that this kernel has not (socket(2))."""
    value = families.restricted(case.unit)
    by_words = _FAMILY.search(message.text) is not None
    if value is None:
        return _without_ipv6(case, message) if by_words else None
    # without the errno: it can only be that where no family of the internet is left
    some = not families.is_closed(case.unit, "AF_INET")
    some = some or not families.is_closed(case.unit, "AF_INET6")
    if not by_words and (some or not _NO_SOCKET.search(message.text)):
        return None
    return from_message(
        case, message, "sandbox",
        what=f"RestrictAddressFamilies={value} forbids the sockets that it needs: "
        f"“{quote(message.text, 120)}”",
        advice="add AF_INET AF_INET6 (or what it needs) to RestrictAddressFamilies=",
        confidence=SEEN if by_words else LIKELY + 0.1,
        more=[case.checked(f"RestrictAddressFamilies={value}", "unit/show.txt")],
    )  # fmt: skip


def _without_ipv6(case: Case, message: Message) -> Finding | None:
    """Nothing forbids it, and the kernel was started with ``ipv6.disable=1``: not even ::1 is there."""
    own = case.facts.addresses
    if not own or any(":" in address for address in own):
        return None
    asked = Named.of(case, addresses_in).those(lambda one: ":" in one)
    which = told(asked) if asked and not addresses_in(message.text) else "it"
    return from_message(
        case, message, "address-not-here",
        what=f"this machine has no IPv6, not even ::1, and the program asks for {which}: "
        f"“{quote(message.text, 140)}”",
        advice="take [::] and other IPv6 addresses out of its configuration, or switch IPv6 on "
        "(ipv6.disable=1 is in /proc/cmdline)",
        confidence=SAID + 0.1,
        more=[case.checked(f"this machine has {', '.join(sorted(own)[:8])}")],
    )  # fmt: skip


def _said(case: Case) -> list[Finding]:
    return [
        *here.unsaid(case),
        *each(
            case, here.no_interface, _family, privileged, taken, here.not_here, _refused, _unresolved, tls.expired,
            tls.mismatch, tls.not_trusted, tls.unreadable, _unreachable, cannot_listen,
            _cannot_connect, _no_way_to_resolve,
        ),
    ]  # fmt: skip


CAUSES = (Cause("network", "ports, addresses, peers, names and certificates", _said),)
