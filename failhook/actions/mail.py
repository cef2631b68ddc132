# SPDX-License-Identifier: MIT
"""``type = "mail"``: tells it by mail, over SMTP or by the machine's own ``sendmail``.

Without ``smtp`` the mail goes to sendmail(8) (``-t -oi``), whose queue takes it from there. With
``smtp`` the server is spoken to directly; TLS is verified, and a password goes over nothing else.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from failhook import proc
from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.formats import mail, words
from failhook.message import Message
from failhook.secret import Secret, SecretError
from failhook.values import FLAG, PATH, SECRET, SIZE, TEXT, TEXTS, Kind, Wrong, choice, count, text

_SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
_PLAIN = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+(?:@[A-Za-z0-9.-]+)?"
_ADDRESS = re.compile(rf'(?:[^<>@,;:"\\\x00-\x1f\x7f]+<({_PLAIN})>|({_PLAIN}))')
_TLS = ("starttls", "implicit", "none")
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_EX_TEMPFAIL = 75


@dataclass(frozen=True, slots=True)
class Smtp:
    """How a server is reached."""

    host: str
    port: int
    tls: str = "starttls"
    user: str = ""
    password: Secret | None = None
    ca_file: str | None = None


def _smtp(value: object) -> Smtp:
    """{ host, port, tls, user, password, ca_file }. Raises Wrong."""
    if not isinstance(value, dict) or "host" not in value:
        raise Wrong('is no server; write { host = "mail.example.net", tls = "starttls" }')
    unknown = set(value) - {"host", "port", "tls", "user", "password", "ca_file"}
    if unknown:
        raise Wrong(f"knows no {sorted(unknown)[0]!r}")
    tls = choice(*_TLS).read(value.get("tls", "starttls"))
    port = count(value.get("port", _PORTS[tls]))
    if port > 65535:
        raise Wrong(f"{port} is no port")
    password = SECRET.read(value["password"]) if "password" in value else None
    user = text(value.get("user", ""))
    if (password is None) != (not user):
        raise Wrong("needs user and password, or neither")
    if password is not None and tls == "none":
        raise Wrong('would send the password in the clear; write tls = "starttls"')
    ca_file = PATH.read(value["ca_file"]) if "ca_file" in value else None
    return Smtp(text(value["host"]), port, tls, user, password, ca_file)


def _address(value: object) -> str:
    """user@example.net or Name <user@example.net>. Raises Wrong."""
    given = text(value)
    if not _ADDRESS.fullmatch(given):
        raise Wrong(f"{given!r} is no address; write user@example.net")
    return given


def _addresses(value: object) -> tuple[str, ...]:
    """One or more. Raises Wrong."""
    found = tuple(_address(one) for one in TEXTS.read([value] if isinstance(value, str) else value))
    if not found:
        raise Wrong("names nobody")
    return found


_SERVER = {
    "type": "object",
    "required": ["host"],
    "additionalProperties": False,
    "properties": {
        "host": {"type": "string"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "tls": {"enum": list(_TLS)},
        "user": {"type": "string"},
        "password": SECRET.schema,
        "ca_file": {"type": "string", "pattern": "^/"},
    },
}
SERVER = Kind("mail server", _smtp, _SERVER)
ADDRESS = Kind("mail address", _address, TEXT.schema)
ADDRESSES = Kind("mail addresses", _addresses, {"anyOf": [dict(TEXT.schema), dict(TEXTS.schema)]})


@dataclass(frozen=True)
class Options:
    """What ``[action.NAME]`` takes."""

    to: tuple[str, ...] = option(ADDRESSES, "who gets it")
    sender: str = option(ADDRESS, "who sends it", default="failhook")
    smtp: Smtp | None = option(
        SERVER, "the server; without it sendmail of this machine is used", default=None
    )
    attach_bundle: bool = option(
        FLAG, "attach the evidence: all of it leaves the machine then", default=False
    )
    max_bundle: int = option(SIZE, "attach no larger one", default=5 << 20)


class _Refused(Exception):
    """The other side will not take it: says why."""

    def __init__(self, detail: str, *, about_message: bool = False) -> None:
        super().__init__(detail)
        self.about_message = about_message


def run(request: Request[Options]) -> Outcome:
    """Send one mail and say how that went."""
    message = request.message
    if message is None:
        return failed("there is no message to send", final=True)
    try:
        written = mail.compose(message, _letter(request, message), at=time.time())
        return done(_sent(request, written))
    except (ValueError, IndexError) as error:  # the email package refuses an address
        return failed(f"the mail cannot be written: {type(error).__name__}")
    except SecretError as error:
        return failed(str(error))
    except _Refused as refused:
        data: dict[str, Any] = {"about": "message"} if refused.about_message else {}
        return Outcome(False, str(refused), data=data)


def _sent(request: Request[Options], written: EmailMessage) -> str:
    """What came of it. Raises _Refused, SecretError."""
    options = request.options
    if request.dry_run:
        return f"would send to {', '.join(options.to)}: {words.cut(str(written['Subject']), 200)}"
    if options.smtp is None:
        return _by_sendmail(written, request.deadline_s)
    return _by_smtp(options.smtp, options, written, request.deadline_s)


def _letter(request: Request[Options], message: Message) -> mail.Letter:
    options = request.options
    to, sender = options.to, options.sender
    if "@" not in parseaddr(sender)[1]:
        sender = f"failhook on {words.host(message)} <{parseaddr(sender)[1]}@{_domain(message)}>"
    if not options.attach_bundle or request.bundle is None:
        return mail.Letter(sender, to)
    try:
        size = request.bundle.stat().st_size
        if size > options.max_bundle:
            return mail.Letter(
                sender, to, note=f"The evidence is too large for mail ({size} bytes)."
            )
        data = request.bundle.read_bytes()
    except OSError:
        return mail.Letter(sender, to, note="The evidence could not be read.")
    return mail.Letter(sender, to, data, f"failhook-{message.incident.id}.tar.gz")


def _domain(message: Message) -> str:
    name = re.sub(r"[^A-Za-z0-9.-]", "-", message.incident.host).strip(".-")
    return name or "localhost"


# -- sendmail ------------------------------------------------------------------------------------


def _by_sendmail(written: EmailMessage, limit_s: float) -> str:
    """Raises _Refused."""
    program = next((path for path in _SENDMAIL if Path(path).exists()), None)
    if program is None:
        raise _Refused("there is no sendmail on this machine; install one or give smtp = { … }")
    # sendmail(8) takes lines as this machine ends them
    data = written.as_bytes(policy=SMTP.clone(linesep="\n", max_line_length=78))
    ended = proc.run([program, "-t", "-oi"], stdin=data, timeout_s=max(1.0, limit_s - 1))
    if ended.ok:
        return "given to sendmail"
    if ended.returncode == _EX_TEMPFAIL:
        raise _Refused("sendmail asks to try again later")
    raise _Refused(words.clean(ended.why(), 300))


# -- SMTP ----------------------------------------------------------------------------------------


def _by_smtp(server: Smtp, options: Options, written: EmailMessage, limit_s: float) -> str:
    """Raises _Refused, SecretError."""
    password = server.password.read() if server.password else None
    try:
        context = ssl.create_default_context(cafile=server.ca_file)
        with _connected(server, context, limit_s) as connection:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if password is not None:
                connection.login(server.user, password)
            addresses = [parseaddr(one)[1] for one in options.to]
            sender = parseaddr(str(written["From"]))[1]
            refused = connection.send_message(written, sender, addresses)
    except smtplib.SMTPException as error:
        raise _Refused(_said(error, password), about_message=_is_final(error)) from None
    except ssl.SSLCertVerificationError as error:
        raise _Refused(f"its certificate is not accepted: {error.verify_message}") from None
    except TimeoutError:
        raise _Refused(f"no answer within {limit_s:.0f} s") from None
    except OSError as error:
        raise _Refused((error.strerror or type(error).__name__).lower()) from None
    if refused:
        return f"taken, but not for {', '.join(sorted(refused))}"
    return "taken by the mail server"


def _connected(server: Smtp, context: ssl.SSLContext, limit_s: float) -> smtplib.SMTP:
    # each answer has that long; the process of the destination ends when the whole takes longer
    patience = min(limit_s, 15.0)
    if server.tls == "implicit":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=patience, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=patience)


def _is_final(error: smtplib.SMTPException) -> bool:
    """5xx on this mail or its receivers, which says nothing of the next one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    is_mail = isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
    return is_mail and getattr(error, "smtp_code", 0) >= 500


def _said(error: smtplib.SMTPException, password: str | None) -> str:
    """What the server said; it may repeat what it was told."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words_said = next(iter(error.recipients.values()))
        said: str | bytes = f"{code} ".encode() + words_said
    elif isinstance(error, smtplib.SMTPAuthenticationError):
        return f"user or password is not accepted ({error.smtp_code})"
    elif isinstance(error, smtplib.SMTPResponseException):
        said = f"{error.smtp_code} ".encode() + _bytes(error.smtp_error)
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server does not offer what is needed (STARTTLS or AUTH)"
    else:
        return "no answer in time" if "timed out" in str(error) else "the server hung up"
    found = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if password:
        found = found.replace(password, "***")
    return f"the server says {words.clean(found, 200)}"


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace")


ACTION = Action(
    "mail",
    "tells it by mail: an SMTP server, or sendmail of this machine",
    Options,
    run,
    delivers=True,
    repeatable=True,
    timeout_s=60.0,
)
