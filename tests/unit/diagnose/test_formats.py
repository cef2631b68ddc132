# SPDX-License-Identifier: MIT
"""Log formats of many libraries: what a line says, and how grave it calls itself.

Each row is a format as its library's documentation shows it, around the same few words.
"""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.level import Level
from failhook.diagnose.text import peel
from tests.unit.diagnose.cases import case, judge

E, W, F, T, U = Level.ERROR, Level.WARNING, Level.FATAL, Level.TALK, Level.UNKNOWN
FORMATS = [
    # logfmt (go-kit, logrus, slog's TextHandler, zap, log15)
    ("ts=2026-11-21T21:49:37.123Z caller=main.go:200 level=info component=tsdb", "ts=2026-11-21T21:49:37.123Z caller=main.go:200 level=info component=tsdb", T),
    ("ts=2026-11-21T21:49:37.123Z caller=main.go:200 level=info server=http addr=:90", "server=http addr=:90", T),
    ("level=fatal ts=2026 cause=\"no host\"", "no host", F),
    ("level=error cannot bind", "cannot bind", E),
    ("time=2026-11-21T21:49:37Z level=ERROR msg=\"cannot bind\" path=/srv/x err=\"no right\"", "cannot bind: no right: path /srv/x", E),
    ("t=2026-11-21T21:49:37+0000 lvl=eror msg=\"cannot bind\"", "cannot bind", E),
    ("level=high is what it says", "level=high is what it says", U),
    # JSON lines (zap, zerolog, bunyan, pino, Serilog, tracing, structlog, .NET, MongoDB)
    ('{"level":"error","ts":1.1,"msg":"cannot bind","error":"in use"}', "cannot bind: in use", E),
    ('{"ts":"2026","level":"error","event":"cannot bind"}', "cannot bind", E),
    ('{"@t":"2026","@mt":"cannot bind","@l":"Fatal"}', "cannot bind", F),
    ('{"LogLevel":"Error","Category":"Kestrel","Message":"cannot bind"}', "cannot bind", E),
    ('{"level":"INFO","fields":{"message":"up"},"target":"a"}', "up", T),
    ('{"status":"error","message":"cannot bind"}', "cannot bind", E),
    ('{"status":"open","message":"cannot bind"}', "cannot bind", U),
    ('{"level":"info","ts":1}', '{"level":"info","ts":1}', T),
    # klog and glog
    ('E0102 21:49:37.123456   12345 server.go:97] "Cannot bind" err="no right"', "Cannot bind: no right", E),
    ("F1121 21:49:37.123456 1 main.cc:10] Check failed: x", "Check failed: x", F),
    ('"a" is not "b"', '"a" is not "b"', U),
    # Java: log4j, logback, Spring Boot, Tomcat, Elasticsearch, Cassandra, ZooKeeper
    ("2026-11-21 21:49:37,123 [main] ERROR org.acme.Main - cannot bind", "cannot bind", E),
    ("2026-11-21 21:49:37.123  INFO 12345 --- [           main] o.s.b.w.TomcatWebServer  : started", "started", T),
    ("2026-11-21T21:49:37.123+01:00 ERROR 12345 --- [shop] [           main] o.s.b.SpringApplication : cannot bind", "cannot bind", E),
    ("[2026-11-21T21:49:37,123][ERROR][o.e.b.Bootstrap] [node1] cannot bind", "cannot bind", E),
    ("ERROR [main] 2026-11-21 21:49:37,123 Daemon.java:803 - cannot bind", "cannot bind", E),
    ("21-Nov-2026 21:49:37.123 SEVERE [main] org.apache.X.load Cannot bind", "Cannot bind", E),
    ("java.net.BindException: Address already in use", "java.net.BindException: Address already in use", U),
    # Rust: tracing and env_logger
    ("2026-11-21T21:49:37.123456Z ERROR a::server: cannot bind addr=0.0.0.0:80", "cannot bind addr=0.0.0.0:80", E),
    ("2026-11-21T21:49:37.123456Z ERROR request{id=3}: ab: cannot bind", "cannot bind", E),
    ("[2026-11-21T21:49:37Z ERROR a::server] cannot bind", "cannot bind", E),
    ("[2026-11-21T21:49:37Z INFO  a] up", "up", T),
    # Go: slog's default handler, log.Lshortfile, zap's console
    ("2026/11/21 21:49:37 ERROR cannot bind addr=:80", "cannot bind addr=:80", E),
    ("2026/11/21 21:49:37 main.go:12: cannot bind", "cannot bind", U),
    ("2026-11-21T21:49:37.123Z\tinfo\tshop/main.go:1\tup", "up", T),
    ("2026-11-21T21:49:37.123Z\tERROR\tshop/main.go:1\tcannot bind", "cannot bind", E),
    # Ruby's Logger
    ("E, [2026-11-21T21:49:37.123456 #12] ERROR -- : cannot bind", "cannot bind", E),
    ("W, [2026-11-21T21:49:37.123456 #12]  WARN -- a: low", "low", W),
    # Python: basicConfig, gunicorn, tornado, uvicorn
    ("ERROR:root:cannot bind", "cannot bind", E),
    ("CRITICAL:app.main:cannot bind", "cannot bind", F),
    ("[E 2026-11-21 21:49:37.123 App] cannot bind", "cannot bind", E),
    ("INFO:     up", "up", T),
    # Erlang and Elixir
    ("=ERROR REPORT==== 21-Nov-2026::21:49:37.123 ===", "===", E),
    ("2026-11-21 21:49:37.123456+00:00 [error] <0.44.0> cannot bind", "cannot bind", E),
    ("21:49:37.123 [info] up", "up", T),
    # .NET: the console's, Serilog, NLog
    ("fail: Shop.Orders.Loader[0] cannot bind", "Shop.Orders.Loader[0] cannot bind", E),
    ("[21:49:37 ERR] cannot bind", "cannot bind", E),
    ("2026-11-21 21:49:37.123|ERROR|Shop.Main|cannot bind", "cannot bind", E),
    # syslog, in a file or from a program that prints the priority itself
    ("<3>cannot bind", "cannot bind", E),
    ("<6>up", "up", U),
    ("Nov 21 21:49:37 host ab[123]: ERROR: cannot bind", "cannot bind", E),
    ("Nov 21 21:49:37 host other[123]: cannot bind", "host other[123]: cannot bind", U),
]  # fmt: skip


@pytest.mark.parametrize(("line", "text", "level"), FORMATS)
def test_a_format(line: str, text: str, level: Level) -> None:
    found, grade = peel(line, frozenset({"ab"}))
    assert grade == level
    assert found.strip(" =") == text.strip(" =")


def test_a_line_of_net_that_only_names_its_logger() -> None:
    one = case("crit: Shop.Orders.Loader[3]", "      the table 'orders' is empty, cannot go on")
    assert "the table 'orders' is empty" in judge(one).summary
