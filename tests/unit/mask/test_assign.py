# SPDX-License-Identifier: MIT
"""Where the value of a setting begins and ends, in every spelling."""

import pytest

from failhook.mask import assign


def found(line: bytes) -> list[bytes]:
    return [line[span.start : span.end] for span in assign.spans(line)]


@pytest.mark.parametrize(
    ("line", "secrets"),
    [
        (b"password=a1b2c3 user=x", [b"a1b2c3"]),
        (b"password='two words' x", [b"two words"]),
        (b'password="cut off', [b"cut off"]),
        (b"password=a1,b2 x", [b"a1,b2"]),
        (b"password=a1,user=x", [b"a1"]),
        (b"Password=a1;Server=db", [b"a1"]),
        (b"Password=a1;User Id=db", [b"a1"]),
        (b"(password=a1)", [b"a1"]),
        (b"password=a(1)", [b"a(1)"]),
        (b"f(password='a1', token='b2')", [b"a1", b"b2"]),
        (b'{"password":"a\\"b","x":1}', [b'a\\"b']),
        (b'{"m":"{\\"password\\":\\"a\\\\\\"b\\",\\"x\\":1}"}', [b'a\\\\\\"b']),
        (b'"PASSWORD=two words" "B=c"', [b"two words"]),
        (b"?token=a1&api_key=b2c3d4&page=2", [b"a1", b"b2c3d4"]),
        (b"?token=a=b;c&x=1", [b"a=b;c"]),
        (b"user[password]=a1&x=1", [b"a1"]),
        (b"user%5Bpassword%5D=a1&x=1", [b"a1"]),
        (b"password := 'a1'", [b"a1"]),
        (b"'password' => 'a1'", [b"a1"]),
        (b"password == expected", []),
        (b"password = two words  # note", [b"two words"]),
        (b"  - password: two words", [b"two words"]),
        (b"Nov 1 host app[1]: password: two words", [b"two words"]),
        (b"bad password: two words", []),
        (b"bad password: x9y8z7w6 is wrong", [b"x9y8z7w6"]),
        (b"tokens: [\"a1\", 'b2']", [b"a1", b"b2"]),
        (b"credentials: {user: x, pass: a1b2}", [b"a1b2"]),
        (b"secret access key: a1b2c3d4", [b"a1b2c3d4"]),
        (b"std::token::next", []),
        (b"token://host", []),
        (b"password=", []),
        (b"password=\r", []),
        (b"a\0password=b1\0c", [b"b1"]),
        (b"private_key=/etc/x.pem", []),
        (b"password=/etc/x", [b"/etc/x"]),
        (b"PASS: tests/run.sh", []),
        (b"pass: 3 tests", []),
        (b"pass: 1234", [b"1234"]),
        (b"max_tokens=512 token=512", [b"512"]),
        (b'unexpected token: "end"', []),
        (b"[masked:password]:x", []),
    ],
)
def test_extent(line: bytes, secrets: list[bytes]) -> None:
    assert found(line) == secrets


@pytest.mark.parametrize(
    ("line", "secrets"),
    [
        (b"app --password a1 -v", [b"a1"]),
        (b"app --password 'two words' -v", [b"two words"]),
        (b"app\0--password\0a1\0-v", [b"a1"]),
        (b'["app", "--password", "two words"]', [b"two words"]),
        (b"app -passout pass:a1", [b"pass:a1"]),
        (b"app --password --user x", []),
        (b"the --password option is gone", []),
        (b"--password-file /x", []),
        (b"--private-key /etc/x.pem", []),
        (b"--password", []),
    ],
)
def test_options(line: bytes, secrets: list[bytes]) -> None:
    assert [line[span.start : span.end] for span in assign.flag_spans(line)] == secrets


def test_the_kind_is_the_rule() -> None:
    assert [span.rule for span in assign.spans(b"password=a api_key=bcdefg token=c")] == [
        "password",
        "key",
        "token",
    ]
