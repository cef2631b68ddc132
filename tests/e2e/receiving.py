# SPDX-License-Identifier: MIT
"""A bed with an HTTP server that keeps what it is sent, and a way to fill the outbox."""

from __future__ import annotations

import json
from typing import Any

from tests.bed import Machine

PORT = 8097
# Keeps what it is sent; answers with what stands in /run/answer, until that is gone.
_RECEIVER = f"""
import http.server, json, pathlib, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = pathlib.Path("/run/answer")
        status = int(answer.read_text()) if answer.exists() else 204
        listing = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True)
        kept = {{"path": self.path, "headers": {{k.lower(): v for k, v in self.headers.items()}},
                "body": body, "status": status, "listing": listing.stdout}}
        with open("/var/received", "a") as stream:
            stream.write(json.dumps(kept) + "\\n")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_PUT = do_POST
http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""
_UNIT = """
[Service]
ExecStart=python3 /usr/local/bin/receiver.py
[Install]
WantedBy=multi-user.target
"""
SENDER = """
import hashlib, os, sys, time
sys.path[:0] = sys.argv[5:]
from failhook import outbox, places, testing
from failhook.store.incidents import Store
name, first, count, wait = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
where = places.of_user() if os.environ.get("SENDER") == "user" else places.system()
store = Store(where)
for number in range(first, first + count):
    unit = f"{name}{number}.service"
    # Of today: an old one would go as soon as the runner rests.
    seen = dict.fromkeys(("first_seen", "last_seen"), time.time() // 86400 * 86400)
    id = hashlib.sha256(unit.encode()).hexdigest()[:12]
    incident = testing.incident(id=id, unit=unit, **seen)
    if not store.directory(incident).exists():
        store.create(incident)
    message = testing.message(incident=incident, id=f"{name}-{number:04}", destination=name)
    outbox.enqueue(where, message, action=name, not_before=time.time() + wait if wait else 0.0)
"""
PYTHON = "/opt/failhook/bin/python"


class Bed:
    """A machine with a receiver, and how a test puts messages into its outbox."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.write("/usr/local/bin/receiver.py", _RECEIVER)
        machine.write("/usr/local/bin/sender.py", SENDER)
        machine.units({"receiver.service": _UNIT})
        machine.systemctl("enable", "--now", "receiver.service")
        machine.wait(
            lambda: f":{PORT} ".encode() in machine.run(["ss", "-ltn"]).stdout, what="receiver"
        )

    def configure(self, text: str, name: str = "delivery") -> None:
        """A file of the configuration, which `failhook check` accepts."""
        self.machine.write(f"/etc/failhook/conf.d/{name}.toml", text)
        self.machine.run(["failhook", "check"])

    def send(self, name: str, *, first: int = 0, count: int = 1, wait_s: float = 0) -> None:
        """Messages for the action of that name."""
        self.machine.run(
            [PYTHON, "/usr/local/bin/sender.py", name, str(first), str(count), str(wait_s)]
        )

    def received(self, path: str) -> list[dict[str, Any]]:
        """What the receiver got there, oldest first."""
        if not self.machine.exists("/var/received"):
            return []
        whole, _, _ = self.machine.read("/var/received").rpartition(b"\n")  # it may just be writing
        found = [json.loads(line) for line in whole.splitlines()]
        return [one for one in found if one["path"] == path]

    def wait_received(self, path: str, count: int, timeout: float = 20) -> list[dict[str, Any]]:
        """Wait until there are so many."""
        self.machine.wait(
            lambda: len(self.received(path)) >= count, timeout, f"{count} messages at {path}"
        )
        return self.received(path)

    def left(self) -> list[str]:
        """What is in the outbox."""
        found = self.machine.shell(
            "cd /var/lib/failhook/outbox; find now later dead -name '[0-9]*' | sort"
        )
        return found.text.splitlines()


def webhook(name: str, more: str = "") -> str:
    """An action that sends to the receiver, at the path of its own name."""
    return f'[action.{name}]\ntype = "webhook"\nurl = "http://127.0.0.1:{PORT}/{name}"\n{more}\n'
