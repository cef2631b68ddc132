# SPDX-License-Identifier: MIT
"""What a bed needs from the machine: rights, namespaces, a place in the cgroup tree."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.bed.supervisor import remove_cgroup

SCRIPT = Path(__file__).with_name("enter.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CGROUP_PREFIX = "failhook-bed-"

# A helper that outlives a killed test process would keep its mounts and its cgroup.
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")

# What booting a bed needs, tried where it cannot do harm.
_PROBE = """
mount -t tmpfs none /tmp
mkdir /tmp/lower /tmp/upper /tmp/work /tmp/root
mount -t overlay -o lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work none /tmp/root
mount -t proc none /tmp/root
"""

# What would reach through the namespaces to the machine. CAP_SYS_BOOT stays: in a pid namespace
# reboot(2) only ends PID 1.
_DROPPED = (
    "sys_time",
    "sys_module",
    "sys_rawio",
    "mknod",
    "syslog",
    "wake_alarm",
    "audit_control",
    "audit_read",
)


class BedError(Exception):
    """The bed cannot do what was asked of it; the text says why."""


class BootError(BedError):
    """systemd did not come up; the text ends with the console's last lines."""


class CommandError(BedError):
    """A command inside a bed failed or took too long; the text holds its output."""


def host_environment(**more: str) -> dict[str, str]:
    """The environment for programs run on the machine: nothing inherited but proxies."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **proxies, **more}


def run_on_host(
    argv: Sequence[str], what: str, *, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of the machine to its end; raises BedError with its output if it fails."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=host_environment() if env is None else dict(env),
            check=False,
        )
    except FileNotFoundError as error:
        raise BedError(f"{what}: {error.filename} is not installed") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise BedError(f"{what}: {argv[0]} ended with {done.returncode}\n{tail}")
    return done


def dropped_capabilities(*, host_network: bool) -> str:
    """The capabilities a bed does without, as setpriv(1) wants them."""
    # In the machine's own network namespace this one would reach its interfaces and routes.
    names = (*_DROPPED, "net_admin") if host_network else _DROPPED
    return ",".join(f"-{name}" for name in names)


@cache
def cgroup_root() -> Path:
    """Where the cgroup v2 tree is mounted; raises BedError if it is not."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2":
            return Path(left.split()[4])
    raise BedError("no cgroup v2 tree is mounted")


@cache
def unavailable() -> str | None:
    """Why no bed can be booted here, or None. Tests skip on this reason and on no other."""
    if os.geteuid() != 0:
        return "booting systemd in namespaces needs root"
    probe = ("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--net")
    try:
        run_on_host((*probe, "sh", "-euc", _PROBE), "namespaces")
        cgroup = new_cgroup_path()
        cgroup.mkdir()
        remove_cgroup(cgroup)
    except (BedError, OSError) as error:
        return f"no namespaces or no writable cgroup v2 tree here: {error}"
    return None


def new_cgroup_path() -> Path:
    """A name that tells whose it is, so that `sweep_cgroups` can judge it later."""
    return cgroup_root() / f"{CGROUP_PREFIX}{os.getpid()}-{os.urandom(3).hex()}"


def sweep_cgroups() -> None:
    """Remove what beds left behind whose supervisor was killed before it could clean up."""
    for path in cgroup_root().glob(f"{CGROUP_PREFIX}*"):
        owner = path.name.removeprefix(CGROUP_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with suppress(OSError):  # its supervisor is at it in this moment
                remove_cgroup(path, patience_s=0)
