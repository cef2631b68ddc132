# SPDX-License-Identifier: MIT
"""Servers that speak S3, for a bed: moto, which is quick, and Swift, which verifies signatures.

And boto3, the client that everybody uses, to see what was stored. Both run in the network namespace
of the bed, which has nothing but loopback and no port that is taken.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.bed import Machine
from tests.bed.namespaces import DIE_WITH_PARENT, host_environment
from tests.bed.venvs import moto

MOTO_PORT = 5000
SWIFT_PORT = 8080
SWIFT_PACKAGES = (
    "swift-proxy",
    "swift-account",
    "swift-container",
    "swift-object",
    "memcached",
)
_ASK = """
import base64, json, sys
import boto3, botocore.config, botocore.exceptions
url, access, secret = sys.argv[1:]
style = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0})
client = boto3.client("s3", endpoint_url=url, aws_access_key_id=access, region_name="us-east-1",
                      aws_secret_access_key=secret, config=style)
for line in sys.stdin:
    call, given = json.loads(line)
    try:
        answer = getattr(client, call)(**given)
    except botocore.exceptions.ClientError as error:
        answer = {"Error": error.response["Error"]["Code"]}
    if "Body" in answer:
        answer["Body"] = base64.b64encode(answer["Body"].read()).decode()
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, default=str), flush=True)
"""


class Client:
    """boto3, asked from outside of the bed; one process for all calls, until `close`."""

    def __init__(self, machine: Machine, port: int, access: str, secret: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.access = access
        self.secret = secret
        self._process = subprocess.Popen(
            [*_enter(machine), str(moto()), "-I", "-c", _ASK, self.url, access, secret],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=host_environment(HOME="/nonexistent"),  # no configuration of somebody's
            text=True,
        )

    def close(self) -> None:
        """Its process ends with its input."""
        self._process.communicate()

    def __call__(self, call: str, **given: Any) -> dict[str, Any]:
        """One call of a boto3 client; its answer, ``{"Error": CODE}`` where the server says no."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([call, given]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects."""
        return [one["Key"] for one in self("list_objects_v2", Bucket=bucket).get("Contents", ())]

    def content(self, bucket: str, key: str) -> bytes:
        """One object."""
        return base64.b64decode(self("get_object", Bucket=bucket, Key=key)["Body"])


@contextmanager
def running_moto(machine: Machine) -> Iterator[Client]:
    """moto's server: what it is told it keeps in memory, and any signature is good."""
    command = [str(moto()), "-I", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(MOTO_PORT)]
    # Only the network is the bed's: nsenter does not fork then, so this is the server's pid.
    process = subprocess.Popen(
        [*_enter(machine), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=host_environment(HOME="/nonexistent"),
    )
    try:
        machine.wait(lambda: _listens(machine, MOTO_PORT), 30, "moto")
        with closing(Client(machine, MOTO_PORT, "AKIAEXAMPLE", "anything")) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def _enter(machine: Machine) -> list[str]:
    return [*DIE_WITH_PARENT, "nsenter", "--target", str(machine.pid), "--net", "--"]


def _listens(machine: Machine, port: int) -> bool:
    return f"127.0.0.1:{port} ".encode() in machine.run(["ss", "-ltn"]).stdout


# -- Swift ----------------------------------------------------------------------------------------

_PIPELINE = "catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth dlo slo"
_PROXY = f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {SWIFT_PORT}
workers = 0
user = swift
[pipeline:main]
pipeline = {_PIPELINE} proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:11211
""" + "".join(
    f"[filter:{name}]\nuse = egg:swift#{name}\n"
    for name in ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "dlo", "slo")
)
_SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = swift
devices = /srv/node
mount_check = false
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PORTS = {"object": 6200, "container": 6201, "account": 6202}
_HASH = """
[swift-hash]
swift_hash_path_suffix = failhook
swift_hash_path_prefix = failhook
[storage-policy:0]
name = Policy-0
default = yes
"""


@contextmanager
def running_swift(machine: Machine) -> Iterator[Client]:
    """All of Swift with one device and one replica; the client is tempauth's ``test:tester``."""
    machine.write("/etc/swift/swift.conf", _HASH)
    machine.write("/etc/swift/proxy-server.conf", _PROXY)
    units = {"mem.service": "[Service]\nExecStart=memcached -u nobody -l 127.0.0.1 -m 16\n"}
    for name in (*_PORTS, "proxy"):
        run = f"swift-{name}-server /etc/swift/{name}-server.conf"
        units[f"s3-{name}.service"] = f"[Service]\nUser=swift\nExecStart={run}\n"
    rings = ["mkdir -p /srv/node/d1 /var/cache/swift", "cd /etc/swift"]
    for name, port in _PORTS.items():
        machine.write(f"/etc/swift/{name}-server.conf", _SERVER.format(name=name, port=port))
        rings += [
            f"swift-ring-builder {name}.builder create 4 1 1",
            f"swift-ring-builder {name}.builder add r1z1-127.0.0.1:{port}/d1 1",
            f"swift-ring-builder {name}.builder rebalance",
        ]
    rings.append("chown -R swift: /srv/node /var/cache/swift /etc/swift")
    machine.shell("\n".join(rings), timeout=120)
    machine.units(units)
    machine.systemctl("start", *units)
    ports = (*_PORTS.values(), SWIFT_PORT)
    machine.wait(lambda: all(_listens(machine, port) for port in ports), 60, "Swift")
    with closing(Client(machine, SWIFT_PORT, "test:tester", "testing")) as client:
        yield client
