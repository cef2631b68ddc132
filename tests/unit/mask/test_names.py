# SPDX-License-Identifier: MIT
"""Names of settings: which of them say that their value is a secret."""

import pytest

from failhook.mask.names import is_plural, kind_of, may_hold_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", "password"),
        ("PASSWD", "password"),
        ("DB_PASSWORD", "password"),
        ("dbPassword2", "password"),
        ("PGPASSWORD", "password"),
        ("MYSQL_PWD", "password"),
        ("smtp_pass", "password"),
        ("bindpw", "password"),
        ("wpa_psk", "password"),
        ("password-hash", "password"),
        ("PASSWORD_REPLICATION", "password"),
        ("spring.datasource.password", "password"),
        ("npassword", "password"),  # "\npassword" in JSON
        ("clientSecret", "secret"),
        ("JWT_SECRET", "secret"),
        ("SECRET_VALUE_OLD", "secret"),
        ("X-Auth-Token", "token"),
        ("access_token", "token"),
        ("api_key", "key"),
        ("APIKey", "key"),
        ("x-api-key", "key"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("SECRET_KEY_BASE", "key"),
        ("PrivateKey", "key"),
        ("credentials", "credential"),
    ],
)
def test_names_of_secrets(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "monkey",
        "keyboard",
        "key",
        "hotkeys",
        "public_key",
        "primary_key",
        "PublicKey",
        "host_key",
        "secretary",
        "compass",
        "bypass",
        "passenger",
        "passed",
        "password_file",
        "PASSWORD_FILE",
        "tokenizer",
        "token_bucket",
        "token_endpoint",
        "token_ttl",
        "secretName",
        "secret-sync",
        "PasswordAuthentication",
        "password_encryption",
        "token.go",
        "secrets.py",
        "vault-token.service",
        "systemd-ask-password-console.path",
        "KeyringMode",
        "LoadCredential",
        "ImportCredential",
        "CREDENTIALS_DIRECTORY",
        "NOPASSWD",
        "pw.context",
        "user",
        "",
        "-",
        "42",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert kind_of(name) is None


def test_plurals_count() -> None:
    assert is_plural("max_tokens")
    assert not is_plural("token")


def test_names_that_may_hold_a_path() -> None:
    assert may_hold_path("private_key")
    assert may_hold_path("OLDPWD")
    assert not may_hold_path("password")
