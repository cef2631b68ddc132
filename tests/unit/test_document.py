# SPDX-License-Identifier: MIT
"""Documents: what `json` reads of them is what was given, and a person sees an item a line."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import document

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=40
)


@given(VALUES, st.booleans())
def test_it_is_read_back(value: object, ascii_only: bool) -> None:
    text = document.text(value, ascii_only=ascii_only)
    assert json.loads(text) == value
    assert text.endswith("\n")
    if ascii_only:
        assert text.isascii()


def test_its_outline() -> None:
    value = {
        "schema": 1,
        "main": {"pid": 7, "signal": None},
        "words": ["one", "two"],
        "word": ["one"],
        "ports": [80, 443],
        "items": [{"path": "a", "masked": {}}, {"path": "b", "masked": {"token": 1}}],
        "none": [],
    }
    assert (
        document.text(value)
        == """\
{
 "schema": 1,
 "main": {"pid": 7, "signal": null},
 "words": [
  "one",
  "two"
 ],
 "word": ["one"],
 "ports": [80, 443],
 "items": [
  {"path": "a", "masked": {}},
  {
   "path": "b",
   "masked": {"token": 1}
  }
 ],
 "none": []
}
"""
    )


def test_tuples_and_what_cannot_be_encoded() -> None:
    assert document.text(("a", ("b",)), ascii_only=False) == '[\n "a",\n ["b"]\n]\n'
    assert document.text({"\ud800": "\udcff"}) == '{\n "\\ud800": "\\udcff"\n}\n'


@pytest.mark.parametrize("value", [{"a": object()}, {"a": [{1, 2}]}, {"a": {"b": math.sqrt}}])
def test_what_is_no_json(value: object) -> None:
    with pytest.raises(TypeError):
        document.text(value)
