# SPDX-License-Identifier: MIT
"""Disks, network and HTTP, each where it is well and where it is not."""

import socket
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from failhook.boot.check import disk, http, network
from failhook.boot.check.probe import Found, Probe
from failhook.config.model import Amount, BootChecks, DiskCheck, HttpCheck, NetworkCheck
from tests.unit.collect.bench import Programs


def _only(probes: Iterable[Probe], limit_s: float = 0.2) -> Found:
    (probe,) = probes
    return probe.look(limit_s)


# -- disk -----------------------------------------------------------------------------------------

# 100 blocks of 1 MiB, 20 free, 10 of them for users; 1000 inodes, 30 free.
STAT = "echo 1048576 100 20 10 1000 30"


def _disk(programs: Programs, free: Amount | None = None, inodes: Amount | None = None) -> Found:
    programs.add("stat", STAT)
    checks = BootChecks(disk=(DiskCheck("/data", free, inodes),))
    return _only(disk.probes(checks), 20)


@pytest.mark.parametrize(
    ("free", "inodes"),
    [
        (Amount(percent=11.0), None),  # 10 of the 90 that users can have are 11.1 %
        (Amount(count=10 << 20), None),
        (None, Amount(percent=3.0)),
        (None, Amount(count=30)),
    ],
)
def test_enough_is_free(programs: Programs, free: Amount | None, inodes: Amount | None) -> None:
    found = _disk(programs, free, inodes)
    assert (found.ok, found.detail) == (True, "/data has 10 MiB free")


@pytest.mark.parametrize(
    ("free", "inodes", "detail"),
    [
        (Amount(percent=11.2), None, "/data has 11.1% (10 MiB) free, less than 11.2%"),
        (Amount(count=(10 << 20) + 1), None, "/data has 10 MiB free, less than 10 MiB"),
        (Amount(count=5 << 30), None, "/data has 10 MiB free, less than 5.0 GiB"),
        (None, Amount(percent=3.1), "/data has 30 inodes (3.0%) free, less than 3.1%"),
        (None, Amount(count=31), "/data has 30 inodes (3.0%) free, less than 31"),
    ],
)
def test_too_little_is_free(
    programs: Programs, free: Amount | None, inodes: Amount | None, detail: str
) -> None:
    found = _disk(programs, free, inodes)
    assert (found.ok, found.detail) == (False, detail)


def test_a_file_system_without_inodes_to_count(programs: Programs) -> None:
    programs.add("stat", "echo 4096 100 20 10 0 0")
    checks = BootChecks(disk=(DiskCheck("/data", None, Amount(percent=50.0)),))
    assert _only(disk.probes(checks), 20).ok


def test_the_real_stat_is_understood(tmp_path: Path) -> None:
    checks = BootChecks(disk=(DiskCheck(str(tmp_path), Amount(count=1)),))
    assert _only(disk.probes(checks), 20).ok


def test_a_path_that_is_not_there() -> None:
    checks = BootChecks(disk=(DiskCheck("/nowhere/at/all", Amount(count=1)),))
    found = _only(disk.probes(checks), 20)
    assert not found.ok
    assert found.detail.startswith("/nowhere/at/all cannot be looked at: ")
    assert "No such file" in found.detail


def test_a_file_system_that_does_not_answer(programs: Programs) -> None:
    programs.add("stat", "exec sleep 60")
    checks = BootChecks(disk=(DiskCheck("/data", Amount(count=1)),))
    found = _only(disk.probes(checks))
    assert found.detail == "/data: its file system did not answer within 0.2 s"


# -- network --------------------------------------------------------------------------------------

ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
{0}"""
DEFAULT = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
ON_LINK = "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
UNREACHABLE = "lo\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
ZERO = "0" * 32
DEFAULT_6 = f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 400 1 0 00000003 eth0\n"
REJECT_6 = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 1 0 00200200 lo\n"
TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- {0}
        /32 host LOCAL
     |-- 192.168.2.255
        /32 link BROADCAST
"""
GLOBAL_6 = "20010db8000000000000000000000001 02 40 00 80     eth0\n"
LINK_6 = "fe800000000000000000000000000001 02 40 20 80     eth0\n"
LOOPBACK_6 = "00000000000000000000000000000001 01 80 10 80       lo\n"
Net = Callable[..., Path]


@pytest.fixture
def net(tmp_path: Path) -> Net:
    """A root with these files in proc/net."""

    def net(**files: str) -> Path:
        directory = tmp_path / "proc/net"
        directory.mkdir(parents=True)
        for name, text in files.items():
            (directory / name).write_text(text)
        return tmp_path

    return net


@pytest.mark.parametrize(
    "files",
    [{"route": ROUTE.format(ON_LINK + DEFAULT)}, {"ipv6_route": REJECT_6 + DEFAULT_6}],
)
def test_there_is_a_default_route(net: Net, files: dict[str, str]) -> None:
    checks = BootChecks(network=NetworkCheck(route=True))
    assert _only(network.probes(checks, net(**files))).ok


@pytest.mark.parametrize(
    "files",
    [{}, {"route": ROUTE.format(ON_LINK + UNREACHABLE), "ipv6_route": REJECT_6}],
)
def test_there_is_no_default_route(net: Net, files: dict[str, str]) -> None:
    checks = BootChecks(network=NetworkCheck(route=True))
    found = _only(network.probes(checks, net(**files)))
    assert (found.ok, found.detail) == (False, "there is no default route")


@pytest.mark.parametrize(
    ("files", "ok"),
    [
        ({"fib_trie": TRIE.format("192.168.2.7")}, True),
        ({"if_inet6": LOOPBACK_6 + GLOBAL_6}, True),
        ({"fib_trie": TRIE.format("169.254.3.4"), "if_inet6": LOOPBACK_6 + LINK_6}, False),
        ({}, False),
    ],
)
def test_an_address_that_others_can_reach(net: Net, files: dict[str, str], ok: bool) -> None:
    checks = BootChecks(network=NetworkCheck(address=True))
    assert _only(network.probes(checks, net(**files))).ok is ok


def test_a_name_that_resolves(programs: Programs) -> None:
    programs.add("getent", "echo '192.0.2.1      STREAM a.example'")
    checks = BootChecks(network=NetworkCheck(resolve=("a.example",)))
    found = _only(network.probes(checks), 20)
    assert (found.ok, found.detail) == (True, "a.example is 192.0.2.1")


@pytest.mark.parametrize("body", ["exit 2", "exec sleep 60"])
def test_a_name_that_does_not(programs: Programs, body: str) -> None:
    programs.add("getent", body)
    checks = BootChecks(network=NetworkCheck(resolve=("a.example",)))
    found = _only(network.probes(checks))
    assert not found.ok
    assert found.detail.startswith("the name a.example does not resolve")


# -- HTTP -----------------------------------------------------------------------------------------


class _Health(BaseHTTPRequestHandler):
    """/204 answers so; /later with 503 once, then with 200."""

    asked = 0

    def do_GET(self) -> None:
        status = self.path[1:]
        if status == "later":
            type(self).asked += 1
            status = "503" if self.asked == 1 else "200"
        self.send_response(int(status))
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"not well\n")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterable[str]:
    """The address of a server."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Health)
    Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize(
    ("path", "status", "ok"),
    [("200", None, True), ("302", None, True), ("404", None, False),
     ("404", 404, True), ("200", 201, False)],
)  # fmt: skip
def test_the_status_counts(server: str, path: str, status: int | None, ok: bool) -> None:
    url = f"{server}/{path}"
    found = _only(http.probes(BootChecks(http=(HttpCheck(url, status),))), 1.0)
    assert (found.ok, found.detail) == (ok, f"{url} answers with status {path}")
    assert found.output == ("" if ok else "not well\n")


def test_it_is_asked_until_it_is_well(server: str) -> None:
    _Health.asked = 0
    found = _only(http.probes(BootChecks(http=(HttpCheck(f"{server}/later"),))), 20)
    assert found.ok
    assert _Health.asked == 2


def test_nobody_listens(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}/"
    found = _only(http.probes(BootChecks(http=(HttpCheck(url),))))
    assert not found.ok
    assert found.detail.startswith(f"{url}: ")
    assert "refused" in found.detail


@pytest.fixture
def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
