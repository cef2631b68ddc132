# SPDX-License-Identifier: MIT
"""The evidence elsewhere: names, S3's signature against what AWS published, what answers mean."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import testing
from failhook.action import Outcome
from failhook.actions import http_options, sigv4
from failhook.actions.upload import ACTION, key
from failhook.http_client import Client, Reach
from tests.unit import receiver as to
from tests.unit.receiver import Asked, Receiver

# "Signature Calculations for the Authorization Header" of the Amazon S3 API reference.
ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AT = 1369353600.0  # 20130524T000000Z
EMPTY = hashlib.sha256(b"").hexdigest()
CONTENT = b"\x1f\x8b" + bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections of their own for every test."""
    clients: dict[Reach, Client] = {}
    monkeypatch.setattr(http_options, "_clients", clients)
    yield
    for one in clients.values():
        one.close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Some evidence."""
    (tmp_path / "bundle.tar.gz").write_bytes(CONTENT)
    return tmp_path / "bundle.tar.gz"


def _s3(there: Receiver, bundle: Path | None, **options: Any) -> Outcome:
    raw = {
        "url": there.url(""),
        "service": "s3",
        "bucket": "evidence",
        "access_key": ACCESS,
        "secret_key": SECRET,
        "region": "eu-central-1",
        **options,
    }
    return testing.run(ACTION, raw, bundle=bundle)


class TestSignature:
    """The examples that AWS published."""

    def test_put_object(self) -> None:
        digest = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
        found = sigv4.signed(
            "PUT",
            "https://examplebucket.s3.amazonaws.com/" + sigv4.quoted("test$file.text"),
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            digest,
            sigv4.Keys(ACCESS, SECRET),
            at=AT,
        )
        assert found["Authorization"] == (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        )

    def test_get_object(self) -> None:
        found = sigv4.signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/test.txt",
            {"Range": "bytes=0-9"},
            EMPTY,
            sigv4.Keys(ACCESS, SECRET),
            at=AT,
        )
        assert found["Authorization"].endswith(
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )

    def test_a_token_is_signed_too(self) -> None:
        found = sigv4.signed(
            "PUT",
            "https://x.example/a",
            {},
            EMPTY,
            sigv4.Keys(ACCESS, SECRET, token="temporary"),
            at=AT,
        )
        assert found["x-amz-security-token"] == "temporary"
        assert "x-amz-security-token" in found["Authorization"]


def _verify(asked: Asked, secret: str) -> None:
    """What a server does: the signature again, from the request as it came over the wire."""
    given = dict(
        part.split("=", 1)
        for part in asked.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    )
    _, day, region, service, end = given["Credential"].split("/")
    names = given["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
    assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(asked.body).hexdigest()
    canonical = [asked.method, asked.path, ""]
    canonical += [f"{name}:{asked.headers[name]}" for name in names]
    canonical += ["", ";".join(names), asked.headers["x-amz-content-sha256"]]
    hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    scope = "/".join([day, region, service, end])
    text = "\n".join(["AWS4-HMAC-SHA256", asked.headers["x-amz-date"], scope, hashed])
    signing = f"AWS4{secret}".encode()
    for part in (day, region, service, end):
        signing = hmac.digest(signing, part.encode(), "sha256")
    assert given["Signature"] == hmac.digest(signing, text.encode(), "sha256").hex()


def test_a_server_that_verifies_takes_it(bundle: Path) -> None:
    with Receiver() as there:
        outcome = _s3(there, bundle, prefix="prod/eu west")
    assert outcome.ok
    (asked,) = there.asked
    _verify(asked, SECRET)
    assert asked.method == "PUT"
    assert asked.path == (
        "/evidence/prod/eu_west/web1.example/2025-06-15/gitea.service/7f3a5c1e9b20.tar.gz"
    )
    assert asked.body == CONTENT
    assert asked.headers["content-length"] == str(len(CONTENT))
    assert asked.headers["if-none-match"] == "*"
    assert outcome.data == {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_a_unit_with_signs_in_its_name_is_signed_as_it_is_sent(bundle: Path) -> None:
    raw = {
        "url": "",
        "service": "s3",
        "bucket": "evidence",
        "access_key": ACCESS,
        "secret_key": SECRET,
    }
    incident = testing.incident(unit="getty@tty1 \u00fc$(id)/../x.service")
    with Receiver() as there:
        raw["url"] = there.url("")
        assert testing.run(ACTION, raw, bundle=bundle, incident=incident).ok
    _verify(there.asked[0], SECRET)
    assert "getty%40tty1" in there.asked[0].path


def test_the_bucket_may_be_in_the_hosts_name(bundle: Path) -> None:
    raw = {
        "url": "https://s3.eu-central-1.amazonaws.com",
        "service": "s3",
        "bucket": "evidence",
        "access_key": ACCESS,
        "secret_key": SECRET,
        "path_style": False,
    }
    from failhook.actions.upload import _Storing

    made = _Storing(testing.request(ACTION, raw), "x/y.tar.gz")
    assert made._url == "https://evidence.s3.eu-central-1.amazonaws.com/x/y.tar.gz"


def test_what_is_there_already_is_done(bundle: Path) -> None:
    with Receiver(to.status(412)) as there:
        outcome = _s3(there, bundle)
    assert outcome.ok
    assert "already" in outcome.detail


def test_a_server_without_conditions_is_asked_without(bundle: Path) -> None:
    with Receiver(to.status(501)) as there:
        assert _s3(there, bundle).ok
    first, second = there.asked
    assert ("if-none-match" in first.headers, "if-none-match" in second.headers) == (True, False)
    assert first.body == second.body == CONTENT
    _verify(second, SECRET)


@pytest.mark.parametrize("status", [301, 400, 403, 404, 500, 503])
def test_what_is_refused_is_tried_again_and_names_no_secret(bundle: Path, status: int) -> None:
    body = f"<Error><Code>AccessDenied</Code> {SECRET}</Error>".encode()
    with Receiver(to.status(status, body, Retry_After="9")) as there:
        outcome = _s3(there, bundle)
    assert (outcome.ok, outcome.final, outcome.retry_after_s) == (False, False, 9.0)
    assert f"HTTP {status}" in outcome.detail
    assert "AccessDenied" in outcome.detail
    assert SECRET not in outcome.detail


def test_a_plain_put(bundle: Path) -> None:
    raw = {"prefix": "a", "headers": {"Authorization": "Bearer very-secret"}}
    with Receiver(to.status(201)) as there:
        outcome = testing.run(ACTION, {"url": there.url("/store/"), **raw}, bundle=bundle)
    assert outcome.ok
    (asked,) = there.asked
    assert asked.path.startswith("/store/a/web1.example/")
    assert asked.headers["authorization"] == "Bearer very-secret"
    assert "x-amz-date" not in asked.headers
    assert asked.body == CONTENT


def test_without_a_bundle() -> None:
    repeat = testing.incident(bundle=None)
    raw = {"url": "https://x.example"}
    assert testing.run(ACTION, raw, incident=repeat).ok
    gone = testing.run(ACTION, raw)
    assert (gone.ok, gone.final) == (False, True)


def test_a_bundle_that_cannot_be_read(tmp_path: Path) -> None:
    with Receiver() as there:
        outcome = testing.run(ACTION, {"url": there.url()}, bundle=tmp_path / "none")
    assert "cannot be read" in outcome.detail


def test_a_dry_run(bundle: Path) -> None:
    with Receiver() as there:
        raw = {"url": there.url()}
        outcome = testing.run(ACTION, raw, bundle=bundle, dry_run=True)
        assert there.asked == []
    assert outcome.detail.startswith(f"would store {len(CONTENT)} bytes as web1.example/2025-06-15")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "url"),
        ({"url": "x", "service": "s3"}, "bucket"),
        ({"url": "x", "service": "s3", "bucket": "A_b", "access_key": "x"}, "bucket"),
        ({"url": "x", "service": "s3", "bucket": "abc", "access_key": "x"}, "secret_key"),
        ({"url": "x", "bucket": "abc"}, "s3"),
        (
            {
                "url": "x",
                "service": "s3",
                "bucket": "abc",
                "access_key": "x",
                "secret_key": "y",
                "headers": {"A": "b"},
            },
            "put",
        ),
    ],
)
def test_options_that_do_not_go_together(raw: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(ACTION, raw)


@given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=40))
def test_a_key_is_a_plain_path(unit: str, host: str, prefix: str) -> None:
    found = key(testing.incident(unit=unit, host=host), prefix)
    parts = found.split("/")
    assert all(parts)
    assert not any(part.startswith(".") for part in parts)
    assert found.isascii()
    assert len(found) < 1024
    assert found.endswith("/7f3a5c1e9b20.tar.gz")
