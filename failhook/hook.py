# SPDX-License-Identifier: MIT
"""HOT: what runs inside the failing unit. Reads what is about to vanish, writes one small file.

Imports `os` and `time` only (a test holds the exact set of modules): one dataclass would double the
time of a restart. Nothing here may make the failing unit worse: no child process, no bus, no
network, no disk (the spool is on a tmpfs), and the exit status is always 0. What cannot be reported
is said on standard error with the priority prefix of sd-daemon(3), which is the unit's journal.

As root the file goes straight to the spool. Anybody else hands it to the runner through a socket:
the kernel tells the runner who is asking (SO_PEERCRED), and we wait until it has looked, because
our cgroup is the proof of which unit we speak for.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # `typing` itself would be imported for nothing else
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RUN = "/run/failhook"
OPEN = "open"
SPOOL = "spool"
SOCKET = "socket"
WAKE = "wake"
JOURNAL = "/run/systemd/journal/socket"
# A clean end, and an ExecCondition= that said "not now" (systemd.service(5)): nothing failed.
NO_FAILURE = ("success", "exec-condition")
ACKNOWLEDGE_S = 2.0  # a runner that has to start takes 0.3 s, at boot or in a storm more than one
DONE = "done"
OURS = ("failhook@", "failhook.", "failhook-")
BOOT_CHECK = "failhook-boot-check.service"  # not how we work but what was found: an incident
WAIT_S = 30.0  # `--wait` without a number: well below the default of TimeoutStopSec= (90 s)
_LOOK_S = 0.02
_KIND, _REGULAR = 0o170000, 0o100000  # of st_mode (inode(7)); `stat` is not loaded here
_MAX_FILE = 65536
_MAX_PROCESSES = 64
_COUNTERS = (
    "memory.peak",
    "memory.current",
    "memory.max",
    "memory.high",
    "memory.events",
    "memory.swap.peak",
    "memory.swap.current",
    "memory.pressure",
    "cpu.stat",
    "cpu.pressure",
    "io.stat",
    "io.pressure",
    "pids.peak",
    "pids.current",
    "pids.max",
    "pids.events",
    "cgroup.events",
)
_VARIABLES = (
    "SERVICE_RESULT",
    "EXIT_CODE",
    "EXIT_STATUS",
    "INVOCATION_ID",
    "TRIGGER_UNIT",
    "TRIGGER_PATH",
    "TRIGGER_TIMER_REALTIME_USEC",
    "TRIGGER_TIMER_MONOTONIC_USEC",
    "MONITOR_SERVICE_RESULT",
    "MONITOR_EXIT_CODE",
    "MONITOR_EXIT_STATUS",
    "MONITOR_INVOCATION_ID",
    "MONITOR_UNIT",
    "DEBUG_INVOCATION",
)


def called(environ: Mapping[str, str], arguments: Sequence[str]) -> bool:
    """Is this call systemd's (ExecStopPost=, OnFailure=) and not a person's?"""
    words = [word for word in arguments if word != "--user" and not _is_wait(word)]
    if words and (words[0] == "--unit" or words[0].startswith("--unit=")):
        return True
    if "SERVICE_RESULT" not in environ and "MONITOR_SERVICE_RESULT" not in environ:
        return False
    return not words or (len(words) == 1 and "." in words[0])


def main(environ: Mapping[str, str], arguments: Sequence[str]) -> str:
    """Report this stop. Returns "" when that is done with (or it was said why not), or the record
    itself where this machine has no runner and the caller has to work it off."""
    try:
        return _report(environ, arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the unit must not pay for it
        say(f"cannot report: {type(error).__name__}: {error}")
        return ""


def say(text: str) -> None:
    """To the journal at priority err; a closed standard error is nobody's problem.

    Where standard error is a file (StandardOutput=append:) it is the service's own: at its end, and
    only if the journal does not take it.
    """
    said = text.encode("utf-8", "backslashreplace")
    try:
        if os.fstat(2).st_mode & _KIND == _REGULAR:
            if _to_journal(said):
                return
            os.lseek(2, 0, os.SEEK_END)
        os.write(2, b"<3>failhook: %b\n" % said)
    except OSError:
        pass


def _to_journal(said: bytes) -> bool:
    """By journald's own protocol (systemd.io, JOURNAL_NATIVE_PROTOCOL)."""
    import _socket  # who has something to say can wait

    line = b"PRIORITY=3\nSYSLOG_IDENTIFIER=failhook\nMESSAGE=%b\n" % said.replace(b"\n", b" ")
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        channel.setblocking(False)
        channel.sendto(line, JOURNAL)
    except OSError:
        return False
    finally:
        channel.close()
    return True


def _report(environ: Mapping[str, str], arguments: Sequence[str]) -> str:
    path = _own_cgroup()
    kind, unit, user = _subject(environ, arguments, path)
    if not unit or "/" in unit or "." not in unit:
        say(f"cannot tell which unit this is (cgroup {path!r}); write: ExecStopPost=failhook %n")
        return ""
    if is_ours(unit):
        return ""
    run = run_directory(environ, user)
    if kind == "stop-post" and environ["SERVICE_RESULT"] in NO_FAILURE:
        if environ["SERVICE_RESULT"] != "success" or not _awaited(run, unit):
            return ""
        kind = "clean-stop"
    else:
        _wake(run)
    wait_s = _wait_s(arguments) if kind == "stop-post" else 0.0
    own = path if kind == "stop-post" else None
    left = _deliver(run, _record(kind, unit, user, environ, own, waits=wait_s > 0))
    if left == "" and wait_s > 0:
        _hold(run, environ.get("INVOCATION_ID", ""), wait_s)
    return left or ""


def _wake(run: str) -> None:
    """Let systemd start the runner while we look around: a FIFO of failhook.socket. Where nobody
    reads it, or it is full, failhook.path sees the spool a little later."""
    try:
        fd = os.open(f"{run}/{WAKE}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, b".")
    except OSError:
        pass
    finally:
        os.close(fd)


def _is_wait(word: str) -> bool:
    return word == "--wait" or word.startswith("--wait=")


def _wait_s(arguments: Sequence[str]) -> float:
    """For how many seconds at most this stop is held until the steps before it are done."""
    for word in arguments:
        if _is_wait(word):
            number = word.partition("=")[2].removesuffix("s")
            try:
                return float(number) if number else WAIT_S
            except ValueError:
                say(f"{word}: no number of seconds; waiting for {WAIT_S:g}")
                return WAIT_S
    return 0.0


def _hold(run: str, invocation: str, wait_s: float) -> None:
    """Until the runner says that this run's steps are done: a file of that name. It is in a tmpfs
    that everybody may see; a unit that may not see it is not held."""
    if not invocation.isalnum() or not os.path.isdir(run):
        return
    until = time.monotonic() + wait_s
    while not os.path.exists(f"{run}/{DONE}/{invocation}"):
        if time.monotonic() >= until:
            say(f"the steps before the restart were not done within {wait_s:g} s; going on")
            return
        time.sleep(_LOOK_S)


def _subject(
    environ: Mapping[str, str], arguments: Sequence[str], path: str
) -> tuple[str, str, bool]:
    """(kind, unit, is it the user manager's): from the call, else from our own cgroup."""
    unit, in_user_manager = unit_of(path)
    user = in_user_manager or "--user" in arguments
    words = [
        word.removeprefix("--unit=")
        for word in arguments
        if word not in ("--user", "--unit") and not _is_wait(word)
    ]
    is_handler = any(word.startswith("--unit") for word in arguments)
    if "SERVICE_RESULT" in environ and not is_handler:
        return "stop-post", words[0] if words else unit, user
    return "on-failure", words[0] if words else environ.get("MONITOR_UNIT", ""), user


def run_directory(environ: Mapping[str, str], user: bool) -> str:
    """Where spool and socket are: /run/failhook, or the user's own runtime directory."""
    if not user:
        return RUN
    return environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/failhook"


def is_ours(unit: str) -> bool:
    """Failhook's own units never become incidents: a failing handler must not call itself."""
    return unit.startswith(OURS) and unit != BOOT_CHECK


def _awaited(run: str, unit: str) -> bool:
    """Does an open incident wait for this unit? The runner keeps the list."""
    try:
        with open(f"{run}/{OPEN}", encoding="utf-8", errors="surrogateescape") as lines:
            return unit in lines.read().splitlines()
    except OSError:
        return False


def _own_cgroup() -> str:
    """Our path in the cgroup tree: of v2, or of systemd's own v1 hierarchy (cgroups(7)). Both are
    mounted on a hybrid machine, and only the one that systemd uses knows a unit."""
    for line in _read("/proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd") and path.strip("/"):
            return path
    return "/"


def unit_of(path: str) -> tuple[str, bool]:
    """(unit, is it the user manager's) of a cgroup path, as systemd names its cgroups."""
    unit, user = "", False
    for part in path.split("/"):
        name = part[1:] if part.startswith("_") else part  # escaped: systemd's cg_escape()
        if name.endswith(".slice") or "." not in name:
            continue
        if unit.startswith("user@") and not user:
            unit, user = name, True
        elif not unit:
            unit = name
    return unit, user


def _record(
    kind: str,
    unit: str,
    user: bool,
    environ: Mapping[str, str],
    cgroup: str | None,
    *,
    waits: bool,
) -> str:
    from _json import encode_basestring_ascii as text  # `json` itself would cost half a start

    def mapping(values: Iterable[tuple[str, str]]) -> str:
        return "{" + ",".join(f"{text(name)}:{text(value)}" for name, value in values) + "}"

    fields = [
        ("kind", text(kind)),
        ("unit", text(unit)),
        ("manager", text("user" if user else "system")),
        ("boot_id", text(_read("/proc/sys/kernel/random/boot_id").strip().replace("-", ""))),
        ("realtime", repr(time.time())),
        ("monotonic", repr(time.monotonic())),
        ("uid", str(os.getuid())),
        ("pid", str(os.getpid())),
        ("env", mapping((name, environ[name]) for name in _VARIABLES if name in environ)),
    ]
    if waits:
        fields.append(("wait", "true"))
    if cgroup:
        base = _cgroup_directory(cgroup)
        fields.append(("cgroup_path", text(cgroup)))
        fields.append(("cgroup", mapping(_counters(base))))
        left = ",".join(mapping(process) for process in _processes(base))
        fields.append(("processes", f"[{left}]"))
    return '{"schema":1,' + ",".join(f"{text(name)}:{value}" for name, value in fields) + "}"


def _cgroup_directory(path: str) -> str:
    path = path.removesuffix("/.control")  # Delegate=yes puts us beside the payload
    for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(f"{mount}{path}/cgroup.procs"):
            return mount + path
    return "/sys/fs/cgroup/systemd" + path


def _counters(base: str) -> Iterator[tuple[str, str]]:
    for name in _COUNTERS:
        content = _read(f"{base}/{name}")
        if content:
            yield name, content


def _processes(base: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """Who is still in the cgroup: pid and what /proc/PID/stat says (proc(5)); no command lines,
    they may hold secrets and this file is not masked."""
    pids = _read(f"{base}/cgroup.procs").split()
    try:
        inner = [entry.path for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        inner = []
    for directory in inner[:16]:
        pids += _read(f"{directory}/cgroup.procs").split()
    own = str(os.getpid())
    for pid in [pid for pid in pids if pid != own][:_MAX_PROCESSES]:
        head, _, rest = _read(f"/proc/{pid}/stat").rpartition(")")
        fields = rest.split()
        if len(fields) > 19:
            name = head.partition("(")[2]
            wchan = _read(f"/proc/{pid}/wchan")
            yield (
                ("pid", pid),
                ("comm", name),
                ("state", fields[0]),
                ("ppid", fields[1]),
                ("starttime", fields[19]),
                ("wchan", wchan),
            )


def _read(path: str) -> str:
    """A small file of the kernel, "" where it cannot be had."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _MAX_FILE).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _deliver(run: str, record: str) -> str | None:
    """Into the spool, else through the socket: "" then, None where that failed, and the record
    itself where there is no runner."""
    try:
        _make_spool(run)
        write_spool(run, record)
        return ""
    except OSError as error:
        problem = error
    if os.path.exists(f"{run}/{SOCKET}"):
        answer = _hand_over(f"{run}/{SOCKET}", record)
        if answer != "ok":
            say(f"cannot report: {answer}")
            return None
        return ""
    if os.path.isdir(run) or os.geteuid() != 0:
        say(f"cannot report: {problem}, and there is no {run}/{SOCKET}; see: failhook status")
        return None
    return record


def _make_spool(run: str) -> None:
    """Where nobody has made the spool yet (early in the boot, a user's first failure), its owner
    does. Raises OSError."""
    if not os.path.isdir(f"{run}/incoming") and os.stat(run).st_uid == os.geteuid():
        for name in (SPOOL, "incoming"):
            if not os.path.isdir(f"{run}/{name}"):
                os.mkdir(f"{run}/{name}", 0o700)


def write_spool(run: str, record: str) -> str:
    """One file, complete when it appears: written beside the spool, then renamed into it."""
    name = f"{time.time_ns():020d}-{os.getpid()}.json"
    temporary = f"{run}/incoming/{name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600)
    try:
        data = memoryview(record.encode("ascii"))
        while data:
            data = data[os.write(fd, data) :]
        os.rename(temporary, f"{run}/{SPOOL}/{name}")
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    return name


def _hand_over(path: str, record: str) -> str:
    """Give the record to the runner and wait for its word: "ok" or why not."""
    import _socket  # `socket` would import enum and selectors: as long as all the rest together

    try:
        client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    except OSError as error:
        import errno  # who can report need not know

        helps = ": let RestrictAddressFamilies= have AF_UNIX, or see: failhook enable"
        return f"{error}{helps if error.errno == errno.EAFNOSUPPORT else ''}"
    try:
        client.settimeout(ACKNOWLEDGE_S)
        client.connect(path)
        try:
            client.send(record.encode("ascii"))
        except (
            OSError
        ):  # EMSGSIZE: a cgroup with too much to say; the failure itself is what counts
            short = record.partition(',"cgroup_path":')[0] + "}"
            client.send(short.encode("ascii"))
        return client.recv(512).decode("ascii", "replace") or "the runner hung up"
    except TimeoutError:  # it has our record, and may find out later that it was ours to give
        return f"{path}: timed out after {ACKNOWLEDGE_S:g} s; the runner may still record it"
    except OSError as error:
        return f"{path}: {error}"
    finally:
        client.close()
