# SPDX-License-Identifier: MIT
"""Ports that are taken, peers that do not answer, names, certificates."""

from __future__ import annotations

import re

from failhook.diagnose import here, tls
from failhook.diagnose.around import Listener
from failhook.diagnose.case import Case
from failhook.diagnose.course import FRAME
from failhook.diagnose.endpoints import (
    ADDRESS,
    NO_HOST,
    NUMBER,
    Named,
    hosts_in,
    peer_of,
    proxy_of,
    unknown_host,
)
from failhook.diagnose.finding import (
    LIKELY,
    SAID,
    SEEN,
    Cause,
    Finding,
    each,
    fails,
    from_message,
    quote,
)
from failhook.diagnose.subjects import paths_in
from failhook.diagnose.text import Message

_IN_USE = re.compile(
    r"address (?:is )?already in use|EADDRINUSE|errno[ =:]*98\b|port .{0,30}(?:already|in use|taken)"
    r"|(?:already|being) (?:in use|used).{0,40}(?:port|address|socket)|OSError: \[Errno 98\]"
    r"|address in use|another (?:process|instance|server).{0,40}(?:port|listening)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"permission denied|EACCES|operation not permitted|errno[ =:]*13\b", re.IGNORECASE
)
_BINDS = re.compile(r"\bbind|listen", re.IGNORECASE)
_LISTENS = re.compile(
    r"\bbind|\blisten(?!ing on)|(?:fail|cannot|unable|could|error).{0,20}listening on|endpoint|(?:server|listene?r?) socket|udp socket|network socket|make_sock|start(?:ing)? (?:\w+ )?(?:server|listener)",
    re.IGNORECASE,
)
_COMPLAINS = re.compile(
    r"\b(?:can(?:no|')t|could not|couldn't|unable|fail(?:ed|ure|s)?|error|unavailable|refus(?:ed|es)|time(?:d )?-?out)\b",
    re.IGNORECASE,
)
_CONNECTS_TO = re.compile(r"\bconnect(?:ion|ing)?\b|\bdial\b|contact|reach", re.IGNORECASE)
_LOCAL = re.compile(
    r"(?<![\w.])(?:\[?127(?:\.\d{1,3}){3}\]?|localhost|\[::1\]):(?P<port>\d{1,5})(?!\d)"
)
_CONNECTS = re.compile(r"\bconnect[a-z]*\b(?!/)|fetch|resolv|upstream", re.IGNORECASE)
_REFUSED = re.compile(
    r"connection refused(?!:? ?(?:not auth|bad user|identifier|unacceptable))|ECONNREFUSED|actively refused|errno[ =:]*111\b",
    re.IGNORECASE,
)
_TIMED_OUT = re.compile(
    r"connection timed out|ETIMEDOUT|connect(?:ion)? (?:timed[ -]?out|time-?out(?!s?\b[ \w]{0,12}[=:]? ?(?:\d|is\b|set\b|to\b)))|errno[ =:]*110\b"
    r"|connect(?:ing|ion)? to \S[^\n]{0,120}? timed out|no route to host|EHOSTUNREACH|network is unreachable|ENETUNREACH|host is (?:down|unreachable)",
    re.IGNORECASE,
)
_UNRESOLVED = re.compile(
    r"(?:\bcurl\b.{0,40}\b(?:returned|exit(?:ed)?|status|code|error)\b.{0,8}\b6\b|curl: \(6\)"  # curl(1), EXIT CODES
    r"|name or service not known|temporary failure in name resolution"
    r"|resource temporarily unavailable while getting initial credentials"
    r"|(?:could not|couldn't|cannot|can't|unable to|failed to) resolve(?! (?:the |all )?['\"]?(?:placeholder|dependenc"
    r"|module|import|symbol|reference|type|plugin|package|conflict|path|class|bean|property|variable|version|tag"
    r"|revision|ref\b|schema|template|\.{0,2}/))"
    r"|no such host|unknown host|\bENOTFOUND\b|EAI_AGAIN|EAI_NONAME|nodename nor servname"
    r"|host (?:name )?(?:not found|lookup fail)|name resolution|host not found|getaddrinfo(?!\()"
    r"|no (?:ip )?address(?:es)? (?:associated|(?:was |were )?found for)|UnknownHostException|(?:host|address|domain|server|dns)\b.{0,60}not (?:be )?resolved)",
    re.IGNORECASE,
)
# As /etc/services calls them, where a line says what it wanted to be and no number.
_BY_NAME = tuple(
    (re.compile(rf"\b{word}\b", re.IGNORECASE), port)
    for word, port in (
        ("(?:dhcp|bootp)s?", 67), ("dhcpv6|dhcp6", 547), ("dns|domain", 53), ("tftp", 69),
        ("ntp", 123), ("snmp", 161), ("snmp.?trap", 162), ("syslog", 514), ("https", 443),
        ("http", 80), ("smtp", 25), ("imap", 143), ("pop3", 110), ("ldap", 389), ("ftp", 21),
        ("ssh", 22), ("telnet", 23), ("mqtt", 1883), ("radius", 1812), ("nfs", 2049),
    )
)  # fmt: skip
_CLASS = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")  # urllib3.connection.HTTPSConnection
_URL_HOST = re.compile(r"://(?:[^/@\s]{1,80}@)?([A-Za-z][\w.-]{2,250})")
_PATHS = re.compile(r"/\S{1,500}")
_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:.%\w]{2,45}\]|(?<!\d:)(?<![\w*.-])[\w*-]{1,63}(?:\.[\w-]{1,63}){0,8}|\*|::)[:#]"
    r"(?P<port>\d{1,5})(?![\w.-]|:\w))"
    r"|port[\s=:#'\"(]{1,4}(?P<named>\d{1,5})(?!\w)"
    r"|(?<![\w.])(?P<bare>:\d{1,5})(?![\w.-]|:\w)"
    r"|['\"], {0,2}(?P<argument>\d{2,5})(?=\s?[),])"
    r"|\}, {0,2}(?P<erlang>\d{2,5})(?=\s?[},])"
    r"|(?:nio2?|apr|bio|1\.[01]|https?)-(?P<connector>\d{2,5})(?=[\]\"')])",  # Java's web servers
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?<![\w.@/-])(?P<name>[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9][a-z0-9-]{0,62}){1,8})(?![\w/(-])"
    r"|['\"](?P<quoted>[a-z0-9][\w.-]{1,100})['\"]|host(?:name)?[ :=]{1,3}(?!name\b|not\b|could\b|in\b|is\b|for\b|lookup\b|of\b)(?P<after>[a-z0-9][\w.-]{1,100})",
    re.IGNORECASE,
)
_FAMILY = re.compile(r"address family not supported|EAFNOSUPPORT|errno[ =:]*97\b", re.IGNORECASE)
_PRIVILEGED = 1024
_FEW = 4


def ports_in(text: str, *, sure: bool = False) -> list[int]:
    """The ports that a line names, those with an address first; if ``sure``, no others."""
    found: list[int] = []
    later: list[int] = []
    for match in _PORT.finditer(text):
        if match["port"] and (match["host"] or "").lower().endswith(NO_HOST):
            continue  # main.py:12 is a line of a file
        bare = match["argument"] or match["erlang"] or (match["bare"] or ":0")[1:]
        named = match["port"] or match["named"] or match["connector"]
        number = int(named or bare)
        if 0 < number < 65536:
            (found if named else later).append(number)
    return list(dict.fromkeys(found if sure else [*found, *later]))


def _near(case: Case, message: Message) -> list[int]:
    """Ports of the line, else of the lines around it, else of the unit's command line."""
    if ports := ports_in(message.text) or _held_numbers(case, message.text):
        return ports
    if ports := [
        port
        for words, port in _BY_NAME
        if case.listener(port) is not None and words.search(message.text)
    ]:
        return ports
    around = [
        one
        for one in case.messages
        if abs(one.number - message.number) <= 12 and one is not message
    ]
    around.sort(key=lambda one: abs(one.number - message.number))
    for one in around:
        if ports := ports_in(one.text, sure=True):
            return ports
    for one in around:  # a number after a colon may be anything, unless somebody listens there
        if ports := [port for port in ports_in(one.text) if case.listener(port) is not None]:
            return ports
    return _told(case)


def _told(case: Case) -> list[int]:
    """Ports somebody else listens on, of the unit's command line or, if it is one, its
    configuration."""
    if ports := _held_numbers(case, case.unit.get("ExecStart") or ""):
        return ports
    named = Named(case, NUMBER.findall).those(lambda one: case.listener(int(one)) is not None)
    return [int(one) for one in named] if len(named) == 1 else []


def _held_numbers(case: Case, text: str) -> list[int]:
    numbers = NUMBER.findall(text)
    return [int(one) for one in dict.fromkeys(numbers) if case.listener(int(one)) is not None]


def _port_taken(case: Case, message: Message) -> Finding | None:
    if not _IN_USE.search(message.text) or (
        "file" in message.lower and "socket" not in message.lower
    ):
        return None
    protocol = "udp" if "udp" in message.lower else ""
    for port in _near(case, message):
        holder = case.listener(port, protocol)
        if holder is not None:
            return _held(case, message, port, holder)
    socket = next((path for path in paths_in(message.text) if _is_socket(case, path)), None)
    if socket is not None:
        return from_message(
            case, message, "port-taken",
            what=f"the socket {socket} exists already, another process may listen on it: "
            f"“{quote(message.text, 160)}”",
            advice=f"stop who listens on {socket} (ss -xlp), or remove it if nobody does",
        )  # fmt: skip
    ports = _near(case, message)
    held = [one for one in case.listeners if one.unit == case.incident.unit]
    if ports and any(one.port == ports[0] for one in held):
        return _held(case, message, ports[0], next(one for one in held if one.port == ports[0]))
    what = f"port {ports[0]} was already in use" if ports else "an address was already in use"
    if not ports and (others := _others(case, protocol)):
        what = f"{what}, it is unclear which (others listen on {others})"
    return from_message(
        case, message, "port-taken",
        what=f"{what} (nobody holds it any more): “{quote(message.text, 160)}”"
        if ports and case.listeners
        else f"{what}: “{quote(message.text, 160)}”",
        advice=f"find out who held it: ss -ltnp 'sport = :{ports[0]}'" if ports else "ss -ltnp",
    )  # fmt: skip


def _cannot_listen(case: Case, message: Message) -> Finding | None:
    """A line that complains of listening without saying why; who holds its port does."""
    text = message.text
    if not (_LISTENS.search(text) and _COMPLAINS.search(text)) or _CONNECTS.search(text):
        return None
    protocol = "udp" if "udp" in message.lower else ""
    for port in dict.fromkeys([*ports_in(text), *_held_numbers(case, text)]):
        holder = case.listener(port, protocol)
        if holder is not None:
            return _held(case, message, port, holder)
    return None


def _cannot_connect(case: Case, message: Message) -> Finding | None:
    """A line that complains of connecting without saying why, and on this machine nobody listens."""
    text = message.text
    if not (case.looked and _CONNECTS_TO.search(text) and _COMPLAINS.search(text)):
        return None
    for match in _LOCAL.finditer(text):
        port = int(match["port"])
        if 0 < port < 65536 and not any(one.port == port for one in case.listeners):
            return from_message(
                case, message, "connection-refused",
                what=f"nobody listens on {match.group()}: “{quote(text, 160)}”",
                advice="start the server that belongs there, before this unit (After=, Wants=)",
                confidence=SAID + 0.05,
                more=[case.checked(f"no listener on port {port}", "system/listening.txt")],
            )  # fmt: skip
    return None


def _others(case: Case, protocol: str) -> str:
    """The few ports that others hold: one of them it is. Where there are many, none is named."""
    foreign = [one for one in case.listeners if one.unit != case.incident.unit]
    held = {one.port: one for one in foreign if one.protocol.startswith(protocol or "tcp")}
    if not held and not protocol:
        held = {one.port: one for one in foreign}
    shown = [f"{port}: {one.holder}" for port, one in sorted(held.items())]
    return ", ".join(shown) if len(shown) <= _FEW else ""


def _is_socket(case: Case, path: str) -> bool:
    fact = case.path(path)
    return path.endswith((".sock", ".socket")) or (fact is not None and fact.kind == "socket")


def _held(case: Case, message: Message, port: int, holder: Listener) -> Finding:
    seen = f"{holder.protocol} {holder.address}:{port} is held by {holder.holder}"
    unit = f"; stop {holder.unit}" if holder.unit else ""
    return from_message(
        case,
        message,
        "port-taken",
        what=f"port {port} ({holder.address}) is already held by {holder.holder}",
        advice=f"give one of the two another port{unit}",
        confidence=SEEN,
        more=[case.checked(seen, "system/listening.txt")],
    )


def _privileged(case: Case, message: Message) -> Finding | None:
    plain = _PATHS.sub(" ", message.text)  # /etc/bind is no bind(2), x.conf:2 no port
    if not (_DENIED.search(plain) and _BINDS.search(plain)):
        return None
    low = [port for port in _near(case, message) if port < _PRIVILEGED]
    if not low or (case.uid or 0) == 0:
        return None
    user = case.facts.user(case.uid)
    return from_message(
        case,
        message,
        "privileged-port",
        what=f"{user} may not bind port {low[0]}: ports below 1024 are root's",
        advice="AmbientCapabilities=CAP_NET_BIND_SERVICE, a socket unit, or a port above 1023",
        confidence=SEEN,
    )


def _refused(case: Case, message: Message) -> Finding | None:
    if not _REFUSED.search(message.text):
        return None
    ports = _near(case, message)
    port = next((one for one in ports if one), None)
    if port is None:
        host, place = unknown_host(case, message)
        told_of = f"{host}{_at(place)}" if host else peer_of(case)
        server = f"the server {told_of}" if told_of else "a server that it needs"
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


def _host_with(case: Case, message: Message, port: int) -> str:
    """The host that stands before the port, in the line or in the one above."""
    for one in reversed(case.messages[max(0, message.number - 1) : message.number + 1]):
        for match in _PORT.finditer(one.text):
            if match["port"] == str(port) and len(match["host"] or "") > 1:
                return str(match["host"])
    return ""


def _unreachable(case: Case, message: Message) -> Finding | None:
    if not _TIMED_OUT.search(message.text):
        return None
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
    names = [
        name
        for match in _HOST.finditer(message.text)
        if (name := match["name"] or match["quoted"] or match["after"])
        and not name.lower().endswith((*NO_HOST, "error", "exception"))
        and any(map(str.isalpha, name))
        and not _CLASS.search(name)
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
        what = f"a host name cannot be resolved{why}: “{quote(message.text, 180)}”"
    else:
        what = f"the host name {host}{_at(place)} cannot be resolved{why}: “{quote(message.text, 150)}”"
    return from_message(
        case, message, "name-unresolved", what=what,
        advice=f"correct the name, or its DNS: getent hosts {host or 'NAME'}",
        confidence=SAID + (0.05 if host else 0), more=more,
    )  # fmt: skip


def _no_way_to_resolve(case: Case, message: Message) -> Finding | None:
    """It cannot connect to a name that nobody can resolve: /etc/hosts has it not, and there is no
    name server."""
    text = message.text
    connects = _CONNECTS_TO.search(text) and _COMPLAINS.search(text)
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
    if not _FAMILY.search(message.text):
        return None
    value = case.unit.get("RestrictAddressFamilies")
    if value in (None, "no", "[not set]"):
        return None
    return from_message(
        case, message, "sandbox",
        what=f"RestrictAddressFamilies={value} forbids the sockets that it needs: "
        f"“{quote(message.text, 120)}”",
        advice="add AF_INET AF_INET6 (or what it needs) to RestrictAddressFamilies=",
        confidence=SEEN, more=[case.checked(f"RestrictAddressFamilies={value}", "unit/show.txt")],
    )  # fmt: skip


def _said(case: Case) -> list[Finding]:
    return [
        *here.unsaid(case),
        *each(
            case, here.no_interface, _family, _privileged, _port_taken, here.not_here, _refused, _unresolved, tls.expired,
            tls.mismatch, tls.not_trusted, tls.unreadable, _unreachable, _cannot_listen,
            _cannot_connect, _no_way_to_resolve,
        ),
    ]  # fmt: skip


def _socket_unit(case: Case) -> list[Finding]:
    """A .socket unit that cannot listen: systemd itself says so."""
    found = []
    for line in case.manager:
        match = re.search(
            r"Failed to (?:create listening socket|listen on sockets) ?\(?(?P<where>[^)]*)\)?: (?P<why>.+)",
            line.message,
        )
        if match is None:
            continue
        listens = (case.unit.get("Listen") or "").replace("\n", ", ")
        ports = ports_in(match["where"]) or ports_in(listens)
        holder = case.listener(ports[0]) if ports else None
        if holder is not None:
            seen = case.checked(
                f"port {ports[0]} is held by {holder.holder}", "system/listening.txt"
            )
            what = f"port {ports[0]} ({holder.address}) is already held by {holder.holder}"
            advice = "give one of the two another port"
            proof = (case.proof_of(line.message), seen)
            found.append(Finding("port-taken", fails(case, what), advice, SEEN, proof))
        else:
            what = f"it cannot listen on {match['where'] or listens}: {match['why']}"
            found.append(Finding("listen", fails(case, what), "ss -ltnp", LIKELY + 0.1,
                                 (case.proof_of(line.message),)))  # fmt: skip
    return found


CAUSES = (
    Cause("network", "ports, addresses, peers, names and certificates", _said),
    Cause("socket-unit", "a socket unit cannot listen", _socket_unit),
)
