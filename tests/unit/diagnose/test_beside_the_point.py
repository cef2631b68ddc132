# SPDX-License-Identifier: MIT
"""What an error is not about, and what is not worth a second line under "Or"."""

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.subjects import paths_in
from tests.unit.diagnose.cases import UID, case, found, gone, judge, sentence, there

AS_USER = {"_UID": str(UID)}
HELD = {
    "listening": [{"protocol": "tcp", "address": "0.0.0.0", "port": 9100, "pid": 7, "program": "b"}]
}


def _facts(**more: object) -> Facts:
    return Facts(names={UID: "a"}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/etc/a.cfg:4:syntax error", ["/etc/a.cfg"]),
        ("/etc/a.conf:No such file", ["/etc/a.conf"]),
        ("/dev/disk/by-path/pci-0000:00:1f.2 is gone", ["/dev/disk/by-path/pci-0000:00:1f.2"]),
        ("Max retries exceeded with url: /articles", []),
        ("GET /articles failed", []),
        ("cannot get /etc/a.conf", ["/etc/a.conf"]),
    ],
)
def test_paths(text: str, paths: list[str]) -> None:
    assert paths_in(text) == paths


def test_an_error_that_was_survived_is_not_the_one_it_died_of() -> None:
    talk = [f'level=info msg="enabled collector c{number}"' for number in range(8)]
    lines = (
        'level=error msg="Failed to open directory: no such file or directory" path=/run/x/data',
        *talk,
        'level=error err="listen tcp :9100: bind: address already in use"',
    )
    facts = _facts(paths={"/run/x/data": gone("/run/x/data")})
    assert "port 9100" in sentence(*lines, facts=facts, system=HELD)
    near = (lines[0], lines[-1])  # nothing in between: the first is the root of the second
    assert "/run/x/data" in sentence(*near, facts=facts, system=HELD)


def test_what_only_root_may_do_is_blamed_on_no_file() -> None:
    facts = _facts(
        paths={"/var/lib/a/x": there(0o600, write=False, read=False)}, foreign=("/var/lib/a/x",)
    )
    denied = {"MESSAGE": "adjtimex failed: Operation not permitted"} | AS_USER
    assert "permission" not in found(case(denied, facts=facts))
    closed = {"MESSAGE": "cannot open the data: Permission denied"} | AS_USER
    assert "permission" in found(case(closed, facts=facts))


def test_a_configuration_of_roots_is_as_it_should_be() -> None:
    facts = _facts(paths={"/etc/a/x": there(0o644, write=False)}, foreign=("/etc/a/x",))
    closed = {"MESSAGE": "cannot write the data: Permission denied"} | AS_USER
    assert "permission" not in found(case(closed, facts=facts))


def test_a_program_called_bind_binds_no_port_two() -> None:
    text = {
        "MESSAGE": "/etc/bind/named.conf.options:2: parsing failed: permission denied"
    } | AS_USER
    assert "privileged-port" not in found(case(text, facts=_facts(), show={"UID": str(UID)}))


def _traceback(file: str) -> tuple[str, ...]:
    return (
        "Traceback (most recent call last):",
        f'  File "{file}", line 3, in serve',
        "    bind()",
        "OSError: [Errno 98] Address already in use: ('0.0.0.0', 9100)",
    )


def test_the_users_own_frame_is_said_and_a_librarys_is_not() -> None:
    own = sentence(*_traceback("/srv/a/main.py"), system=HELD)
    assert own.endswith("(/srv/a/main.py line 3, in serve)")
    assert "socketserver" not in sentence(
        *_traceback("/usr/lib/python3.11/socketserver.py"), system=HELD
    )


def test_the_same_event_is_said_once() -> None:
    verdict = judge(case(*_traceback("/usr/lib/python3.11/socketserver.py"), system=HELD))
    assert verdict.cause == "port-taken"
    assert verdict.others == ()


def test_the_same_thing_quoted_twice_is_said_once() -> None:
    facts = _facts(paths={"/srv/x": gone("/srv/x")})
    lines = (
        "open /srv/x: no such file or directory",
        "cannot read /srv/x: no such file or directory",
    )
    verdict = judge(case(*lines, facts=facts))
    assert [one.cause for one in verdict.others if one.cause == "file-missing"] == []


def test_a_line_that_only_tells_is_nothing_beside_a_cause() -> None:
    facts = _facts(paths={"/srv/x": gone("/srv/x")})
    verdict = judge(
        case("open /srv/x: no such file or directory", "error: it went wrong", facts=facts)
    )
    assert verdict.cause == "file-missing"
    assert [one for one in verdict.others if one.cause == "unclear"] == []


KEY = {"/etc/a/key.pem": there(0o600, read=False)}
RUNTIME = {"/run/a/a.sock": gone("/run/a")}


def test_a_file_of_root_is_not_to_blame_where_root_says_what_is_wrong() -> None:
    facts = Facts(paths=KEY, names={UID: "web"})
    said = judge(case("error: cannot use /etc/a/key.pem: it holds no key", facts=facts)).summary
    assert "cannot be read by" not in said
    said = judge(case("error: cannot use /etc/a/key.pem", facts=facts)).summary
    assert "cannot be read by web" in said  # it does not say what is wrong


@pytest.mark.parametrize(
    "line",
    [
        "cannot reach the helper on /run/a/a.sock: it is busy",
        "the worker 'x' was not found, /run/a/a.sock stays closed",
    ],
)
def test_what_a_run_takes_away_with_it_proves_nothing(line: str) -> None:
    assert "does not exist" not in judge(case(line, facts=Facts(paths=RUNTIME))).summary


def test_no_file_is_to_blame_for_what_is_denied_elsewhere() -> None:
    facts = Facts(foreign=("/var/lib/a/old",), paths={"/var/lib/a/old": there(0o600, read=False)})
    for line in ("bind: permission denied", "setrlimit: permission denied", "ioctl: EACCES"):
        assert "/var/lib/a/old" not in judge(case(line, facts=facts)).summary


def test_a_time_is_no_address() -> None:
    facts = Facts(addresses=("127.0.0.1",))
    lines = ("at 21:49:37 on std::bad: cannot assign requested address",)
    assert "21:49" not in judge(case(*lines, facts=facts)).summary.partition("“")[0]
    assert "bad" not in judge(case(*lines, facts=facts)).summary.partition("“")[0]
