# SPDX-License-Identifier: MIT
"""``type = "upload"``: stores the evidence elsewhere, by HTTP PUT or in S3-compatible storage.

The object is called PREFIX/HOST/DATE/UNIT/ID.tar.gz, so that the same incident has the same name on
every try. ``If-None-Match: *`` asks the server not to store it twice; that it has it already is as
good as done. The file is streamed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.actions import sigv4
from failhook.actions.http_options import HEADERS, client, masked
from failhook.formats import words
from failhook.incident import Incident
from failhook.secret import Secret, SecretError
from failhook.values import FLAG, PATH, SECRET, TEXT, Wrong, choice

if TYPE_CHECKING:
    from failhook.http_client import Reach, Reply

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9@_.-]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_STORED_ALREADY = 412
_NO_CONDITIONS = 501  # the server knows no If-None-Match (OpenStack Swift)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Options:
    """What ``[action.NAME]`` takes."""

    url: Secret = option(SECRET, "the server, or the place below which everything is stored")
    service: str = option(choice("put", "s3"), "how it is spoken to", default="put")
    prefix: str = option(TEXT, "the first part of every object's name", default="")
    headers: tuple[tuple[str, Secret], ...] = option(HEADERS, "of put: more headers", default=())
    bucket: str = option(TEXT, "of s3: the bucket", default="")
    region: str = option(TEXT, "of s3: the region", default="us-east-1")
    access_key: Secret | None = option(SECRET, "of s3: the access key's id", default=None)
    secret_key: Secret | None = option(SECRET, "of s3: the secret access key", default=None)
    session_token: Secret | None = option(SECRET, "of s3: of temporary keys", default=None)
    path_style: bool = option(
        FLAG, "of s3: the bucket is in the path, not in the host's name", default=True
    )
    ca_file: str | None = option(PATH, "trust these certificates only (PEM)", default=None)
    proxy: Secret | None = option(
        SECRET, "http://[user:password@]host:port; none is used without it", default=None
    )
    allow_link_local: bool = option(
        FLAG, "let it reach link-local addresses and clouds' metadata services", default=False
    )

    def __post_init__(self) -> None:
        """Raises Wrong for what does not go together."""
        if self.service == "s3":
            if not _BUCKET.fullmatch(self.bucket):
                raise Wrong(f"bucket = {self.bucket!r} cannot be the name of a bucket")
            if self.access_key is None or self.secret_key is None:
                raise Wrong('service = "s3" needs access_key and secret_key')
            if self.headers:
                raise Wrong('headers are for service = "put"')
        elif self.bucket or self.access_key or self.secret_key:
            raise Wrong('bucket and keys are for service = "s3"')


def run(request: Request[Options]) -> Outcome:
    """Store the bundle once and say how that went."""
    if request.bundle is None:
        if request.incident.bundle is None:
            return done("there is no bundle: the incident is a repeat of another")
        return failed("the bundle is no longer there", final=True)
    name = key(request.incident, request.options.prefix)
    if request.dry_run:
        return done(f"would store {request.bundle.stat().st_size} bytes as {name}")
    from failhook.http_client import HttpError

    try:
        return _Storing(request, name).run(request.bundle)
    except (SecretError, HttpError) as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"the bundle cannot be read: {error.strerror}")


def key(incident: Incident, prefix: str = "") -> str:
    """The object's name."""
    day = datetime.fromtimestamp(incident.first_seen, UTC).strftime("%Y-%m-%d")
    parts = [*prefix.split("/"), incident.host, day, incident.unit, f"{incident.id}.tar.gz"]
    return "/".join(_part(part) for part in parts if part)


def _part(text: str) -> str:
    found = _NOT_IN_KEYS.sub("_", text)[:200]
    return "_" + found.lstrip(".") if found.startswith(".") else found


class _Storing:
    """One try."""

    def __init__(self, request: Request[Options], name: str) -> None:
        """Raises SecretError."""
        from failhook.http_client import Reach

        options = request.options
        base = options.url.read().strip().rstrip("/")
        self._until = time.monotonic() + request.deadline_s
        self._headers = {header: one.read().strip() for header, one in options.headers}
        self._keys = _keys(options)
        if self._keys is not None:
            base = _bucket_url(base, options)
        self._url = f"{base}/{sigv4.quoted(name)}"
        self._name = name
        self._secrets = [options.url.read().strip(), *self._headers.values()]
        self._secrets += [self._keys.secret, self._keys.token] if self._keys else []
        self._reach: Reach = Reach(
            ca_file=options.ca_file,
            proxy=options.proxy.read() if options.proxy else None,
            allow_link_local=options.allow_link_local,
        )

    def run(self, bundle: Path) -> Outcome:
        """Raises OSError, HttpError."""
        with bundle.open("rb") as stream:
            size, digest = _measured(stream)
            reply = self._put(stream, digest, {"If-None-Match": "*"})
            if reply.status == _NO_CONDITIONS:
                reply = self._put(stream, digest, {})
        if reply.ok:
            return done(f"stored as {self._name}", bytes=size, sha256=digest)
        if reply.status == _STORED_ALREADY:
            return done(f"is stored already as {self._name}", bytes=size, sha256=digest)
        said = words.clean(masked(reply.text, self._secrets), 160)
        after = reply.retry_after_s(time.time())
        return failed(f"HTTP {reply.status}" + (f": {said}" if said else ""), retry_after_s=after)

    def _put(self, stream: BinaryIO, digest: str, condition: Mapping[str, str]) -> Reply:
        stream.seek(0)
        headers = {"Content-Type": "application/gzip", **condition} | self._headers
        if self._keys is not None:
            headers = sigv4.signed("PUT", self._url, headers, digest, self._keys, at=time.time())
        left = max(0.5, self._until - time.monotonic())
        return client(self._reach).send(
            "PUT", self._url, headers=headers, body=stream, limit_s=left
        )


def _keys(options: Options) -> sigv4.Keys | None:
    if options.access_key is None or options.secret_key is None:
        return None
    token = options.session_token.read().strip() if options.session_token else ""
    return sigv4.Keys(
        options.access_key.read().strip(),
        options.secret_key.read().strip(),
        options.region,
        token,
    )


def _bucket_url(base: str, options: Options) -> str:
    if options.path_style:
        return f"{base}/{options.bucket}"
    scheme, _, rest = base.partition("://")
    return f"{scheme}://{options.bucket}.{rest}"


def _measured(stream: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


ACTION = Action(
    "upload",
    "stores the bundle by HTTP PUT or in S3-compatible storage",
    Options,
    run,
    delivers=True,
    repeatable=True,
    timeout_s=120.0,
)
