# SPDX-License-Identifier: MIT
"""(g) Planning a thousand rules, and from the failure to the first byte at a receiver."""

import statistics
import time
from collections.abc import Iterator

from failhook.config.model import ActionTable, Configuration, Rule, Step
from failhook.decide import decide, look
from failhook.plan import Circumstances, Memory
from tests.bed import Machine
from tests.bench.beds import Scale, failed_at, inside, quiet, wait_for
from tests.bench.table import Row, limit, milliseconds
from tests.unit import samples

_RULES = 1000
_UNIT = "told@{}.service"
# Notes when the first byte of each request came, in a file of its own.
_RECEIVER = """\
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def parse_request(self):
        self.came = time.time()
        return super().parse_request()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for word in body.replace(b'"', b" ").split():
            if word.startswith(b"told@") and word.endswith(b".service"):
                path = "/run/told/" + word.decode()
                with open(path + ".new", "w") as stream:
                    stream.write(repr(self.came))
                os.rename(path + ".new", path)
        self.send_response(204)
        self.end_headers()
os.makedirs("/run/told", exist_ok=True)
http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"""
_CONFIGURATION = """\
[action.tell]
type = "webhook"
url = "http://127.0.0.1:8099/"
[[rule]]
name = "told"
unit = ["told@*.service"]
step = [{ on = "1", do = ["tell"] }]
"""
_WORKERS = ("failhook.service", "failhook-act.service", "failhook-deliver.service")


def planning(scale: Scale) -> Iterator[Row]:
    """A thousand rules, none of which is the first to match, against one incident."""
    rules = [
        Rule(f"r{n}", units=(f"unit{n}-*.service", "x-*"), causes=("port-*",), results=("signal",))
        for n in range(_RULES)
    ]
    last = Rule("last", steps=(Step(1, None, ("tell",)),))
    config = Configuration(rules=(*rules, last), actions={"tell": ActionTable("tell", "webhook")})
    incident = samples.incident()
    times = []
    for _ in range(max(3, scale.rounds // 4)):
        began = time.perf_counter()
        facts = Circumstances(time.time())
        decision = decide(config, incident, look(config.rules, incident, facts), facts, Memory())
        times.append((time.perf_counter() - began) * 1000)
        assert [one.action for one in decision.steps] == ["tell"]
    value = statistics.median(times)
    yield limit("g", f"planning {_RULES} rules", milliseconds(value), "< 50 ms", met=value < 50)


def first_byte(machine: Machine, scale: Scale) -> Iterator[Row]:
    """From the end of the main process to the first byte of the message, cold and warm."""
    machine.write("/usr/local/bin/receiver.py", _RECEIVER)
    machine.shell("mkdir -p /etc/failhook")
    machine.write("/etc/failhook/failhook.toml", _CONFIGURATION)
    machine.units(
        {
            "receiver.service": "[Service]\nExecStart=python3 /usr/local/bin/receiver.py\n",
            "told@.service": "[Service]\nType=exec\nExecStart=/bin/sh -c 'echo no; exit 3'\n"
            "ExecStopPost=-failhook %n\n",
        }
    )
    machine.systemctl("start", "receiver.service")
    quiet(machine)
    cold, warm = [], []
    for number in range(scale.bundles):
        machine.systemctl("stop", *_WORKERS)
        cold.append(_once(machine, f"c{number}"))
        warm.append(_once(machine, f"w{number}"))
    for what, times, bar in (("warm", warm, 1000), ("cold", cold, 2000)):
        value = statistics.median(times)
        name = f"failure to first byte, {what}"
        yield limit("g", name, milliseconds(value), f"< {bar / 1000:g} s", met=value < bar)


def _once(machine: Machine, instance: str) -> float:
    unit = _UNIT.format(instance)
    machine.systemctl("start", unit, check=False)
    path = inside(machine, f"/run/told/{unit}")
    wait_for(lambda: path if path.exists() else None, unit)
    took = (float(path.read_text()) - failed_at(machine, unit)) * 1000
    time.sleep(0.5)
    return took
