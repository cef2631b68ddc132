# SPDX-License-Identifier: MIT
"""Every option, every mistake with its place, and no mistake that stops the rest."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook.config.load import load, load_file
from failhook.config.model import (
    Collect,
    Configuration,
    CustomCollector,
    Keep,
    Problem,
)
from failhook.mask.custom import CustomPattern
from failhook.places import Places
from failhook.values import duration, size

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root's files are trusted")


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Configuration]:
    """One file with this text, read alone."""

    def read(text: str) -> Configuration:
        path = tmp_path / "failhook.toml"
        path.write_text(text, encoding="utf-8")
        return load_file(path)

    return read


def _said(problem: Problem) -> tuple[int | None, str]:
    return problem.line, problem.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[collect]\ndeadline = '5s'", Configuration(collect=Collect(deadline_s=5.0))),
        ("[collect]\nmax_bundle = '1M'", Configuration(collect=Collect(max_bundle=1 << 20))),
        ("[collect]\nskip = ['boot']", Configuration(collect=Collect(skip=("boot",)))),
        ("[keep]\nincidents = 7", Configuration(keep=Keep(incidents=7))),
        ("[keep]\nsize = '3K'", Configuration(keep=Keep(size=3072))),
        ("[keep]\nage = '2d'", Configuration(keep=Keep(age_s=172800.0))),
        ("[keep]\nfree = '2.5%'", Configuration(keep=Keep(free_percent=2.5))),
        ("[keep]\ngrace = 60", Configuration(keep=Keep(grace_s=60.0))),
        ("[mask]\nticket = 'T-(\\d+)'", Configuration(mask=(CustomPattern("ticket", r"T-(\d+)"),))),
        (
            "[collector.app]\ntype='files'\npaths=['/a/*']\nunit=['a-*']\nmax_bytes='2K'",
            Configuration(
                collect=Collect(
                    custom=(CustomCollector("app", "files", ("a-*",), ("/a/*",), max_bytes=2048),)
                )
            ),
        ),
        (
            "[collector.df]\ntype='command'\nargv=['df','-h']\ntimeout='3s'",
            Configuration(
                collect=Collect(
                    custom=(CustomCollector("df", "command", argv=("df", "-h"), timeout_s=3.0),)
                )
            ),
        ),
        ("", Configuration()),
        ("# nothing but a comment", Configuration()),
    ],
)
def test_every_option(
    read: Callable[[str], Configuration], text: str, expected: Configuration
) -> None:
    configuration = read(text)
    assert configuration.problems == ()
    assert replace(configuration, files=()) == expected


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("[collect]\n\ndeadline = 'soon'", 3, "collect.deadline", "is no duration"),
        ("[collect]\ndeadline = true", 2, "collect.deadline", "True is no duration"),
        ("[collect]\ndeadline = -5", 2, "collect.deadline", "is no duration"),
        ("[collect]\ndeadline = inf", 2, "collect.deadline", "is no duration"),
        ("[collect]\ndeadline = '9" + "9" * 400 + "s'", 2, "collect.deadline", "is no duration"),
        ("[collect]\ndeadlin = '5s'", 2, "collect.deadlin", "did you mean 'deadline'?"),
        ("[collect]\nzzz = 1", 2, "collect.zzz", "known here: deadline, max_bundle, skip"),
        ("[collect]\nskip = 'boot'", 2, "collect.skip", "is no list of texts"),
        ("[collect]\nskip = [1]", 2, "collect.skip", "is no list of texts"),
        ("collect = 5", 1, "collect", "is no table"),
        ("[[keep]]\nsize = 1", 1, "keep", "is no table"),
        ("[kep]\nsize = 1", 1, "kep", "did you mean 'keep'?"),
        ("[keep]\nincidents = 0", 2, "keep.incidents", "is no number from 1"),
        ("[keep]\nincidents = true", 2, "keep.incidents", "is no number from 1"),
        ("[keep]\nincidents = '5'", 2, "keep.incidents", "is no number from 1"),
        ("[keep]\nsize = '1X'", 2, "keep.size", "is no size"),
        ("[keep]\nsize = '" + "9" * 400 + "G'", 2, "keep.size", "is no size"),
        ("[keep]\nfree = 10", 2, "keep.free", "is no share"),
        ("[keep]\nfree = '%'", 2, "keep.free", "is no share"),
        ("[keep]\nfree = '²%'", 2, "keep.free", "is no share"),
        ("[keep]\nfree = '1.2.3%'", 2, "keep.free", "is no share"),
        ("[keep]\nfree = '91%'", 2, "keep.free", "more than 90%"),
        ("[keep]\nage = [1]", 2, "keep.age", "is no duration"),
        ("[mask]\na = '('", 2, "mask.a", "does not compile"),
        ("[mask]\na = 5", 2, "mask.a", "5 is no text"),
        ("[mask]\na = 'x{99999999999999999999}'", 2, "mask.a", "does not compile"),
        ("[mask]\na = '" + "(" * 5000 + ")" * 5000 + "'", 2, "mask.a", "longer than"),
        ("[mask]\na = '(a+)+$'", 2, "mask.a", "take forever"),
        ("[mask]\na = 'x*'", 2, "mask.a", "matches the empty text"),
        ("[mask]\nA_b = 'x'", 2, "mask.A_b", "is no name"),
        ("[collector.a]\nargv=['x']", 1, "collector.a.type", '"files" or "command"'),
        ("[collector.a]\ntype='magic'", 2, "collector.a.type", '"files" or "command"'),
        ("[collector.a]\ntype='files'", 1, "collector.a", "paths is missing"),
        ("[collector.a]\ntype='command'\nargv=[]", 1, "collector.a", "argv is missing"),
        ("[collector]\na = 1", 2, "collector.a", "is no table"),
        ("[collector.'a/b']\ntype='files'\npaths=['/']", 1, "collector.a/b", "is no name"),
    ],
)
def test_every_mistake_has_its_place_and_remedy(
    read: Callable[[str], Configuration], text: str, line: int, key: str, words: str
) -> None:
    configuration = read(text)
    (problem,) = configuration.problems
    assert _said(problem) == (line, key)
    assert words in str(problem)
    assert f"failhook.toml:{line}: {key}: " in str(problem)
    assert replace(configuration, files=(), problems=()) == Configuration()


def test_several_mistakes_at_once_and_what_is_right_counts(
    read: Callable[[str], Configuration],
) -> None:
    configuration = read(
        "colect = 1\n"
        "[collect]\n"
        "deadline = 'x'\n"
        "max_bundle = '2M'\n"
        "[keep]\n"
        "size = true\n"
        "incidents = 9\n"
        "[collector.good]\n"
        "type = 'files'\n"
        "paths = ['/x']\n"
        "[collector.bad]\n"
        "type = 'command'\n"
        "timeout = 'x'\n"
        "[mask]\n"
        "bad = '['\n"
        "good = 'x'\n"
    )
    assert [_said(problem) for problem in configuration.problems] == [
        (1, "colect"),
        (3, "collect.deadline"),
        (6, "keep.size"),
        (13, "collector.bad.timeout"),
        (11, "collector.bad"),
        (15, "mask.bad"),
    ]
    assert configuration.collect.max_bundle == 2 << 20
    assert configuration.keep.incidents == 9
    assert [one.name for one in configuration.collect.custom] == ["good"]
    assert [one.name for one in configuration.mask] == ["good"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[collect]\ndeadline = \n", 2),
        (b"[collect]\n[collect]\n", 2),
        (b"x = 1\nx = 2\n", 2),
        (b"\xff\xfe", None),
        (b"x = " + b"[" * 20000, None),
        (b"x = " + b"1" * 5000, None),
        (b"x = 1979-99-99\n", 1),
        (b"# comment\n" * 200000, None),
    ],
)
@root_only
def test_a_broken_file_does_not_stop_the_others(
    where: Places, content: bytes, line: int | None
) -> None:
    (etc,) = where.configuration
    (etc / "conf.d").mkdir()
    (etc / "failhook.toml").write_text("[keep]\nincidents = 3\n")
    (etc / "conf.d" / "50-broken.toml").write_bytes(content)
    (etc / "conf.d" / "90-good.toml").write_text("[collect]\ndeadline = '7s'\n")
    configuration = load(where)
    (problem,) = configuration.problems
    assert problem.file.name == "50-broken.toml"
    if line is not None:
        assert problem.line == line
    assert (configuration.keep.incidents, configuration.collect.deadline_s) == (3, 7.0)
    assert len(configuration.files) == 3


@root_only
def test_later_files_take_the_place_of_earlier_ones(where: Places, tmp_path: Path) -> None:
    vendor, (etc,) = tmp_path / "usr", where.configuration
    for directory in (vendor, etc):
        (directory / "conf.d").mkdir(parents=True)
    collector = "[collector.a]\ntype='files'\npaths=['/{0}']\n"
    (vendor / "failhook.toml").write_text("[keep]\nincidents=1\nage='1d'\n" + collector.format(1))
    (etc / "failhook.toml").write_text("[keep]\nincidents=2\n[mask]\na='x'\n")
    (etc / "conf.d" / "b.toml").write_text("[keep]\nincidents=4\n" + collector.format(2))
    (etc / "conf.d" / "a.toml").write_text("[keep]\nincidents=3\n[mask]\nb='y'\n")
    (etc / "conf.d" / "ignored.conf").write_text("[keep]\nincidents=5\n")
    configuration = load(replace(where, configuration=(vendor, etc)))
    assert configuration.problems == ()
    assert (configuration.keep.incidents, configuration.keep.age_s) == (4, 86400.0)
    assert [one.paths for one in configuration.collect.custom] == [("/2",)]
    assert [one.name for one in configuration.mask] == ["a", "b"]
    assert [path.name for path in configuration.files] == [
        "failhook.toml",
        "failhook.toml",
        "a.toml",
        "b.toml",
    ]


def test_no_file_at_all(where: Places) -> None:
    assert load(where) == Configuration()
    assert load(replace(where, configuration=(where.run / "missing",))) == Configuration()


@root_only
@pytest.mark.parametrize("mode", [0o646, 0o664, 0o666])
@pytest.mark.parametrize("what", ["file", "directory"])
def test_who_others_may_write_is_refused(where: Places, mode: int, what: str) -> None:
    (etc,) = where.configuration
    path = etc / "failhook.toml"
    path.write_text("[keep]\nincidents = 3\n")
    (path if what == "file" else etc).chmod(mode | (0o111 if what == "directory" else 0))
    configuration = load(where)
    (problem,) = configuration.problems
    assert "chmod go-w" in str(problem)
    assert configuration.keep.incidents == 500


@root_only
@pytest.mark.parametrize("what", ["file", "directory", "target"])
def test_who_belongs_to_another_is_refused(where: Places, tmp_path: Path, what: str) -> None:
    (etc,) = where.configuration
    path = etc / "failhook.toml"
    path.write_text("[keep]\nincidents = 3\n")
    if what == "target":
        path.rename(tmp_path / "theirs")
        path.symlink_to(tmp_path / "theirs")
        os.chown(tmp_path / "theirs", 65534, 65534)
    else:
        os.chown(path if what == "file" else etc, 65534, 65534)
    configuration = load(where)
    (problem,) = configuration.problems
    assert "belongs to uid 65534" in str(problem)
    assert configuration.keep.incidents == 500


def test_a_user_may_write_his_own_file_as_he_likes(where: Places) -> None:
    (etc,) = where.configuration
    (etc / "failhook.toml").write_text("[keep]\nincidents = 3\n")
    (etc / "failhook.toml").chmod(0o666)
    assert load(replace(where, user=True)).keep.incidents == 3


@pytest.mark.parametrize("what", ["directory", "fifo", "missing"])
def test_what_is_no_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.toml"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    (problem,) = load_file(path).problems
    assert "regular" in str(problem) or "No such file" in str(problem)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20.0),
        ("1.5h", 5400.0),
        ("5 min", 300.0),
        ("5m", 300.0),
        ("250ms", 0.25),
        ("2w", 1209600.0),
        (" 7d ", 604800.0),
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("16M", 16 << 20),
        ("1.5K", 1536),
        ("2G", 2 << 30),
        ("2GiB", 2 << 30),
        ("2 GB", 2 << 30),
        ("1T", 1 << 40),
        (4096, 4096),
        ("0", 0),
    ],
)
def test_sizes(text: object, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "s", "5 years", "-1s", "1e3", None, [], True, "1s2"])
def test_what_is_neither_a_duration_nor_a_size(text: object) -> None:
    for reader in (duration, size):
        with pytest.raises(ValueError, match=r"is no (duration|size)"):
            reader(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(JSON)
def test_a_reader_gives_a_finite_number_or_says_what_is_wrong(value: object) -> None:
    for reader in (duration, size):
        try:
            assert 0 <= reader(value) < float("inf")
        except ValueError as error:
            assert str(error).startswith("is no ")


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("latin-1")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_is_in_a_file_nothing_is_raised(
    read: Callable[[str], Configuration], text: str
) -> None:
    assert isinstance(read(text.encode("utf-8", "replace").decode()), Configuration)
