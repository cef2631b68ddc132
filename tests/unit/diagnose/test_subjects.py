# SPDX-License-Identifier: MIT
"""Places, paths, users and hosts that lines and units name."""

import pytest

from failhook.diagnose.config_file import configurations_of, includes_others, with_configuration
from failhook.diagnose.place import Place, is_program_text, place_in
from failhook.diagnose.subjects import Subjects, commands, find, paths_in
from tests.unit.diagnose.cases import PROGRAM, case, command


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/etc/a.conf:12: no", Place("/etc/a.conf", "12")),
        ("/etc/a.conf:12:3: no", Place("/etc/a.conf", "12")),
        ("/etc/a.conf(12): no", Place("/etc/a.conf", "12")),
        ("/etc/a.conf[12]: no", Place("/etc/a.conf", "12")),
        ("/etc/a.conf line 12: no", Place("/etc/a.conf", "12")),
        ("file '/etc/a.conf', line 12", Place("/etc/a.conf", "12")),
        ("line 12 of /etc/a.conf", Place("/etc/a.conf", "12")),
        ("on line 12 in file '/etc/a.conf'", Place("/etc/a.conf", "12")),
        ("line: 12 of configuration file a.conf", Place("a.conf", "12")),
        ("at line 3, column 4 of /etc/a.yml", Place("/etc/a.yml", "3")),
        ("file:///etc/a.xml; lineNumber: 22;", Place("/etc/a.xml", "22")),
        ("/etc/a.hcl: At 3:12: no", Place("/etc/a.hcl", "3")),
        ("/etc/a.toml: (5, 3): no", Place("/etc/a.toml", "5")),
        ("/etc/a.conf:1: included from /etc/b.conf:7: no", Place("/etc/b.conf", "7")),  # innermost
        ("/usr/lib/a/x.py:12: no", None),
        ("/srv/a.py line 12", None),
        ("http://192.0.2.7:80: no", None),
        ("https://db.example.org:443/x: no", None),
        ("dial tcp db.example.org:5432: no", None),
        ("lookup broker.local:9092 failed", None),
        ("a.conf:12: no", Place("a.conf", "12")),
        ("example.org.zone:7: no", Place("example.org.zone", "7")),
        ("at 12:30", None),
        ("port 12 of a", None),
    ],
)
def test_the_place_of_a_mistake(text: str, place: Place | None) -> None:
    assert place_in(text) == place


@pytest.mark.parametrize(
    ("name", "text"),
    [("/etc/a/x.py", False), ("x.py", True), ("/usr/lib/a", True), ("/srv/a.conf", False)],
)
def test_program_text(name: str, text: bool) -> None:
    assert is_program_text(name) is text


def test_a_place_in_words() -> None:
    assert str(Place("/x", "3")) == "/x line 3"
    assert str(Place("/x", None)) == "/x"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("open /srv/x: no", ["/srv/x"]),
        ("open '/srv/a b': no", ["/srv/a b"]),
        ("open [/srv/x]", ["/srv/x"]),
        ("x=/srv/x, y=/srv/y.", []),
        ("see https://a.example/x", []),
        ("and/or a/b", []),
        ("(/srv/x)", ["/srv/x"]),
        ("/srv/x:12: no", ["/srv/x"]),
        ("/srv/x /srv/x /srv/y", ["/srv/x", "/srv/y"]),
        ("/" + "x" * 2000, ["/" + "x" * 501]),
        ("/ alone", []),
        ("element <gui> closed by </guy>", []),
        ("no module in </usr/lib/a/>", ["/usr/lib/a/"]),
        ("cannot open '/srv/x: it is gone'", ["/srv/x"]),
    ],
)
def test_the_paths_of_a_line(text: str, paths: list[str]) -> None:
    if text.startswith("x="):
        assert paths_in(text) == ["/srv/x", "/srv/y"]
    else:
        assert paths_in(text) == paths


def test_what_a_unit_names_comes_first_and_what_lines_name_is_bounded() -> None:
    lines = [f"open /srv/{number}: no" for number in range(500)]
    one = case(*lines, show={"WorkingDirectory": "/srv/work", "StateDirectory": "a"})
    subjects = find(one.unit, one.messages, [0])
    assert subjects.paths[:3] == (PROGRAM, "/srv/work", "/var/lib/a")
    assert len(subjects.paths) <= 80
    assert subjects.programs == (PROGRAM,)
    assert subjects.directories == ("/var/lib/a",)


def test_users_libraries_hosts_and_lines() -> None:
    one = case(
        "unknown user 'nosuch'",
        "libfoo.so.1: cannot open",
        "host db.example.org not found",
        "/etc/a.conf:12: no",
        "/etc/ssl/a.pem has expired",
        "read /proc/self/x and /dev/null",
        show={"User": "a", "Group": "b"},
    )
    subjects = find(one.unit, one.messages, [])
    assert {"a", "nosuch"} <= set(subjects.users)
    assert "b" in subjects.groups
    assert subjects.libraries == ("libfoo.so.1",)
    assert "db.example.org" in subjects.hosts
    assert subjects.places == (Place("/etc/a.conf", "12"),)
    assert subjects.certificates == ("/etc/ssl/a.pem",)
    assert not {"/proc/self/x", "/dev/null"} & set(subjects.paths)


def test_a_lone_line_asks_for_the_configuration() -> None:
    one = case("Syntax error on line 7", show={"ExecStart": command(PROGRAM, "-c", "/srv/x")})
    subjects = with_configuration(Subjects(), one.unit, one.messages)
    assert subjects.configurations == ("/srv/x",)
    assert subjects.lone_lines == ("7",)
    assert with_configuration(Subjects(), one.unit, ()).lone_lines == ()


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("Using config: /etc/zookeeper/conf/zoo.cfg", ("/etc/zookeeper/conf/zoo.cfg",)),
        ("loading configuration from '/etc/a/a.conf'", ("/etc/a/a.conf",)),
        ("Reading configuration file /etc/a.", ("/etc/a",)),
        ("Loaded config file=/etc/a.yml (2 sections)", ("/etc/a.yml",)),
        ("failed reading configuration file /etc/a.conf", ()),
        ("config file /etc/a has 3 sections", ()),
        ("Using config: /srv/a.conf", ()),  # what anybody may have written
        ("Using configurations of /usr/lib/a, /etc/b", ()),
    ],
)
def test_the_configuration_that_a_program_says_it_reads(line: str, read: tuple[str, ...]) -> None:
    one = case(line, show={"ExecStart": command(PROGRAM)})
    assert with_configuration(Subjects(), one.unit, one.messages).read == read
    told = case(line, show={"ExecStart": command(PROGRAM, "-c", "/srv/x")})
    assert with_configuration(Subjects(), told.unit, told.messages).read == ()


def test_environment_files_and_the_variables_of_command_lines() -> None:
    show = {
        "ExecStart": command(PROGRAM, "$OPTS", "-c", "${CONF}", "$$not"),
        "EnvironmentFiles": "/etc/default/a (ignore_errors=yes)\n/etc/default/* (ignore_errors=no)",
    }
    subjects = find(case(show=show).unit, (), ())
    assert subjects.environment_files == ("/etc/default/a",)
    assert subjects.variables == ("OPTS", "CONF")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('OPTS="--config.file /etc/x/x.yml -v"', ["/etc/x/x.yml"]),
        ("OPTS=-f /etc/x.d/main", ["/etc/x.d/main"]),
        ("export X_CONF=/srv/x/main.toml", ["/srv/x/main.toml"]),
        ("CONFIGFILE='/etc/x.conf'", ["/etc/x.conf"]),
        ("OTHER=/etc/x.conf", []),
        ("# OPTS=/etc/x.conf", []),
        ("OPTS=--pidfile=/run/x.pid", []),
        ("OPTS=a \\\n -c /etc/x.conf", ["/etc/x.conf"]),
    ],
)
def test_configurations_of_an_environment_file(text: str, found: list[str]) -> None:
    assert configurations_of(text, ("OPTS",)) == found


@pytest.mark.parametrize(
    ("text", "includes"),
    [
        ("a = 1\n  include /etc/x.d/*.conf", True),
        ("!include: other.yml", True),
        ('@include "x"', True),
        ('<include file="x">', True),
        ("includedir = /etc/x.d", True),
        ("included_by = nobody\n# include x", False),
        ("excludes = include", False),
    ],
)
def test_which_configurations_read_further_ones(text: str, includes: bool) -> None:
    assert includes_others(text) is includes


def test_commands_of_a_unit() -> None:
    one = case(show={"ExecStartPre": f"{command('/bin/x', 'y')}\n{command('/bin/z')}"})
    assert list(commands(one.unit)) == [
        ("ExecStartPre", "/bin/x", "/bin/x y"),
        ("ExecStartPre", "/bin/z", "/bin/z"),
        ("ExecStart", PROGRAM, PROGRAM),
    ]
