# SPDX-License-Identifier: MIT
"""Looks at the machine: what is seen, and that nothing an attacker plants is opened or waited for."""
# ruff: noqa: E501 - a row of a table is one line

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from failhook.diagnose.config_file import with_configuration
from failhook.diagnose.facts import USUAL, Facts, PathFact, dump, load
from failhook.diagnose.look import look
from failhook.diagnose.machine import Machine
from failhook.diagnose.place import Place
from failhook.diagnose.subjects import Subjects, find
from failhook.diagnose.walk import Mount, User, Walk, gid_of, name_of, uid_of
from failhook.systemd.unit import UnitState
from tests.unit.diagnose.cases import command
from tests.unit.diagnose.test_case import pem
from tests.unit.diagnose.test_elf import made_elf

NOBODY = User(65534, frozenset([65534]))
ROOTED = pytest.mark.skipif(os.geteuid() != 0, reason="files of root can only be made by root")


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """Whatever blocks is ended after two seconds."""

    def late(*_: object) -> None:
        raise TimeoutError("it blocks")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(2)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _look(**subjects: object) -> Facts:
    return look(Subjects(**subjects), system=False)  # type: ignore[arg-type]


def _path(path: Path | str) -> PathFact:
    return _look(paths=(str(path),)).paths[str(path)]


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("about")
    (tmp_path / "about").symlink_to("round")
    kinds = {name: _path(tmp_path / name).kind for name in ("file", "fifo", "link", "dangling", "round", "no")}  # fmt: skip
    assert kinds == {
        "file": "file", "fifo": "fifo", "link": "file", "dangling": "missing", "round": "loop",
        "no": "missing",
    }  # fmt: skip
    assert _path(tmp_path).kind == "directory"
    assert _path("/dev/zero").kind == "device"
    assert _path(tmp_path / "link").real == str(tmp_path / "file")
    assert _path(tmp_path / "dangling").real == str(tmp_path / "nowhere")


def test_what_is_missing_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert _path(tmp_path / "a/b/c").missing_at == str(tmp_path / "a")
    assert _path(tmp_path / "file/b").not_a_directory == str(tmp_path / "file")
    assert _path(f"{tmp_path}/x/../file").kind == "missing"  # as the kernel goes
    assert _path(f"{tmp_path}/./file/").kind == "file"
    assert _path(f"{tmp_path}/../{tmp_path.name}").kind == "directory"


@pytest.mark.parametrize("path", ["/", "/..", "/" + "x" * 5000, "/\0", "/" + "x/" * 2000])
def test_odd_paths(path: str) -> None:
    assert _path(path).kind in ("directory", "missing", "unknown")


def test_links_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"l{number}").symlink_to(f"l{number + 1}")
    (tmp_path / "l30").write_text("x")
    assert _path(tmp_path / "l0").kind == "loop"
    assert _path(tmp_path / "l20").kind == "file"


def test_network_file_systems_are_not_touched(tmp_path: Path) -> None:
    """A dead server would never answer."""
    dead = tmp_path / "net"

    def mount_of(path: str) -> Mount | None:
        return Mount(str(dead), "nfs4", "rw") if path.startswith(str(dead)) else None

    fact = Walk(mount_of, "", []).to(f"{dead}/x")
    assert (fact.kind, fact.mount) == ("unknown", str(dead))
    (tmp_path / "link").symlink_to(dead / "x")
    assert Walk(mount_of, "", []).to(str(tmp_path / "link")).kind == "unknown"


@ROOTED
def test_access_by_mode_and_owner(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    (closed / "x").write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o640)
    os.chown(tmp_path / "secret", 0, 65534)

    def of(user: User, path: str) -> tuple[bool, bool, bool, str | None]:
        access = Walk(lambda _: None, str(tmp_path), [user]).to(path).may(user.uid)
        assert access is not None
        return access.read, access.write, access.execute, access.blocked_at

    assert of(NOBODY, "/closed/x") == (False, False, False, "/closed")
    assert of(NOBODY, "/secret") == (True, False, False, None)  # by its group
    assert of(User(0, frozenset([0])), "/secret") == (True, True, False, None)


def test_programs(tmp_path: Path) -> None:
    def of(data: bytes) -> object:
        (tmp_path / "p").write_bytes(data)
        return _look(programs=(f"{tmp_path}/p",)).programs[f"{tmp_path}/p"]

    sh = os.path.realpath("/bin/sh")
    assert "interpreter_exists=True, script=True" in repr(of(f"#!{sh} -e\n".encode()))
    assert "interpreter_exists=False" in repr(of(b"#! /nowhere/ruby2.5\n"))
    assert "carriage_return=True" in repr(of(b"#!/bin/sh\r\n"))
    assert "known=False, empty=True" in repr(of(b""))
    assert "known=False, empty=False" in repr(of(b"echo hello\n"))
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0" + b"\x16\0" + b"\0" * 40
    assert "machine='s390x'" in repr(of(elf))
    for at in (0x318, 0x12345):  # within what is read at first, and beyond
        assert "ld-nowhere.so.2', interpreter_exists=False" in repr(of(made_elf(at=at)))
    assert "script=True" in repr(of(b"#!"))


@pytest.mark.parametrize("what", ["fifo", "device", "directory", "loop"])
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, what: str) -> None:
    place = tmp_path / "p.pem"
    if what == "fifo":
        os.mkfifo(place)
    elif what == "device":
        place.symlink_to("/dev/zero")
    elif what == "directory":
        place.mkdir()
    else:
        place.symlink_to(place)
    name = str(place)
    facts = _look(
        paths=(name,), programs=(name,), certificates=(name,), places=(Place(name, "1"),),
        directories=(name,), configurations=(name,), lone_lines=("1",),
    )  # fmt: skip
    assert not facts.programs
    assert not facts.certificates
    assert not facts.lines


@ROOTED
def test_only_lines_that_root_wrote_and_everybody_may_read(tmp_path: Path) -> None:
    place = tmp_path / "a.conf"
    place.write_text("one\n  two /srv/x\nthree\n")
    place.chmod(0o644)
    name = str(place)

    def lines() -> dict[str, str]:
        places = (Place(name, "2"), Place(name, "9"), Place("a.conf", "1"), Place(name, None))
        return dict(_look(places=places).lines)

    assert lines() == {f"{name}:2": "two /srv/x"}
    assert "/srv/x" in _look(places=(Place(name, "2"),)).paths  # and what it names is looked at
    place.chmod(0o640)
    assert not lines()
    place.chmod(0o666)
    assert not lines()
    place.chmod(0o644)
    os.chown(place, 65534, 65534)
    assert not lines()


@ROOTED
def test_a_lone_line_is_read_from_the_one_configuration(tmp_path: Path) -> None:
    one, other = tmp_path / "a.conf", tmp_path / "b.conf"
    one.write_text("first\nsecond\n")
    one.chmod(0o644)
    both = (str(one), str(other))
    assert _look(configurations=both, lone_lines=("2",)).lines == {f"{one}:2": "second"}
    assert str(other) not in _look(configurations=both).paths
    other.write_text("x\n")
    assert not _look(configurations=both, lone_lines=("2",)).lines


@ROOTED
def test_configurations_that_an_environment_file_names(tmp_path: Path) -> None:
    default, conf = tmp_path / "default", tmp_path / "a.conf"
    default.write_text(f"# x\nOPTS='--config {conf}'\nSECRET=/etc/shadow\nUNUSED=/srv/b.conf\n")
    default.chmod(0o600)  # secrets are often in there: of those nothing is kept
    conf.write_text("one\ninclude /srv/more.conf\n")
    conf.chmod(0o644)

    def facts() -> Facts:
        return _look(
            environment_files=(str(default),), variables=("OPTS", "SECRET"), usual=True,
            configurations=("/usr/lib/os-release",), lone_lines=("1",),
        )  # fmt: skip

    seen = facts()
    assert seen.configurations == (str(conf), "/etc/shadow")
    assert seen.paths[str(conf)].kind == "file"
    assert seen.including == (str(conf),)
    assert not any("os-release" in place for place in seen.lines)
    os.chown(default, 65534, 65534)
    assert facts().configurations == ()


@ROOTED
def test_the_configuration_that_it_says_it_reads(tmp_path: Path) -> None:
    conf = tmp_path / "a.conf"
    conf.write_text(f"dataDir={tmp_path}/gone/data\n")
    conf.chmod(0o644)
    seen = _look(read=(str(conf), "/nonexistent.conf"), usual=True)
    assert seen.configurations == (str(conf),)
    assert seen.absent == {f"{tmp_path}/gone/data": f"{conf}:1"}


@ROOTED
def test_what_a_variable_of_the_command_line_names_and_is_not_there(tmp_path: Path) -> None:
    default, there = tmp_path / "default", tmp_path / "there.img"
    there.touch()
    lines = (
        "# x", f"filename={tmp_path}/gone.img", f'export other="{there}"', f"unused={tmp_path}/x",
        f"PASSWORD={tmp_path}/y", f"several={tmp_path}/a {tmp_path}/b",
    )  # fmt: skip
    default.write_text("\n".join(lines))
    default.chmod(0o600)
    used = ("filename", "other", "PASSWORD", "several")
    seen = _look(environment_files=(str(default),), variables=used)
    assert seen.absent == {f"{tmp_path}/gone.img": f"{default}:2"}
    os.chown(default, 65534, 65534)
    assert _look(environment_files=(str(default),), variables=used).absent == {}


@ROOTED
def test_variables_that_nothing_sets(tmp_path: Path) -> None:
    default, gone = tmp_path / "default", str(tmp_path / "gone")
    default.write_text("COLOUR=red\n")
    default.chmod(0o644)
    used: Any = {"variables": ("COLOUR", "SIZE", "KIND"), "variables_set": ("KIND",)}
    files = (str(default), gone)
    assert _look(environment_files=files, **used).unset == ("SIZE",)
    assert _look(environment_files=(gone,), **used).unset == ("COLOUR", "SIZE")
    default.chmod(0o664)  # somebody else may write it: it is not read, and may set all of them
    assert _look(environment_files=files, **used).unset == ()


@ROOTED
def test_the_configurations_in_a_directory_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "etc/a"
    own.mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    (own / "a.json").write_text('{"cert": "/srv/gone/a.pem"}')
    (own / "notes").write_text("cert /srv/gone/b.pem")
    monkeypatch.setattr("failhook.diagnose.look._root", lambda *, system: tmp_path)
    assert _look(configurations=("/etc/a/",)).absent == {"/srv/gone/a.pem": "/etc/a/a.json:1"}
    os.chown(own, 65534, 65534)
    assert _look(configurations=("/etc/a/",)).absent == {}


def test_certificates_libraries_hosts_users(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem(b"700101000000Z", b"700102000000Z"))
    facts = _look(
        certificates=(f"{tmp_path}/a.pem",), libraries=("libc.so.5",), hosts=("localhost", "no.x"),
        users=("root", "no such user", "x\0y"), groups=("root", "no such group"), uids=(0, 2**32),
    )  # fmt: skip
    assert facts.certificates[f"{tmp_path}/a.pem"].not_after == 86400.0
    assert any(name.startswith("libc.so") for name in facts.libraries["libc.so.5"])
    assert facts.hosts["no.x"] is False
    assert (facts.users["root"], facts.users["no such user"]) == (0, None)
    assert facts.users["x\0y"] is None
    assert facts.groups["no such group"] is None
    assert facts.names[0] == "root"
    assert facts.addresses
    assert facts.machine == os.uname().machine


@ROOTED
def test_files_of_others_in_the_units_own_directories(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    (tmp_path / "log").chmod(0o600)
    assert _look(directories=(str(tmp_path),), runs_as="nobody").foreign == (f"{tmp_path}/log",)
    assert not _look(directories=(str(tmp_path),), runs_as="root").foreign


def test_names_and_numbers_of_users() -> None:
    assert uid_of("root") == gid_of("root") == 0
    assert uid_of("12") == gid_of("12") == 12
    assert uid_of("no such") is gid_of("no such") is None
    assert name_of(2**40) is None


@ROOTED
def test_a_script_names_what_it_works_with(tmp_path: Path) -> None:
    script, program = tmp_path / "nightly.py", tmp_path / "nightly"
    text = (
        '#!/usr/bin/python3\nDB = "sqlite:////srv/nowhere/jobs.db"\nURL = "https://api.example/x"\n'
    )
    for path in (script, program):
        path.write_text(text)
        path.chmod(0o755)
    for path in (script, program):
        facts = _look(scripts=(str(path),))
        assert facts.absent == {"/srv/nowhere/jobs.db": f"{path}:2"}
        assert facts.endpoints == {"api.example": f"{path}:3"}
    program.write_bytes(b"\x7fELF" + text.encode())  # a program's text is no script's
    assert not _look(scripts=(str(program),)).endpoints
    script.chmod(0o777)  # of what others may write nothing is believed
    assert not _look(scripts=(str(script),)).absent


@ROOTED
def test_what_a_script_names_and_perhaps_makes(tmp_path: Path) -> None:
    script = tmp_path / "watch.py"
    text = f'import x\nx.watch(handler(), "{tmp_path}/inbox", recursive=True)\nopen("{script}")\n'
    script.write_text(text)
    facts = _look(scripts=(str(script),))
    assert facts.unmade == {f"{tmp_path}/inbox": f"{script}:2"}
    assert load(dump(facts)).unmade == facts.unmade
    script.chmod(0o777)
    assert not _look(scripts=(str(script),)).unmade


@ROOTED
def test_where_programs_of_its_name_keep_their_data(tmp_path: Path) -> None:
    for name, uid in (("closed", 0), ("own", 65534)):
        (tmp_path / name).mkdir(0o755)
        os.chown(tmp_path / name, uid, uid)
    below = Machine(tmp_path)
    data = ("/closed", "/own", "/none")
    assert below.withheld((), 65534, data) == {"/closed": USUAL}
    assert below.withheld((), 0, data) == {}


def test_scripts_and_data_of_a_unit() -> None:
    state = UnitState(
        "acme-server.service",
        {"ExecStart": command("/usr/bin/python3", "/opt/acme/run.py", "/usr/lib/acme/lib.py")},
    )
    assert find(state, (), ()).scripts == ("/opt/acme/run.py",)
    script = UnitState("a.service", {"ExecStart": command("/usr/local/bin/nightly")})
    assert find(script, (), ()).scripts == ("/usr/local/bin/nightly",)
    argv = (
        "/usr/bin/flock",
        "/srv/lock.file",
        "/opt/nightly",
        "/usr/bin/true",
        "/opt/a.py",
        "/srv/x.csv",
    )
    behind = UnitState("a.service", {"ExecStart": command(*argv)})
    assert find(behind, (), ()).scripts == ("/opt/a.py", "/opt/nightly")
    data = with_configuration(find(state, (), ()), state, ()).data
    assert "/var/lib/acme" in data
    init = UnitState("a.service", {"ExecStart": command("/etc/init.d/acme", "start")})
    assert find(init, (), ()).environment_files == ("/etc/default/acme",)
