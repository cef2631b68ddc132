# SPDX-License-Identifier: MIT
"""What a program needs and its user may not use, where it does not say which that is."""

from pathlib import Path
from typing import Any

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import HOME, Facts, PathFact
from failhook.diagnose.look import look
from failhook.diagnose.machine import is_withheld
from failhook.diagnose.subjects import Subjects
from tests.unit.diagnose.cases import UID, case, command, found, gone, judge, there

AS_USER = {"User": "a", "UID": str(UID)}
DATA = "/srv/a/data"
CLOSED = there(0o755, "root", kind="directory", write=False)
FACTS = Facts(
    paths={DATA: CLOSED}, withheld={DATA: "/etc/a/a.conf:3"}, names={UID: "acme"}, users={"a": UID}
)


def run(*lines: str, facts: Facts, **more: Any) -> Case:
    """A run as the user `UID`."""
    said = [{"MESSAGE": line, "_UID": str(UID)} for line in lines]
    return case(*said, facts=facts, show=AS_USER, **more)


def test_a_complaint_without_a_name() -> None:
    verdict = judge(run("Unable to access datadir, exiting abnormally", facts=FACTS))
    assert verdict.cause == "permission"
    assert (
        "acme may not write /srv/a/data (/etc/a/a.conf line 3), mode 0755, owner root: “Unable to"
        in verdict.summary
    )
    assert verdict.advice == "chown acme /srv/a/data"


def test_a_file_that_could_not_be_opened_is_why_a_lock_seems_to_be_held() -> None:
    """Perl warns of the handle, the program of an instance that is not there."""
    lines = (
        "flock() on closed filehandle LOCK_FILE at /usr/sbin/a line 214.",
        "a is already running, exiting at /usr/sbin/a line 217.",
    )
    assert "acme may not write /srv/a/data" in judge(run(*lines, facts=FACTS)).summary
    assert "already running" in judge(run(*lines, facts=Facts(users={"a": UID}))).summary
    assert "already running" in judge(run(lines[1], facts=FACTS)).summary


def test_a_program_that_says_nothing() -> None:
    closed = there(0o600, "root", read=False, write=False)
    facts = Facts(paths={DATA: closed}, withheld=FACTS.withheld, names={UID: "acme"})
    assert "acme may not read /srv/a/data" in judge(run(facts=facts)).summary
    assert "permission" not in found(run(facts=facts, exit_status="0"))


def test_what_is_only_served_need_not_be_writable() -> None:
    assert "permission" not in found(run(facts=FACTS))
    assert "permission" not in found(run("failed to load the module mod_x", facts=FACTS))
    assert "permission" in found(run("failed to create its files", facts=FACTS))


def test_his_home_is_closed_to_him() -> None:
    home = there(0o700, "root", kind="directory", read=False, write=False, execute=False)
    facts = Facts(paths={"/var/lib/a": home}, withheld={"/var/lib/a": HOME}, names={UID: "acme"})
    said = judge(run("Error loading config file -- exiting", facts=facts)).summary
    assert "acme may not read its home directory /var/lib/a, mode 0700, owner root: “Error" in said


def test_behind_a_closed_directory_and_in_one_where_nothing_can_be_made() -> None:
    shut = there(0o600, "root", read=False, write=False, blocked_at="/srv/b")
    facts = Facts(paths={"/srv/b/x": shut}, withheld={"/srv/b/x": "/etc/a/a.conf:3"})
    said = judge(run("failed to open the store", facts=facts)).summary
    assert "may not enter /srv/b on the way to /srv/b/x (/etc/a/a.conf line 3)" in said
    facts = Facts(paths={"/srv/b/x": gone("/srv/b/x")}, withheld={"/srv/b/x": "/etc/a/a.conf:3"})
    said = judge(run("failed to create the store", facts=facts)).summary
    assert "may not make /srv/b/x (/etc/a/a.conf line 3) in /srv/b" in said


@pytest.mark.parametrize(
    ("line", "withheld"),
    [
        ("the table 'orders' is empty", FACTS.withheld),  # it died of something else
        ("cannot open /srv/x: Input/output error", FACTS.withheld),  # it says itself which
        ("cannot open the store", {DATA: "/x:1", "/srv/b": "/x:2"}),  # which of the two?
        ("cannot open the store", {"/run/a": "/x:1"}),
    ],
)
def test_where_it_is_not_said(line: str, withheld: dict[str, str]) -> None:
    facts = Facts(paths={DATA: CLOSED, "/run/a": CLOSED, "/srv/b": CLOSED}, withheld=withheld)
    assert "may not write" not in judge(run(line, facts=facts)).summary


def test_the_configuration_that_it_cannot_find_is_there() -> None:
    closed = there(0o640, "root", read=False, write=False)
    facts = Facts(paths={"/etc/a/a.cfg.lua": closed}, names={UID: "acme"})
    lines = ("a was unable to find the configuration file.", "We looked for: /etc/a/a.cfg.lua")
    verdict = judge(run(*lines, facts=facts))
    assert "/etc/a/a.cfg.lua cannot be read by acme (mode 0640, owner root)" in verdict.summary
    facts = Facts(paths={"/etc/a/a.cfg.lua": there()}, names={UID: "acme"})
    assert "cannot be read" not in judge(run(*lines, facts=facts)).summary


def test_permission_denied_without_a_name_is_about_the_command_line() -> None:
    """And not about the file of a traceback, which he may read."""
    closed = there(0o600, "root", read=False, write=False)
    source = "/usr/lib/python3/acme/config.py"
    facts = Facts(paths={"/etc/a/key.pem": closed, source: there(write=False)}, names={UID: "acme"})
    said = [
        {"MESSAGE": line, "_UID": str(UID)}
        for line in (
            f'  File "{source}", line 127, in create_context',
            "    ctx.load_cert_chain(certfile, keyfile)",
            "PermissionError: [Errno 13] Permission denied",
        )
    ]
    started = command("/usr/bin/acme", "--key /etc/a/key.pem")
    verdict = judge(case(*said, facts=facts, show=AS_USER | {"ExecStart": started}))
    assert "/etc/a/key.pem cannot be read by acme (mode 0600, owner root)" in verdict.summary
    verdict = judge(case(*said, facts=facts, show=AS_USER))
    assert "may not use" not in verdict.summary


def test_the_path_stands_in_the_line_of_code() -> None:
    path = "/var/lib/a/a.db"
    paths = {path: gone(path), "/var/lib/a": CLOSED, "/etc/a.conf": there(write=False)}
    facts = Facts(paths=paths, names={UID: "acme"})
    lines = (
        "reading /etc/a.conf",
        '  File "/opt/a/app.py", line 9, in connect',
        f'    return sqlite3.connect("{path}")',
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "sqlite3.OperationalError: unable to open database file",
    )
    said = judge(run(*lines, facts=facts)).summary
    assert f"acme may not make {path}: /var/lib/a is not writable for it" in said


def test_a_pid_file_that_is_only_looked_for() -> None:
    path = "/run/a/a.pid"
    facts = Facts(paths={path: gone(path)}, addresses=("127.0.0.1",))
    lines = (f"fopen {path}: No such file or directory", "not listening on 192.0.2.17 port 3493")
    said = judge(run(*lines, facts=facts)).summary
    assert "the address 192.0.2.17 is not one of this machine's" in said
    here = ("not listening on 127.0.0.1 port 3493",)
    assert "address-not-here" not in found(run(*here, facts=facts))
    said = judge(run(f"cannot create {path}: No such file or directory", facts=facts)).summary
    assert f"{path} does not exist" in said


# -- what is not there and could not be made ----------------------------------------------------


def test_it_is_missing_and_its_user_may_not_make_it() -> None:
    paths = {"/srv/l/l.csv": gone("/srv/l/l.csv"), "/srv/l": CLOSED}
    line = "Unable to open database: unable to open '/srv/l/l.csv'"
    verdict = judge(run(line, facts=Facts(paths=paths, names={UID: "acme"})))
    assert verdict.cause == "permission"
    assert (
        "/srv/l/l.csv does not exist, and acme may not make it in /srv/l (mode 0755, owner root)"
        in verdict.summary
    )


@pytest.mark.parametrize(
    "paths",
    [
        {"/srv/l/l.csv": gone("/srv/l/l.csv")},
        {"/srv/l/l.csv": gone("/srv/l/l.csv"), "/srv/l": there(0o777, kind="directory")},
        {"/srv/l/l.csv": gone("/srv/l"), "/srv/l": CLOSED},
    ],
)
def test_it_is_only_missing(paths: dict[str, object]) -> None:
    facts = Facts(paths=paths)  # type: ignore[arg-type]
    assert "file-missing" in found(run("unable to open '/srv/l/l.csv'", facts=facts))


def test_of_the_system_nothing_is_to_be_made() -> None:
    paths = {"/etc/a/x.pem": gone("/etc/a/x.pem"), "/etc/a": CLOSED}
    said = judge(run("unable to open '/etc/a/x.pem'", facts=Facts(paths=paths))).summary
    assert "/etc/a/x.pem does not exist: “" in said


def test_it_is_missing_on_a_read_only_mount() -> None:
    fact = gone("/srv/c/s.bin", mount="/srv/c", options="ro,relatime,rw,size=9k")
    line = '(-sfile) "/srv/c/s.bin" does not exist and could not be created'
    verdict = judge(run(line, facts=Facts(paths={"/srv/c/s.bin": fact})))
    assert verdict.cause == "read-only"
    assert "/srv/c is mounted read-only" in verdict.summary


# -- the look -----------------------------------------------------------------------------------


def test_the_look(tmp_path: Path) -> None:
    """Of configurations that only root writes, for a user that is not root: pytest's own directory
    is closed to him."""
    conf, read = tmp_path / "a.conf", tmp_path / "read.txt"
    read.write_text("")
    conf.write_text(f"read {read}\nlib /usr/lib\nno /srv/none/x\n")
    by_root = conf.stat().st_uid == 0
    seen = look(Subjects(configurations=(str(conf),), runs_as="nobody"), system=False)
    assert seen.withheld == ({str(read): f"{conf}:1"} if by_root else {})
    if by_root:
        assert all(one.blocked_at for one in seen.paths[str(read)].access)
    assert not look(Subjects(configurations=(str(conf),)), system=False).withheld  # root may all


@pytest.mark.parametrize(
    ("fact", "home", "is_so"),
    [
        (there(0o755, kind="directory", write=False), False, True),
        (there(0o755, kind="directory", write=False), True, False),
        (there(0o700, kind="directory", write=False, execute=False), True, True),
        (there(0o700, read=False), False, True),
        (there(write=False), False, False),
        (there(blocked_at="/srv"), False, True),
        (gone("/srv/x"), False, False),
    ],
)
def test_what_counts_as_withheld(fact: PathFact, *, home: bool, is_so: bool) -> None:
    assert is_withheld(fact, UID, home=home) is is_so
