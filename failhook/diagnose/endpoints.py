# SPDX-License-Identifier: MIT
"""Hosts, addresses, interfaces and ports: which of them a program was told to use, and where.

Many a program says "Connection refused" or "Cannot assign requested address" and not of what. Its
command line and its configuration name few such things, and mostly one alone can be meant.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from failhook.diagnose.config_file import content_lines
from failhook.diagnose.place import stands_at
from failhook.diagnose.subjects import commands

if TYPE_CHECKING:
    from failhook.diagnose.case import Case
    from failhook.diagnose.text import Message

ADDRESS = re.compile(
    r"(?<![\w.:])(?P<v4>\d{1,3}(?:\.\d{1,3}){3})(?![\w.]*\d)|(?<![\w.:])(?P<v6>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})(?![\w:])",
    re.IGNORECASE,
)
# As systemd.net-naming-scheme(7) and the kernel's drivers name them.
INTERFACE = re.compile(
    r"(?<![\w./-])(?:eth|en[opsx]|wlan|wl[opsx]|ww|br|bond|team|tun|tap|vlan|ppp|wg|veth|virbr|docker|dummy|ib)"
    r"[a-z]{0,3}\d{1,4}(?:[a-z]\d{1,4}){0,3}(?:[.:@]\d{1,4})?(?![\w-]|\.\w)"
)
_HOST = re.compile(
    r"(?:(?<=//)|(?<=@)|(?<![\w.@/-]))(?P<host>[a-z0-9](?:[a-z0-9-]{0,62}\.){1,8}[a-z][a-z-]{1,24})(?![\w-]|\.\w|\()",
    re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,12}://", re.IGNORECASE)
_OF_A_PEER = re.compile(
    r"//|@|host|server|\bur[il]|addr|peer|remote|relay|mirror|upstream|endpoint|master|broker|proxy"
    r"|gateway|collector|target|connect|dsn|\bmx\b|\bkdc\b|resolver|forward|source|origin|domain|ntp|pool\b",
    re.IGNORECASE,
)
_OF_A_PORT = re.compile(
    r"port|listen|bind|addr|socket|host|server|\burl|:\d{2,5}\b|(?:^|\s)-[pPl]\b", re.IGNORECASE
)
# The name of a setting whose value is nobody's business, before that value.
_SECRET = re.compile(
    r"(?:passw|passphrase|\bpwd|secret|token|api[_-]?key|credential|\bpin\b|_pin\b)\w{0,40}['\"]?\s{0,9}[=:]",
    re.IGNORECASE,
)
_LISTENS = re.compile(r"listen|bind", re.IGNORECASE)
_ITEM = re.compile(r"\s{0,40}(?:- |\[?['\"]?[\d.:/]{3,60}['\"]?,?\]?\s{0,9}$)")
NUMBER = re.compile(r"(?<![\w.])\d{2,5}(?![\w.])")
NO_HOST = (".py", ".js", ".go", ".rb", ".pl", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".ts", ".kt", ".scala", ".erl", ".ex",
           ".conf", ".cnf", ".cfg", ".yml", ".yaml",
           ".java", ".rs", ".php", ".lua", ".service", ".socket", ".timer", ".mount", ".target", ".slice",
           ".json", ".toml", ".ini", ".xml", ".txt", ".list", ".html", ".gz", ".zip", ".tar", ".deb",
           ".so", ".sock", ".pem", ".key", ".crt", ".log", ".pid", ".db", ".sqlite", ".sh")  # fmt: skip
_CODE = (".py", ".pl", ".rb", ".js", ".php", ".lua", ".tcl", ".R")
_INTERPRETER = re.compile(r"#!.{0,60}\b(?:python|perl|ruby|node|php|lua|tclsh|Rscript)")
_IN_QUOTES = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")
_BLAMES_PROXY = re.compile(
    r"\bProxyError\b|\b(?:resolve|connect(?:ing)? to|find|reach) (?:the )?proxy\b|\bproxy (?:name|host|connect)",
    re.IGNORECASE,
)
ANY = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, nothing is bound
MOST = 40  # of a file
_FEW = 3


def addresses_in(text: str) -> list[str]:
    """The addresses of a line: 21:49:37 is none."""
    found = [match["v4"] or match["v6"] for match in ADDRESS.finditer(text)]
    return [one for one in found if is_address(one)]


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def numbers_in(text: str) -> list[str]:
    """What may be ports."""
    return NUMBER.findall(text)


def _peers_in(text: str) -> list[str]:
    return [*hosts_in(text), *addresses_in(text)]


def hosts_in(text: str) -> list[str]:
    """The names of a line that have a dot and can be those of machines; EXAMPLE.ORG is a realm."""
    in_a_url = _URL.search(text) is not None
    found = [
        match["host"]
        for match in _HOST.finditer(text)
        if not (in_a_url and _is_of_mail(text[max(0, match.start() - 80) : match.start()]))
    ]
    return [one for one in found if not one.lower().endswith(NO_HOST) and not one.isupper()]


def _is_of_mail(before: str) -> bool:
    """office@example.org is who gets it, where smtp://mail.example.net is who takes it."""
    return before.endswith("@") and "://" not in before.rpartition(" ")[2]


def is_code(file: str, text: str) -> bool:
    """A script in a language where ``a.b`` is no name of a machine unless it stands in quotes."""
    return file.endswith(_CODE) or _INTERPRETER.match(text) is not None


def sets_secret(line: str) -> bool:
    """What stands in this line of a configuration may be a password: nothing of it is kept."""
    return _SECRET.search(line.partition("//")[0]) is not None


def endpoints_of(text: str, *, quoted: bool = False) -> Iterator[tuple[int, str, bool]]:
    """(line, endpoint, is it to listen on) of a configuration: each host, address, interface and
    port. What an item of a list is for stands above the list. With ``quoted`` a host counts only in
    quotes."""
    above = ""
    for number, line in content_lines(text):
        if sets_secret(line):
            continue  # 12345 may be more than a port
        above = above if _ITEM.match(line) else line
        found = [*addresses_in(line), *(match.group() for match in INTERFACE.finditer(line))]
        if _OF_A_PEER.search(line):
            found += hosts_in(" ".join(_IN_QUOTES.findall(line)) if quoted else line)
        if _OF_A_PORT.search(line):
            found += NUMBER.findall(ADDRESS.sub(" ", line))
        for one in islice(dict.fromkeys(found), 8):
            yield number, one, _LISTENS.search(above) is not None


class Named:
    """What a case's command line and configurations name, as far as it fits."""

    def __init__(self, case: Case, in_text: Callable[[str], list[str]]) -> None:
        """``in_text`` finds the endpoints of the kind that is meant in a text."""
        self.found: dict[str, str] = {}
        failed = case.failing
        for setting, _, argv in commands(case.unit):
            for one in in_text(argv) if setting in ("ExecStart", failed) else ():
                self.found.setdefault(one, stands_at(setting))
        for one in in_text(case.unit.get("Environment") or ""):
            self.found.setdefault(one, stands_at("Environment"))
        for one, place in case.facts.endpoints.items():
            if in_text(one) == [one]:
                self.found.setdefault(one, stands_at(place))

    @classmethod
    def of(cls, case: Case, in_text: Callable[[str], list[str]]) -> Named:
        """The same, found once for a case: ``in_text`` is a function that has a name."""
        return case.once((cls, in_text), lambda: cls(case, in_text))

    def those(self, fits: Callable[[str], bool]) -> Mapping[str, str]:
        """The few that fit, and where each stands; none where there are many: no guess then."""
        fitting = {one: place for one, place in self.found.items() if fits(one)}
        return fitting if len(fitting) <= _FEW else {}


def told(named: Mapping[str, str]) -> str:
    """``192.0.2.1 (/etc/x.conf line 3)``, of one or a few."""
    return " or ".join(f"{one} ({place})" for one, place in named.items())


def peer_of(case: Case) -> str:
    """Whom it was told to speak to, where its lines do not say it: a host or an address, and a port
    on which nobody listens here; empty where that is not one thing."""
    return case.once(peer_of, lambda: _peer(case))


def _peer(case: Case) -> str:
    own = (*ANY, *case.facts.listens)
    hosts = Named.of(case, _peers_in).those(lambda one: one not in own)
    ports = Named.of(case, numbers_in).those(
        lambda one: one not in own and case.listener(int(one)) is None
    )
    shown = f"{told(hosts)}" if len(hosts) == 1 else ""
    port = f"port {told(ports)}" if len(ports) == 1 else ""
    return ", ".join(part for part in (shown, port) if part)


def proxy_of(case: Case) -> tuple[str, str] | None:
    """The proxy on the way to whom it speaks of, and where it is set, if its lines blame the proxy."""
    return case.once(proxy_of, lambda: _proxy(case))


def _proxy(case: Case) -> tuple[str, str] | None:
    if not any(_BLAMES_PROXY.search(one.text) for one in case.messages):
        return None
    named = Named.of(case, hosts_in).found.items()
    found = [(one, place) for one, place in named if "proxy" in one.lower() or ".service" in place]
    return found[0] if len(found) == 1 else None


def unknown_host(case: Case, message: Message) -> tuple[str, str]:
    """The host that a line about names means and does not name, and where it stands: what the same
    process named just before or after, else what the unit or its configuration names; empty: not known."""

    def is_unknown(name: str) -> bool:
        return case.facts.hosts.get(name.lower()) is not True

    before = case.messages[max(0, message.number - 5) : message.number]
    after = case.messages[message.number + 1 : message.number + 3]
    for one in (*reversed(before), *after):
        if one.raw.startswith((" ", "\t")):
            continue  # of a traceback: a.b is no machine there
        names = [name for name in hosts_in(one.text) if is_unknown(name)]
        if one.pid == message.pid and names:
            return names[0], ""
    fitting = case.once(unknown_host, lambda: Named.of(case, hosts_in).those(is_unknown))
    if len(fitting) == 1:
        return next(iter(fitting.items()))
    return "", ""
