# SPDX-License-Identifier: MIT
"""Ports, addresses, peers, names and certificates: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

from typing import Any

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import CertificateFact, Facts
from failhook.diagnose.ports import ports_in
from tests.unit import samples
from tests.unit.diagnose.cases import UID, case, command, judge, what

GRAFANA = {
    "protocol": "tcp6", "address": "::", "port": 3000, "pid": 812, "program": "grafana",
    "unit": "grafana-server.service",
}  # fmt: skip
HELD = {"listening": [GRAFANA], "mounts": []}
NOBODY: dict[str, Any] = {"listening": [], "mounts": []}
EXPIRED = Facts(
    at=samples.AT,
    certificates={"/etc/ssl/a.pem": CertificateFact(samples.AT - 9e6, samples.AT - 86400)},
)
VALID = Facts(
    at=samples.AT,
    certificates={"/etc/ssl/a.pem": CertificateFact(samples.AT - 9e6, samples.AT + 86400)},
)
HOSTS = Facts(hosts={"db.example.org": False}, name_servers=("192.0.2.53",))
HERE = Facts(addresses=("127.0.0.1", "192.0.2.7"))
ITS_USER = Facts(names={UID: "a"}, users={"a": UID})
AS_USER = {"_UID": str(UID)}

FOUND: tuple[tuple[str, Case, str], ...] = (
    ("port-taken", case("listen tcp :3000: bind: address already in use", system=HELD), 'port 3000 (::) is already held by grafana (pid 812, grafana-server.service)'),
    ("port-taken", case("bind() to 0.0.0.0:80 failed (98: Address already in use)"), 'port 80 was already in use: “bind() to 0.0.0.0:80 failed (98: Address already in use)”'),
    ("port-taken", case("{acceptor,{0,0,0,0},5672} failed: eaddrinuse"), 'port 5672 was already in use: “{acceptor,{0,0,0,0},5672} failed: eaddrinuse”'),
    ("port-taken", case("Error: listen EADDRINUSE: address already in use :::3000", system=HELD), 'port 3000 (::) is already held by grafana (pid 812, grafana-server.service)'),
    ("port-taken", case("bind: Address already in use", system=HELD, show={"ExecStart": command("/usr/sbin/a", "--port", "3000")}), 'port 3000 (::) is already held by grafana (pid 812, grafana-server.service)'),
    ("port-taken", case("Address already in use: /run/a.sock"), 'the socket /run/a.sock exists already, left over by an earlier run or held by another process: “Address already in use: /run/a.sock”'),
    ("port-taken", case("cannot bind", "Address already in use", system=HELD), 'an address was already in use, it is unclear which (others listen on 3000: grafana (pid 812, grafana-server.service)): “Address already in use”'),
    ("port-taken", case("<frozen os>:1031: a warning", "Address already in use", system=NOBODY), "an address was already in use: “Address already in use”"),
    ("port-taken", case("listening at :3000", "Address already in use", system=HELD), "port 3000 (::) is already held by grafana (pid 812, grafana-server.service)"),
    ("key-mismatch", case("Certificate and private key a:443:0 from /etc/a.pem and /etc/a.key do not match"), "a private key does not belong to its certificate: “Certificate and private key a:443:0 from /etc/a.pem and /etc/a.key do not match”"),
    ("port-taken", case("Couldn't listen on 0.0.0.0:3000", system=HELD), "port 3000 (::) is already held by grafana (pid 812, grafana-server.service)"),
    ("port-taken", case("Error opening specified endpoint 'tcp6:3000'", system=HELD), "port 3000 (::) is already held by grafana (pid 812, grafana-server.service)"),
    ("port-taken", case("bind 0.0.0.0/3000: Address already in use", system=HELD), "port 3000 (::) is already held by grafana (pid 812, grafana-server.service)"),
    ("address-not-here", case("listen tcp 192.0.2.9:80: bind: cannot assign requested address", facts=HERE), "the address 192.0.2.9 is not one of this machine's: “listen tcp 192.0.2.9:80: bind: cannot assign requested address”"),
    ("address-not-here", case("bind(): Cannot assign requested address"), 'an address that it is to listen on is not one of this machine: “bind(): Cannot assign requested address”'),
    ("sandbox", case("connect to 192.0.2.1:6379: Connection timed out", show={"IPAddressDeny": "::/0 0.0.0.0/0", "IPAddressAllow": "127.0.0.0/8"}), "IPAddressDeny=::/0 0.0.0.0/0 drops what it sends to 192.0.2.1, as it seems: “connect to 192.0.2.1:6379: Connection timed out”"),
    ("sandbox", case("TimeoutError: timed out", show={"IPAddressDeny": "::/0 0.0.0.0/0"}), "IPAddressDeny=::/0 0.0.0.0/0 drops what it sends, as it seems: “TimeoutError: timed out”"),
    ("privileged-port", case(*({"MESSAGE": line} | AS_USER for line in ("    self.socket.bind(self.server_address)", "PermissionError: [Errno 13] Permission denied")), facts=ITS_USER, show={"ExecStart": command("/usr/bin/python3", "-m", "http.server", "81"), "UID": str(UID)}), "a may not bind port 81: ports below 1024 need CAP_NET_BIND_SERVICE"),
    ("privileged-port", case({"MESSAGE": "listen tcp :80: bind: permission denied"} | AS_USER, facts=ITS_USER), "a may not bind port 80: ports below 1024 need CAP_NET_BIND_SERVICE"),
    ("connection-refused", case("dial tcp 127.0.0.1:5432: connect: connection refused", system=NOBODY), 'the connection to 127.0.0.1 port 5432 was refused, nobody listens there: “dial tcp 127.0.0.1:5432: connect: connection refused”'),
    ("connection-refused", case("dial tcp 192.0.2.9:5432: connect: connection refused", system=NOBODY), 'the connection to 192.0.2.9 port 5432 was refused: “dial tcp 192.0.2.9:5432: connect: connection refused”'),
    ("connection-refused", case("[Errno 111] Connection refused"), 'a server that it needs refused the connection: “Connection refused”'),
    ("unreachable", case("connect to 192.0.2.9: No route to host"), 'a server that it needs cannot be reached: “connect to 192.0.2.9: No route to host”'),
    ("name-unresolved", case('could not translate host name "db.example.org" to address: Name or service not known', facts=HOSTS), 'the host name db.example.org cannot be resolved: “could not translate host name "db.example.org" to address: Name or service not known”'),
    ("name-unresolved", case("getaddrinfo failed", facts=HOSTS), 'a host name cannot be resolved: “getaddrinfo failed”'),
    ("certificate-expired", case("x509: certificate has expired", facts=EXPIRED), 'the certificate /etc/ssl/a.pem expired on 2026-11-20: “x509: certificate has expired”'),
    ("certificate-expired", case("x509: certificate has expired", facts=VALID), 'a certificate has expired: “x509: certificate has expired”'),
    ("certificate-not-trusted", case("Get https://a.example/: x509: certificate signed by unknown authority"), "a certificate is not trusted: “Get https://a.example/: x509: certificate signed by unknown authority”"),
    ("certificate-unreadable", case("/etc/a.pem: PEM routines:get_name:no start line"), "a certificate or key cannot be read: “/etc/a.pem: PEM routines:get_name:no start line”"),
    ("connection-refused", case("Could not connect to redis at 127.0.0.1:6379", system=NOBODY), "nobody listens on 127.0.0.1:6379: “Could not connect to redis at 127.0.0.1:6379”"),
    ("key-mismatch", case("tls: private key does not match public key"), 'a private key does not belong to its certificate: “tls: private key does not match public key”'),
    ("sandbox", case("socket: Address family not supported by protocol", show={"LoadState": "loaded", "RestrictAddressFamilies": ""}), 'RestrictAddressFamilies=none forbids the sockets that it needs: “socket: Address family not supported by protocol”'),
    ("address-not-here", case("OSError: [Errno 97] Address family not supported by protocol", show={"RestrictAddressFamilies": "~", "ExecStart": command("/usr/bin/python3", "-m", "http.server", "--bind", "::")}, facts=Facts(addresses=("127.0.0.1", "192.0.2.7"))), 'this machine has no IPv6, not even ::1, and the program asks for :: (ExecStart=): “OSError: [Errno 97] Address family not supported by protocol”'),
    ("address-not-here", case("socket() [::]:80 failed (97: Address family not supported by protocol)", show={"RestrictAddressFamilies": "~"}, facts=Facts(addresses=("127.0.0.1", "192.0.2.7"))), 'this machine has no IPv6, not even ::1, and the program asks for it: “socket() [::]:80 failed (97: Address family not supported by protocol)”'),
    ("sandbox", case("socket: Address family not supported by protocol", show={"RestrictAddressFamilies": "AF_UNIX"}), 'RestrictAddressFamilies=AF_UNIX forbids the sockets that it needs: “socket: Address family not supported by protocol”'),
    ("port-taken", case(manager=("a.service: Failed to create listening socket (0.0.0.0:3000): Address already in use",), system=HELD), 'port 3000 (::) is already held by grafana (pid 812, grafana-server.service)'),
    ("listen", case(manager=("a.service: Failed to listen on sockets: Address already in use",), show={"Listen": "/run/a.sock (Stream)"}), 'it cannot listen on /run/a.sock (Stream): Address already in use'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    (
        "sandbox",
        case(
            "socket: Address family not supported by protocol",
            show={"RestrictAddressFamilies": "~"},
        ),
    ),
    (
        "address-not-here",
        case(
            "socket: Address family not supported by protocol",
            facts=Facts(addresses=("127.0.0.1", "::1")),
        ),
    ),
    ("address-not-here", case("socket: Address family not supported by protocol")),  # nobody looked
    ("port-taken", case("lock file already in use by another process")),
    ("port-taken", case("listening on 0.0.0.0:3000", system=HELD)),
    ("port-taken", case("cannot connect to [::1]:3000: failed to bind", system=HELD)),
    ("port-taken", case("Couldn't listen on 0.0.0.0:3001", system=HELD)),
    ("port-taken", case("failed after 3000 requests", system=HELD)),
    ("port-taken", case("device is already in use")),
    ("address-not-here", case("assigned the requested address 192.0.2.9", facts=HERE)),
    ("privileged-port", case("listen tcp :80: bind: permission denied")),  # as root
    ("privileged-port", case({"MESSAGE": "listen tcp :8080: bind: permission denied"} | AS_USER)),
    (
        "privileged-port",
        case(
            {"MESSAGE": "listen tcp :80: bind: permission denied"} | AS_USER,
            facts=ITS_USER,
            show={"AmbientCapabilities": "cap_net_bind_service"},
        ),
    ),
    (
        "sandbox",
        case(
            "connect to 127.0.0.1:6379: Connection refused",
            show={"PrivateNetwork": "yes", "JoinsNamespaceOf": "b.service"},
        ),
    ),
    (
        "sandbox",
        case(
            "setgid(33) failed: Operation not permitted",
            show={"RestrictSUIDSGID": "yes", "NoNewPrivileges": "yes"},
        ),
    ),
    ("connection-refused", case("Connection Refused: not authorised.")),
    ("certificate-not-trusted", case("the authority of a is unknown")),
    ("certificate-unreadable", case("read 12 certificates of PEM files")),
    ("connection-refused", case("Could not connect to redis at 127.0.0.1:3000", system=HELD)),
    ("connection-refused", case("connecting to 127.0.0.1:6379", "no plan x", system=NOBODY)),
    ("connection-refused", case("user refused the connection terms")),
    ("unreachable", case("timeout is 30 s for connections")),
    ("name-unresolved", case("ModuleNotFoundError: No module named 'a'")),  # …eNOTFOUNDe…
    ("unreachable", case("connection timeout: 30 s")),
    ("unreachable", case("set connect timeout to 30")),
    ("name-unresolved", case("Could not resolve placeholder 'db.url' in value")),
    ("name-unresolved", case("Can't resolve './app.js' in '/srv'")),
    ("name-unresolved", case("the merge conflict was not resolved")),
    ("key-mismatch", case("the API key does not match")),
    ("key-mismatch", case("certificate host name mismatch")),
    ("name-unresolved", case("host db.example.org is up")),
    ("certificate-expired", case("the session of user a expired", facts=EXPIRED)),
    ("key-mismatch", case("keys and values of the map match")),
    ("sandbox", case("Address family not supported by protocol")),  # no such setting
    ("listen", case("Failed to listen on sockets: Address already in use")),  # not systemd's word
)


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("0.0.0.0:80", [80]),
        ("[::1]:443 and :8080", [443, 8080]),
        ("listen tcp :8080: bind: no", [8080]),
        ("address already in use :::3000", [3000]),
        ("port 25", [25]),
        ("port: 5432", [5432]),
        ("('0.0.0.0', 8000)", [8000]),
        ("{acceptor,{0,0,0,0},5672}", [5672]),
        ("127.0.0.1#53", [53]),
        ("main.py:12 and app.conf:7", []),
        ("12:30:59 at 2026-11-21T21:49:37", []),
        ("port 70000", []),
        ("a:1234:b", []),
    ],
)  # fmt: skip
def test_ports_of_a_line(text: str, ports: list[int]) -> None:
    assert ports_in(text) == ports


DATABASE = {
    "protocol": "tcp", "address": "0.0.0.0", "port": 5432, "pid": 9, "program": "postgres",
    "unit": "postgresql@15-main.service",
}  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "argv"),
    [
        (("connected to db:5432", "bind(): Address already in use"), ()),
        (("using postgres://127.0.0.1:5432/shop", "EADDRINUSE: address already in use"), ()),
        (("bind failed: Address already in use",), ("--db", "127.0.0.1:5432")),
        (("listening failed",), ("--database-port=5432",)),
        ((), ("--db-host", "localhost", "--db-port", "5432")),
        ((), ("https://127.0.0.1:5432/health",)),
    ],
)
def test_the_port_of_a_peer_is_not_the_one_to_listen_on(
    lines: tuple[str, ...], argv: tuple[str, ...]
) -> None:
    show = {"ExecStart": command("/usr/bin/app", *argv)}
    said = judge(case(*lines, show=show, system={"listening": [DATABASE]})).summary
    assert "already held" not in said
    assert "port 5432 " not in said


@pytest.mark.parametrize(
    ("lines", "argv"),
    [
        (("cannot listen on tcp://0.0.0.0:5432", "bind: Address already in use"), ()),
        (("to bind the database to port 5432", "Address already in use"), ()),
        (("bind: Address already in use",), ("--listen", "0.0.0.0:5432")),
        (("bind: Address already in use",), ("-c", "/etc/db/redis.conf", "--port", "5432")),
        ((), ("--db-path", "/var/lib/x", "--port", "5432")),
        ((), ("--http=https://:5432",)),
    ],
)
def test_the_port_that_it_is_to_listen_on(lines: tuple[str, ...], argv: tuple[str, ...]) -> None:
    show = {"ExecStart": command("/usr/bin/app", *argv)}
    said = judge(case(*lines, show=show, system={"listening": [DATABASE]})).summary
    assert "already held by postgres" in said


def test_a_client_that_says_nothing_wanted_no_port() -> None:
    for program, held in (("/usr/bin/psql", False), ("/usr/sbin/app", True)):
        show = {"ExecStart": command(program, "-p", "5432")}
        said = judge(case(show=show, system={"listening": [DATABASE]})).summary
        assert ("already held by postgres" in said) == held
