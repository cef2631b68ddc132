# SPDX-License-Identifier: MIT
"""The manifest: strict about its form, exact about its files. (Lies: test_verify.)"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle.manifest import Content, differences, parse
from failhook.incident import JsonObject
from tests.unit.bundle import manifest

HASH = "0" * 64


def test_what_fits() -> None:
    parsed = parse(manifest({"a/b": b"data", "c": b""}, more=1))
    sha256 = [hashlib.sha256(data).hexdigest() for data in (b"data", b"")]
    files = {"a/b": Content(4, sha256[0]), "c": Content(0, sha256[1])}
    assert list(differences(parsed, files)) == []


def test_every_difference_is_told() -> None:
    items: JsonObject = {
        "items": [
            {"path": "a", "bytes": 1, "sha256": HASH},
            {"path": "b", "bytes": 1, "sha256": HASH},
            {"path": "c", "bytes": 1, "sha256": HASH},
        ]
    }
    files = {"a": Content(2, HASH), "b": Content(1, "1" * 64), "d": Content(0, HASH)}
    assert len(list(differences(items, files))) == 4


@given(
    st.binary(max_size=200) | st.text(alphabet='{}[]":,1schema itmsNa', max_size=80).map(str.encode)
)
def test_any_text_is_refused_or_an_object(text: bytes) -> None:
    try:
        assert parse(text)["schema"] == 1
    except ValueError as error:
        assert str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
)


@given(JSON, JSON)
def test_any_items_are_compared(items: object, item: object) -> None:
    strange: list[JsonObject] = [{"items": items}, {"items": [item]}, {"items": [{"path": item}]}]  # type: ignore[dict-item,list-item]
    for each in strange:
        assert list(differences(each, {"a": Content(0, HASH)})) or items


def test_the_reason_is_in_words() -> None:
    with pytest.raises(ValueError, match="its schema is 'None', not 1"):
        parse(b"{}")
