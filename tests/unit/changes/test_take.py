# SPDX-License-Identifier: MIT
"""Looking at a machine that may be hostile: only plain files, bounded, and never their content."""

import grp
import json
import os
import pwd
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.changes import fingerprint, take
from failhook.changes.compare import Times, compare
from failhook.changes.fingerprint import FileMark, Fingerprint, Package
from failhook.changes.packages import Packages
from failhook.changes.take import MAX_FILES, MAX_OF_DIRECTORIES, Machine
from failhook.incident import NOT_THERE
from failhook.systemd.unit import UnitState

KEY = b"k" * 32
SECRET = "correct-horse-battery-staple"
NOW = 1_800_000_000.0


class Shelf(Packages):
    """A package manager that says what it is told to; remembers what it was asked."""

    def __init__(self, owned: Mapping[str, str], installed: Mapping[str, str]) -> None:
        self.searched: list[str] = []
        self.owned, self.installed = dict(owned), dict(installed)

    def stamp(self) -> str:
        return str(sorted(self.installed.items()))

    def owners(self, paths: object) -> dict[str, str]:
        assert isinstance(paths, set)
        self.searched += sorted(paths)
        found = {path: self.owned[path] for path in paths if path in self.owned}
        return found | {path: name for path, name in self.owned.items() if path.startswith("?")}

    def versions(self, names: object) -> dict[str, Package]:
        assert isinstance(names, list | dict)
        return {name: Package("dpkg", self.installed.get(name)) for name in names}


def _me() -> str:
    """Who runs the tests, as a mark names an owner."""
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    return user if user == group else f"{user}:{group}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with one service and an /etc."""
    made = tmp_path / "root"
    _write(made, "etc/a.conf", f"password = {SECRET}\n")
    _write(made, "etc/default/a", f"TOKEN={SECRET}\n")
    _write(made, "etc/a/part.conf", SECRET)
    _write(made, "etc/systemd/system/a.service", "[Service]\n")
    _write(made, "usr/sbin/a", "#!/usr/bin/interpreter -x\n")
    _write(made, "usr/bin/interpreter", "\x7fELF")
    _write(made, "var/lib/a/data", SECRET)
    return made


def _write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _exec(path: str, argv: str) -> str:
    return (
        f"{{ path={path} ; argv[]={argv} ; ignore_errors=no ; start_time=[n/a] ; "
        "stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
    )


def state(**properties: str) -> UnitState:
    known = {
        "LoadState": "loaded",
        "InvocationID": "1" * 32,
        "FragmentPath": "/etc/systemd/system/a.service",
        "ExecStart": _exec("/usr/sbin/a", "/usr/sbin/a -c /etc/a.conf --data /var/lib/a/data"),
        "EnvironmentFiles": "/etc/default/a (ignore_errors=no)",
    }
    return UnitState("a.service", known | properties)


def machine(root: Path, known: Packages | None = None) -> Machine:
    return Machine(root=root, key=KEY, packages=known or Packages())


def look(root: Path, **properties: str) -> Fingerprint:
    return take.take(state(**properties), machine(root), now=NOW)


def mount_table(root: Path, *lines: str) -> None:
    text = "".join(f"{number} 1 0:1 / {line}\n" for number, line in enumerate(lines, 2))
    _write(root, "proc/1/mountinfo", text)


# -- what is seen ---------------------------------------------------------------------------------


def test_what_a_unit_is_made_of(root: Path) -> None:
    found = look(root)
    assert {path: str(mark.kind) for path, mark in found.files.items() if not mark.missing} == {
        "/etc/systemd/system/a.service": "unit",
        "/usr/sbin/a": "program",
        "/usr/bin/interpreter": "program",
        "/etc/a.conf": "file",
        "/etc/default/a": "file",
        "/etc/a/part.conf": "file",
        "/var/lib/a/data": "file",
    }
    assert "/etc/a" in found.directories
    assert found.invocation == "1" * 32
    assert found.kernel == os.uname().release
    conf = found.files["/etc/a.conf"]
    assert (conf.size, conf.mode, conf.owner) == (
        len(f"password = {SECRET}\n"), 0o644, _me(),
    )  # fmt: skip
    assert conf.digest is not None and conf.modified is not None and conf.changed is not None


def test_no_secret_of_any_file_is_kept(root: Path) -> None:
    data = fingerprint.dump(look(root))
    assert SECRET.encode() not in data
    assert KEY not in data and KEY.hex().encode() not in data
    assert b"interpreter -x" not in data


def test_a_digest_says_nothing_to_those_without_the_key(root: Path) -> None:
    mine = look(root)
    other = take.take(state(), Machine(root=root, key=b"o" * 32, packages=Packages()), now=NOW)
    assert mine.files["/etc/a.conf"].digest != other.files["/etc/a.conf"].digest
    assert mine.key != other.key


def test_data_may_change_while_all_is_well(root: Path) -> None:
    mark = look(root).files["/var/lib/a/data"]
    assert (mark.size, mark.modified, mark.changed, mark.digest) == (None, None, None, None)


def test_a_large_file_is_known_by_its_size_and_time(root: Path) -> None:
    with (root / "etc/a.conf").open("wb") as stream:
        stream.truncate(1 << 33)
    began = time.monotonic()
    mark = look(root).files["/etc/a.conf"]
    assert time.monotonic() - began < 5
    assert (mark.size, mark.digest) == (1 << 33, None)


def test_a_running_process_shows_its_libraries_and_what_it_holds_open(root: Path) -> None:
    place = root / "proc/77"
    (place / "fd").mkdir(parents=True)
    (place / "root").symlink_to("/")
    _write(root, "etc/other.key", SECRET)
    (place / "fd/3").symlink_to("/etc/other.key")
    (place / "fd/4").symlink_to("/var/lib/a/data")
    (place / "fd/5").symlink_to("socket:[1]")
    (place / "maps").write_text(
        "7f00-7f01 r-xp 00000000 08:01 1    /usr/lib/x86_64-linux-gnu/libz.so.1.2.13\n"
        "7f01-7f02 r-xp 00000000 08:01 1    /usr/lib/x86_64-linux-gnu/libold.so.1 (deleted)\n"
        "7f02-7f03 rw-p 00000000 00:00 0    [heap]\n"
    )
    shelf = Shelf({"/usr/lib/x86_64-linux-gnu/libz.so.1.2.13": "libz1"}, {"libz1": "1.2"})
    found = take.take(state(MainPID="77"), machine(root, shelf), now=NOW)
    assert "/etc/other.key" in found.files
    assert found.packages == {"libz1": Package("dpkg", "1.2")}
    (place / "root").unlink()
    (place / "root").symlink_to("/srv/root")  # its paths are not ours
    assert "/etc/other.key" not in take.take(state(MainPID="77"), machine(root), now=NOW).files


def test_packages_are_searched_only_when_one_changed(root: Path) -> None:
    shelf = Shelf({"/usr/sbin/a": "a", "?b": "b"}, {"a": "1.0", "b": "2"})
    first = take.take(state(), machine(root, shelf), now=NOW)
    assert first.packages == {"a": Package("dpkg", "1.0"), "b": Package("dpkg", "2")}
    assert shelf.searched == ["/usr/bin/interpreter", "/usr/sbin/a"]
    again = take.take(state(), machine(root, shelf), first, now=NOW)
    assert (again.owned, again.packages) == (first.owned, first.packages)
    assert len(shelf.searched) == 2
    shelf.installed["c"] = "1"
    take.take(state(), machine(root, shelf), first, now=NOW)
    assert len(shelf.searched) == 4


def test_what_is_as_it_was_is_not_read_again(root: Path) -> None:
    before = look(root)
    after = take.again(state(), spared := machine(root), before, now=NOW)
    assert after.files == before.files
    assert spared._hashed == 0
    (root / "etc/a.conf").write_text("x")
    take.again(state(), spared := machine(root), before, now=NOW)
    assert spared._hashed == 1
    take.again(state(), spared := machine(root), replace(before, key="other"), now=NOW)
    assert spared._hashed > 1


def test_versions_are_not_read_where_no_package_changed(root: Path) -> None:
    shelf = Shelf({"/usr/sbin/a": "a"}, {"a": "1.0"})
    before = take.take(state(), machine(root, shelf), now=NOW)
    known = replace(before, packages={"a": Package("dpkg", "0.9")})
    assert take.again(state(), machine(root, shelf), known, now=NOW).packages == known.packages
    shelf.installed["a"] = "1.1"
    after = take.again(state(), machine(root, shelf), known, now=NOW).packages
    assert after == {"a": Package("dpkg", "1.1")}


def test_a_unit_with_a_root_of_its_own_has_no_paths_of_ours(root: Path) -> None:
    for setting in ({"RootDirectory": "/srv/root"}, {"RootImage": "/srv/image"}):
        assert list(look(root, **setting).files) == ["/etc/systemd/system/a.service"]
    assert "/etc/a.conf" in look(root, RootDirectory="/").files


def test_users(root: Path) -> None:
    assert look(root, User="root").users == {"root": 0}
    assert look(root, User="no-such-user-here").users == {"no-such-user-here": None}
    assert look(root, User="1000").users == {}
    assert look(root, User="made-up", DynamicUser="yes").users == {}


# -- what is in the way ---------------------------------------------------------------------------


def test_only_plain_files_are_opened(root: Path) -> None:
    conf = root / "etc/a.conf"

    def seen() -> FileMark | None:
        began = time.monotonic()
        found = look(root).files.get("/etc/a.conf")
        assert time.monotonic() - began < 5
        return found

    conf.unlink()
    os.mkfifo(conf)
    assert seen() is None
    conf.unlink()
    conf.mkdir()
    assert seen() is None
    conf.rmdir()
    conf.symlink_to("a.conf")
    assert seen() is None
    conf.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(conf.parent)  # a socket's path is short
        listener.bind("a.conf")
        assert seen() is None
    conf.unlink()
    assert seen() == FileMark("/etc/a.conf", missing=True)


def test_a_path_through_a_file_a_loop_or_nothing(root: Path) -> None:
    (root / "etc/loop").symlink_to("loop")
    names = "/etc/a.conf/x /etc/loop/x /etc/gone/x"
    found = look(root, ExecStart=_exec("/usr/sbin/a", f"/usr/sbin/a {names}")).files
    assert "/etc/a.conf/x" not in found
    assert "/etc/loop/x" not in found
    assert found["/etc/gone/x"].missing


def test_links_of_those_who_may_write_there_are_not_followed(root: Path) -> None:
    (root / "etc/a").chmod(0o777)
    (root / "etc/a/link.conf").symlink_to("../a.conf")
    os.link(root / "etc/a.conf", root / "etc/a/hard.conf")
    found = look(root).files
    assert "/etc/a/link.conf" not in found
    assert "/etc/a/hard.conf" not in found
    (root / "etc/a").chmod(0o755)
    assert "/etc/a/link.conf" in look(root).files


def test_a_huge_directory_costs_no_more_than_its_share(root: Path) -> None:
    for number in range(3 * MAX_OF_DIRECTORIES):
        (root / f"etc/a/{number:04}.conf").touch()
    found = look(root)
    assert sum(path.startswith("/etc/a/") for path in found.files) == MAX_OF_DIRECTORIES
    assert "/etc/a" not in found.directories  # not all of it is known
    new = replace(found, files={**found.files, "/etc/a/new": FileMark("/etc/a/new", size=1)})
    assert compare(found, new, Times()) == ()


def test_a_deep_directory_and_links_in_circles(root: Path) -> None:
    deep = root / "etc/a"
    for number in range(30):
        deep = deep / f"d{number}"
    deep.mkdir(parents=True)
    (deep / "x.conf").touch()
    (root / "etc/a/d0/up").symlink_to("..")
    (root / "etc/a/d0/y.conf").touch()
    found = look(root).files
    assert "/etc/a/d0/y.conf" in found
    assert not any(path.endswith("x.conf") for path in found)


def test_never_more_files_than_there_is_place_for(root: Path) -> None:
    names = [f"/etc/many/{number}" for number in range(2 * MAX_FILES)]
    lines = "\n".join(
        _exec("/usr/sbin/a", " ".join(["/usr/sbin/a", *names[at : at + 20]]))
        for at in range(0, len(names), 20)
    )
    found = look(root, ExecStart=lines)
    assert len(found.files) <= MAX_FILES
    assert len(fingerprint.dump(found)) < fingerprint.MAX_BYTES


def test_nothing_is_looked_at_when_the_time_is_over(root: Path) -> None:
    late = Machine(root=root, key=KEY, packages=Packages(), until=time.monotonic() - 1)
    assert take.take(state(), late, now=NOW).files == {}


def test_names_that_are_no_text(root: Path) -> None:
    os.close(os.open(os.fsencode(root / "etc/a") + b"/\xff\n.conf", os.O_CREAT, 0o644))
    found = look(root)
    assert "/etc/a/\udcff\n.conf" in found.files
    assert fingerprint.load(fingerprint.dump(found)) == found


@pytest.mark.parametrize(
    ("line", "reachable"),
    [
        ("/etc/a rw - nfs4 server:/x rw", False),
        ("/etc/a rw - fuse.sshfs me@there: rw", False),
        ("/etc/a rw - autofs systemd-1 rw", False),
        ("/etc rw - autofs systemd-1 rw", False),
        ("/etc/a rw - ext4 /dev/sda1 rw", True),
        ("/etc/ab rw - nfs4 server:/x rw", True),
    ],
)
def test_network_and_automounted_file_systems_are_not_touched(
    root: Path, line: str, reachable: bool
) -> None:
    mount_table(root, "/ rw - ext4 /dev/vda rw", line)
    found = look(root)
    assert ("/etc/a/part.conf" in found.files) is reachable
    assert ("/etc/a" in found.directories) is reachable


def test_what_an_automount_has_mounted_is_seen_and_no_change(root: Path) -> None:
    automount = "/etc/a rw - autofs systemd-1 rw"
    mount_table(root, "/ rw - ext4 /dev/vda rw", automount, "/etc/a rw - ext4 /dev/sda1 rw")
    there = look(root)
    assert "/etc/a/part.conf" in there.files
    mount_table(root, "/ rw - ext4 /dev/vda rw", automount)
    assert compare(there, take.again(state(), machine(root), there, now=NOW), Times()) == ()


def test_a_mount_that_is_gone_or_read_only_now(root: Path) -> None:
    mount_table(root, "/ rw - ext4 /dev/vda rw", "/var/lib/a rw,nosuid - ext4 /dev/sda1 rw,x=1")
    before = look(root, StateDirectory="a")
    assert str(before.mounts["/var/lib/a"]) == "/dev/sda1 ext4 rw,nosuid"
    mount_table(root, "/ rw - ext4 /dev/vda rw", "/var/lib/a rw,nosuid - ext4 /dev/sda1 ro,x=1")
    after = take.again(state(), machine(root), before, now=NOW)
    (change,) = compare(before, after, Times())
    assert (change.what, change.after) == ("mount /var/lib/a", "/dev/sda1 ext4 ro,nosuid")
    mount_table(root, "/ rw - ext4 /dev/vda rw")
    (change,) = compare(before, take.again(state(), machine(root), before, now=NOW), Times())
    assert change.after == NOT_THERE


# -- what is different ----------------------------------------------------------------------------


def test_nothing_is_different_where_nobody_touched_anything(root: Path) -> None:
    before = look(root)
    assert compare(before, take.again(state(), machine(root), before, now=NOW), Times()) == ()


def test_what_was_edited_added_and_removed_is_named_without_its_content(root: Path) -> None:
    before = fingerprint.load(fingerprint.dump(look(root)))
    other = SECRET[::-1]
    _write(root, "etc/a.conf", f"password = {other}\n")  # as long as before
    _write(root, "etc/a/new.conf", other)
    _write(root, "var/lib/a/data", other * 9)
    (root / "etc/default/a").chmod(0o600)
    (root / "usr/bin/interpreter").unlink()
    drop_in = "/etc/systemd/system/a.service.d/x.conf"
    _write(root, drop_in[1:], "[Service]\n")
    now = state(DropInPaths=drop_in)
    changes = compare(before, take.again(now, machine(root), before, now=NOW), Times())
    assert {one.what: (one.before == NOT_THERE, one.after == NOT_THERE) for one in changes} == {
        "/etc/a.conf": (False, False),
        "/etc/a/new.conf": (True, False),
        "/etc/default/a": (False, False),
        "/usr/bin/interpreter": (False, True),
        drop_in: (True, False),
    }
    said = json.dumps([[one.what, one.before, one.after] for one in changes])
    assert SECRET not in said and other not in said


def test_a_unit_that_systemd_does_not_know_any_more(root: Path) -> None:
    before = look(root)
    (root / "etc/systemd/system/a.service").unlink()
    gone = UnitState("a.service", {"LoadState": "not-found"})
    (change,) = compare(before, take.again(gone, machine(root), before, now=NOW), Times())
    assert (change.what, change.after) == ("/etc/systemd/system/a.service", NOT_THERE)


# -- as the run began -----------------------------------------------------------------------------

OLD = FileMark("/etc/a.conf", size=1, modified=50.0, changed=50.0, digest="aa")
NEW = replace(OLD, size=2, modified=150.0, changed=150.0, digest="bb")
RUN = Fingerprint("a.service", seen=200.0, started=100.0, key="k", files={"/etc/a.conf": NEW})


def test_what_was_written_after_the_start_is_not_what_it_runs_well_with() -> None:
    (mark,) = take.as_begun(RUN, None).files.values()
    assert mark == replace(NEW, late=True)
    known = replace(RUN, files={"/etc/a.conf": OLD})
    assert take.as_begun(RUN, known).files == {"/etc/a.conf": OLD}
    other_key = replace(known, key="other")
    assert take.as_begun(RUN, other_key).files["/etc/a.conf"].late
    before = replace(RUN, started=160.0)
    assert take.as_begun(before, known) == before
    unknown = replace(RUN, started=None)
    assert take.as_begun(unknown, known) == unknown


def test_a_package_that_was_upgraded_under_a_running_unit() -> None:
    old, new = Package("dpkg", "1"), Package("dpkg", "2")
    fresh = replace(RUN, packages={"a": new, "b": new, "c": new})
    known = replace(RUN, packages={"a": old, "b": old})
    times = {"a": 150.0, "b": 50.0, "c": 150.0}
    kept = take.as_installed_then(replace(fresh, stamp="s"), known, times)
    assert kept.packages == {"a": old, "b": new, "c": new}
    assert kept.stamp == ""  # that of what is installed now would hide the difference
    assert take.as_installed_then(fresh, None, times) == fresh
