# SPDX-License-Identifier: MIT
"""Users and groups that a program is told to become and that the machine does not have.

What `User=` says is another family's (`setup`). Users of databases and of logins are none of the
machine's: a line that speaks of passwords or roles is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.place import stands_at
from failhook.diagnose.text import Message

_MISSING = re.compile(
    r"\b(?:unknown|no such|no|invalid|bad|(?:could ?n[o']t|cannot|can't|unable to|failed to|did not) "
    r"(?:find|get|resolve|look ?up|determine)|not (?:find|found|exist)|does ?n[o']t exist|getpwnam\w*|getgrnam\w*"
    r"|lookup of|must (?:exist|be created))\b",
    re.IGNORECASE,
)
# In quotes, or where the line ends or goes on about it: "user spawning x" names nobody.
_NAMED = re.compile(
    r"\b(?P<kind>[Uu]ser|[Gg]roup)(?:[Nn]ame|[Ii][Dd])?s?\b[^'\"`\w]{0,4}(?:name\b[^'\"`\w]{0,4})?"
    r"(?P<q>['\"`(]?)(?P<name>[a-z_][\w.-]{0,30}\$?)['\"`)]{0,2}"
    r"(?=\s{0,2}(?:$|[:,.;()-]|(?:does|do|not|is|was|for|in|on|cannot|could|found|unknown)\b))"
    r"|\bget(?P<call>pw|gr)nam(?:_r)?\(['\"]?(?P<called>[a-z_][\w.-]{0,30})['\"]?\)"
    r"|\b[Nn]o (?P<before>[a-z_][\w.-]{1,30}) (?P<of>user|group)\b"
)
_OF_A_USER = re.compile(r"\buser(?:[ _-]?(?:id|name))?\b|\buid\b", re.IGNORECASE)
_OF_CALL = {"pw": "user", "gr": "group"}
_OF_A_LOGIN = re.compile(
    r"passw|auth|log ?in|\brole\b|database|\bsql|denied|grant|ldap|sasl|account|connect|@",
    re.IGNORECASE,
)


def _absent(case: Case, message: Message) -> Finding | None:
    text = message.text[:600]
    if not _MISSING.search(text) or _OF_A_LOGIN.search(text):
        return None
    named = list(_NAMED.finditer(text))
    for match in named:
        name = match["name"] or match["called"] or match["before"]
        kind = (match["kind"] or match["of"] or _OF_CALL[match["call"]]).lower()
        known = case.facts.users if kind == "user" else case.facts.groups
        if name in known and known[name] is None:
            return _not_there(case, message, kind, name)
    strangers = case.facts.strangers
    if len(strangers) == 1 and not named and _OF_A_USER.search(text):
        ((name, place),) = strangers.items()
        return _not_there(case, message, "user", name, f" ({stands_at(place)})")
    return None


def _not_there(case: Case, message: Message, kind: str, name: str, place: str = "") -> Finding:
    make = "useradd --system" if kind == "user" else "groupadd --system"
    return from_message(
        case, message, "user-missing" if kind == "user" else "group-missing",
        what=f"the {kind} {name}{place} does not exist: “{quote(message.text, 160)}”",
        advice=f"{make} {name}, or correct the name in its configuration", confidence=SEEN,
        more=[case.checked(f"no {kind} {name}")],
    )  # fmt: skip


def _look(case: Case) -> Iterator[Finding]:
    yield from each(case, _absent)


CAUSES = (Cause("accounts", "users and groups of programs that do not exist", _look),)
