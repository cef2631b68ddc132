# SPDX-License-Identifier: MIT
"""What a configuration names and is not there, of programs that do not say which file it is."""

from pathlib import Path

import pytest

from failhook.diagnose.config_file import is_input, paths_of
from failhook.diagnose.facts import Facts
from failhook.diagnose.look import look
from failhook.diagnose.subjects import Subjects
from tests.unit.diagnose.cases import case, control, found, gone, judge

KEY = {"/etc/a/a.key": "/etc/a/a.conf:7"}
FACTS = Facts(paths={"/etc/a/a.key": gone("/etc/a/a.key")}, absent=KEY)


def test_no_such_file_without_a_name() -> None:
    verdict = judge(case("SSL_use_key failed: No such file or directory (tls.c:9)", facts=FACTS))
    assert "/etc/a/a.key (/etc/a/a.conf line 7) does not exist" in verdict.summary
    assert any("/etc/a/a.key is missing" in proof.text for proof in verdict.evidence)


def test_a_program_that_says_nothing() -> None:
    assert "/etc/a/a.key (/etc/a/a.conf line 7) does not exist" in judge(case(facts=FACTS)).summary


def test_several_are_all_named() -> None:
    facts = Facts(absent={**KEY, "/etc/a/a.crt": "/etc/a/a.conf:8"})
    said = judge(case("failed: No such file or directory", facts=facts)).summary
    assert "/etc/a/a.key (/etc/a/a.conf line 7), /etc/a/a.crt (/etc/a/a.conf line 8)" in said


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("failed to load certificate file", "/etc/a/a.pem"),
        ("could not load the private key", "/etc/a/a.key"),
    ],
)
def test_of_several_the_one_that_the_line_is_about(line: str, path: str) -> None:
    facts = Facts(absent={**KEY, "/etc/a/a.pem": "/etc/a/a.conf:8", "/srv/x/y": "/etc/a/a.conf:9"})
    assert f"{path} (/etc/a/a.conf line " in judge(case(line, facts=facts)).summary


@pytest.mark.parametrize(
    ("lines", "absent"),
    [
        (("the table 'orders' is empty",), KEY),  # it died of something else
        (("open /srv/x: No such file or directory",), KEY),  # it says itself which
        (("failed: No such file or directory",), {f"/etc/a/{n}.key": "/x:1" for n in range(9)}),
        (("failed: No such file or directory",), {}),
    ],
)
def test_where_it_is_not_said(lines: tuple[str, ...], absent: dict[str, str]) -> None:
    assert "/etc/a/" not in judge(case(*lines, facts=Facts(absent=absent))).summary


def test_silence_of_a_run_that_ended_well_says_nothing() -> None:
    assert "file-missing" not in found(case(facts=FACTS, exit_status="0"))
    one = case("failed: No such file or directory", facts=FACTS, exit_status="0")
    assert "a.key" in judge(one).summary


def test_a_command_before_the_program_and_what_its_environment_names() -> None:
    facts = Facts(paths={"/etc/a/b.conf": gone("/etc/a/b.conf")}, configurations=("/etc/a/b.conf",))
    one = case(
        "Unable to open config file: No such file or directory",
        facts=facts, control=control("ExecStartPre"), exit_status=None,
    )  # fmt: skip
    assert "/etc/a/b.conf (EnvironmentFile=) does not exist" in judge(one).summary


def _after(line: str) -> str:
    """What is said where only a command after the start had something to say."""
    said = {"MESSAGE": line, "_PID": "91"}
    one = case(said, facts=FACTS, control=control("ExecStartPost"), exit_status=None)
    return judge(one).summary


def test_a_command_after_the_start_that_waited_in_vain() -> None:
    assert "/etc/a/a.key" in _after("No a system responding for id=b")
    assert "/etc/a/a.key" in _after("curl: (7) Failed to connect to localhost port 80")
    assert "/etc/a/a.key" not in _after("the table 'orders' is empty")
    both = case(
        {"MESSAGE": "waiting", "_PID": "90"}, {"MESSAGE": "it does not answer", "_PID": "91"},
        facts=FACTS, control=control("ExecStartPost"), exit_status=None,
    )  # fmt: skip
    assert "/etc/a/a.key" not in judge(both).summary  # the program said something


def test_a_word_of_bash_is_no_file() -> None:
    facts = Facts(absent={"/dev/tcp/127.0.0.1/9000": "/srv/a/warm:2"})
    assert "/dev/tcp" not in judge(case("it does not answer", facts=facts)).summary
    assert "/dev/tcp" not in judge(case(facts=facts)).summary


def test_what_a_run_makes_itself_is_not_counted() -> None:
    facts = Facts(absent={**KEY, "/run/a/a.pid": "/etc/a/a.conf:9"})
    said = judge(case("unable to open the store", facts=facts)).summary
    assert "/etc/a/a.key (/etc/a/a.conf line 7) does not exist" in said


CONFIGURATION = """\
# /etc/a/comment.pem
key = "/etc/a/a.key"   # and not /etc/a/after.pem
listen http://localhost/api/v1
<include file="/etc/a/more.xml"/>
pid_file: /run/a.pid;
logdir /var/log/a
"""


def test_the_paths_that_a_configuration_names() -> None:
    assert list(paths_of(CONFIGURATION)) == [
        (2, "/etc/a/a.key", True),
        (4, "/etc/a/more.xml", True),
        (5, "/run/a.pid", False),
        (6, "/var/log/a", True),
    ]


@pytest.mark.parametrize(
    ("line", "is_needed"),
    [
        ("ssl_enable=NO", False),
        ("  tls: false,", False),
        ("SSLEngine off", False),
        ('"use_tls": "no",', False),
        ("tls = yes\nssl = no", True),
        ("ssl_verify = no", True),  # it is used, and trusted
        ("require_ssl = no", True),
        ("# ssl = no", True),
        ("ssl = no-such-word", True),
        ("ssl = nothing", True),
        ("tlsv1 off", True),
    ],
)
def test_certificates_need_not_be_there_where_tls_is_off(line: str, *, is_needed: bool) -> None:
    text = f"cert = /etc/a/a.PEM\n{line}\nlist = /etc/a/a.list\n"
    needed = [path for _, path, needed in paths_of(text) if needed]
    assert needed == [*(["/etc/a/a.PEM"] if is_needed else []), "/etc/a/a.list"]


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/etc/a/a.pem", True),
        ("/srv/rules.lua", True),
        ("/run/a/made.conf", False),
        ("/var/lib/a/state.db", False),
        ("/var/log/a.log", False),
    ],
)
def test_files_that_are_only_read(path: str, *, is_one: bool) -> None:
    assert is_input(path) is is_one


def test_the_look_leaves_out_what_others_may_write(tmp_path: Path) -> None:
    conf = tmp_path / "a.conf"
    conf.write_text(f"log {tmp_path}/a.log\nlog {tmp_path}/none/a.log\n")
    subjects = Subjects(configurations=(str(conf),))
    conf.chmod(0o666)
    assert not look(subjects, system=False).absent
    conf.chmod(0o600)
    by_root = conf.stat().st_uid == 0
    wanted = {f"{tmp_path}/none/a.log": f"{conf}:2"}
    assert look(subjects, system=False).absent == (wanted if by_root else {})
