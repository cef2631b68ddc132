# SPDX-License-Identifier: MIT
"""Private keys: whole, cut, prefixed, escaped; public ones and what stands around them stay."""

import json

import pytest

from failhook.mask.pem import mask_keys

BODY = "QzFuNHJ5" * 8
MARK = "[masked:private-key]"


def masked(text: str) -> str:
    counts: dict[str, int] = {}
    once = mask_keys(text.encode(), counts)
    assert mask_keys(once, again := {}) == once  # type: ignore[var-annotated]
    assert again == {}
    assert counts.get("private-key", 0) == once.count(MARK.encode())
    return once.decode()


def armour(kind: str = "RSA ", lines: int = 3) -> str:
    body = "\n".join([*[BODY] * lines, "abc="])
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "])
def test_whole(kind: str) -> None:
    text = f"before\n{armour(kind)}\nafter"
    expected = "\n".join([f"-----BEGIN {kind}PRIVATE KEY-----", *[MARK] * 4])
    assert masked(text) == f"before\n{expected}\n-----END {kind}PRIVATE KEY-----\nafter"


def test_headers_inside_stay_and_the_key_goes() -> None:
    text = armour().replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1)
    assert "Proc-Type: 4" in masked(text)
    assert "QzFu" not in masked(text)


def test_pgp() -> None:
    kind = "PGP PRIVATE KEY BLOCK"
    text = f"-----BEGIN {kind}-----\nVersion: 1\n\n{BODY}\n=abcd\n-----END {kind}-----"
    assert BODY not in masked(text)
    assert "=abcd" not in masked(text)


def test_without_an_end_the_next_lines_stay() -> None:
    head = armour().partition("-----END")[0]
    result = masked(f"{head}Started a service\nand another")
    assert "QzFu" not in result
    assert result.endswith("Started a service\nand another")


def test_without_a_begin() -> None:
    tail = armour().partition("\n")[2][10:]
    result = masked(f"{tail}\nafter")
    assert "QzFu" not in result
    assert result.endswith("-----END RSA PRIVATE KEY-----\nafter")


def test_behind_a_prefix_and_among_other_lines() -> None:
    lines = [f"Nov 21 02:14:07 web1 app[81]: {line}" for line in armour().split("\n")]
    lines.insert(2, "Nov 21 02:14:07 web1 sshd[811]: Accepted publickey for root")
    result = masked("\n".join(lines))
    assert "QzFu" not in result
    assert "abc=" not in result
    assert "Accepted publickey for root" in result
    assert result.count("Nov 21 02:14:07 web1") == len(lines)


def test_in_yaml() -> None:
    text = "key: |\n" + "\n".join(f"    {line}" for line in armour().split("\n")) + "\nport: 80"
    result = masked(text)
    assert "QzFu" not in result
    assert result.endswith("\nport: 80")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_escaped_on_one_line(depth: int) -> None:
    text = armour()
    for _ in range(depth):
        text = json.dumps({"m": text})
    result = masked(f"{text} and more")
    assert "QzFu" not in result
    assert result.endswith(" and more")


@pytest.mark.parametrize("newline", ["%0A", " ", "\\r\\n"])
def test_other_newlines_on_one_line(newline: str) -> None:
    assert "QzFu" not in masked(armour().replace("\n", newline))


@pytest.mark.parametrize("kind", ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"])
def test_public_ones_stay(kind: str) -> None:
    text = f"-----BEGIN {kind}-----\n{BODY}\n-----END {kind}-----"
    assert masked(text) == text


def test_talk_about_keys_stays() -> None:
    text = "Expecting: ANY PRIVATE KEY\nexpected -----BEGIN PRIVATE KEY-----\nFailed to start\nok\n"
    assert masked(text) == text


def test_two_keys_and_a_certificate() -> None:
    certificate = f"-----BEGIN CERTIFICATE-----\n{'TUlJQ' * 12}\n-----END CERTIFICATE-----"
    result = masked(f"{armour()}\n{certificate}\n{armour('EC ')}")
    assert certificate in result
    assert "QzFu" not in result
