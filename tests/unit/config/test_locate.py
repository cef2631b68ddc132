# SPDX-License-Identifier: MIT
"""On which line a key stands, in whatever shape a document has."""

import time
import tomllib
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failhook.config.locate import line_of

KEYS = st.text(alphabet="abcxyz_-0", min_size=1, max_size=6)
VALUES = st.sampled_from(
    [
        "1",
        "-2.5",
        "true",
        '"text"',
        "'literal # no comment'",
        '"\\"quoted\\" = 1"',
        '"line\u2028separators\x85that are none"',
        "[1, 2]",
        '[\n  "a", # comment\n\n  "b",\n]',
        '"""\nseveral\n[lines]\nkey = 1\n"""',
        "'''\nliteral\n'''",
        "{ inner = 1 }",
        '[{ inner = "x" },\n { inner = "y" }]',
    ]
)
NOISE = st.sampled_from(["", "# comment", "  # [no.table]", "# key = 1", "#\u2028 key = 1"])


@dataclass
class Document:
    """A document with what is known of it: where each statement ends."""

    text: str = ""
    places: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, statement: str) -> int:
        self.text += statement + self.end
        return self.text.count("\n")

    end: str = "\n"


@st.composite
def documents(draw: st.DrawFn) -> Document:
    document = Document(end=draw(st.sampled_from(["\n", "\r\n"])))
    tables = draw(st.lists(KEYS, unique=True, max_size=4))
    for table in ["", *tables]:
        for line in draw(st.lists(NOISE, max_size=2)):
            document.add(line)
        if table:
            where = document.add(f"[{table}]" + draw(st.sampled_from(["", " # table"])))
            document.places.setdefault((table,), where)
        # a key of the top level must not be called like a table
        keys = draw(st.lists(KEYS, unique=True, max_size=4))
        for key in keys if table else [f"top-{key}" for key in keys]:
            for line in draw(st.lists(NOISE, max_size=1)):
                document.add(line)
            where = document.add(f"{key} = {draw(VALUES)}")
            document.places[(table, key) if table else (key,)] = where
    return document


@given(documents())
@settings(max_examples=60)
def test_every_key_is_found_where_its_statement_ends(document: Document) -> None:
    tomllib.loads(document.text)
    for path, line in document.places.items():
        assert line_of(document.text, path) == line


@given(documents(), KEYS)
@settings(max_examples=20)
def test_a_key_that_is_missing_is_looked_for_above(document: Document, key: str) -> None:
    tables = [path[0] for path in document.places if len(path) == 1 and "top-" not in path[0]]
    for table in tables:
        if (table, f"no-{key}") not in document.places:
            assert line_of(document.text, (table, f"no-{key}")) == document.places[(table,)]
    assert line_of(document.text, (f"no-{key}",)) is None


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("[a.b]\nc = 1\n", ("a", "b", "c"), 2),
        ("[a]\nb.c = 1\nb.d = 2\n", ("a", "b", "d"), 3),
        ('"quoted key" = 1\n', ("quoted key",), 1),
        ("[[rule]]\nname = 1\n[[rule]]\nname = 2\n", ("rule", 1, "name"), 4),
        ("[[rule]]\nname = 1\n[[rule]]\n", ("rule", 1), 3),
        ("a = { b = 1, c = 2 }\n", ("a", "c"), 1),
        ("x = 1\na = [\n 1,\n 2,\n]\nb = 1\n", ("a",), 5),
        ("x = 1\na = [\n 1,\n 2,\n]\nb = 1\n", ("b",), 6),
        ("", ("a",), None),
        ("broken =\n", ("broken",), None),
    ],
)
def test_shapes(text: str, path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(text, path) == line


def test_a_long_value_does_not_hide_what_stands_before_it() -> None:
    text = "first = 1\nlong = '''\n" + "x = 1\n" * 1000 + "'''\nlast = 2\n"
    assert line_of(text, ("first",)) == 1
    assert line_of(text, ("long",)) == 1003
    assert line_of(text, ("last",)) == 1004


def test_a_large_file_is_no_reason_to_wait() -> None:
    table = "[collector.c{0}]\ntype = 'files'\npaths = [\n  '/a',\n  '/b',\n]\n"
    text = "".join(table.format(number) for number in range(300))
    start = time.process_time()
    assert line_of(text, ("collector", "c150", "type")) == 150 * 6 + 2
    assert time.process_time() - start < 1.0
