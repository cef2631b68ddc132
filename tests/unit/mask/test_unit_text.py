# SPDX-License-Identifier: MIT
"""Unit files and systemctl's output: values go, names and everything else stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.mask.unit_text import mask_environment_file, mask_unit_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Environment=PORT=8080", "Environment=PORT=[masked:environment]"),
        (
            "Environment=A=b 'C=d e' F=",
            "Environment=A=[masked:environment] C=[masked:environment] F=",
        ),
        ("Environment = A=b", "Environment = A=[masked:environment]"),
        ("Environment=", "Environment="),
        ("Environment=hunter2", "Environment=[masked:environment]"),
        ('Environment="A=b', "Environment=[masked:environment]"),
        (
            "Environment=A=b \\\n  # note\n  C=d\nUser=x",
            "Environment=A=[masked:environment] C=[masked:environment]\n\n\nUser=x",
        ),
        ("DefaultEnvironment=A=b", "DefaultEnvironment=A=[masked:environment]"),
        ("SetCredential=db:a b c", "SetCredential=db:[masked:credential]"),
        (
            "SetCredentialEncrypted=db: \\\n  AAAA \\\n  BBBB\nUser=x",
            "SetCredentialEncrypted=db:[masked:credential]\n\n\nUser=x",
        ),
        ("SetCredential=[unprintable]", "SetCredential=[unprintable]"),
        ("StandardInputText=a b", "StandardInputText=[masked:standard-input]"),
        ("LoadCredential=db:/etc/x", "LoadCredential=db:/etc/x"),
        ("EnvironmentFile=/etc/default/x", "EnvironmentFile=/etc/default/x"),
        ("PassEnvironment=A B", "PassEnvironment=A B"),
        ("# Environment=A=b", "# Environment=A=b"),
        ("the Environment=A=b", "the Environment=A=b"),
    ],
)
def test_text(text: str, expected: str) -> None:
    masked, _ = mask_unit_text(text.encode())
    assert masked.decode() == expected
    assert mask_unit_text(masked) == (masked, {})


def test_counts() -> None:
    text = b"Environment=A=b C=d E=\nSetCredential=x:y\n"
    assert mask_unit_text(text)[1] == {"environment": 2, "credential": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b\n", "A=[masked:environment]\n"),
        ("export A=b", "export A=[masked:environment]"),
        ("A=\nB=c", "A=\nB=[masked:environment]"),
        ("A='x\ny'\nB=c", "A=[masked:environment]\n\nB=[masked:environment]"),
        ('A="x\\"\ny"', "A=[masked:environment]\n"),
        ("A=x\\\ny\nB=c", "A=[masked:environment]\n\nB=[masked:environment]"),
        ("# talk\nnot an assignment\n", "# talk\nnot an assignment\n"),
        ("#A=old", "#A=[masked:environment]"),
    ],
)
def test_environment_file(text: str, expected: str) -> None:
    masked, _ = mask_environment_file(text.encode())
    assert masked.decode() == expected
    assert mask_environment_file(masked) == (masked, {})


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for mask in (mask_unit_text, mask_environment_file):
        once, _ = mask(b"Environment=" + data)
        assert once.count(b"\n") == data.count(b"\n")
