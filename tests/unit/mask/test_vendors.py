# SPDX-License-Identifier: MIT
"""Prefixes of vendors: the secret goes, its public half and things that look alike stay."""

import pytest

from failhook.redact import Redactor

LONG = "Zq8vTcAn4ryXw2Lm9KjH7Gf5Ds3Aq1Po6Iu4"


@pytest.mark.parametrize(
    ("rule", "secret"),
    [
        ("aws-key", "AK" + "IACAN4RYCAN4RYCAN4"),
        ("github-token", "gh" + f"s_{LONG}"),
        ("github-token", "github" + f"_pat_{LONG}"),
        ("gitlab-token", "gl" + f"dt-{LONG[:20]}"),
        ("slack-token", "xo" + f"xp-1234-{LONG}"),
        ("stripe-key", "rk_" + f"live_{LONG}"),
        ("stripe-key", "wh" + f"sec_{LONG}"),
        ("google-key", "ya" + f"29.{LONG}"),
        ("npm-token", "np" + f"m_{LONG}"),
        ("pypi-token", "py" + f"pi-AgEI{LONG}{LONG}"),
        ("api-key", "sk" + f"-ant-{LONG}"),
        ("api-key", "hv" + f"s.{LONG}"),
        ("api-key", "SG" + f".{LONG[:22]}.{LONG}"),
        ("age-key", "AGE-SECRET" + f"-KEY-1{'Q' * 58}"),
        ("telegram-token", "123456789:" + f"AA{LONG[:33]}"),
        ("jwt", "ey" + f"J{LONG}.{LONG}.{LONG}"),
        ("password-hash", f"$argon2id$v=19$m=65536,t=3,p=4${LONG}"),
        ("password-hash", f"$2b$12${LONG}{LONG[:17]}"),
    ],
)
def test_secret(rule: str, secret: str) -> None:
    masked, counts = Redactor().mask(f"before {secret} after".encode())
    assert masked == f"before [masked:{rule}] after".encode()
    assert counts == {rule: 1}


@pytest.mark.parametrize(
    "text",
    [
        "pk_live_abcdefghijklmnop",
        "task-some-long-service-name-0123",
        "sk-some-long-name-of-a-service-2",
        "AKIA is how they begin",
        "eyJ.a.b",
        "the price is $5$ or $6$ each",
        "SHA256:3kq0bD5yWcQ7Vt1oVvHqLk0mP9e1sW2yJ3m0aZcXb1E",
        "npm_config_cache",
        "sha1:0123456789abcdef0123456789abcdef01234567",
    ],
)
def test_others_stay(text: str) -> None:
    assert Redactor().mask(text.encode()) == (text.encode(), {})
