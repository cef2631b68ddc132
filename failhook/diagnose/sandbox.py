# SPDX-License-Identifier: MIT
"""Which setting of a unit's sandbox hides a path or makes it read-only (systemd.exec(5))."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from failhook.diagnose.case import Case
from failhook.diagnose.endpoints import addresses_in
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import SEEN, Finding, from_message, quote
from failhook.diagnose.subjects import own_directories, paths_in
from failhook.diagnose.text import Message


def hidden_by(case: Case, path: str, fact: PathFact | None) -> str | None:
    """The setting of the sandbox that takes a path away which is there."""
    if fact is not None and not fact.exists and fact.kind != "unknown":
        return None
    home = case.unit.get("ProtectHome") or "no"
    if home in ("yes", "tmpfs") and path.startswith(("/home/", "/root/", "/run/user/")):
        return f"ProtectHome={home}"
    for word in (case.unit.get("InaccessiblePaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"InaccessiblePaths={place}"
    private = case.unit.get("PrivateTmp") not in (None, "no")
    if private and fact is not None and path.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108
        return f"PrivateTmp={case.unit.get('PrivateTmp')}"
    return None


def write_protected(case: Case, path: str) -> str | None:
    """The setting of the sandbox that makes a path read-only which is writable otherwise."""
    for word in (case.unit.get("ReadOnlyPaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"ReadOnlyPaths={place}"
    if case.unit.get("ProtectHome") == "read-only" and path.startswith(("/home/", "/root/")):
        return "ProtectHome=read-only"
    system = case.unit.get("ProtectSystem") or "no"
    if system == "strict" and not _let_through(case, path):
        return "ProtectSystem=strict"
    protected = {"yes": ("/usr/", "/boot/", "/efi/"), "full": ("/usr/", "/boot/", "/efi/", "/etc/")}
    if path.startswith(protected.get(system, ("\0",))) and not _let_through(case, path):
        return f"ProtectSystem={system}"
    return None


def _let_through(case: Case, path: str) -> bool:
    """It may be written although ProtectSystem= is set."""
    words = (case.unit.get("ReadWritePaths") or "").split()
    places = [*(word.lstrip("-+") for word in words), *own_directories(case.unit)]
    private = case.unit.get("PrivateTmp") not in (None, "no")
    places += ["/dev", "/proc", "/sys", *(["/tmp", "/var/tmp"] if private else [])]  # noqa: S108
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


def sandboxed(
    case: Case, message: Message, path: str, setting: str, confidence: float = SEEN
) -> Finding:
    """The finding that this setting is what stands in the way."""
    read_only = setting.startswith(("ReadOnly", "ProtectSystem", "ProtectHome=read"))
    effect = "makes it read-only for the unit" if read_only else "hides it from the unit"
    advice = f"change {setting}"
    if setting.startswith("DevicePolicy"):
        effect, advice = "lets the unit not use it", f"DeviceAllow={path} rw"
    elif setting.startswith("PrivateDevices"):
        advice = "PrivateDevices=no, and DevicePolicy=closed with DeviceAllow= for what it needs"
    if read_only:
        advice = f"ReadWritePaths={_to_be_let_through(case, path)} (or StateDirectory=)"
    return from_message(
        case, message, "sandbox",
        what=f"{path}: {setting} {effect}: “{quote(message.text, 140)}”",
        advice=advice, confidence=confidence, more=[case.checked(setting, "unit/show.txt")],
    )  # fmt: skip


def _to_be_let_through(case: Case, path: str) -> str:
    """The directory: with a path that is not there no unit starts (systemd.exec(5), 226/NAMESPACE)."""
    fact = case.path(path)
    is_directory = fact is not None and fact.kind == "directory"
    return path if is_directory or not path.startswith("/") else path.rpartition("/")[0] or "/"


_REFUSES = re.compile(
    r"not permitted|permission denied|access denied|\bEPERM\b|\bEACCES\b|read-only file ?system|\bEROFS\b"
    r"|no new privileges|must be (?:setuid|owned by)|nosuid",
    re.IGNORECASE,
)
# A setting of systemd.exec(5), the lines that it can be behind, and what it forbids.
_FORBID = tuple(
    (setting, re.compile(words, re.IGNORECASE), what)
    for setting, words, what in (
        ("RestrictSUIDSGID", r"chmod|chang\w{3} (?:the )?(?:permissions|mode)|set(?:ting)? (?:the )?(?:permissions|mode)",
         "the set-user-ID and set-group-ID bits"),
        ("RestrictNamespaces", r"unshare|namespace|\bclone\b|\bsetns\b|\bbwrap\b", "new namespaces"),
        ("RestrictRealtime", r"sched_set|real-?time|SCHED_(?:RR|FIFO)", "real-time scheduling"),
        ("ProtectClock", r"settimeofday|adjtimex|clock_settime|hwclock|/dev/rtc|set(?:ting)? (?:the )?(?:system )?(?:clock|time)", "setting the clock"),
        ("ProtectHostname", r"set(?:ting)? (?:the )?(?:host|domain) ?name|set(?:host|domain)name", "setting the host's name"),
        ("ProtectKernelModules", r"modprobe|insmod|init_module|kernel module", "loading kernel modules"),
        ("ProtectKernelTunables", r"/proc/sys/|\bsysctl\b|/sys/(?:class|kernel|devices|module|block)", "writing the kernel's settings"),
        ("ProtectControlGroups", r"/sys/fs/cgroup|\bcgroup", "writing control groups"),
        ("ProtectKernelLogs", r"/dev/kmsg|\bdmesg\b|klogctl|kernel (?:ring )?buffer", "the kernel's log"),
        ("LockPersonality", r"\bpersonality\b|\bsetarch\b", "another personality"),
        ("NoNewPrivileges", r"no new privileges|nosuid|must be (?:setuid|owned by)", "what sudo and set-user-ID programs need"),
    )
)  # fmt: skip


def forbidden_act(case: Case, message: Message) -> Finding | None:
    """What one of the unit's settings does not let it do; systemd has the kernel refuse it."""
    if not _REFUSES.search(message.text):
        return None
    for setting, words, what in _FORBID:
        value = case.unit.get(setting)
        if value in (None, "no") or not words.search(message.text):
            continue
        return from_message(
            case, message, "sandbox",
            what=f"{setting}={value} forbids {what}, as it seems: “{quote(message.text, 150)}”",
            advice=f"do without, or {setting}=no", confidence=SEEN - 0.03,
            more=[case.checked(f"{setting}={value}", "unit/show.txt")],
        )  # fmt: skip
    return None


# What PrivateDevices= leaves in /dev (systemd.exec(5)).
_PSEUDO = re.compile(
    r"/dev/(?:null|zero|full|u?random|tty|ptmx|log|std(?:in|out|err))$|/dev/(?:pts|shm|mqueue|hugepages|fd)\b"
)
_GONE = re.compile(
    r"no such (?:file|device)|\bE(?:NOENT|NODEV|NXIO)\b|errno[ =:]*(?:2|6|19)\b|not (?:found|exist)|missing",
    re.IGNORECASE,
)
_OF_A_DEVICE = re.compile(
    r"\bioctl\b|\btun(?:/tap)?\b|\btap (?:device|interface)|\b(?:open|access|find)\w*\b.{0,30}\bdevice\b"
    r"|\bdevice\b.{0,30}\b(?:open|access|found)|\bserial port|\bframe ?buffer\b|\bDRM\b|\bKVM\b|\bVFIO\b",
    re.IGNORECASE,
)


def without_device(case: Case, message: Message) -> Finding | None:
    """A device that PrivateDevices= hides, or that DevicePolicy= and DeviceAllow= do not let through
    (EPERM; systemd.resource-control(5))."""
    private = case.unit.get("PrivateDevices") == "yes"
    named = paths_in(message.raw)
    devices = [path for path in named if path.startswith("/dev/") and not _PSEUDO.match(path)]
    path = devices[0] if devices else ""
    gone, refused = _GONE.search(message.text), _REFUSES.search(message.text)
    if not (gone or refused) or (named and not path):
        return None
    if not path:
        is_ours = private and _OF_A_DEVICE.search(message.text)
        what = "the device that it needs"
        setting = "PrivateDevices=yes"
        return sandboxed(case, message, what, setting, SEEN - 0.15) if is_ours else None
    fact = case.path(path)
    if fact is not None and not fact.exists and fact.kind != "unknown":
        return None  # there is none for anybody
    if private:
        return sandboxed(case, message, path, "PrivateDevices=yes")
    policy, allowed = case.unit.get("DevicePolicy") or "auto", case.unit.get("DeviceAllow") or ""
    if refused and (policy in ("closed", "strict") or allowed) and path not in allowed.split():
        return sandboxed(case, message, path, f"DevicePolicy={policy}", SEEN - 0.03)
    return None


def without_network(case: Case, message: Message) -> Finding | None:
    """A network of its own, in which nobody else is (PrivateNetwork=, systemd.exec(5))."""
    if case.unit.get("PrivateNetwork") != "yes" or case.unit.get("JoinsNamespaceOf"):
        return None
    return from_message(
        case, message, "sandbox",
        what="PrivateNetwork=yes gives it a network of its own, with nobody else in it: "
        f"“{quote(message.text, 150)}”",
        advice="PrivateNetwork=no, or JoinsNamespaceOf=", confidence=SEEN,
        more=[case.checked("PrivateNetwork=yes", "unit/show.txt")],
    )  # fmt: skip


def kept_from_address(case: Case, message: Message) -> Finding | None:
    """IPAddressDeny= drops what goes to the address: a connection is not refused, it times out
    (systemd.resource-control(5); IPAddressAllow= goes before it)."""
    denied = _networks(case.unit.get("IPAddressDeny"))
    allowed = _networks(case.unit.get("IPAddressAllow"))
    peer = next(iter(addresses_in(message.text)), "")
    if not denied or (allowed and not peer):
        return None
    if peer and (not _is_in(peer, denied) or _is_in(peer, allowed)):
        return None
    setting = f"IPAddressDeny={' '.join(map(str, denied[:2]))}"
    return from_message(
        case, message, "sandbox",
        what=f"{setting} drops what it sends{f' to {peer}' if peer else ''}, as it seems: "
        f"“{quote(message.text, 150)}”",
        advice="add the server's address to IPAddressAllow=", confidence=SEEN - 0.03,
        more=[case.checked(setting, "unit/show.txt")],
    )  # fmt: skip


def _networks(value: str | None) -> list[IPv4Network | IPv6Network]:
    """The networks of a property, as systemctl shows them: ``0.0.0.0/0 ::/0``."""
    found = []
    for word in (value or "").split():
        with suppress(ValueError):
            found.append(ip_network(word, strict=False))
    return found


def _is_in(address: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    return any(ip_address(address) in network for network in networks)
