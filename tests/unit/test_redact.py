# SPDX-License-Identifier: MIT
"""The whole of masking: every canary gone, every ordinary line untouched, whatever the bytes."""

import base64
import json
import random
import string
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from failhook.redact import CustomPattern, Known, Redactor, mask_unit_text
from tests.unit.mask.canaries import CANARIES

ORDINARY = (Path(__file__).parent / "mask" / "ordinary.txt").read_bytes()
PLAIN = Redactor()
SECRET = b'kn0wn "value"/\xc3\xbc+x'


@pytest.mark.parametrize(("text", "secret"), CANARIES)
def test_no_canary_is_left(text: str, secret: str) -> None:
    assert secret in text or "Basic " in text  # else the row proves nothing
    masked, counts = PLAIN.mask(text.encode())
    assert secret.encode() not in masked
    assert sum(counts.values()) >= 1
    assert PLAIN.mask(masked) == (masked, {})


def test_there_are_enough_rows() -> None:
    assert len(CANARIES) >= 40
    assert len(ORDINARY.splitlines()) >= 60


@pytest.mark.parametrize("line", ORDINARY.splitlines())
def test_an_ordinary_line_stays(line: bytes) -> None:
    assert PLAIN.mask(line) == (line, {})


def test_canaries_among_ordinary_lines_over_the_seams_of_chunks() -> None:
    # what a reader in chunks of 64 KiB would cut in two, wherever the seam falls
    lines = ORDINARY.splitlines()
    rows = [text.encode() for text, _ in CANARIES if "\n" not in text]
    parts: list[bytes] = []
    for number, row in enumerate(rows):
        filling = b"\n".join(lines[(number * 7) % 60 : (number * 7) % 60 + 9])
        parts += filling[: 700 + number * 3], b"\n", row, b"\n"
    whole = b"".join(parts)
    assert len(whole) > 65536
    masked, _ = PLAIN.mask(whole)
    left = [secret for text, secret in CANARIES if "\n" not in text and secret.encode() in masked]
    assert left == []
    assert masked.count(b"\n") == whole.count(b"\n")  # line numbers stay true


def test_lines_around_a_secret_stay() -> None:
    text = b"before\npassword=hunter2\nafter \xff\x00 bytes\r\n"
    assert PLAIN.mask(text)[0] == b"before\npassword=[masked:password]\nafter \xff\x00 bytes\r\n"


FORMS = {
    "as it is": SECRET,
    "json": json.dumps(SECRET.decode())[1:-1].encode(),
    "json, not ascii": json.dumps(SECRET.decode(), ensure_ascii=False)[1:-1].encode(),
    "json of PHP": json.dumps(SECRET.decode())[1:-1].replace("/", "\\/").encode(),
    "url": quote(SECRET, safe="").encode(),
    "path": quote(SECRET).encode(),
    "form": quote(SECRET, safe="").replace("%20", "+").encode(),
    "small percent": quote(SECRET, safe="")
    .replace("%2F", "%2f")
    .replace("%C3%BC", "%c3%bc")
    .replace("%2B", "%2b")
    .encode(),
    "systemctl show": SECRET.replace(b'"', b'\\"'),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_value_is_found_in_every_coat(form: str) -> None:
    text = b"argument <" + FORMS[form] + b"> was refused"
    masked, counts = Redactor([Known(SECRET)]).mask(text)
    assert masked == b"argument <[masked:environment]> was refused"
    assert counts == {"environment": 1}


@pytest.mark.parametrize("before", [b"", b"u", b"us", b"user:"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_known_value_inside_base64(before: bytes, after: bytes, encode: object) -> None:
    coded = encode(before + SECRET + after)  # type: ignore[operator]
    masked, counts = Redactor([Known(SECRET)]).mask(b"got " + coded + b" from peer")
    assert counts == {"environment": 1}
    rest = masked.replace(b"[masked:environment]", b"")
    assert (
        max((len(word) for word in rest.split()), default=0) <= len(before) * 2 + len(after) * 2 + 4
    )
    # nothing of what is left decodes to a part of the secret worth having
    for word in rest.split():
        for cut in range(4):
            plain = base64.b64decode(
                word[cut : cut + (len(word) - cut) // 4 * 4] + b"", altchars=b"-_"
            )
            assert SECRET[:4] not in plain
            assert SECRET[-4:] not in plain


def test_the_longest_known_value_wins_and_overlaps_are_joined() -> None:
    redactor = Redactor([Known(b"abcdef"), Known(b"abcdefghij"), Known(b"ghijKLMN", "credential")])
    assert redactor.mask(b"<abcdefghij>")[0] == b"<[masked:environment]>"
    assert redactor.mask(b"<abcdefghijKLMN>")[0] == b"<[masked:environment]>"


def test_a_known_value_cut_off_at_either_end() -> None:
    filling = b"-" * 400
    redactor = Redactor([Known(b"0123456789abcdef")])
    assert redactor.mask(b"6789abcdef" + filling)[0] == b"[masked:environment]" + filling
    assert redactor.mask(filling + b"0123456789a")[0] == filling + b"[masked:environment]"
    assert redactor.mask(filling + b"012")[0] == filling + b"012"


def test_known_values_that_look_like_our_own_tokens() -> None:
    redactor = Redactor([Known(b"masked"), Known(b"environment"), Known(b"password")])
    once, _ = redactor.mask(b"masked and password=x environment")
    assert redactor.mask(once) == (once, {})


def test_a_known_value_is_not_in_its_repr() -> None:
    assert "hunter2" not in repr(Known(b"hunter2"))


def test_text_that_only_looks_masked_is_masked() -> None:
    masked, _ = Redactor([Known(b"s3cr3t-value")]).mask(b"[masked:s3cr3t-value]")
    assert b"s3cr3t" not in masked


def test_custom_patterns_apply_and_spare_tokens() -> None:
    redactor = Redactor(patterns=[CustomPattern("customer", r"cust-(\d{4,8})")])
    assert redactor.mask(b"cust-123456 x") == (b"cust-[masked:customer] x", {"customer": 1})
    everything = Redactor(patterns=[CustomPattern("word", r"[a-z]{3,20}")])
    once, _ = everything.mask(b"password=hunter2 foo")
    assert everything.mask(once) == (once, {})


def test_unit_text_is_recognised() -> None:
    text = b'Id=a.service\nEnvironment=PORT=8080 "NAME=two words" EMPTY=\nType=simple\n'
    expected = (
        b"Id=a.service\nEnvironment=PORT=[masked:environment] NAME=[masked:environment] EMPTY=\n"
        b"Type=simple\n"
    )
    assert mask_unit_text(text) == (expected, {"environment": 2})
    assert PLAIN.mask(text) == (expected, {"environment": 2})


def test_the_content_of_an_environment_file() -> None:
    text = b"# note\nPORT=8080\nTOKEN='a\nb'\n#OLD=1 x\n"
    masked, counts = PLAIN.mask_environment_file(text)
    assert masked == (
        b"# note\nPORT=[masked:environment]\nTOKEN=[masked:environment]\n\n"
        b"#OLD=[masked:environment]\n"
    )
    assert counts == {"environment": 3}


HINTS = (
    b"password=",
    b"token: ",
    b'"secret": "',
    b"://",
    b":",
    b"@",
    b"=",
    b'"',
    b"\\",
    b"'",
    b"[masked:",
    b"password]",
    b"]",
    b"\n",
    b" ",
    b"-----BEGIN RSA PRIVATE KEY-----",
    b"-----END RSA PRIVATE KEY-----",
    b"QUJDREVGR0hJSktM",
    b"Authorization: Basic ",
    b"curl -u ",
    b"mysql -p",
    b"--token ",
    b"Cookie: a=",
    b"eyJhbGciOi.",
    b"Environment=",
    b"SetCredential=a:",
    b"?key=",
    b"&",
    b"hunter2",
    b"$6$",
    b"known-value",
    b"<password>",
    b"</",
    b"name=",
    b"value=",
    b"{",
    b"[",
    b"\x00",
    b"\xff",
    b"=>",
    b"%3D",
    b"k",
    b"masked",
)
HOSTILE = st.lists(st.sampled_from(HINTS) | st.binary(max_size=6), max_size=40).map(b"".join)
ARMED = Redactor(
    [Known(b"known-value"), Known(b"masked", "credential"), Known(b"hunter2hunter2")],
    [CustomPattern("seven", r"hunter\d")],
)


@given(HOSTILE)
@example(b"root:$6$saltsalt$cAn4ryXw2Lm9KjH7Gf5Ds3Aq1Po6Iu4:19000:0")
@example(b"app:pass@tcp(db:3306)/app")
@example(b"u?key=password=u &")  # what the one masks lets the other see more
@example(b"auth=token: basic &SetCredential=a:x")
@example(b"--token kpassword]")
@example(b"Environment=$6$--token password= auth=-----BEGIN RSA PRIVATE KEY-----")
@example(b'[masked:known-value=>Environment=\n"password=token: -----END RSA PRIVATE KEY-----\n')
def test_masking_twice_is_masking_once_and_never_raises(data: bytes) -> None:
    for redactor in (PLAIN, ARMED):
        once, _ = redactor.mask(data)
        assert redactor.mask(once) == (once, {})
        assert once.count(b"\n") == data.count(b"\n")


@given(st.binary(max_size=4000))
def test_any_bytes_are_taken(data: bytes) -> None:
    once, _ = ARMED.mask(data)
    assert ARMED.mask(once) == (once, {})


@given(st.lists(st.binary(max_size=200).map(lambda each: each.translate(None, b"=:@$<&?*-"))))
def test_without_a_sign_nothing_changes(pieces: list[bytes]) -> None:
    # every rule needs one of these signs, or a word; letters at random make none in practice
    data = b"\n".join(pieces)
    assert PLAIN.mask(data) == (data, {})


SIGNS = string.ascii_letters + string.digits + "!#%^*+~|?/._-"


@given(st.text(SIGNS, min_size=5, max_size=60).map(lambda text: f"x{text}9"))
def test_any_value_of_a_password_goes(value: str) -> None:
    texts = (f"password={value}", json.dumps({"password": value}), f"app --password {value} -v")
    for text in (*texts, f"https://app:{quote(value, safe='!*')}@db/x", f"  db_password: {value}"):
        masked, _ = PLAIN.mask(text.encode())
        assert value.encode() not in masked, text


def test_binary_content_comes_back_byte_for_byte() -> None:
    data = random.Random(7).randbytes(1 << 20)
    assert PLAIN.mask(data) == (data, {})
    assert PLAIN.mask(b"") == (b"", {})


def _seconds(data: bytes) -> float:
    begin = time.thread_time()
    PLAIN.mask(data)
    return time.thread_time() - begin


def test_ordinary_text_costs_little() -> None:
    lines = ORDINARY.splitlines()
    data = b"\n".join(lines * (1 + (1 << 20) // len(ORDINARY)))
    assert _seconds(data) < 1.5  # 4 MB/s and more on the builder's machine, security talk and all


UNITS = (
    b"token:",
    b"password:",
    b"password=",
    b"token=$(",
    b"'token=\"",
    b'token=["',
    b"private_key:/etc/",
    b"unexpected token='",
    b"password = a,",
    b"tokens=1:",
    b"://a:",
    b"://a@",
    b"curl -u a",
    b"mysql -p",
    b"eyJaaaaaaaa.",
    b'\\"',
    b'"password":"',
    b"authorization: ",
    b"bearer ",
    b"cookie: ",
    b"$6$aaaa$",
    b"-----BEGIN RSA PRIVATE KEY-----",
    b"[masked:password]",
    b"<password>",
    b"--password ",
    b"login a password ",
    b'name":"password","value":"',
    b'Environment="',
    b"SetCredential=",
    b"PASS:",
    b"a",
    b"=",
    b":",
    b"\\",
    b" ",
    b"'",
)


@pytest.mark.parametrize("unit", UNITS)
def test_a_hostile_line_costs_time_in_proportion(unit: bytes) -> None:
    # quadratic code takes minutes for this; the bound allows for a busy machine
    assert _seconds(b"password " + (unit * (1 << 18))[: 1 << 18]) < 6


@pytest.mark.parametrize(
    "start",
    [
        b"Environment='",
        b'Environment="',
        b"password='",
        b'"password": "',
        b"Authorization: Basic ",
        b"postgres://a:",
        b"curl -u a:",
        b"-----BEGIN RSA PRIVATE KEY-----",
        b"eyJhbGciOi.",
        b"token: ",
    ],
)
@pytest.mark.parametrize("filling", [b"a", b"A ", b"\\", b"\xff", b" ", b"a."])
def test_a_hostile_value_without_an_end(start: bytes, filling: bytes) -> None:
    assert _seconds(start + (filling * (1 << 18))[: 1 << 18]) < 6


@pytest.mark.long
def test_a_megabyte_in_one_hostile_line() -> None:
    for unit in UNITS:
        assert _seconds(b"password " + (unit * (1 << 20))[: 1 << 20]) < 20
