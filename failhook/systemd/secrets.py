# SPDX-License-Identifier: MIT
"""What systemd itself knows to be a unit's secrets: their exact values, for `failhook.redact`.

Seen on 252: ``systemctl show`` prints Environment= in full, the names of EnvironmentFiles=, and of
credentials nothing (``[unprintable]``, and only with --all). So credentials are read from where the
unit's files say, and from /run/credentials/UNIT while it is there. Everything is read with a bound
and never through FIFOs or devices; what cannot be read is simply not known.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from failhook import files, proc
from failhook.mask import assign, names
from failhook.mask.quoting import unescape
from failhook.mask.unit_text import CREDENTIAL, ENVIRONMENT, mask_environment_file, mask_unit_text
from failhook.redact import Known
from failhook.systemd import environment_file
from failhook.systemd.settings import expanded
from failhook.systemd.unit import UnitState

__all__ = ["known_values", "mask_environment_file", "mask_unit_text"]

Run = Callable[..., proc.Completed]
_MAX_FILE = 64 << 10
_MAX_FILES = 64  # of one wildcard, one directory
_MIN_SECRET = 4
_MIN_ORDINARY = 6
_MIN_LINE = 8
_STORES = (
    "run/credentials/@system",
    "run/credstore",
    "etc/credstore",
    "usr/local/lib/credstore",
    "usr/lib/credstore",
)
_SETTING = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=[ \t]*(.*)")

# What an ordinary variable may hold without being a secret.
_PLAIN_NAME = re.compile(
    r"PATH|LANG|LANGUAGE|LC_\w+|HOME|TERM|TZ|SHELL|USER|LOGNAME|\w+_(?:DIR|HOME)"
)
_PLAIN_VALUE = re.compile(
    r"[-+]?[0-9][0-9.,_:/%-]*[a-zA-Z]{0,3}"  # numbers, sizes, times, ranges of ports
    r"|[a-z]{2,3}_[A-Z]{2}(?:\.[\w-]+)?(?:@\w+)?|C\.UTF-8"
    r"|/[^\s=+]*"  # a path, a search path
    r"|[a-z]+(?:[ ,_-][a-z]+)*|[A-Z]?[a-z]+|[A-Z]+"
    r"|[a-z0-9.-]+\.[a-z][a-z0-9-]*(?::[0-9]{1,5})?|[a-z][a-z0-9-]*:[0-9]{1,5}"  # host names
    r"|(?:eth|en[opsx]|wlan|wl[opsx]|ww|br|bond|team|tun|tap|vlan|ppp|wg|veth)"
    r"[0-9]{1,4}(?:[a-z][0-9]{1,4}){0,3}(?:[.:][0-9]{1,4})?"  # network interfaces
)
_OPTION = re.compile(r"-{1,2}[A-Za-z][\w.:-]*(?:=[\w./:-]*)?|[a-z0-9][a-z0-9./_-]*|/[\w./-]*")
_MAX_PLAIN = 256
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s]*", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s]+)@", re.IGNORECASE)
_URL_QUERY = re.compile(r"[?&]([\w.-]+)=([^&#\s]+)")


def known_values(
    state: UnitState, *, user: bool, root: Path = Path("/"), run: Run = proc.run
) -> tuple[Known, ...]:
    """Every value of ``state``'s unit that must not be seen in its evidence.

    ``user`` says that the unit is one of the user manager. ``root`` and ``run`` are for tests.
    Never raises for what the machine has or lacks.
    """
    unit = _Unit.read(state, root)
    found = dict.fromkeys(
        (
            *_of_environment(unit.environment),
            *_of_credentials(_credentials(state.name, unit, user=user, root=root, run=run)),
        )
    )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What the unit says of variables and credentials: from systemd, and from its files.

    The files may be newer than what systemd has loaded, or older: both values are secret.
    """

    environment: tuple[tuple[str, str], ...]
    load: tuple[tuple[str, str, bool], ...]  # name, source, encrypted
    inline: tuple[tuple[str, str, bool], ...]  # name, content, encrypted
    imported: tuple[str, ...]

    @classmethod
    def read(cls, state: UnitState, root: Path) -> _Unit:
        settings = [
            (name, value)
            for path in state.unit_files
            for name, value in _settings(_read(root, path))
        ]
        environment = [*environment_file.assignments(state.properties.get("Environment", ""))]
        for name, value in settings:
            if name == "Environment":
                environment += environment_file.assignments(value.replace("%%", "%"))
        for line in state.properties.get("EnvironmentFiles", "").split("\n"):
            for path in _matching(root, re.sub(r" \(ignore_errors=\w+\)$", "", line)):
                content = _read(root, path).decode("utf-8", "surrogateescape")
                environment += environment_file.parse(content)
        return cls(
            tuple(environment),
            tuple(_split(value, "Encrypted" in name) for name, value in _of(settings, "Load")),
            tuple(_split(value, "Encrypted" in name) for name, value in _of(settings, "Set")),
            tuple(value for name, value in settings if name == "ImportCredential"),
        )


def _of(settings: Iterable[tuple[str, str]], verb: str) -> list[tuple[str, str]]:
    wanted = (f"{verb}Credential", f"{verb}CredentialEncrypted")
    return [pair for pair in settings if pair[0] in wanted and pair[1]]


def _split(value: str, encrypted: bool) -> tuple[str, str, bool]:
    name, _, content = value.partition(":")
    return name.strip(), content, encrypted


def _settings(content: bytes) -> Iterator[tuple[str, str]]:
    """The settings of a unit file, continued lines joined (systemd.syntax(7))."""
    pending = ""
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        if line.lstrip()[:1] in ("#", ";"):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        setting = _SETTING.fullmatch((pending + line).rstrip())
        pending = ""
        if setting is not None:
            yield setting[1], setting[2]


def _of_environment(pairs: Iterable[tuple[str, str]]) -> Iterator[Known]:
    for name, value in pairs:
        for secret in _secrets_in(name, value):
            yield Known(secret.encode("utf-8", "surrogateescape"), ENVIRONMENT)


def _secrets_in(name: str, value: str) -> Iterator[str]:
    """What of an ordinary variable's value is worth hiding wherever it appears."""
    stripped = value.strip()
    if names.kind_of(name) is not None:
        if len(stripped) >= _MIN_SECRET:
            yield stripped
        return
    if _URL.fullmatch(stripped):
        password = _URL_PASSWORD.match(stripped)
        if password is not None and len(password[1]) >= _MIN_SECRET:
            yield from dict.fromkeys((password[1], unquote(password[1])))
        for key, content in _URL_QUERY.findall(stripped):
            if names.kind_of(key) is not None and len(content) >= _MIN_SECRET:
                yield content
        return
    if len(stripped) >= _MIN_ORDINARY and not _is_plain(name, stripped):
        yield stripped
        raw = stripped.encode("utf-8", "surrogateescape")
        for span in assign.spans(raw):  # "host=db password=…"
            if span.end - span.start >= _MIN_SECRET:
                yield raw[span.start : span.end].decode("utf-8", "surrogateescape")


def _is_plain(name: str, value: str) -> bool:
    if _PLAIN_NAME.fullmatch(name):
        return True
    if len(value) > _MAX_PLAIN:
        return False
    return _PLAIN_VALUE.fullmatch(value) is not None or _is_address(value) or _is_options(value)


def _is_address(value: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(re.sub(r"^\[(.*)\](?::\d+)?$", r"\1", value))
        return True
    return False


def _is_options(value: str) -> bool:
    """``-Xmx512m --verbose``: options of a program, none of them named like a secret."""
    words = value.split()
    if not value.startswith("-") or not all(map(_OPTION.fullmatch, words)):
        return False
    return not any(names.kind_of(word.lstrip("-").partition("=")[0]) for word in words)


def _credentials(
    unit_name: str, unit: _Unit, *, user: bool, root: Path, run: Run
) -> Iterator[bytes]:
    """The content of every credential that can be read here and now."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "") if user else "run"
    if runtime:
        yield from _tree(root, f"{runtime}/credentials/{unit_name}")
    for name, source, encrypted in unit.load:
        for path in _sources(root, expanded(source, unit_name) or name, encrypted):
            contents = _tree(root, path)
            yield from _decrypted(root, name, path, user, run) if encrypted else contents
    for _, content, encrypted in unit.inline:
        if not encrypted:
            yield unescape(content.replace("%%", "%")).encode("utf-8", "surrogateescape")
            yield content.encode("utf-8", "surrogateescape")
    for pattern in unit.imported:
        for store in _STORES:
            for path in _matching(root, f"/{store}/{pattern.partition(':')[0]}"):
                yield from _tree(root, path)


def _sources(root: Path, source: str, encrypted: bool) -> list[str]:
    """Where systemd looks for a credential that was given without a whole path."""
    if source.startswith("/"):
        return [source]
    stores = [f"{store}.encrypted" for store in _STORES] if encrypted else _STORES
    return [f"/{store}/{source}" for store in stores if (root / store / source).exists()]


def _decrypted(root: Path, name: str, path: str, user: bool, run: Run) -> Iterator[bytes]:
    """An encrypted credential in plain: with the machine's key, so for root only."""
    if not (root / path.lstrip("/")).is_file():
        return
    scope = ["--user"] if user else []
    argv = ["systemd-creds", *scope, "decrypt", f"--name={name}", path, "-"]
    done = run(argv, timeout_s=5.0, max_bytes=_MAX_FILE)
    if done.ok and done.stdout:
        yield done.stdout


def _of_credentials(contents: Iterable[bytes]) -> Iterator[Known]:
    for content in contents:
        whole = content.strip(b"\r\n \t")
        if len(whole) < _MIN_SECRET:
            continue
        yield Known(whole, CREDENTIAL, encoded=len(whole) <= 4096)
        for line in whole.split(b"\n"):
            text = line.strip()
            if len(text) >= _MIN_LINE and not text.startswith(b"-----") and text != whole:
                yield Known(text, CREDENTIAL, encoded=False)
            for span in assign.spans(line):  # a credential may be a file of settings
                if span.end - span.start >= _MIN_SECRET:
                    yield Known(line[span.start : span.end], CREDENTIAL)


def _matching(root: Path, pattern: str) -> list[str]:
    """The files that a path or wildcard names, below ``root`` but told without it."""
    if not pattern.startswith("/"):
        return []
    prefix = "" if root == Path("/") else glob.escape(str(root))
    # Path.glob has no absolute patterns
    found = sorted(glob.glob(prefix + pattern, include_hidden=True))[:_MAX_FILES]  # noqa: PTH207
    return [
        path if root == Path("/") else "/" + str(Path(path).relative_to(root)) for path in found
    ]


def _read(root: Path, path: str) -> bytes:
    """A file's content, bounded; links are followed as systemd does, to regular files only."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return files.read_bounded((root / path.lstrip("/")).resolve(strict=True), _MAX_FILE)
    return b""


def _tree(root: Path, path: str) -> Iterator[bytes]:
    """The file at ``path``, or the files in the directory there, one level deep."""
    place = root / path.lstrip("/")
    with contextlib.suppress(OSError, ValueError):
        if place.is_dir():
            for entry in sorted(place.iterdir())[:_MAX_FILES]:
                yield from filter(None, (_read(root, f"{path}/{entry.name}"),))
            return
    yield from filter(None, (_read(root, path),))
