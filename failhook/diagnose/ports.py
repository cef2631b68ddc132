# SPDX-License-Identifier: MIT
"""Which port a program cannot have, and who has it: by its words, its command line, its settings."""

from __future__ import annotations

import re

from failhook.diagnose.around import Listener
from failhook.diagnose.case import Case
from failhook.diagnose.endpoints import NO_HOST, Named, numbers_in
from failhook.diagnose.finding import LIKELY, SEEN, Cause, Finding, fails, from_message, quote
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE, NAMES_A_THING

_IN_USE = re.compile(
    r"address (?:is )?already (?:in use|used)|EADDRINUSE|errno[ =:]*98\b|port .{0,30}(?:already|in use|taken)"
    r"|(?:already|being) (?:in use|used).{0,40}(?:port|address|socket)|OSError: \[Errno 98\]"
    r"|(?:no|any) (?:available|free) ports?\b|address in use|another (?:process|program|application|instance|server).{0,40}(?:port|listening)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"permission denied|EACCES|operation not permitted|errno[ =:]*13\b", re.IGNORECASE
)
_BINDS = re.compile(r"\bbind|listen", re.IGNORECASE)
_CALLS_BIND = re.compile(r"\.(?:bind|listen)\(|\bserver_bind\b")  # the code of a traceback
_LISTENS = re.compile(
    r"\bbind|\blisten(?!ing on)|(?:fail|cannot|unable|could|error).{0,20}listening on|endpoint|(?:server|listene?r?) socket|udp socket|network socket|make_sock|start(?:ing)? (?:\w+ )?(?:server|listener)",
    re.IGNORECASE,
)
_OF_A_SERVER = re.compile(r"server[_ ]?sock|\blisten|\bbind", re.IGNORECASE)
_LAST = 4  # lines
COMPLAINS = re.compile(
    r"\b(?:can(?:no|')t|could not|couldn't|unable|fail(?:ed|ure|s)?|error|unavailable|refus(?:ed|es)|time(?:d )?-?out)\b",
    re.IGNORECASE,
)
_CONNECTS = re.compile(r"\bconnect[a-z]*\b(?!/)|fetch|resolv|upstream", re.IGNORECASE)
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
_PORT_OPTION = re.compile(
    r"(?<!\S)(?:-[pPl]|--(?:\w{1,20}-)?port)[= ]?(\d{1,5})(?!\S)|[\w.\]*]:(\d{1,5})(?!\S)"
)
_PATHS = re.compile(r"/\S{1,500}")
PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:.%\w]{2,45}\]|(?<!\d:)(?<![\w*.-])(?!(?:system|generic|errno|error|code):)[\w*-]{1,63}(?:\.[\w-]{1,63}){0,8}|\*|::)[:#]"
    r"(?P<port>\d{1,5})(?![\w.-]|:\w))"
    r"|port[\s=:#'\"(]{1,4}(?P<named>\d{1,5})(?!\w)"
    r"|(?<![\w.])(?P<bare>:\d{1,5})(?![\w.-]|:\w)"
    r"|['\"], {0,2}(?P<argument>\d{2,5})(?=\s?[),])"
    r"|\}, {0,2}(?P<erlang>\d{2,5})(?=\s?[},])"
    r"|(?:nio2?|apr|bio|1\.[01]|https?)-(?P<connector>\d{2,5})(?=[\]\"')])",  # Java's web servers
    re.IGNORECASE,
)
# Whom it speaks to; but tcp://0.0.0.0:1883 is where it listens.
_PEER = re.compile(
    r"\b(?!\w{1,20}://(?:0\.0\.0\.0|\[?::\]?:|\*|:))[a-z][\w+.-]{1,20}://\S{1,200}"
    r"|(?<![a-z/.])(?:connect(?:ed|ing|ion)?|upstream|backend|remote|peer|broker|target|database|db|redis|mysql|mariadb"
    r"|postgres(?:ql)?|pg|mongo(?:db)?|amqp|rabbitmq|memcached?|kafka|etcd)(?![a-z])(?:(?!\s-)[^\n]){0,50}?"
    r"(?<!\d)\d{2,5}\b(?:[.:]\d{1,5}){0,5}",
    re.IGNORECASE,
)
_CLIENTS = frozenset(
    (
        "curl", "wget", "psql", "pg_dump", "pg_dumpall", "mysql", "mysqldump", "mariadb", "mariadb-dump",
        "redis-cli", "mongodump", "mongosh", "ssh", "scp", "sftp", "rsync", "ldapsearch", "http",
        "mosquitto_pub", "mosquitto_sub", "restic", "borg", "rclone", "git", "aws", "mc",
    )
)  # fmt: skip
_OWN_END = re.compile(r"\bladdr=\('[^')]{0,60}', \d{1,5}\)")  # of a socket, as Python shows it
_PRIVILEGED = 1024
_FEW_WORDS = 3
_DIGITS = 5
_FEW = 4


def ports_in(text: str, *, sure: bool = False) -> list[int]:
    """The ports that a line names, those with an address first; if ``sure``, no others."""
    found: list[int] = []
    later: list[int] = []
    for match in PORT.finditer(_OWN_END.sub(" ", text)):
        if match["port"] and (match["host"] or "").lower().endswith(NO_HOST):
            continue  # main.py:12 is a line of a file
        bare = match["argument"] or match["erlang"] or (match["bare"] or ":0")[1:]
        named = match["port"] or match["named"] or match["connector"]
        number = int(named or bare)
        if 0 < number < 65536:
            (found if named else later).append(number)
    return list(dict.fromkeys(found if sure else [*found, *later]))


def near(case: Case, message: Message) -> list[int]:
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
    texts = [one.text if _BINDS.search(one.text) else without_peers(one.text) for one in around]
    for text in texts:
        if ports := ports_in(text, sure=True):
            return ports
    for text in texts:  # a number after a colon may be anything, unless somebody listens there
        if ports := [port for port in ports_in(text) if case.listener(port) is not None]:
            return ports
    return _told(case)


def _told(case: Case) -> list[int]:
    """Ports somebody else listens on, of the unit's command line or, if it is one, its
    configuration."""
    if ports := _held_numbers(case, _given_to_it(case)):
        return ports
    given = " ".join(argv for name, _, argv in commands(case.unit) if name == "ExecStart")
    of_peers = {*numbers_in(given)}.difference(numbers_in(_given_to_it(case)))
    named = Named.of(case, numbers_in).those(
        lambda one: one not in of_peers and case.listener(int(one)) is not None
    )
    return [int(one) for one in named] if len(named) == 1 else []


def without_peers(text: str) -> str:
    """A text without the ports of those whom the program speaks to: ``redis://127.0.0.1:6379``,
    ``--db-port 5432``, ``connected to db:5432``."""
    return _PEER.sub(" ", text)


def _given_to_it(case: Case) -> str:
    """What ExecStart= gives to its program, without its peers."""
    given = (argv.partition(" ")[2] for name, _, argv in commands(case.unit) if name == "ExecStart")
    return " ".join(without_peers(f" {one}") for one in given)


def _held_numbers(case: Case, text: str) -> list[int]:
    numbers = numbers_in(text)
    return [int(one) for one in dict.fromkeys(numbers) if case.listener(int(one)) is not None]


def taken(case: Case, message: Message) -> Finding | None:
    """A port, or a socket's path, that another process has."""
    if not _IN_USE.search(message.text) or (
        "file" in message.lower and "socket" not in message.lower
    ):
        return None
    protocol = "udp" if "udp" in message.lower else ""
    for port in near(case, message):
        holder = case.listener(port, protocol)
        if holder is not None:
            return _held(case, message, port, holder)
    named = [*paths_in(message.text), *_bound(case, message), *_told_sockets(case)]
    socket = next((path for path in named if _is_socket(case, path)), None)
    if socket is not None:
        return from_message(
            case, message, "port-taken",
            what=f"the socket {socket} exists already, left over by an earlier run or held by another "
            f"process: “{quote(message.text, 160)}”",
            advice=f"stop who listens on {socket} (ss -xlp), or remove it if nobody does",
        )  # fmt: skip
    ports = near(case, message)
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


def cannot_listen(case: Case, message: Message) -> Finding | None:
    """A line that complains of listening without saying why; who holds its port does."""
    text = message.text
    if not (_LISTENS.search(text) and COMPLAINS.search(text)) or _CONNECTS.search(text):
        return None
    protocol = "udp" if "udp" in message.lower else ""
    for port in dict.fromkeys([*ports_in(text), *_held_numbers(case, text)]):
        holder = case.listener(port, protocol)
        if holder is not None:
            return _held(case, message, port, holder)
    return None


def _told_sockets(case: Case) -> list[str]:
    """The one socket in the file system that its command line names."""

    def look() -> list[str]:
        argv = " ".join(argv for name, _, argv in commands(case.unit) if name == "ExecStart")
        return [path for path in paths_in(argv) if _is_socket(case, path)]

    sockets = case.once("told sockets", look)
    return sockets if len(sockets) == 1 else []


def _bound(case: Case, message: Message) -> list[str]:
    """The paths that the code above the line, in its traceback, binds a socket to."""
    above = case.messages[max(0, message.number - 2) : message.number]
    return [path for one in above if _CALLS_BIND.search(one.raw) for path in paths_in(one.raw)]


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


def _unsaid(case: Case) -> list[Finding]:
    """It wrote nothing, or nothing that names a thing, and a port of its command line is somebody
    else's."""
    if not (case.silent or _wanted_to_listen(case)) or not case.ended_badly:
        return []
    programs = {
        path.rpartition("/")[2] for name, path, _ in commands(case.unit) if name == "ExecStart"
    }
    if programs <= _CLIENTS:
        return []
    numbers = [*_asked_for(case), *_held_numbers(case, _given_to_it(case))]
    held = {port: one for port in numbers if (one := case.listener(port)) is not None}
    if len(held) != 1:
        return []
    (port, holder), *_ = held.items()
    wrote = "it wrote nothing" if case.silent else "it names nothing that is wrong"
    what = f"port {port} of its command line is already held by {holder.holder}; {wrote}"
    seen = f"{holder.protocol} {holder.address}:{port} is held by {holder.holder}"
    proof = (case.checked(seen, "system/listening.txt"),)
    return [
        Finding(
            "port-taken",
            fails(case, what),
            "give one of the two another port",
            LIKELY + 0.06,
            proof,
        )
    ]


def _wanted_to_listen(case: Case) -> bool:
    """Its last words are of a server's socket, and no complaint names a thing: a client may well
    be told a port on which somebody listens."""
    if any(FAILURE.search(one.text) and NAMES_A_THING.search(one.text) for one in case.messages):
        return False
    return any(_OF_A_SERVER.search(one.text) for one in case.messages[-_LAST:])


def _asked_for(case: Case) -> list[int]:
    """The ports that its command lines set: ``-p 80``, ``--port=80``, ``0.0.0.0:80``."""
    asked = _PORT_OPTION.finditer(_given_to_it(case))
    return [int(next(filter(None, match.groups()))) for match in asked]


def privileged(case: Case, message: Message) -> Finding | None:
    """A port below 1024, and a user who has no right to it (ip(7)); less surely where the line says
    nothing but that it was denied."""
    in_own_namespace = case.unit.get("PrivateUsers") == "yes"  # no capability counts out of it
    granted = "cap_net_bind_service" in (case.unit.get("AmbientCapabilities") or "").lower()
    if granted and not in_own_namespace:
        return None
    plain = _PATHS.sub(" ", message.text)  # /etc/bind is no bind(2), x.conf:2 no port
    if not _DENIED.search(plain) or ((case.uid or 0) == 0 and not in_own_namespace):
        return None
    called = called_bind(case, message)
    binds = called or _BINDS.search(plain) is not None
    if not binds and len(plain.split()) > _FEW_WORDS:
        return None
    ports = [*near(case, message), *_asked_for(case), *(_given(case) if called else ())]
    low = [port for port in ports if 0 < port < _PRIVILEGED]
    if not low:
        return None
    user, why, grant = case.facts.user(case.uid), "", "AmbientCapabilities=CAP_NET_BIND_SERVICE"
    if in_own_namespace:
        why, grant = ", which PrivateUsers=yes takes from it", "PrivateUsers=no"
    return from_message(
        case,
        message,
        "privileged-port",
        what=f"{user} may not bind port {low[0]}: ports below 1024 need CAP_NET_BIND_SERVICE{why}",
        advice=f"{grant}, a socket unit, or a port above 1023",
        confidence=SEEN if binds else LIKELY,
    )


def called_bind(case: Case, message: Message) -> bool:
    """The code above the line, in its traceback, is a bind(2)."""
    above = case.messages[max(0, message.number - 2) : message.number]
    return any(_CALLS_BIND.search(one.raw) for one in above)


def _given(case: Case) -> list[int]:
    """The numbers that stand alone on its command line: ``http.server 80``."""
    argv = " ".join(argv for name, _, argv in commands(case.unit) if name == "ExecStart")
    return [int(word) for word in argv.split() if word.isdecimal() and len(word) <= _DIGITS]


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
    Cause("socket-unit", "a socket unit cannot listen", _socket_unit),
    Cause("port-unsaid", "a port that is taken, of a program that says nothing", _unsaid),
)
