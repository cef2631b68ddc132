# SPDX-License-Identifier: MIT
"""The machine's tables: mounts, sockets, addresses."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import mounts, network, sock_diag, sockets, system
from failhook.collect.system import COLLECTOR
from tests.unit.collect.bench import BASE, Programs, context, run

MOUNTINFO = """22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:30 / /mnt/a\\040b ro,nosuid - tmpfs tmpfs rw,size=4k
31 27 0:31 / /net rw - nfs4 nas:/x rw,vers=4.2
32 27 0:32 / /covered rw - ext4 /dev/old rw
33 27 0:33 / /covered rw - xfs /dev/new rw
34 27 0:34 / /home/x/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw
35 27 0:35 / /auto rw - autofs systemd-1 rw,fd=50
not a line of it
"""
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000002 00:00000000 00000000   105        0 {inode} 1 0
   1: 0100007F:1538 0100007F:9999 01 00000000:00000000 00:00000000 00000000   105        0 778 1 0
   2: broken
"""  # noqa: E501
UDP6 = """  sl  local_address                         remote_address                        st tx rx
   1: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 5 1
"""  # noqa: E501
_NETLINK_SOCK_DIAG = 4  # sock_diag(7)
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t00000000\t0100000A\t0000\t0\t0\t0\t00000000\t0\t0\t0
"""
ROUTES6 = """fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001 lo
"""  # noqa: E501


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_mounts_what_may_hang_apart(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    local, remote = mounts.read((tmp_path / "none", table))
    assert [(each.point, each.source, each.type) for each in local] == [
        ("/", "/dev/vda", "ext4"),
        ("/mnt/a b", "tmpfs", "tmpfs"),
        ("/covered", "/dev/new", "xfs"),
    ]
    assert local[1].options == "ro,nosuid,rw,size=4k"
    assert [each.point for each in remote] == ["/net", "/home/x/gvfs"]
    assert mounts.read((tmp_path / "none",)) == ([], [])


def test_space_and_inodes() -> None:
    root = mounts.measure(mounts.Mount("/", "x", "ext4", "rw"))
    state = os.statvfs("/")
    assert root.bytes == state.f_blocks * state.f_frsize
    missing = mounts.Mount("/no/such/place", "x", "ext4", "rw")
    assert mounts.measure(missing) == missing
    full = replace(root, bytes=1000, used=990, free=10, inodes=10, inodes_free=0)
    line = mounts.text([full]).splitlines()[1]
    assert line.split()[3:10] == ["1000", "990", "10", "99%", "10", "0", "100%"]


def test_the_disks_below_a_mount(tmp_path: Path) -> None:
    """As sysfs has a logical volume on a partition: slaves/ and the partition's parent."""
    disk, volume = tmp_path / "devices/sda", tmp_path / "devices/dm-0"
    for place in (disk / "sda3", volume / "slaves"):
        place.mkdir(parents=True)
    for place in (disk, disk / "sda3", volume):
        (place / "dev").touch()
    (disk / "sda3" / "partition").touch()
    (volume / "slaves" / "sda3").symlink_to(disk / "sda3")
    block = tmp_path / "block"
    block.mkdir()
    (block / "252:0").symlink_to(volume)
    assert mounts.disks("252:0", block) == ("dm-0", "sda3", "sda")
    assert mounts.disks("0:35", block) == ()
    assert mounts.disks("", block) == ()


def test_what_is_measured_knows_its_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "disks", lambda device: (f"of {device}",))
    (line,) = (line for line in MOUNTINFO.splitlines() if line.startswith("27 "))
    mount = mounts.parse(line)
    assert mount is not None
    assert mounts.to_json(mounts.measure(mount))["disks"] == ["of 254:0"]


def test_disks_that_lie_on_each_other_without_end(tmp_path: Path) -> None:
    volume = tmp_path / "dm-0"
    (volume / "slaves").mkdir(parents=True)
    (volume / "dev").touch()
    (volume / "slaves" / "dm-0").symlink_to(volume)
    assert mounts.disks("dm-0", tmp_path) == ("dm-0",)


def test_listeners_from_proc_with_owners(tmp_path: Path, listener: socket.socket) -> None:
    inode = os.fstat(listener.fileno()).st_ino
    (tmp_path / "tcp").write_text(TCP.format(inode=inode))
    (tmp_path / "udp6").write_text(UDP6)
    first, second = sockets.with_owners(sockets.listeners(tmp_path))
    assert (first.protocol, first.address, first.port) == ("tcp", "127.0.0.1", 5432)
    assert (first.queue, first.uid, first.pid) == (2, 105, os.getpid())
    assert first.program == Path("/proc/self/comm").read_text().strip()
    assert (second.protocol, second.address, second.port, second.pid) == ("udp6", "::1", 53, None)
    assert sockets.text([first, second]).splitlines()[1].startswith("udp6   ::1")


def _needs_sock_diag() -> None:
    """Asks for the kernel's part alone: an error of ours in what follows is a failure, no skip."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG).close()
    except OSError as error:
        pytest.skip(f"no sock_diag here: {error}")


def test_listeners_by_netlink(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    _needs_sock_diag()
    found = sock_diag.listening_tcp(socket.AF_INET)
    (mine,) = [one for one in found if one.port == port]
    assert mine.inode == os.fstat(listener.fileno()).st_ino
    assert mine.address == b"\x7f\0\0\1"
    assert [one.pid for one in sockets.with_owners(sockets.listeners()) if one.port == port] == [
        os.getpid()
    ]


def test_ipv6_by_netlink() -> None:
    _needs_sock_diag()
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server:
        found = sock_diag.listening_tcp(socket.AF_INET6)
        port = server.getsockname()[1]
    (mine,) = [one for one in found if one.port == port]
    assert socket.inet_ntop(socket.AF_INET6, mine.address) == "::1"


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", "a.scope"),
        ("0::/system.slice/docker-1.scope/inner", "docker-1.scope"),
        ("12:pids:/x.service\n1:name=systemd:/system.slice/y.service\n0::/", "y.service"),
        ("0::/init.scope", "init.scope"),
        ("0::/", None),
        (None, None),
    ],
)
def test_the_unit_of_a_process(cgroup: str | None, unit: str | None) -> None:
    assert sockets.unit_of(cgroup) == unit


def test_routes(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    (tmp_path / "ipv6_route").write_text(ROUTES6)
    assert network.routes(tmp_path) == [
        ("default", "10.0.0.1", "eth0", 100),
        ("10.0.0.0/24", "-", "eth0", 0),
        ("fe80::/64", "-", "eth0", 256),
        ("default", "fe80::1", "eth0", 1024),
    ]
    assert network.routes(tmp_path / "none") == []


def test_links_have_addresses() -> None:
    lo = next(link for link in network.links() if link["name"] == "lo")
    assert "127.0.0.1/8" in network._list(lo["addresses"])
    assert "127.0.0.1/8" in network.text([lo], [("default", "10.0.0.1", "eth0", 1)])


def test_everything(programs: Programs) -> None:
    programs.add("systemctl", "echo 'systemd 257 (257.13)'; echo +PAM")
    gave = run(COLLECTOR, context())
    facts = json.loads(gave.text("system/system.json"))
    assert facts["systemd"] == "systemd 257 (257.13)"
    assert facts["memory"]["MemTotal"] > 1 << 20
    assert any(mount["point"] == "/" and mount["bytes"] for mount in facts["mounts"])
    assert set(facts) >= {"load", "pressure", "uptime_s", "kernel", "links", "listening", "python"}
    assert "systemd 257 (257.13)" in gave.text("system/summary.txt")
    assert list(gave.items)[:5] == [
        "system/summary.txt",
        "system/mounts.txt",
        "system/network.txt",
        "system/listening.txt",
        "system/system.json",
    ]
    assert gave.problems == []


def test_remote_mounts_come_last(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = mounts.Mount("/proc/../net x", "nas:/x", "nfs4", "rw")
    monkeypatch.setattr(mounts, "read", lambda: ([], [remote]))
    gave = run(COLLECTOR, context(replace(BASE, boot_id="0" * 32)))
    assert list(gave.items)[-1] == "system/remote_proc_.._net_x.txt"
    assert "/proc/../net x" in gave.text("system/mounts.txt")
    assert len(gave.problems) == 1


def test_a_clock_nobody_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert system._synchronised() in (True, False, None)
