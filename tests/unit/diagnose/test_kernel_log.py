# SPDX-License-Identifier: MIT
"""The kernel's own lines: of this unit where a mount or a pid ties them to it, and not else.

As Linux 6.1 wrote them in a virtual machine with a disk that was broken on purpose.
"""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.around import Mount
from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SEEN
from tests.unit.diagnose.cases import PROGRAM, case, command, found, judge, process, what

SECTOR = "critical medium error, dev sdb, sector 89826 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"
PORT = "[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"
DAMAGED = "EXT4-fs error (device sdb1): ext4_lookup:1858: inode #12: comm a: iget: bogus i_mode (0)"
MADE_READ_ONLY = "EXT4-fs (sdb1): Remounting filesystem read-only"
HUNG = "INFO: task a:100 blocked for more than 120 seconds."
FROZEN = (
    "Call Trace:",
    " <TASK>",
    " __schedule+0x34d/0x9e0",
    " percpu_rwsem_wait+0x112/0x130",
    " mnt_want_write+0x3f/0x90",
)
KILLED = "MCE: Killing a:100 due to hardware memory corruption fault at 7f2a1c000000"
MOUNTS = {
    "mounts": [
        {"point": "/", "source": "/dev/sda1", "type": "ext4", "options": "rw"},
        {"point": "/srv/a", "source": "/dev/sdb1", "type": "ext4", "options": "rw"},
        {"point": "/srv/lv", "source": "/dev/mapper/vg-a", "type": "xfs", "options": "rw",
         "disks": ["dm-3", "sdc1", "sdc"]},
    ]
}  # fmt: skip
OWN = {"ExecStart": command(PROGRAM, "/srv/a/data")}


def kernel(*lines: str, said: str = "read /srv/a/data: Input/output error", **how: object) -> Case:
    """What the kernel wrote, and what the program did."""
    text = "".join(f"2026-11-27T22:14:57.087312+00:00 {line}\n" for line in lines).encode()
    how = {"system": MOUNTS, "main": process(100)} | how
    return case(said, items={"kernel/kernel.txt": text}, **how)  # type: ignore[arg-type]


SURE: tuple[tuple[str, Case, str], ...] = (
    ("disk", kernel(SECTOR), "the disk sdb, on which /srv/a is, has I/O errors (sector 89826)"),
    ("disk", kernel(SECTOR, said="database disk image is malformed (11)", show=OWN),
     "the disk sdb, on which /srv/a is, has I/O errors (sector 89826)"),
    ("disk", kernel(SECTOR, said="File a/data shrank by 7 bytes", show={"WorkingDirectory": "/srv"}),
     "the disk sdb, on which /srv/a is, has I/O errors (sector 89826)"),
    ("disk", kernel("Buffer I/O error on dev dm-3, logical block 0", said="/srv/lv/x: bad checksum"),
     "the disk dm-3, on which /srv/lv is, has I/O errors"),
    ("disk", kernel(SECTOR.replace("sdb", "sdc"), said="/srv/lv/x: unexpected end of file"),
     "the disk sdc, on which /srv/lv is, has I/O errors (sector 89826)"),
    ("disk", kernel(SECTOR.replace("sdb", "sda"), said="/etc/a: Input/output error"),
     "the disk sda, on which / is, has I/O errors (sector 89826)"),
    ("file-system", kernel(DAMAGED, said="open /srv/a/x: Structure needs cleaning"),
     "the ext4 file system on sdb1 (/srv/a) is damaged"),
    ("file-system", kernel(DAMAGED, MADE_READ_ONLY, said="open /srv/a/x: Read-only file system"),
     "the ext4 file system on sdb1 (/srv/a) is damaged, and the kernel has made it read-only"),
    ("file-system", kernel(DAMAGED, MADE_READ_ONLY.replace("sdb1", "sda1"), said="/srv/a/x: Input/output error"),
     "the ext4 file system on sdb1 (/srv/a) is damaged"),
    ("file-system", kernel("XFS (dm-3): Metadata corruption detected at xfs_agf_verify+0x1",
                           said="write /srv/lv/x: Input/output error"),
     "the xfs file system on dm-3 (/srv/lv) is damaged"),
    ("hang", kernel(HUNG, HUNG.replace("120", "241"), said=""),
     "a (pid 100) hung in the kernel for more than 241 s"),
    ("hang", kernel(HUNG, *FROZEN, said=""),
     "a (pid 100) hung in the kernel for more than 120 s: it waited for a file system that is frozen, to write to it (fsfreeze)"),
    ("hang", kernel(HUNG, " io_schedule+0x46/0x80", said=""),
     "a (pid 100) hung in the kernel for more than 120 s: it waited for a disk that does not answer"),
    ("hang", kernel(HUNG, " rpc_wait_bit_killable+0x11/0x70", " nfs4_proc_open+0x5", said=""),
     "a (pid 100) hung in the kernel for more than 120 s: it waited for an NFS server that does not answer"),
    ("hardware", kernel(KILLED, said=""),
     "memory of a (pid 100) is corrupt, by the report of the hardware: the kernel killed it (SIGBUS)"),
)  # fmt: skip

# Of somebody else, or not what the program died of.
UNSURE: tuple[tuple[str, Case], ...] = (
    ("disk", kernel(SECTOR, said="read /home/a: Input/output error")),
    ("disk", kernel(SECTOR, said="nothing to do")),
    ("disk", kernel(SECTOR.replace("sdb", "sd"), said="/srv/a/x: Input/output error")),
    ("disk", kernel(SECTOR, said=PORT, show=OWN)),
    ("file-system", kernel(DAMAGED, said="open /etc/a: Read-only file system")),
    ("file-system", kernel(DAMAGED, said=PORT, show=OWN)),
    ("hang", kernel(HUNG.replace("a:100", "backup:77"), *FROZEN, said="gave up")),
    ("hang", kernel(HUNG.replace("a:100", "a:77"), *FROZEN, said="gave up")),
    ("hardware", kernel("mce: [Hardware Error]: Machine check events logged", said="gave up")),
)

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("disk", kernel("operation not supported error, dev sdb, sector 8 op 0x3:(DISCARD)")),
    ("disk", kernel("sd 0:0:0:0: [sdb] Attached SCSI disk")),
    ("file-system", kernel("EXT4-fs (sdb1): mounted filesystem with ordered data mode")),
    ("file-system", kernel(MADE_READ_ONLY)),
    ("hang", kernel("task a:100 ran for more than 120 seconds")),
    ("hardware", kernel(KILLED.replace("a:100", "backup:77"), said="gave up")),
    ("hardware", kernel(KILLED.replace("a:100", "a:77"), said="gave up")),
    (
        "file-system",
        kernel(
            "FAT-fs (sdb1): Volume was not properly unmounted. Some data may be corrupt. Please run fsck.",
            show=OWN,
        ),
    ),
    ("hardware", kernel("mce: CPU0: Thermal monitoring enabled")),
)


@pytest.mark.parametrize(("cause", "one", "said"), SURE)
def test_what_is_the_units_own(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said
    assert found(one)[cause].confidence >= SEEN


@pytest.mark.parametrize(("cause", "one", "said"), SURE)
def test_it_is_the_verdict_with_the_kernels_line_as_proof(cause: str, one: Case, said: str) -> None:
    verdict = judge(one)
    assert verdict.cause == cause
    assert said in verdict.summary
    assert verdict.evidence[0].ref == "kernel/kernel.txt"


@pytest.mark.parametrize(("cause", "one"), UNSURE)
def test_what_is_not_surely_the_units(cause: str, one: Case) -> None:
    finding = found(one)[cause]
    assert finding.confidence <= LIKELY + 0.1
    assert "on which /srv/a is" not in finding.sentence or judge(one).cause != cause


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None


def test_each_of_several_disks() -> None:
    one = kernel(SECTOR, SECTOR.replace("sdb", "sda"), SECTOR)
    sentences = [each.summary for each in judge(one).others if each.cause == "disk"]
    assert "/srv/a" in judge(one).summary
    assert any("the disk sda has I/O errors" in each for each in sentences)


def test_the_trace_of_another_task_is_not_its_own() -> None:
    one = kernel(HUNG, HUNG.replace("a:100", "b:7"), *FROZEN, said="")
    assert "frozen" not in (what(one, "hang") or "frozen")


@pytest.mark.parametrize(
    ("source", "device", "is_there"),
    [
        ("/dev/sdb1", "sdb1", True),
        ("/dev/sdb1", "sdb", True),
        ("/dev/sdb11", "sdb1", False),
        ("/dev/sdb", "sdb1", False),
        ("/dev/nvme0n1p2", "nvme0n1", True),
        ("/dev/nvme0n12", "nvme0n1", False),
        ("/dev/mapper/p1", "sdb", False),
        ("tmpfs", "sdb", False),
    ],
)
def test_which_disk_a_source_is_on(source: str, device: str, *, is_there: bool) -> None:
    """Of a bundle that does not say it: by the names that the kernel gives to partitions."""
    assert Mount("/srv", "ext4", "rw", None, None, None, None, source).lies_on(device) is is_there


def test_another_service_of_the_same_program_that_hung_is_not_the_cause() -> None:
    one = kernel(HUNG.replace("a:100", "a:77"), said=PORT)
    assert judge(one).cause == "port-taken"
