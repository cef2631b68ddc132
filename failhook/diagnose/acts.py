# SPDX-License-Identifier: MIT
"""What a unit's sandbox does not let it do: devices, the network, other users, system calls.

Each setting of systemd.exec(5) and systemd.resource-control(5) has the kernel refuse something, and
the program knows only that it was refused. What it hides of the file system is `sandbox`'s.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from failhook.diagnose.case import Case
from failhook.diagnose.endpoints import addresses_in
from failhook.diagnose.finding import LIKELY, SEEN, Finding, from_message, quote
from failhook.diagnose.ports import called_bind
from failhook.diagnose.sandbox import sandboxed
from failhook.diagnose.subjects import paths_in
from failhook.diagnose.text import Message
from failhook.systemd.exec_paths import is_closed

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
        forbids = f"forbids {what}, as it seems"
        return _stands_in_the_way(case, message, f"{setting}={value}", forbids, SEEN - 0.03)
    return None


# What PrivateDevices= leaves in /dev (systemd.exec(5)).
_PSEUDO = re.compile(
    r"/dev/(?:null|zero|full|u?random|tty|ptmx|log|std(?:in|out|err))$|/dev/(?:pts|shm|mqueue|hugepages|fd)\b"
)
_GONE = re.compile(
    r"no such (?:file|device)|\bE(?:NOENT|NODEV|NXIO)\b|errno[ =:]*(?:2|6|19)\b|not (?:found|exist)|missing",
    re.IGNORECASE,
)
# No interface of the network: "Device eth0 not found" is none of /dev.
_OF_A_DEVICE = re.compile(
    r"\bioctl\b|\btun/tap\b|\btap device\b|\bopen\w*\b.{0,30}\bdevice\b|\bserial port|\bframe ?buffer\b"
    r"|\bDRM\b|\bKVM\b|\bVFIO\b",
    re.IGNORECASE,
)


def without_device(case: Case, message: Message) -> Finding | None:
    """A device that PrivateDevices= hides, or that DevicePolicy= and DeviceAllow= do not let through
    (EPERM; systemd.resource-control(5))."""
    private = case.unit.get("PrivateDevices") == "yes"
    named = paths_in(message.raw)
    devices = [path for path in named if path.startswith("/dev/") and not _PSEUDO.match(path)]
    path = devices[0] if devices else ""
    # Of what is hidden ENOENT is told, of what is not let through EPERM: EACCES is of modes.
    gone, refused = _GONE.search(message.text), _NOT_PERMITTED.search(message.text)
    if not (gone or refused) or (named and not path):
        return None
    if not path:
        is_ours = private and _OF_A_DEVICE.search(message.text)
        what = "the device that it needs"
        setting = "PrivateDevices=yes"
        return sandboxed(case, message, what, setting, LIKELY + 0.1) if is_ours else None
    fact = case.path(path)
    if fact is not None and not fact.exists and fact.kind != "unknown":
        return None  # there is none for anybody
    if private:
        return sandboxed(case, message, path, "PrivateDevices=yes")
    return _not_let_through(case, message, path) if refused else None


def _not_let_through(case: Case, message: Message, path: str) -> Finding | None:
    policy, allowed = case.unit.get("DevicePolicy") or "auto", case.unit.get("DeviceAllow") or ""
    if path in allowed.split() or "char-" in allowed or "block-" in allowed:  # groups of devices
        return None
    if policy in ("closed", "strict"):
        return sandboxed(case, message, path, f"DevicePolicy={policy}", SEEN - 0.03)
    return (
        sandboxed(case, message, path, f"DeviceAllow={allowed}", SEEN - 0.03) if allowed else None
    )


# Errors of what is refused to a user who is not in the namespace (user_namespaces(7)).
_UNMAPPED = re.compile(
    r"not permitted|\bE(?:PERM|INVAL)\b|invalid argument|errno[ =:]*(?:1|22)\b|\b22: ",
    re.IGNORECASE,
)
_OF_USERS = re.compile(
    r"\b(?:set|init)(?:groups|(?:res|re|e|fs)?[ug]id)\b|\bf?l?chown(?:at)?\b|changing ownership"
    r"|(?:chang|switch|drop)\w* (?:to )?(?:the )?(?:user|group|owner|privilege)",
    re.IGNORECASE,
)
_BINDS = re.compile(r"\bbind(?:ing)?\b|\blisten", re.IGNORECASE)
# system calls that systemd's groups leave out of @system-service, and what they are for
_CALLS = re.compile(
    r"\b(?:chroot|pivot_root|u?mount2?|ptrace|setns|unshare|keyctl|bpf|perf_event_open|sched_\w+|setpriority"
    r"|ioprio_set|iopl|ioperm|swapon|swapoff|reboot|io_uring\w*|fanotify\w*|quotactl|setrlimit|prlimit\d*"
    r"|mlock\w*|mbind|set_mempolicy|init_module|kexec\w*|userfaultfd|name_to_handle_at|open_by_handle_at"
    r"|setdomainname|sethostname|settimeofday|clock_settime|adjtimex|vhangup|acct|syslog)\b"
    r"|\b(?:scheduling|nice) (?:priority|policy|value)|\bpriority\b|\bcpu affinity\b",
    re.IGNORECASE,
)
_NOT_PERMITTED = re.compile(r"not permitted|\bEPERM\b|errno[ =:]*1\b|os error 1\b", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"function not implemented|\bENOSYS\b|errno[ =:]*38\b|os error 38\b", re.IGNORECASE
)


def without_users(case: Case, message: Message) -> Finding | None:
    """PrivateUsers=: nobody is in its namespace but root, its own user, and nobody."""
    if case.unit.get("PrivateUsers") in (None, "no") or not _OF_USERS.search(message.text):
        return None
    if not _UNMAPPED.search(message.text):
        return None
    return _stands_in_the_way(
        case, message, "PrivateUsers=yes", "has no other users or groups in it", SEEN - 0.03
    )


def without_ports(case: Case, message: Message) -> Finding | None:
    """SocketBindDeny= (systemd.resource-control(5)): bind(2) fails with EPERM."""
    denied = case.unit.get("SocketBindDeny")
    if not denied or not _NOT_PERMITTED.search(message.text):
        return None
    if not (_BINDS.search(message.text) or called_bind(case, message)):
        return None
    allowed = case.unit.get("SocketBindAllow")
    but = f" but SocketBindAllow={allowed}" if allowed else ""
    return _stands_in_the_way(
        case, message, f"SocketBindDeny={denied}{but}", "lets it bind no such port", SEEN - 0.03
    )


def without_programs(case: Case, message: Message) -> Finding | None:
    """NoExecPaths= (execve(2) fails with EACCES there), of a program that may be executed else."""
    if not case.unit.get("NoExecPaths") or not _REFUSES.search(message.text):
        return None
    for path in paths_in(message.raw):
        fact = case.path(path)
        if fact is None or fact.kind != "file" or not (fact.mode or 0) & 0o111:
            continue
        access = fact.may(case.uid)
        may = access is None or access.execute
        if may and is_closed(case.unit, path):
            setting = f"NoExecPaths={case.unit.get('NoExecPaths')}"
            return sandboxed(case, message, path, setting, SEEN - 0.03)
    return None


def without_calls(case: Case, message: Message) -> Finding | None:
    """SystemCallErrorNumber=: a call that SystemCallFilter= forbids fails as if the user might not
    do it, instead of ending the program."""
    number = case.unit.get("SystemCallErrorNumber") or ""
    words = {"EPERM": _NOT_PERMITTED, "1": _NOT_PERMITTED, "ENOSYS": _NOT_THERE, "38": _NOT_THERE}
    if number not in words or not words[number].search(message.text):
        return None
    if not case.unit.get("SystemCallFilter") or not _CALLS.search(message.text):
        return None
    return _stands_in_the_way(
        case, message, "SystemCallFilter=",
        f"forbids that system call, as it seems (SystemCallErrorNumber={number})", LIKELY + 0.12,
    )  # fmt: skip


def _stands_in_the_way(
    case: Case, message: Message, setting: str, effect: str, confidence: float
) -> Finding:
    return from_message(
        case, message, "sandbox",
        what=f"{setting} {effect}: “{quote(message.text, 150)}”",
        advice=f"do without, or change {setting.partition('=')[0]}=", confidence=confidence,
        more=[case.checked(setting, "unit/show.txt")],
    )  # fmt: skip


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


# In the order in which a line is asked about: what is surest first.
REFUSED = (
    without_device,
    without_programs,
    without_ports,
    without_users,
    forbidden_act,
    without_calls,
)
