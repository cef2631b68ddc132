# SPDX-License-Identifier: MIT
"""``[boot]``: every key, every mistake with its place, and what several files say together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.cli import check_schema
from failhook.config import boot
from failhook.config.load import load, load_file
from failhook.config.model import (
    Amount,
    Boot,
    BootChecks,
    Configuration,
    DiskCheck,
    HttpCheck,
    NetworkCheck,
)
from failhook.places import Places

Read = Callable[[str], Configuration]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """One file with this text, read alone."""

    def read(text: str) -> Configuration:
        path = tmp_path / "failhook.toml"
        path.write_text(text, encoding="utf-8")
        return load_file(path)

    return read


def test_without_a_table_nothing_is_checked(read: Read) -> None:
    assert read("").boot == Boot()
    assert read("[boot]").boot == Boot()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeout = '5s'", Boot(timeout_s=5.0)),
        ("deadline = '10min'", Boot(deadline_s=600.0)),
        ("timeouts = { 'a.sh' = '2min' }", Boot(timeouts=(("a.sh", 120.0),))),
        ("active = ['ssh.service']", Boot(BootChecks(active=("ssh.service",)))),
        ("active = ['postgresql@15-main.service']",
         Boot(BootChecks(active=("postgresql@15-main.service",)))),
        ("not_failed = ['*.mount']", Boot(BootChecks(not_failed=("*.mount",)))),
        ("may_fail = ['tmp.mount']", Boot(BootChecks(may_fail=("tmp.mount",)))),
        ("disk = [{ path = '/var', free = '5%' }]",
         Boot(BootChecks(disk=(DiskCheck("/var", free=Amount(percent=5.0)),)))),
        ("disk = [{ path = '/', free = '1G', inodes = 9 }]",
         Boot(BootChecks(disk=(DiskCheck("/", Amount(count=1 << 30), Amount(count=9)),)))),
        ("network = { route = true, address = true, resolve = ['example.org'] }",
         Boot(BootChecks(network=NetworkCheck(True, True, ("example.org",))))),
        ("http = ['http://[::1]:80/x']", Boot(BootChecks(http=(HttpCheck("http://[::1]:80/x"),)))),
        ("http = [{ url = 'https://a/', status = 204 }]",
         Boot(BootChecks(http=(HttpCheck("https://a/", 204),)))),
        ("[boot.wanted]\nactive = ['a.timer']", Boot(wanted=BootChecks(active=("a.timer",)))),
    ],
)  # fmt: skip
def test_every_key(read: Read, text: str, expected: Boot) -> None:
    found = read(f"[boot]\n{text}")
    assert (found.boot, found.problems) == (expected, ())


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("activ = []", 2, "boot.activ: is not known (did you mean 'active'?)"),
        ("active = ['ssh']", 2, 'write "ssh.service"'),
        ("active = 'ssh.service'", 2, "is no list of texts"),
        ("timeout = '0s'", 2, "above 0"),
        ("deadline = '11min'", 2, "up to 10 min"),
        ("timeouts = 5", 2, "no table of durations"),
        ("timeouts = { a = 'soon' }", 2, "is no duration"),
        ("\ndisk = [{ path = '/a', fre = '5%' }]", 3, "did you mean 'free'?"),
        ("disk = [{ path = '/a' }]", 2, "says not what has to be free"),
        ("disk = [{ free = '5%' }]", 2, "path is missing"),
        ("disk = [{ path = 'a', free = '5%' }]", 2, "no absolute path"),
        ("disk = [{ path = '/a', free = 'much' }]", 2, "neither a share nor a size"),
        ("disk = [{ path = '/a', inodes = '1.5' }]", 2, "neither a share nor a number"),
        ("disk = { path = '/a' }", 2, "is no list"),
        ("disk = ['/a']", 2, "is no table"),
        ("network = ['route']", 2, "is no table (write [boot.network])"),
        ("network = { routes = true }", 2, "did you mean 'route'?"),
        ("network = { resolve = ['-x'] }", 2, "no name of a host"),
        ("http = ['ftp://x']", 2, "is no URL"),
        ("http = ['http://x:99999/']", 2, "is no URL"),
        ("http = ['http://x/ y']", 2, "is no URL"),
        ("http = [{ url = 'http://x', status = 20 }]", 2, "no status of HTTP"),
        ("http = [{ status = 200 }]", 2, "url is missing"),
        ("[boot.wanted]\nwanted = 1", 3, "boot.wanted.wanted: is not known"),
        ("[boot.wanted]\ntimeout = '1s'", 3, "is not known"),
    ],
)
def test_every_mistake_with_its_line(read: Read, text: str, line: int, words: str) -> None:
    (problem,) = read(f"[boot]\n{text}").problems
    assert problem.line == line
    assert words in str(problem)
    assert "boot" in problem.key


def test_a_check_with_a_mistake_leaves_the_others(read: Read) -> None:
    found = read("[boot]\ndisk = [{ path = '/a' }, { path = '/b', free = '1%' }]\nactive = ['a']")
    assert found.boot.required == BootChecks(disk=(DiskCheck("/b", Amount(percent=1.0)),))
    assert len(found.problems) == 2


def test_no_table_at_all(read: Read) -> None:
    (problem,) = read("boot = 1").problems
    assert "is no table" in str(problem)


def test_several_files_add_their_checks(where: Places) -> None:
    where = replace(where, user=True)  # whose files need not be root's
    fragments = where.configuration[0] / "conf.d"
    fragments.mkdir()
    (where.configuration[0] / "failhook.toml").write_text(
        "[boot]\nactive = ['a.service']\ntimeout = '5s'\ntimeouts = { x = '1s', y = '1s' }\n"
        "network = { route = true }"
    )
    (fragments / "b.toml").write_text(
        "[boot]\nactive = ['b.service', 'a.service']\ntimeouts = { x = '2s' }\n"
        "network = { resolve = ['a.example'] }"
    )
    found = load(where)
    assert found.problems == ()
    assert found.boot.required.active == ("a.service", "b.service")
    assert found.boot.required.network == NetworkCheck(route=True, resolve=("a.example",))
    assert found.boot.timeout_s == 5.0
    assert dict(found.boot.timeouts) == {"x": 2.0, "y": 1.0}


def test_the_schema_has_every_key() -> None:
    document = check_schema.document([])
    properties = document["properties"]
    assert isinstance(properties, dict)
    table = properties["boot"]
    assert isinstance(table, dict)
    known = table["properties"]
    assert isinstance(known, dict)
    assert set(known) == {*boot.SETTINGS, *boot.UNITS, *boot.TABLES, "wanted"}
    wanted = known["wanted"]
    assert isinstance(wanted, dict)
    below = wanted["properties"]
    assert isinstance(below, dict)
    assert set(below) == {*boot.UNITS, *boot.TABLES}
