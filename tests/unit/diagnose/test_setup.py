# SPDX-License-Identifier: MIT
"""What systemd could not set up, step by step: each cause once, and its near miss."""
# ruff: noqa: E501 - a row of a table is one line

from typing import Any

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import Access, Facts, PathFact, ProgramFact
from tests.unit.diagnose.cases import PROGRAM, UID, case, control, gone, there, what

ENOENT = "No such file or directory"


def at(step: str, why: str = ENOENT, status: str = "203", before: str = "", **how: Any) -> Case:
    """A run whose set-up failed at this step."""
    lines = [f"a.service: {before}"] if before else []
    setup = (*lines, f"a.service: Failed at step {step} spawning {PROGRAM}: {why}")
    return case(setup=setup, exit_status=status, **how)


def of_program(fact: PathFact, head: ProgramFact | None = None, **how: Any) -> Case:
    """One whose program is like that."""
    programs = {PROGRAM: head} if head else {}
    facts = Facts(paths={PROGRAM: fact}, programs=programs, machine="x86_64", users={"a": UID}, names={0: "root", UID: "a"})  # fmt: skip
    return at("EXEC", facts=facts, **how)


def of_paths(step: str, status: str, show: dict[str, str], **paths: PathFact) -> Case:
    """One with these paths; in a keyword ``_`` stands for ``/``."""
    facts = Facts(
        paths={name.replace("_", "/"): fact for name, fact in paths.items()},
        users={"a": UID, "nosuch": None},
        groups={"nosuch": None},
        names={0: "root", UID: "a"},
    )
    return at(step, status=status, show=show, facts=facts)


AS_A = {"User": "a"}
SCRIPT = ProgramFact("/usr/bin/ruby2.5", interpreter_exists=False, script=True)
CRLF = ProgramFact("/bin/sh", interpreter_exists=False, script=True, carriage_return=True)
LOADER = ProgramFact("/lib/ld-musl-x86_64.so.1", interpreter_exists=False)

FOUND: tuple[tuple[str, Case, str], ...] = (
    ("exec", of_program(gone(PROGRAM)), 'ExecStart=/usr/sbin/a does not exist'),
    ("exec", of_program(gone("/usr/sbin")), 'ExecStart=/usr/sbin/a does not exist (there is no /usr/sbin at all)'),
    ("exec", of_program(gone("/opt/a", real="/opt/a")), 'ExecStart=/usr/sbin/a is a link that leads to /opt/a, which does not exist'),
    ("exec", of_program(gone(PROGRAM, not_a_directory="/usr/sbin")), 'ExecStart=/usr/sbin/a cannot be there: /usr/sbin is a file, not a directory'),
    ("exec", of_program(there(0o755, kind="directory")), 'ExecStart=/usr/sbin/a is a directory, not a program'),
    ("exec", of_program(there(0o644, execute=False), show=AS_A), 'ExecStart=/usr/sbin/a is not executable for a (mode 0644, owner root)'),
    ("exec", of_program(there(0o755, blocked_at="/usr/sbin"), show=AS_A), 'ExecStart=/usr/sbin/a cannot be reached by a, who may not enter /usr/sbin'),
    ("exec", of_program(there(0o755, mount="/srv", options="rw,noexec")), 'ExecStart=/usr/sbin/a lies on /srv, which is mounted noexec'),
    ("exec", of_program(there(0o755), SCRIPT), 'ExecStart=/usr/sbin/a asks for the interpreter /usr/bin/ruby2.5, which does not exist'),
    ("exec", of_program(there(0o755), CRLF), 'the first line of /usr/sbin/a ends with a carriage return (Windows line ends), so its interpreter /bin/sh is not found'),
    ("exec", of_program(there(0o755), LOADER), 'ExecStart=/usr/sbin/a needs the dynamic loader /lib/ld-musl-x86_64.so.1, which does not exist'),
    ("exec", of_program(there(0o755), ProgramFact(machine="aarch64")), 'ExecStart=/usr/sbin/a is built for aarch64, and this machine is x86_64'),
    ("exec", of_program(there(0o755), ProgramFact(empty=True, known=False)), 'ExecStart=/usr/sbin/a is empty'),
    ("exec", of_program(there(0o755), ProgramFact(known=False)), 'ExecStart=/usr/sbin/a is neither a binary nor a script with an interpreter in a #! first line'),
    ("exec", of_program(there(0o755), show={"RootDirectory": "/srv/root"}), 'ExecStart=/usr/sbin/a is hidden from the unit by RootDirectory=/srv/root'),
    ("exec", of_program(gone(PROGRAM), control=control("ExecStartPre", "203")), 'ExecStartPre=/usr/sbin/a does not exist'),
    ("exec", at("EXEC", "Exec format error"), 'ExecStart=/usr/sbin/a cannot be executed: Exec format error'),
    ("setup", of_paths("CHDIR", "200", {"WorkingDirectory": "/srv/x"}, _srv_x=gone("/srv/x")), 'WorkingDirectory=/srv/x does not exist'),
    ("setup", of_paths("CHDIR", "200", {"WorkingDirectory": "/srv/x", **AS_A}, _srv_x=PathFact("directory", 0o700, "root", "root", access=(Access(UID, False, False, False),))), 'WorkingDirectory=/srv/x: a may not enter /srv/x (mode 0700, owner root)'),
    ("setup", of_paths("CHDIR", "200", {"WorkingDirectory": "/srv/x"}, _srv_x=there()), 'WorkingDirectory=/srv/x is a file, not a directory'),
    ("setup", of_paths("STDOUT", "209", {"StandardOutput": "append:/srv/x/log"}, _srv_x_log=gone("/srv/x")), 'StandardOutput=append:/srv/x/log: the directory /srv/x does not exist'),
    ("setup", of_paths("USER", "217", {"User": "nosuch"}), "the user 'nosuch' of User= does not exist"),
    ("setup", of_paths("GROUP", "216", {"Group": "nosuch"}), "the group 'nosuch' of Group= does not exist"),
    ("setup", of_paths("PAM", "224", {"PAMName": "a"}, **{"_etc_pam.d_a": gone("/etc/pam.d/a")}), 'PAMName=a: /etc/pam.d/a does not exist'),
    ("setup", of_paths("NAMESPACE", "226", {"BindPaths": "/srv/x:/srv/y"}, _srv_x=gone("/srv/x")), 'BindPaths=/srv/x does not exist'),
    ("setup", of_paths("NETWORK", "225", {"NetworkNamespacePath": "/run/netns/x"}, _run_netns_x=gone("/run/netns/x")), 'NetworkNamespacePath=/run/netns/x does not exist'),
    ("setup", of_paths("RUNTIME_DIRECTORY", "233", {"RuntimeDirectory": "a"}, _run_a=there()), 'RuntimeDirectory=a cannot be made: /run/a is a file, not a directory'),
    ("setup", of_paths("STATE_DIRECTORY", "238", {"StateDirectory": "a"}, _var_lib_a=gone("/var/lib/a", mount="/var", options="ro")), 'StateDirectory=a cannot be made: /var is mounted read-only'),
    ("setup", of_paths("CREDENTIALS", "243", {"LoadCredential": "key:/srv/x"}, _srv_x=gone("/srv/x")), 'LoadCredential=/srv/x does not exist'),
    ("setup", at("LIMITS", "Operation not permitted", "205", "Failed to adjust limits: Operation not permitted", show={"LimitNOFILE": "99999999"}), 'LimitNOFILE=99999999 cannot be set up (205/LIMITS): Failed to adjust limits: Operation not permitted'),
    ("environment-file", case(manager=("a.service: Failed to load environment files: No such file or directory",), result="resources", show={"EnvironmentFiles": "/etc/default/a (ignore_errors=no)"}, facts=Facts(paths={"/etc/default/a": gone("/etc/default/a")})), 'EnvironmentFile=/etc/default/a does not exist'),
)  # fmt: skip

NOT_FOUND: tuple[tuple[str, Case], ...] = (
    ("exec", case("203 files were read", exit_status="1")),
    ("exec", case("the program ends with a status of its own", exit_status="203")),
    ("exec", of_paths("CHDIR", "200", {"WorkingDirectory": "/srv/x"}, _srv_x=gone("/srv/x"))),
    ("setup", of_program(gone(PROGRAM))),
    ("setup", case("a said something", exit_status="217", show={"User": "nosuch"})),
    ("environment-file", case("Failed to load environment files: No such file or directory")),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "one", "said"), FOUND)
def test_what_is_found(cause: str, one: Case, said: str) -> None:
    assert what(one, cause) == said


@pytest.mark.parametrize(("cause", "one"), NOT_FOUND)
def test_what_only_looks_like_it(cause: str, one: Case) -> None:
    assert what(one, cause) is None
