# SPDX-License-Identifier: MIT
"""Memory, descriptors, processes: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.case import Case
from tests.unit.diagnose.cases import FAILED, STARTED, case, command, process, what

KILL = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a.service,mems_allowed=0,"
    "oom_memcg=/system.slice/{unit},task_memcg=/system.slice/{unit},task=a,pid=2231,uid=0\n"
    "Memory cgroup out of memory: Killed process 2231 (worker) total-vm:900000kB, "
    "anon-rss:509952kB, file-rss:0kB, shmem-rss:0kB"
)
OOM = (STARTED, "a.service: A process of this unit has been killed by the OOM killer.", FAILED[1])


def kernel(text: str) -> dict[str, bytes]:
    """The kernel's log, and the group's limit."""
    return {"kernel/kernel.txt": text.encode(), "cgroup/memory.max": b"536870912\n"}


FOUND: tuple[tuple[str, Case, str], ...] = (
    ("oom-kernel", case(items=kernel(KILL.format(unit="a.service"))), 'a.service was killed by the kernel for memory: 512M limit (MemoryMax=) reached, 498M of it in worker 2231'),
    ("oom-kernel", case(items={**kernel(KILL.format(unit="a.service")), "cgroup/memory.events": b"low 0\nhigh 0\nmax 38\noom 1\noom_kill 1\n"}), 'a.service was killed by the kernel for memory: 512M limit (MemoryMax=) reached, 498M of it in worker 2231'),
    ("oom-kernel", case(items={"kernel/kernel.txt": b"Out of memory: Killed process 100 (a) total-vm:9kB, anon-rss:2048kB"}, main=process(100)), 'a.service was killed by the kernel for memory: the machine had none left, a 100 held 2M of it'),
    # It runs again, so that systemd has another pid: its own line tells this one.
    ("oom-kernel", case({"MESSAGE": "serving", "_PID": "4711"}, items={"kernel/kernel.txt": b"Out of memory: Killed process 4711 (a) total-vm:9kB, anon-rss:2048kB"}), 'a.service was killed by the kernel for memory: the machine had none left, a 4711 held 2M of it'),
    ("oom-kill", case(manager=OOM, result="oom-kill", show={"MemoryMax": "536870912"}, items={"cgroup/memory.peak": b"536870912"}), 'a.service was killed for memory by the out-of-memory killer (the kernel or systemd-oomd): 512M limit (MemoryMax=), 512M at its peak'),
    ("oom-kill", case(result="signal", items={"cgroup/memory.events": b"low 0\noom_kill 1\n"}), 'a.service was killed for memory by the out-of-memory killer (the kernel or systemd-oomd)'),
    ("heap", case("java.lang.OutOfMemoryError: Java heap space", show={"ExecStart": command("/usr/bin/java", "-Xmx64m", "A")}), 'its Java heap space is used up (-Xmx64m): “java.lang.OutOfMemoryError: Java heap space”'),
    ("heap", case("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"), 'its heap is used up: “Reached heap limit Allocation failed - JavaScript heap out of memory”'),
    ("heap", case("PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 65536 bytes)"), 'its heap is used up (memory_limit, 128M): “PHP Fatal error: Allowed memory size of 134217728 bytes exhausted (tried to allocate 65536 bytes)”'),
    ("memory-limit", case("mmap failed: Cannot allocate memory", show={"LimitAS": "67108864"}), 'LimitAS=64M does not let it have more memory: “mmap failed: Cannot allocate memory”'),
    ("memory-limit", case("mlockall: Cannot allocate memory", show={"LimitMEMLOCK": "65536"}), 'LimitMEMLOCK=64K does not let it have more memory: “mlockall: Cannot allocate memory”'),
    ("no-memory", case("fork failed: Cannot allocate memory", show={"LimitMEMLOCK": "65536"}), 'it got no more memory: “fork failed: Cannot allocate memory”'),
    ("open-files", case("accept: Too many open files", show={"LimitNOFILESoft": "64"}), 'it needs more open files than LimitNOFILE=64 allows: “accept: Too many open files”'),
    ("watches", case("Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'"), "it watches more files than fs.inotify.max_user_watches or max_user_instances allow: “ENOSPC: System limit for number of file watchers reached, watch '/srv'”"),
    ("watches", case("failed to create fsnotify watcher: too many open files"), 'it watches more files than fs.inotify.max_user_watches or max_user_instances allow: “failed to create fsnotify watcher: too many open files”'),
    ("processes", case("RuntimeError: can't start new thread", show={"TasksMax": "8"}), "it needs more processes or threads than TasksMax=8 allows: “RuntimeError: can't start new thread”"),
    ("processes", case("fork: retry: Resource temporarily unavailable", show={"LimitNPROC": "4"}), 'it needs more processes or threads than LimitNPROC=4 allows: “fork: retry: Resource temporarily unavailable”'),
    ("sandbox", case("# Fatal error in , line 0", "# Check failed: 12 == (*__errno_location ()).", " 2: 0x7fac7f0335e8 V8_Fatal(char const*, ...) [/lib/libnode.so.115]", show={"MemoryDenyWriteExecute": "yes"}, exit_code="killed", exit_status="TRAP", result="signal"), 'MemoryDenyWriteExecute=yes denies its compiler (V8_Fatal) memory that is writable and executable, and it crashed: “Check failed: 12 == (*__errno_location ())”'),
    ("sandbox", case("mprotect: Operation not permitted", show={"MemoryDenyWriteExecute": "yes"}), 'MemoryDenyWriteExecute=yes denies it memory that is writable and executable: “mprotect: Operation not permitted”'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("oom-kernel", case(items=kernel(KILL.format(unit="b.service")))),
    ("oom-kill", case(result="signal", items={"cgroup/memory.events": b"oom_kill 0\n"})),
    ("heap", case("the heap of 64 MB is used")),
    ("memory-limit", case("out of memory", show={"LimitMEMLOCK": "65536"})),
    ("no-memory", case("vm.max_map_count: max virtual memory areas [65530] is too low")),
    ("open-files", case("opened 12 files")),
    ("no-memory", case("failed to allocate an IP address")),
    ("open-files", case("open file limit is 1024")),
    ("open-files", case("setrlimit(RLIMIT_CORE) failed")),
    ("watches", case("watching '/srv' with inotify")),
    ("disk-full", case("inotify_add_watch: No space left on device")),
    ("processes", case("recv: Resource temporarily unavailable")),
    ("sandbox", case("mprotect: Operation not permitted")),
    ("sandbox", case("at V8_Fatal", exit_code="killed", exit_status="TRAP", result="signal")),
    ("sandbox", case("at V8_Fatal", show={"MemoryDenyWriteExecute": "yes"})),  # it ended by itself
    ("sandbox", case("at V8_Fatal", show={"MemoryDenyWriteExecute": "yes"}, exit_code="killed", exit_status="TERM", result="signal")),
    ("sandbox", case("no /srv/x", show={"MemoryDenyWriteExecute": "yes"}, exit_code="killed", exit_status="TRAP", result="signal")),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None
