# SPDX-License-Identifier: MIT
"""Which kernel lines matter."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import kernel
from failhook.collect.kernel import COLLECTOR, Line, telling
from failhook.incident import Process
from failhook.systemd import journal
from tests.unit.collect.bench import BASE, Programs, context, run

OOM = """stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
CPU: 1 PID: 812 Comm: stress Not tainted
 dump_stack_lvl+0x44/0x5c
Tasks state (memory values in pages):
[    812]     0   812   262144    61440   565248        0             0 stress
oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/system.slice/acme.service,task=stress,pid=812
Memory cgroup out of memory: Killed process 812 (stress) total-vm:1048576kB""".splitlines()

TELLING = [
    "acme[812]: segfault at 0 ip 000055d sp 00007ff error 4 in acme[55d+1000]",
    "traps: acme[9] general protection fault ip:55d sp:7ff error:0 in libc.so.6",
    "traps: acme[812] trap invalid opcode ip:401136 sp:7ffc error:0",
    "blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ)",
    "Buffer I/O error on dev dm-0, logical block 0, async page read",
    "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory",
    "EXT4-fs (sda1): Remounting filesystem read-only",
    "XFS (sdb1): metadata I/O error in xfs_trans_read_buf_map",
    "BTRFS error (device sda2): bdev /dev/sda2 errs: wr 0, rd 1",
    "nvme nvme0: I/O 12 QID 3 timeout, aborting",
    "ata1.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen",
    "sd 0:0:0:0: [sda] tag#0 FAILED Result: hostbyte=DID_BAD_TARGET",
    "nfs: server nas not responding, still trying",
    "INFO: task acme:812 blocked for more than 120 seconds.",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [acme:812]",
    "mce: [Hardware Error]: Machine check events logged",
    "Memory failure: 0x1f2: Sending SIGBUS to acme:812 due to hardware memory corruption",
    "FAT-fs (sdb1): error, fat_get_cluster: invalid cluster chain (i_pos 0)",
    "device offline error, dev sdb, sector 8 op 0x0:(READ) flags 0x0",
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" profile="acme"',
    "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.",
    "nf_conntrack: nf_conntrack: table full, dropping packet",
    "cgroup: fork rejected by pids controller in /system.slice/acme.service",
]
OTHER = [
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "e1000: eth0 NIC Link is Up 1000 Mbps Full Duplex",
    "device veth12 entered promiscuous mode",
    "systemd-journald[68]: Received SIGTERM from PID 1",
    "clocksource: Switched to clocksource tsc",
]


def _texts(lines: list[str]) -> list[str]:
    return [line.text for line in telling(Line(float(n), text) for n, text in enumerate(lines))]


def test_what_tells() -> None:
    assert _texts(TELLING) == TELLING
    assert _texts(OTHER) == []


def test_an_oom_report_is_kept_whole() -> None:
    assert _texts([*OTHER, *OOM, *OTHER]) == OOM


def test_an_oom_report_without_end_is_bounded() -> None:
    assert len(_texts([OOM[0], *OTHER * 1000])) == kernel._MAX_BLOCK


TRACE = """INFO: task tar:247 blocked for more than 120 seconds.
Call Trace:
 <TASK>
 __schedule+0x34d/0x9e0
 percpu_rwsem_wait+0x112/0x130
 </TASK>""".splitlines()


def test_the_frames_of_a_call_trace_are_kept() -> None:
    assert _texts([*OTHER, *TRACE, " not of it", *OTHER]) == TRACE
    assert _texts([*TRACE[:-1], *OTHER, " not of it"]) == TRACE[:-1]


def test_a_call_trace_without_end_is_bounded() -> None:
    assert len(_texts(["Call Trace:", *[" f+0x1/0x2"] * 1000])) == kernel._MAX_TRACE + 1


def test_from_the_journal(programs: Programs) -> None:
    entry = "__REALTIME_TIMESTAMP=1795301106000000\nMESSAGE="
    lines = "".join(
        f"{entry}{text}\n\n" for text in reversed([*OTHER, *OOM, "bad \x1b[0m i/o error"])
    )
    programs.add("journalctl", f"cat <<'END'\n{lines}END")
    gave = run(COLLECTOR, context())
    got = [line.partition(" ")[2] for line in gave.text("kernel/kernel.txt").splitlines()]
    assert got == [*OOM, "bad \\x1b[0m i/o error"]
    (call,) = programs.calls
    assert f"-- _TRANSPORT=kernel _BOOT_ID={BASE.boot_id}" in call
    assert "--since=@1795301096.900000" in call


def test_a_long_run_is_not_looked_at_from_its_start(programs: Programs) -> None:
    run(COLLECTOR, context(replace(BASE, first_seen=10_000.0, main=Process(1, 5.0, 9_999.0))))
    assert "--since=@9100.000000" in programs.calls[0]


def test_nothing_of_note(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.add("journalctl", "exit 0")
    monkeypatch.setattr(journal, "storage_problem", lambda: None)
    assert run(COLLECTOR, context()).text("kernel/kernel.txt") == "nothing of note\n"


def test_records_of_kmsg(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"3,12,5000000,-;acme: segfault\n SUBSYSTEM=x\n")
    fd = os.open(path, os.O_RDONLY)
    try:
        records = kernel._records(fd, 100.0)
        assert next(records) == Line(105.0, "acme: segfault")
    finally:
        os.close(fd)


def test_the_kernels_own_buffer_where_there_is_no_journal() -> None:
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        assert kernel._from_kmsg(0.0, "no journal") == ([], "no journal")
        pytest.skip(f"no kernel log for us: {error}")
    lines, problem = kernel._from_kmsg(0.0, "no journal")
    assert problem is None
    assert all(line.at <= time.time() + 1 for line in lines)


@pytest.mark.usefixtures("programs")
def test_no_journal_on_an_earlier_boot() -> None:
    gave = run(COLLECTOR, context(replace(BASE, boot_id="0" * 32)))
    assert gave.problems == ["journalctl ended with status 1: no"]
    assert gave.items == {}


def test_long_logs_are_judged_quickly() -> None:
    lines = [Line(0.0, "x" * 900 + str(n)) for n in range(2000)]
    started = time.monotonic()
    assert list(telling(lines)) == []
    assert time.monotonic() - started < 5
