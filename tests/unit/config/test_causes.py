# SPDX-License-Identifier: MIT
"""Causes as data: what a file may say, every mistake with its line, and what is never trusted."""

import os
from pathlib import Path

import pytest

from failhook.config import causes, load
from failhook.config.custom_cause import CustomCause
from failhook.places import Places

GOOD = """\
[[cause]]
name = "acme-licence"
pattern = 'licence (?P<file>/[^ ]{1,200}) expired on (?P<day>[0-9-]{1,20})'
sentence = "the licence {file} expired on {day}"
advice = "renew it"
runbook = "https://wiki.example/licence"
unit = ["acme-*.service"]
confidence = 0.97
example = ["ERROR licence /etc/acme/key expired on 2026-01-01, leaving"]
near_miss = ["licence /etc/acme/key is valid"]
"""


@pytest.fixture
def where(tmp_path: Path) -> Places:
    for name in ("causes.d", "plugins"):
        (tmp_path / "etc" / name).mkdir(parents=True)
    return Places(tmp_path / "run", tmp_path / "state", (tmp_path / "etc",), user=True)


def written(where: Places, text: str, name: str = "acme.toml") -> Path:
    path = where.configuration[0] / "causes.d" / name
    path.write_text(text)
    return path


def test_a_cause_finds_its_line_and_fills_its_sentence(where: Places) -> None:
    written(where, GOOD)
    (cause,), problems, files = causes.load(where)
    assert problems == ()
    assert [path.name for path in files] == ["acme.toml"]
    assert cause.found_in(cause.examples[0]) == "the licence /etc/acme/key expired on 2026-01-01"
    assert cause.found_in("nothing of the kind") is None
    assert (cause.units, cause.confidence) == (("acme-*.service",), 0.97)


def test_it_is_part_of_the_configuration(where: Places) -> None:
    path = written(where, GOOD)
    configuration = load.load(where)
    assert [one.name for one in configuration.causes] == ["acme-licence"]
    assert path in configuration.files
    assert [one.name for one in load.load_file(path).causes] == ["acme-licence"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("advice =", "advise =", 5, "is not known"),
        ('name = "acme-licence"\n', "", None, "is missing"),
        ('"acme-licence"', '"Acme licence!"', 2, "is no name"),
        ("{1,200})", "{1,200}", 3, "does not compile"),
        ("[^ ]{1,200}", "([^ ]+)+", 3, "can take forever"),
        ("{day}", "{year}", 4, "{year} is no group of the pattern"),
        ("0.97", "1.5", 8, "is no number above 0"),
        ("0.97", "true", 8, "is no number above 0"),
        ('["acme-*.service"]', '"acme"', 7, "is no list of texts"),
        ("2026-01-01, leaving", "Monday", 9, "the pattern does not find"),
        ("is valid", "expired on 1", 10, "finds"),
        ('"renew it"', "7", 5, "is no text"),
        ("[[cause]]", "[[causes]]", 1, "is not known"),
        ('"renew it"', '"renew it', 5, "Illegal character"),
    ],
)
def test_every_mistake_has_its_line(
    where: Places, old: str, new: str, line: int | None, said: str
) -> None:
    path = written(where, GOOD.replace(old, new))
    found, problems = causes.load_file(path)
    assert found == []
    assert any(said in str(one) for one in problems), problems
    if line is not None:
        assert line in [one.line for one in problems], problems


def test_a_broken_cause_does_not_stop_the_others(where: Places) -> None:
    written(where, GOOD.replace("(?P<day>", "(?P<day") + GOOD.replace("acme-licence", "second"))
    found, problems, _ = causes.load(where)
    assert [one.name for one in found] == ["second"]
    assert len(problems) == 1


def test_a_later_file_wins(where: Places) -> None:
    written(where, GOOD, "10-a.toml")
    written(where, GOOD.replace("renew it", "call them"), "20-b.toml")
    found, _, _ = causes.load(where)
    assert [one.advice for one in found] == ["call them"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["causes.d", "plugins"])
def test_what_others_may_write_is_not_used(where: Places, name: str) -> None:
    trusted = Places(where.run, where.state, where.configuration)
    suffix = "toml" if name == "causes.d" else "py"
    path = where.configuration[0] / name / f"x.{suffix}"
    path.write_text(GOOD if suffix == "toml" else "CAUSES = ()")
    configuration = load.load(trusted)
    assert configuration.problems == ()
    assert len(configuration.causes) + len(configuration.plugins) == 1
    for spoil, restore in ((0o666, 0o644), (0o664, 0o644)):
        path.chmod(spoil)
        configuration = load.load(trusted)
        assert not configuration.causes and not configuration.plugins
        assert "may be written by others" in str(configuration.problems[0])
        path.chmod(restore)
    os.chown(path, 65534, 65534)
    assert "belongs to uid 65534" in str(load.load(trusted).problems[0])


def test_a_line_of_any_length_and_kind_is_looked_at_in_bounded_time(where: Places) -> None:
    written(where, GOOD)
    (cause,), _, _ = causes.load(where)
    assert cause.found_in("x" * 10_000_000) is None
    assert cause.found_in("\udc80\udcff".encode("utf-8", "replace").decode()) is None


def test_a_group_that_took_no_part_is_empty() -> None:
    import re

    cause = CustomCause("x", re.compile(rb"a(?P<b>b)?c"), "with {b} and {unit}")
    assert cause.found_in("ac") == "with  and "
