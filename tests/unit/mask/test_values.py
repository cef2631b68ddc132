# SPDX-License-Identifier: MIT
"""Values: what a diagnosis needs to see, and what it does not."""

import pytest

from failhook.mask import values


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"  ",
        b"true",
        b"None",
        b"null",
        b"***",
        b"xxxx",
        b"...",
        b"$DB_PASSWORD",
        b"${db_password}",
        b"{{ password }}",
        b"%s",
        b"<password>",
        b"[REDACTED]",
        b"(null)",
        b"[masked:password]",
        b"*" * 200,
        b"';'",
        b"}",
    ],
)
def test_placeholders(value: bytes) -> None:
    assert values.is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    [b"hunter2", b"$ecret", b"changeme", b"[masked:password]x", b"****x", b"x" * 100, b"1234"],
)
def test_values_that_are_no_placeholders(value: bytes) -> None:
    assert not values.is_placeholder(value)


@pytest.mark.parametrize("value", [b"/etc/ssl/private/app.pem", b"/", b"$dir/ca.pem", b"site.key"])
def test_paths(value: bytes) -> None:
    assert values.is_path(value)


@pytest.mark.parametrize(
    "value", [b"/AnZ5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", b"/Xy7Qq", b"hunter2", b"a/b"]
)
def test_base64_is_no_path(value: bytes) -> None:
    assert not values.is_path(value)


def test_sentences() -> None:
    assert values.is_sentence(b"unexpected end of input")
    assert values.is_sentence(b"expired")
    assert values.is_sentence(b"token bucket is empty")
    assert not values.is_sentence(b"correct horse battery staple")
    assert not values.is_sentence(b"secret")


@pytest.mark.parametrize("word", [b"abc123def", b"p@ssw0rd", b"Zq8vTcAn4ry", b"x" * 30])
def test_random_words(word: bytes) -> None:
    assert values.looks_random(word)


@pytest.mark.parametrize(
    "word",
    [
        b"expired",
        b"10.0.0.1:8080",
        b"main.go:42",
        b"2023-11-21T02:14:07Z",
        b"/a/b1",
        b"v1.2.3",
        b"ssh2:",
    ],
)
def test_words_of_logs(word: bytes) -> None:
    assert not values.looks_random(word)


def test_numbers_options_words_and_expressions() -> None:
    assert values.is_number(b"4096")
    assert not values.is_number(b"4096 bits long")
    assert values.is_option_talk(b"option,")
    assert not values.is_option_talk(b"hunter2")
    assert values.is_plain_word(b"Connection")
    assert not values.is_plain_word(b"c0nnection")
    assert values.is_expression(b"yaml.scan(input)")
    assert not values.is_expression(b"hunter2(")
