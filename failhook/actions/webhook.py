# SPDX-License-Identifier: MIT
"""``type = "webhook"``: tells a message to a URL, in the form that the receiver understands.

Delivered is what was answered with 2xx and nothing else. The URL, the keys and the headers are
secrets: they are read when they are used and appear in nothing that is kept or said, nor do they
where the receiver repeats them.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.actions.http_options import HEADERS, SECRETS, client, masked
from failhook.actions.memory import Memory
from failhook.formats import standard, table, words
from failhook.formats.form import Answer, Call, Form, Rejected, Settings, Unusable, Verdict
from failhook.message import Message
from failhook.secret import Secret, SecretError
from failhook.values import FLAG, PATH, SECRET, TEXT, Wrong, choice

if TYPE_CHECKING:
    from failhook.http_client import Reply

_SEVERITIES = ("critical", "error", "warning", "info")
# About this message, not about the destination: the next one may be taken.
_ABOUT_MESSAGE = (400, 413, 415, 422)


@dataclass(frozen=True)
class Options:
    """What ``[action.NAME]`` takes."""

    url: Secret | None = option(SECRET, "where to send it", default=None)
    format: str = option(choice(*table.NAMES), "the form the receiver understands", default="json")
    method: str = option(choice("POST", "PUT"), "for json and template", default="POST")
    secret: tuple[Secret, ...] = option(
        SECRETS, "signs it as Standard Webhooks say; several while keys are changed", default=()
    )
    headers: tuple[tuple[str, Secret], ...] = option(HEADERS, "more headers", default=())
    token: Secret | None = option(
        SECRET, "of slack, ntfy, alertmanager, github, gitlab", default=None
    )
    routing_key: Secret | None = option(SECRET, "of pagerduty", default=None)
    api_key: Secret | None = option(SECRET, "of opsgenie", default=None)
    project: str = option(TEXT, "of github, gitlab: owner/name", default="")
    channel: str = option(TEXT, "of slack with a token, of mattermost", default="")
    severity: str = option(choice(*_SEVERITIES), "of pagerduty, opsgenie, ntfy", default="error")
    template: str = option(TEXT, "of format template: the text (Jinja2)", default="")
    template_file: str | None = option(PATH, "of format template: its file", default=None)
    template_kind: str = option(choice("json", "html", "text"), "what it makes", default="json")
    ca_file: str | None = option(PATH, "trust these certificates only (PEM)", default=None)
    cert_file: str | None = option(PATH, "a client's certificate (PEM)", default=None)
    key_file: str | None = option(PATH, "its key, where that is in another file", default=None)
    proxy: Secret | None = option(
        SECRET, "http://[user:password@]host:port; none is used without it", default=None
    )
    allow_link_local: bool = option(
        FLAG, "let it reach link-local addresses and clouds' metadata services", default=False
    )

    def __post_init__(self) -> None:
        """Raises Wrong for what does not go together."""
        form = table.load(self.format)
        for need in form.needs:
            if not any(getattr(self, name) for name in need.split("|")):
                raise Wrong(f'format = "{self.format}" needs {need.replace("|", " or ")}')
        if self.secret and not form.signs:
            raise Wrong(f'format = "{self.format}" is not signed; leave out secret')
        if self.template and self.template_file:
            raise Wrong("template and template_file are both given; leave out one")
        if self.key_file and not self.cert_file:
            raise Wrong("key_file is of no use without cert_file")
        if self.template:
            _check_template(self.template, self.template_kind)


def _check_template(text: str, kind: str) -> None:
    from failhook.formats import template

    try:
        template.check(text, kind)
    except Unusable as unusable:
        raise Wrong(str(unusable)) from None


def run(request: Request[Options]) -> Outcome:
    """Send the message once and say how that went."""
    message = request.message
    if message is None:
        return failed("there is no message to send", final=True)
    try:
        return _Sending(request, message).run()
    except SecretError as error:
        return failed(str(error))
    except Unusable as unusable:
        return Outcome(False, str(unusable), data={"about": "message"})
    except standard.WrongSecret as wrong:
        return failed(str(wrong))
    except OSError as error:
        return failed(f"{error.filename or 'a file'}: {error.strerror or error}")


class _Sending:
    """One try. What is secret in it is known, so that nothing of it gets out."""

    def __init__(self, request: Request[Options], message: Message) -> None:
        """Raises SecretError, OSError."""
        from failhook.http_client import Reach

        options = request.options
        self._request, self._message, self._options = request, message, options
        self._form: Form = table.load(options.format)
        self._memory = Memory(request.state)
        key = options.token or options.routing_key or options.api_key
        self._keys = [one.read() for one in options.secret]
        self._headers = {name: one.read().strip() for name, one in options.headers}
        self._reach = Reach(
            ca_file=options.ca_file,
            cert_file=options.cert_file,
            key_file=options.key_file,
            proxy=options.proxy.read() if options.proxy else None,
            allow_link_local=options.allow_link_local,
        )
        self._settings = Settings(
            url=options.url.read().strip() if options.url else self._form.url,
            key=key.read().strip() if key else "",
            project=options.project,
            channel=options.channel,
            severity=options.severity,
            template=_template(options),
            template_kind=options.template_kind,
            memory=self._memory.get(message.thread),
            attempt=request.attempt,
            now=time.time(),
        )

    def run(self) -> Outcome:
        """Raises Unusable, WrongSecret."""
        from failhook.http_client import HttpError

        self._until = time.monotonic() + self._request.deadline_s
        if self._request.dry_run:
            return self._rehearsed()
        try:
            return self._told()
        except Rejected as rejected:
            return self._refused(rejected.answer)
        except HttpError as error:
            return failed(str(error), final=error.final)

    def _told(self) -> Outcome:
        if self._form.converse is not None:
            return self._judged(self._form.converse(self._message, self._settings, self._send))
        assert self._form.call is not None
        reply = self._send(self._form.call(self._message, self._settings))
        if not reply.ok:
            return self._refused(reply)
        if self._form.judge is None:
            return done(f"HTTP {reply.status}", status=reply.status)
        return self._judged(self._form.judge(self._message, self._settings, reply))

    def _rehearsed(self) -> Outcome:
        """What would be sent."""
        if self._form.call is None:
            return done(f"would tell {self._form.name}: {words.headline(self._message, 300)}")
        call = self._form.call(self._message, self._settings)
        text = self._masked(call.body.decode("utf-8", "replace"))
        return done(f"would send {len(call.body)} bytes: {words.clean(text, 400)}")

    def _send(self, call: Call) -> Reply:
        method = self._options.method if self._form.signs else call.method
        headers: dict[str, str] = dict(call.headers) | self._headers
        if self._form.signs:  # fresh at every try, so that an old one cannot be played again
            at = int(time.time())
            headers |= standard.signed(self._message.id, at, call.body, self._keys)
        left = max(0.5, self._until - time.monotonic())
        return client(self._reach).send(
            method, call.url, headers=headers, body=call.body, limit_s=left
        )

    def _judged(self, verdict: Verdict) -> Outcome:
        if verdict.memory is not None:
            # On a full disk a new thread costs less than telling it again.
            with contextlib.suppress(OSError):
                self._memory.put(self._message.thread, verdict.memory)
        detail = verdict.detail or "taken"
        if verdict.ok:
            return done(detail)
        data = {"about": "message"} if verdict.about_message else {}
        return Outcome(False, self._masked(detail), data=data)

    def _refused(self, reply: Answer) -> Outcome:
        said = words.clean(self._masked(reply.body.decode("utf-8", "replace")), 120)
        detail = f"HTTP {reply.status}" + (f": {said}" if said else "")
        data: dict[str, Any] = {"status": reply.status}
        if reply.status == 410:
            return Outcome(
                False, f"{detail} (gone: it wants nothing any more)", gone=True, data=data
            )
        if 300 <= reply.status < 400:
            return Outcome(False, f"HTTP {reply.status}: redirects are not followed", data=data)
        if reply.status in _ABOUT_MESSAGE:
            data["about"] = "message"
        after = reply.retry_after_s(time.time())
        return Outcome(False, detail, retry_after_s=after, data=data)

    def _masked(self, text: str) -> str:
        headers = self._headers.values()
        return masked(text, [self._settings.url, self._settings.key, *self._keys, *headers])


def _template(options: Options) -> str:
    if options.template_file is None:
        return options.template
    with open(options.template_file, encoding="utf-8") as stream:
        return stream.read(1 << 20)


ACTION = Action(
    "webhook",
    "tells it to a URL: chat, pager, alert manager, issue tracker, or a program of your own",
    Options,
    run,
    delivers=True,
    repeatable=True,
    timeout_s=20.0,
)
