# SPDX-License-Identifier: MIT
"""Names in a bundle: harmless, and never the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle import layout
from failhook.bundle.tarhead import safe_parts


def test_the_top_directory() -> None:
    assert layout.top_directory("nginx.service", "7f3a") == "nginx.service-7f3a"
    assert layout.top_directory("a\\x2db@c:d.service", "7f3a") == "a_x2db@c_d.service-7f3a"
    assert layout.top_directory("-.mount", "7f3a") == "_-.mount-7f3a"
    assert len(layout.top_directory("u" * 255, "7f3a" * 3)) < 255


@given(st.text(max_size=400))
def test_whatever_is_made_safe_is_accepted_by_the_reader(path: str) -> None:
    safe = layout.safe_path(path)
    parts = safe_parts(f"top/{safe}".encode(), directory=False)
    assert "/".join(parts) == f"top/{safe}"
    assert all(len(part.encode()) <= layout.MAX_COMPONENT for part in parts)
    assert layout.safe_path(safe) == safe


@pytest.mark.parametrize(("one", "two"), [("A", "a"), ("é", "e\u0301"), ("ß", "SS"), ("ﬁ", "fi")])
def test_names_that_are_one_somewhere(one: str, two: str) -> None:
    assert layout.folded(one) == layout.folded(two)


def test_names_are_given_once() -> None:
    names = layout.Names()
    names.take(names.free("d/x.tar.gz"))
    assert names.free("d/x.tar.gz") == "d/x~2.tar.gz"
    assert names.free("D/x.tar.gz") == "d/x~2.tar.gz"
    assert names.new_directories("d/y") == []
    assert names.new_directories("e/f/y") == ["e", "e/f"]


def test_an_error_says_why() -> None:
    error = layout.BundleError("the disk is full", 28)
    assert (str(error), error.reason, error.errno) == ("the disk is full", "the disk is full", 28)
