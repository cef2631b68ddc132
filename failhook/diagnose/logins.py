# SPDX-License-Identifier: MIT
"""What a server refused or does not have: logins, databases; and hosts that show another key.

Its own clients fail to log in as well, and it goes on: a line that tells whose attempt it was, or that
the program calls mere talk, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.empty import inputs_of
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, each, from_message, quote
from failhook.diagnose.level import Level
from failhook.diagnose.text import Message
from failhook.diagnose.together import together
from failhook.diagnose.wording import NAMES_A_THING

_REFUSED = re.compile(
    r"permission denied \((?:publickey|password|gssapi|keyboard|hostbased)"
    r"|(?:password|peer|ident|ldap|md5|gssapi|sasl\w*|scram\S{0,20}) authentication failed|access denied for user|(?:authentication|login|logon) (?:is |was |has )?(?:failed|failure|refused|denied|rejected|unsuccessful)"
    r"|\b(?:failed|refused|could not|couldn't|unable|cannot) to (?:authenticate|log ?in)\b|\b(?:cannot|can't|couldn't|could not) (?:authenticate|log ?in)\b"
    r"|(?:invalid|bad|wrong|incorrect|expired|missing) (?:(?:user ?name|password|api|access|bearer|auth(?:entication|orization)?|account|security|refresh|login|client)(?: (?:or|and) |[ /]{1,2})){0,3}(?:credentials?|passwords?|tokens?|key id|api[ _-]?keys?|secret)\b"
    r"|\bWRONGPASS\b|\bNOAUTH\b|\bACCESS_REFUSED\b|\bInvalidAccessKeyId\b|\bSignatureDoesNotMatch\b|\bExpiredToken\b|\bAuthenticationFailed\b|\binvalid_(?:grant|client)\b"
    r"|\b401:? (?:client error|unauthorized)|\b403:? (?:client error|forbidden)|(?:status|code|http|response)[ :=]{1,3}(?:401|403)\b|role ['\"]\S{1,80} does not exist"
    r"|permission denied (?:for|to) (?:schema|table|relation|database|function|sequence|view|create|set)\b|password (?:is |has )expired|account (?:is |has been )?(?:locked|disabled|expired)"
    r"|\bunauthorized: |access to the resource is denied"
    r"|^authentication required\b|no pg_hba\.conf entry",
    re.IGNORECASE,
)
_HOST_KEY = re.compile(
    r"host key verification failed|host key for \S{1,200} has changed|host identification has changed"
    r"|no (?:\w+ )?host key is known for \S",
    re.IGNORECASE,
)
_WHOSE = re.compile(
    r"host key (?:is known )?for \[?(?P<host>[\w.:-]{1,200}?)\]?(?::\d+)?(?: has changed| and you|$)",
    re.IGNORECASE,
)
# What lies in a database or a broker.
_OF_A_SERVER = re.compile(
    r"\b(?P<kind>database|schema|relation|tablespace|publication|subscription|replication slot|bucket|topic|queue|vhost|keyspace"
    r"|collection|index|stream)s? (?P<q>['\"`])(?P<name>[\w.:-]{1,80})(?P=q) (?:does not|doesn't) exist",
    re.IGNORECASE,
)
_URL = re.compile(r"(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[\w.:\[\]-]{2,200})(?![\w@])")
_PASSWORD = re.compile(r"\bpass(?:word|phrase)\b", re.IGNORECASE)
_OF_A_CLIENT = re.compile(
    r"\b(?:client|from|rhost=|remote|peer)[ =:]{1,2}\[?(?:ip )?[0-9a-f.:]{3,45}\b|\b(?:GET|POST|PUT|HEAD|DELETE|PATCH) /",
    re.IGNORECASE,
)


def _refused(case: Case, message: Message) -> Finding | None:
    text = message.text[:1500]
    if message.level is Level.TALK and not case.course.gave_up_on(message):
        return None
    if not _REFUSED.search(text) or _OF_A_CLIENT.search(text):
        return None
    server = _server(case) or _file(case, text) if not NAMES_A_THING.search(text) else ""
    return from_message(
        case, message, "login-refused",
        what=f"a login was refused{server}: “{quote(together(case, message), 230)}”",
        advice="check the account, its password or key, and what it may do there",
        confidence=LIKELY + 0.13,
    )  # fmt: skip


def _host_key(case: Case, message: Message) -> Finding | None:
    """Whom ssh(1) does not believe: the host shows a key that is not the one in known_hosts."""
    text = message.text[:600]
    if not _HOST_KEY.search(text) or message.level is Level.TALK:
        return None
    match = _WHOSE.search(text) or next(
        (found for one in case.messages if (found := _WHOSE.search(one.text[:600]))), None
    )
    whose = f"of {match['host']} " if match is not None else ""
    return from_message(
        case, message, "host-key",
        what=f"the host key {whose}is not known here, or is another one than before: "
        f"“{quote(text, 160)}”",
        advice="compare its fingerprint (ssh-keyscan HOST | ssh-keygen -lf -), then mend known_hosts",
        confidence=LIKELY + 0.2,
    )  # fmt: skip


def _not_there(case: Case, message: Message) -> Finding | None:
    """``database "shop" does not exist``: it is no file of this machine."""
    thing = _OF_A_SERVER.search(message.text)
    if thing is None:
        return None
    return from_message(
        case, message, "object-missing",
        what=f"the {thing['kind'].lower()} {thing['name']} does not exist: "
        f"“{quote(message.text, 180)}”",
        advice=f"make it, or correct its name where the {thing['kind'].lower()} is configured",
        confidence=SAID + 0.04,
    )  # fmt: skip


def _server(case: Case) -> str:
    """The only one that the command line names, without what may be a password."""
    found = {match["url"] for match in _URL.finditer(case.unit.get("ExecStart") or "")}
    return f" by {found.pop()} (ExecStart=)" if len(found) == 1 else ""


def _file(case: Case, text: str) -> str:
    """The one file that its command line is about, where a password was wrong: of an archive, a
    document, a key."""
    files = inputs_of(case) if _PASSWORD.search(text) else []
    return f" for {files[0]} ({case.failing}=)" if len(files) == 1 else ""


def _look(case: Case) -> Iterator[Finding]:
    yield from each(case, _host_key, _refused, _not_there)


CAUSES = (Cause("logins", "logins that were refused", _look),)
