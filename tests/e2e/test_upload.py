# SPDX-License-Identifier: MIT
"""Bundles in real S3-compatible storage: moto always, Swift with its signatures in long runs."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e import s3
from tests.e2e.hooked import Hooked, Incident, service

_BUCKET = "evidence"
_ACTION = """
[action."{name}"]
type = "upload"
service = "s3"
url = "{url}"
bucket = "evidence"
prefix = "{prefix}"
access_key = "{access}"
secret_key = {{ file = "/etc/failhook/{name}-secret" }}
retries = 0
"""
_RULE = """
[[rule]]
name = "{unit}"
unit = ["{unit}"]
step = [{{ on = "1", do = {do} }}]
"""
# The same delivery a second time, as after a kill between the answer and the record of it.
_AGAIN = """
import json, sys
from failhook import outbox, places, testing
from failhook.store.incidents import Store
where = places.system()
incident = Store(where).find(sys.argv[1])
(done,) = [one for one in incident.actions if one["name"] == sys.argv[2]]
message = testing.message(incident=incident, id=done["id"], destination=sys.argv[2])
print(outbox.enqueue(where, message, action=sys.argv[2]))
"""
# Names that a unit cannot have: what `failhook.actions.sigv4` signs is what the server sees.
_PUT = """
import hashlib, sys, time
import requests
from failhook.actions import sigv4
base, access, secret, *names = sys.argv[1:]
for name in names:
    url = f"{base}/evidence/{sigv4.quoted(name)}"
    body = name.encode()
    headers = sigv4.signed("PUT", url, {"Content-Type": "text/plain"},
                           hashlib.sha256(body).hexdigest(), sigv4.Keys(access, secret),
                           at=time.time())
    print(requests.put(url, data=body, headers=headers, timeout=20).status_code)
"""
_PYTHON = "/opt/failhook/bin/python"


def _configure(machine: Machine, unit: str, client: s3.Client, **secrets: str) -> None:
    """A rule for ``unit`` that uploads once for each of ``secrets``: name of the action, key."""
    text = _RULE.format(unit=unit, do=json.dumps(list(secrets)))
    for name, secret in secrets.items():
        machine.write(f"/etc/failhook/{name}-secret", f"{secret}\n", 0o600)
        filled = {"url": client.url, "access": client.access, "prefix": f"fleet/{name}"}
        text += _ACTION.format(name=name, **filled)
    machine.write(f"/etc/failhook/conf.d/{unit}.toml", text)
    machine.run(["failhook", "check"])
    machine.units({unit: service("both", "ExecStart=sh -c 'echo no such luck; exit 3'\n")})
    workers = ("failhook.service", "failhook-act.service", "failhook-deliver.service")
    machine.systemctl("stop", *workers, check=False)


def _tried(hooked: Hooked, incident: str, name: str, state: str) -> tuple[Incident, dict[str, Any]]:
    """The incident and what became of an upload, once that is in that state."""

    def found() -> dict[str, Any]:
        actions = hooked.show(incident)["actions"]
        return next((one for one in actions if one["name"] == name), {})

    hooked.machine.wait(lambda: found().get("state") == state, 40, f"{name} to be {state}")
    return hooked.show(incident), found()


def _failed(hooked: Hooked, unit: str) -> str:
    """Let the unit fail; the id of its incident."""
    hooked.machine.systemctl("start", unit, check=False)
    return str(hooked.wait_done(unit)[0]["id"])


def _key(incident: Incident, name: str) -> str:
    seen = datetime.fromisoformat(str(incident["first_seen"])).astimezone(UTC)
    place = f"fleet/{name}/{incident['host']}/{seen:%Y-%m-%d}/{incident['unit']}"
    return f"{place}/{incident['id']}.tar.gz"


def _bundle(hooked: Hooked, incident: Incident) -> bytes:
    path = hooked.machine.run(["failhook", "bundle", incident["id"]]).text.strip()
    return hooked.machine.read(path)


def _again(hooked: Hooked, incident: Incident, name: str) -> None:
    hooked.machine.write("/usr/local/bin/again.py", _AGAIN)
    hooked.machine.run([_PYTHON, "/usr/local/bin/again.py", incident["id"], name])
    hooked.machine.wait(
        lambda: hooked.machine.shell("ls /var/lib/failhook/outbox/now").text == "",
        30,
        "the repeated delivery",
    )


def test_a_failed_units_bundle_is_stored_once(hooked: Hooked) -> None:
    unit = "stored.service"
    with s3.running_moto(hooked.machine) as client:
        client("create_bucket", Bucket=_BUCKET)
        client(
            "put_bucket_versioning",
            Bucket=_BUCKET,
            VersioningConfiguration={"Status": "Enabled"},
        )
        _configure(hooked.machine, unit, client, store="anything")
        incident, entry = _tried(hooked, _failed(hooked, unit), "store", "done")
        bundle, key = _bundle(hooked, incident), _key(incident, "store")
        assert client.keys(_BUCKET) == [key]
        assert client.content(_BUCKET, key) == bundle
        head = client("head_object", Bucket=_BUCKET, Key=key)
        assert (head["ContentType"], head["ContentLength"]) == ("application/gzip", len(bundle))
        assert head["Metadata"] == {}
        assert entry["detail"] == f"stored as {key}"
        assert entry["data"] == {
            "bytes": len(bundle),
            "sha256": hashlib.sha256(bundle).hexdigest(),
        }
        _again(hooked, incident, "store")
        _, entry = _tried(hooked, incident["id"], "store", "done")
        assert entry["detail"] == f"is stored already as {key}"
        (version,) = client("list_object_versions", Bucket=_BUCKET)["Versions"]
        assert version["Key"] == key


@pytest.fixture(scope="module")
def storing(tree: Tree) -> Iterator[tuple[Hooked, s3.Client]]:
    """A machine with OpenStack Swift, whose s3api verifies what is signed."""
    base = trees.install(tree, *s3.SWIFT_PACKAGES)
    with Machine(failhook_tree(base)) as machine, s3.running_swift(machine) as client:
        assert "Error" not in client("create_bucket", Bucket=_BUCKET)
        yield Hooked(machine), client


@pytest.mark.long
def test_a_wrong_secret_is_refused_and_the_right_one_is_not(
    storing: tuple[Hooked, s3.Client],
) -> None:
    hooked, client = storing
    unit = "signed.service"
    _configure(hooked.machine, unit, client, right=client.secret, wrong="hunter2-wrong")
    which = _failed(hooked, unit)
    incident, entry = _tried(hooked, which, "right", "done")
    key, bundle = _key(incident, "right"), _bundle(hooked, incident)
    assert entry["detail"] == f"stored as {key}"
    _, refused = _tried(hooked, which, "wrong", "failed")
    assert refused["detail"].startswith("HTTP 403: ")
    assert "SignatureDoesNotMatch" in refused["detail"]
    assert client.keys(_BUCKET) == [key]
    assert client.content(_BUCKET, key) == bundle
    said = hooked.machine.run(["journalctl", "--no-pager", "-o", "cat"]).text
    assert "HTTP 403" in said
    shown = hooked.machine.run(["failhook", "show", which]).text
    assert "hunter2-wrong" not in said + shown
    # It knows no conditions (501): the second time the same object is written, under the same name.
    _again(hooked, incident, "right")
    assert client.keys(_BUCKET) == [key]
    assert client.content(_BUCKET, key) == bundle


@pytest.mark.long
def test_signatures_of_odd_names(storing: tuple[Hooked, s3.Client]) -> None:
    hooked, client = storing
    names = ["a b/c d.gz", "ü/ß ☃.gz", "100%/+&=;,@:$!*'()~", "a//b", "trailing /x", "%2F%20"]
    odd = [f"odd/{name}" for name in names]
    hooked.machine.write("/usr/local/bin/put.py", _PUT)
    command = [_PYTHON, "/usr/local/bin/put.py", client.url, client.access, client.secret, *odd]
    assert hooked.machine.run(command).text.split() == ["200"] * len(odd)
    assert [name for name in client.keys(_BUCKET) if name.startswith("odd/")] == sorted(
        odd, key=str.encode
    )
    for name in odd:
        assert client.content(_BUCKET, name) == name.encode()
