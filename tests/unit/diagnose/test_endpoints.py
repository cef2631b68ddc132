# SPDX-License-Identifier: MIT
"""Hosts, addresses, interfaces and ports that a program was told to use and does not name."""

import pytest

from failhook.diagnose.endpoints import endpoints_of, hosts_in
from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import case, command, found, judge, what

CONFIGURATION = """\
# listen 203.0.113.9
listen_addresses:
  - 192.0.2.53
  - "0::1"
server: ntp.example.net   # and no other
interface = ens18
path = /etc/a.conf.d/x.service
upstream dns = 198.51.100.7, port 8053
started 21:49:37
server_password = 12345
SERVER_TOKEN: db.example.org
"""
LINKS = {"links": [{"name": "lo"}, {"name": "eth0"}], "listening": []}
OWN = ("127.0.0.1", "::1", "192.0.2.1")


def test_of_a_configuration() -> None:
    assert list(endpoints_of(CONFIGURATION)) == [
        (3, "192.0.2.53", True),
        (4, "0::1", True),
        (5, "ntp.example.net", False),
        (6, "ens18", False),
        (8, "198.51.100.7", False),
        (8, "8053", False),
    ]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("fetch https://mirror.example/x/y.tar.gz", ["mirror.example"]),
        ("ana@imap.example.org:993", ["imap.example.org"]),
        ("read a.conf, main.go and x.service", []),
        ("version 1.2.3", []),
        ("self.connect() failed", []),
    ],
)
def test_hosts_in_a_line(text: str, hosts: list[str]) -> None:
    assert hosts_in(text) == hosts


def _facts(**named: str) -> Facts:
    endpoints = {name.replace("_", "."): f"/etc/a.conf:{place}" for name, place in named.items()}
    return Facts(at=1.0, endpoints=endpoints, addresses=OWN)


def test_an_address_of_the_configuration() -> None:
    facts = Facts(
        addresses=OWN,
        endpoints={"192.0.2.9": "/etc/a.conf:3", "198.51.100.7": "/etc/a.conf:5"},
        listens=("192.0.2.9",),
    )
    said = judge(case("bind: Cannot assign requested address. Terminating.", facts=facts)).summary
    assert "it is told to use 192.0.2.9 (/etc/a.conf line 3), which is not of this machine" in said


def test_an_address_that_is_here_is_not_blamed() -> None:
    facts = Facts(addresses=OWN, endpoints={"192.0.2.1": "/etc/a.conf:3"}, listens=("192.0.2.1",))
    said = judge(case("bind: Cannot assign requested address", facts=facts)).summary
    assert "192.0.2.1" not in said


def test_a_program_that_does_not_say_so_at_all() -> None:
    facts = Facts(addresses=OWN, endpoints={"192.0.2.9": "/etc/a.conf:3"}, listens=("192.0.2.9",))
    script = "/etc/init.d/a: start failed with error code 102"
    said = judge(case(script, facts=facts)).summary
    assert "told to listen on 192.0.2.9 (/etc/a.conf line 3)" in said
    other = case("cannot open '/srv/x': Is a directory", facts=facts)
    assert "address-not-here" not in found(other)
    assert "address-not-here" not in found(case(script, facts=facts, exit_status="0"))


NONE = "pcap_activate: No such device exists"
UNNAMED = "Unable to get hardware info about an interface: No such device"
ETH1 = {"ExecStart": command("/usr/sbin/a", "--interface=eth1")}


@pytest.mark.parametrize(
    ("line", "show", "facts", "which"),
    [
        (NONE, {}, {"ens18": "1"}, "the network interface ens18 (/etc/a.conf line 1)"),
        (UNNAMED, ETH1, {}, "the network interface eth1 (ExecStart=)"),
        ("interface eth7 not found", {}, {"ens18": "1"}, "the network interface eth7"),
        (NONE, {}, {"eth0": "1"}, "a network interface"),
    ],
)
def test_interfaces(line: str, show: dict[str, str], facts: dict[str, str], which: str) -> None:
    said = what(case(line, show=show, facts=_facts(**facts), system=LINKS), "interface-missing")
    assert said is not None
    assert said.startswith(f"{which} does not exist")


@pytest.mark.parametrize(
    "lines",
    [
        ("Error: Unknown device type.", "Unable to access interface: No such device"),
        ("/dev/ttyUSB0: No such device",),
    ],
)
def test_an_interface_that_is_not_at_fault(lines: tuple[str, ...]) -> None:
    assert "interface-missing" not in found(case(*lines, system=LINKS))


def test_the_host_of_the_line_before() -> None:
    lines = ("ana@imap.example:993: all messages", "operation error (Name or service not known)")
    said = judge(case(*lines)).summary
    assert "the host name imap.example cannot be resolved" in said


def test_the_host_of_the_command_line() -> None:
    show = {"ExecStart": command("/usr/bin/a", "-c", "branch.example", "-p", "5202")}
    said = what(case("unable to connect: Connection refused", show=show), "connection-refused")
    assert said is not None
    assert said.startswith("the server branch.example (ExecStart=) refused the connection")
    many = {"ExecStart": command("/usr/bin/a", *(f"h{number}.example" for number in range(5)))}
    said = what(case("unable to connect: Connection refused", show=many), "connection-refused")
    assert said is not None
    assert "example" not in said


def test_the_port_of_the_configuration() -> None:
    holder = {"protocol": "udp", "address": "0.0.0.0", "port": 2055, "pid": 9, "program": "other",
              "unit": "other.service"}  # fmt: skip
    system = {"listening": [holder]}
    line = "could not open the socket: Address already in use"
    said = what(case(line, system=system, facts=_facts(**{"2055": "1"})), "port-taken")
    assert said is not None
    assert said.startswith("port 2055 (0.0.0.0) is already held by other")
    said = what(case(line, system=system, facts=_facts(**{"2056": "1"})), "port-taken")
    assert said is not None
    assert "other.service" not in said or "unclear" in said


def test_a_name_that_nobody_can_resolve() -> None:
    line = "Could not connect to dyn.example.net"
    facts = Facts(at=1.0, hosts={"dyn.example.net": False})
    assert "name-unresolved" in found(case(line, facts=facts))
    known = Facts(at=1.0, hosts={"dyn.example.net": True})
    served = Facts(at=1.0, hosts={"dyn.example.net": False}, name_servers=("127.0.0.53",))
    for other in (known, served, Facts(hosts={"dyn.example.net": False})):
        assert "name-unresolved" not in found(case(line, facts=other))
