# SPDX-License-Identifier: MIT
"""Files that are missing or forbidden, disks that are full: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

from typing import Any

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import Access, Facts, PathFact
from tests.unit.diagnose.cases import UID, case, command, gone, sentence, there, what

ENOENT = "open /srv/a/x: no such file or directory"
EACCES = "open /srv/a/x: permission denied"
AS_USER = {"_UID": str(UID)}


def seen(**more: Any) -> Facts:
    """What was looked at, by its user `a`."""
    return Facts(names={UID: "a"}, users={"a": UID}, **more)


def by_user(text: str, *, paths: dict[str, PathFact] | None = None, **how: Any) -> Case:
    """A line that `a` said."""
    return case({"MESSAGE": text} | AS_USER, facts=seen(paths=paths or {}), **how)


CLOSED = PathFact(
    "missing", missing_at="/srv/a/x", access=(Access(UID, False, False, False, "/srv"),)
)


def with_quota(options: str) -> dict[str, Any]:
    """A mount with these options."""
    return {"mounts": [{"point": "/srv/a", "type": "ext4", "options": f"rw,quota,{options}"}]}


FULL = {"mounts": [{"point": "/", "type": "ext4", "options": "rw", "bytes": 1000000, "free": 0, "inodes": 99, "inodes_free": 50}]}  # fmt: skip
NO_INODES = {"mounts": [{"point": "/srv", "type": "ext4", "options": "rw", "bytes": 10**9, "free": 10**8, "inodes": 99, "inodes_free": 0}]}  # fmt: skip
READ_ONLY = {"mounts": [{"point": "/", "type": "ext4", "options": "rw"}, {"point": "/srv", "type": "ext4", "options": "ro,nosuid"}]}  # fmt: skip

FOUND: tuple[tuple[str, Case, str], ...] = (
    ("file-missing", by_user(ENOENT, paths={"/srv/a/x": gone("/srv/a/x")}), '/srv/a/x does not exist: “open /srv/a/x: no such file or directory”'),
    ("file-missing", by_user(ENOENT, paths={"/srv/a/x": gone("/srv/a")}), 'the directory /srv/a does not exist, so that /srv/a/x cannot be used: “open /srv/a/x: no such file or directory”'),
    ("file-missing", by_user(ENOENT, paths={"/srv/a/x": gone("/srv/b", real="/srv/b")}), '/srv/a/x is a link that leads to /srv/b, which does not exist: “open /srv/a/x: no such file or directory”'),
    ("file-missing", by_user(ENOENT, paths={"/srv/a/x": gone("/srv/a/x", not_a_directory="/srv/a")}), '/srv/a/x cannot be there, /srv/a is a file and no directory: “open /srv/a/x: no such file or directory”'),
    ("file-missing", by_user("open /srv/b and /srv/c: no such file or directory", paths={"/srv/b": there(), "/srv/c": gone("/srv/c")}), '/srv/c does not exist: “open /srv/b and /srv/c: no such file or directory”'),
    ("file-missing", case(ENOENT), 'a file is missing: “open /srv/a/x: no such file or directory”'),
    ("file-missing", case("FileNotFoundError: [Errno 2] No such file or directory: '/srv/a b'"), "a file is missing: “FileNotFoundError: [Errno 2] No such file or directory: '/srv/a b'”"),
    ("file-missing", by_user("cannot load /srv/a/x", paths={"/srv/a/x": gone("/srv/a/x")}), '/srv/a/x does not exist: “cannot load /srv/a/x”'),
    ("permission", by_user(EACCES, paths={"/srv/a/x": there(0o600, read=False, write=False, execute=False)}), '/srv/a/x cannot be read by a (mode 0600, owner root): “open /srv/a/x: permission denied”'),
    ("permission", by_user("cannot write /srv/a/x: permission denied", paths={"/srv/a/x": there(0o644, write=False)}), '/srv/a/x cannot be written by a (mode 0644, owner root): “cannot write /srv/a/x: permission denied”'),
    ("permission", by_user(EACCES, paths={"/srv/a/x": CLOSED, "/srv": there(0o700, kind="directory")}), 'a may not enter /srv (mode 0700, owner root) on the way to /srv/a/x: “open /srv/a/x: permission denied”'),
    ("permission", by_user(ENOENT, paths={"/srv/a/x": there(blocked_at="/srv"), "/srv": there(0o700, kind="directory")}), 'a may not enter /srv (mode 0700, owner root) on the way to /srv/a/x: “open /srv/a/x: no such file or directory”'),
    ("permission", by_user("create /srv/a/x: permission denied", paths={"/srv/a/x": gone("/srv/a/x"), "/srv/a": there(0o755, kind="directory", write=False)}), 'a may not make /srv/a/x: /srv/a is not writable for it (mode 0755, owner root): “create /srv/a/x: permission denied”'),
    ("permission", by_user(EACCES), 'a may not use /srv/a/x: “open /srv/a/x: permission denied”'),
    ("permission", by_user("cannot read /srv/a/x", paths={"/srv/a/x": there(0o600, read=False, write=False)}), '/srv/a/x cannot be read by a (mode 0600, owner root): “cannot read /srv/a/x”'),
    ("permission", case({"MESSAGE": "cannot open its log: permission denied"} | AS_USER, facts=seen(foreign=("/var/log/a/a.log",), paths={"/var/log/a/a.log": there(0o640, write=False, read=False)})), '/var/log/a/a.log cannot be read by a (mode 0640, owner root): “cannot open its log: permission denied”'),
    ("sandbox", by_user("open /home/a/x: permission denied", paths={"/home/a/x": there()}, show={"ProtectHome": "yes"}), '/home/a/x: ProtectHome=yes hides it from the unit: “open /home/a/x: permission denied”'),
    ("sandbox", by_user("open /srv/a/x: no such file or directory", paths={"/srv/a/x": there()}, show={"InaccessiblePaths": "-/srv"}), '/srv/a/x: InaccessiblePaths=/srv hides it from the unit: “open /srv/a/x: no such file or directory”'),
    ("sandbox", by_user("open /srv/a/x: read-only file system", show={"ProtectSystem": "strict"}), '/srv/a/x: ProtectSystem=strict makes it read-only for the unit: “open /srv/a/x: read-only file system”'),
    ("sandbox", by_user("open /srv/a/x: read-only file system", show={"ReadOnlyPaths": "/srv"}), '/srv/a/x: ReadOnlyPaths=/srv makes it read-only for the unit: “open /srv/a/x: read-only file system”'),
    ("sandbox", by_user("mkdir /etc/a: read-only file system", show={"ProtectSystem": "full"}), '/etc/a: ProtectSystem=full makes it read-only for the unit: “mkdir /etc/a: read-only file system”'),
    ("read-only", case("open /srv/a/x: read-only file system", system=READ_ONLY), '/srv is mounted read-only, /srv/a/x cannot be written: “open /srv/a/x: read-only file system”'),
    ("read-only", case("open /srv/a/x: Read-only file system"), 'a file system is read-only: “open /srv/a/x: Read-only file system”'),
    ("quota", case("write /srv/a/x: Disk quota exceeded"), 'a disk quota is used up: “write /srv/a/x: Disk quota exceeded”'),
    ("quota", case("write /srv/a/x: Disk quota exceeded", system=with_quota("usrquota"), facts=Facts(names={0: "root"})), 'the disk quota of the user root on /srv/a is used up: “write /srv/a/x: Disk quota exceeded”'),
    ("quota", case("write /srv/a/x: Disk quota exceeded", system=with_quota("grpjquota=aquota.group"), show={"Group": "staff"}), 'the disk quota of the group staff on /srv/a is used up: “write /srv/a/x: Disk quota exceeded”'),
    ("quota", case("write /srv/a/x: Disk quota exceeded", system=with_quota("uquota,prjquota"), facts=Facts(names={0: "root"})), 'the disk quota on /srv/a is used up: “write /srv/a/x: Disk quota exceeded”'),
    ("quota", case("Disk quota exceeded", system=with_quota("usrquota")), 'a disk quota is used up: “Disk quota exceeded”'),
    ("disk-full", case("write /srv/a/x: No space left on device", system=FULL), '/ has no space left: “write /srv/a/x: No space left on device”'),
    ("disk-full", case("write /srv/a/x: no space left on device", system=NO_INODES), '/srv has no inodes left: “write /srv/a/x: no space left on device”'),
    ("disk-full", case("write failed: No space left on device"), 'there was no space left: “write failed: No space left on device”'),
    ("wrong-mode", case("permissions 0644 for '/srv/a/key' are too open", facts=seen(paths={"/srv/a/key": there()})), "it refuses /srv/a/key for its owner or permissions (mode 0644, owner root): “permissions 0644 for '/srv/a/key' are too open”"),
    ("locked", case("could not acquire lock: held by pid 12"), 'another instance runs, or left its lock behind: “could not acquire lock: held by pid 12”'),
    ("locked", case("pid file exists, is another instance running?"), 'another instance runs, or left its lock behind: “pid file exists, is another instance running?”'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("file-missing", by_user("opened /srv/a/x", paths={"/srv/a/x": gone("/srv/a/x")})),
    ("file-missing", case("user not found in the database")),
    ("file-missing", by_user("cannot create /srv/a/x", paths={"/srv/a/x": gone("/srv/a/x")})),
    ("permission", case("permission denied for relation users")),  # of a database, no path
    ("permission", by_user("cannot read /srv/a/x", paths={"/srv/a/x": there()})),
    ("sandbox", by_user("open /home/a/x: no such file", paths={"/home/a/x": gone()}, show={"ProtectHome": "yes"})),
    ("sandbox", by_user("open /srv/a/x: permission denied", paths={"/srv/a/x": there()}, show={"ProtectHome": "yes"})),
    ("read-only", case("the replica is read-only", system=READ_ONLY)),
    ("quota", case("API quota exceeded")),
    ("disk-full", case("inotify_add_watch: No space left on device", system=FULL)),
    ("disk-full", case("1 GB of space left on device")),
    ("wrong-mode", case("permissions of the role are too open")),
    ("file-missing", by_user("user foo not found in /srv/a/x", paths={"/srv/a/x": there()})),
    ("file-missing", by_user("user foo not found", paths={"/srv/a/x": gone("/srv/a/x")})),
    ("file-missing", case("GET /index.html 404 not found")),
    ("file-missing", case({"MESSAGE": "looking for /srv/a/x"}, "user foo not found", facts=seen(paths={"/srv/a/x": gone("/srv/a/x")}))),
    ("permission", case("read /srv/a/x", "Access denied for user 'a'@'localhost'", facts=seen(paths={"/srv/a/x": there()}))),
    ("permission", case("read /srv/a/x", "permission denied for relation users", facts=seen(paths={"/srv/a/x": there()}))),
    ("wrong-mode", case("insecure protocol in /srv/a/x", facts=seen(paths={"/srv/a/x": there()}))),
    ("wrong-mode", case("changed ownership of /srv/a/x", facts=seen(paths={"/srv/a/x": there()}))),
    ("locked", case("the lock file does not exist")),
    ("locked", case("the door is unlocked")),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None


def test_what_could_not_be_written_stands_below_the_word_that_it_is_read_only() -> None:
    said = "zip I/O error: Read-only file system"
    below = "zip error: Could not create output file (/srv/site/etc.zip)"
    strict = {"ProtectSystem": "strict"}
    assert "/srv/site/etc.zip" in sentence(said, below, show=strict)
    told = strict | {"ExecStart": command("/usr/bin/zip", "-r", "/srv/site/etc.zip", "apt")}
    assert "/srv/site/etc.zip: ProtectSystem=strict" in sentence(said, show=told)
    other = {"MESSAGE": below, "_PID": "77"}
    assert "what it writes to" in sentence(said, other, show=strict)
    for one in (
        "WARNING: failed before, see /srv/site/log",
        "the log is /srv/site/log",
        "zip error: it failed. To fix this issue look at /srv/site/log",
    ):
        assert "what it writes to" in sentence(said, one, show=strict), one
