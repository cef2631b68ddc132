# SPDX-License-Identifier: MIT
"""Complaints that name neither the thing nor the reason: what the look at the machine adds."""

from typing import Any

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.facts import HOME, USUAL, Facts
from failhook.diagnose.finding import SEEN
from tests.unit.diagnose.cases import PROGRAM, UID, case, command, gone, judge, there

MIB = 1 << 20
YAML = (
    "Traceback (most recent call last):",
    '  File "/usr/bin/a", line 33, in <module>',
    "    sys.exit(main())",
    '  File "/usr/lib/python3/dist-packages/yaml/scanner.py", line 258, in fetch_more_tokens',
    '    raise ScannerError("while scanning for the next token", None,',
    "yaml.scanner.ScannerError: while scanning for the next token",
    "found character '\\t' that cannot start any token",
    '  in "<unicode string>", line 3, column 1',
)


def sentence(*lines: str, **more: Any) -> str:
    return judge(case(*lines, **more)).summary


def _mounts(free: int) -> dict[str, Any]:
    whole = {"type": "tmpfs", "options": "rw", "inodes": 100_000, "inodes_free": 90_000}
    return {
        "mounts": [
            {"point": "/", "bytes": 900 * MIB, "free": 500 * MIB, **whole},
            {"point": "/mnt/b", "bytes": 2 * MIB, "free": free, **whole},
        ]
    }


def test_a_write_error_of_a_disk_that_is_full() -> None:
    show = {"ExecStart": command(PROGRAM, "-cf", "/mnt/b/site.tar", "-C", "/srv", "site")}
    said = sentence("Write error", show=show, system=_mounts(0))
    assert "/mnt/b has no space left: “Write error”" in said
    assert "no space" not in sentence("Write error", show=show, system=_mounts(MIB))
    reason = "write error: Connection reset by peer"
    assert "no space" not in sentence(reason, show=show, system=_mounts(0))
    elsewhere = {"ExecStart": command(PROGRAM, "-cf", "/srv/site.tar")}
    assert "no space" not in sentence("Write error", show=elsewhere, system=_mounts(0))


def test_the_file_that_is_written_in_what_the_library_reads() -> None:
    paths = ("/etc/render/motd.j2", "/etc/render/site.yml")
    show = {"ExecStart": command(PROGRAM, "-o", "/srv/motd", *paths)}
    facts = Facts(paths={path: there() for path in paths})
    assert "it reads /etc/render/site.yml line 3" in sentence(*YAML, show=show, facts=facts)
    both = ("/etc/render/motd.yml", "/etc/render/site.yml")
    show = {"ExecStart": command(PROGRAM, *both)}
    facts = Facts(paths={path: there() for path in both})
    assert "it reads" not in sentence(*YAML, show=show, facts=facts)


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ("rules were compiled with a different version", True),
        ("netlink error (offset 24)", True),
        ("fsck.fat 4.2 (2021-01-31)", True),
        ("RULES WERE COMPILED", True),
        ("the answer has 404 lines too many", True),
        ("no rule for '/srv/x'", False),
        ("RULES_DIR is of another version", False),
    ],
)
def test_the_command_line_is_told_where_the_words_name_nothing(line: str, is_told: bool) -> None:
    show = {"ExecStart": command(PROGRAM, "-C", "/etc/a/rules.yarc")}
    assert (", of: “a -C /etc/a/rules.yarc" in sentence(line, show=show)) is is_told


def test_a_command_line_without_a_path() -> None:
    show = {"ExecStart": command(PROGRAM, "-s", "eno7", "wol", "g")}
    assert "“cannot get settings”, of: “a -s eno7 wol g”" in sentence(
        "cannot get settings", show=show
    )
    assert ", of:" not in sentence("cannot get settings")
    shell = {"ExecStart": command("/bin/sh", "-c", "a -s eno7")}
    assert ", of:" not in sentence("cannot get settings", show=shell)


def test_the_last_file_that_it_worked_on_lies_in_a_sandbox() -> None:
    lines = ("Processing: /srv/shop/logo.png", "64x64 pixels", "Can't back up the output file")
    strict = {"ProtectSystem": "strict"}
    said = sentence(*lines, show=strict)
    assert "/srv/shop/logo.png: ProtectSystem=strict makes it read-only for the unit" in said
    # a path that is not there would keep the unit from starting at all
    verdict = judge(case(*lines, show=strict))
    assert str(verdict.advice).startswith("ReadWritePaths=/srv/shop (")
    assert (verdict.confidence or 1) < SEEN
    assert "ProtectSystem" not in sentence(*lines, show={**strict, "ReadWritePaths": "/srv/shop"})
    reason = (*lines[:2], "Can't back up the output file: it is not a picture")
    assert "ProtectSystem" not in sentence(*reason, show=strict)


def _shut_out(*, told: bool) -> Case:
    home = there(0o750, "root", kind="directory", read=False, write=False, execute=False)
    cache = "/var/lib/a/cache.db"
    inside = there(0o644, blocked_at="/var/lib/a")
    facts = Facts(
        paths={"/var/lib/a": home, "/var/lib/a/": home, cache: inside},
        withheld={"/var/lib/a/": HOME, "/var/lib/a": USUAL, cache: "/etc/a.yml:8"}
        if told
        else {"/var/lib/a": USUAL},
        names={UID: "acme"},
    )
    lines = (
        "Traceback (most recent call last):",
        '  File "/usr/bin/a", line 33, in <module>',
        "sqlite3.OperationalError: unable to open database file",
    )
    said = [{"MESSAGE": line, "_UID": str(UID)} for line in lines]
    return case(*said, facts=facts, show={"User": "a", "UID": str(UID)})


def test_a_home_around_the_file_that_it_was_told_to_use() -> None:
    said = judge(_shut_out(told=True)).summary
    assert (
        "acme may not enter /var/lib/a on the way to /var/lib/a/cache.db (/etc/a.yml line 8)"
        in said
    )
    # a home that is closed is no reason where nothing was told to be in it
    assert judge(_shut_out(told=False)).cause == "crash-python"


def test_a_device_of_the_network_that_nobody_names() -> None:
    show = {"ExecStart": command(PROGRAM, "-s", "eno7", "wol", "g")}
    lines = ("netlink error: no device matches name (offset 24)", "netlink error: No such device")
    said = sentence(*lines, show=show, system={"links": [{"name": "lo"}], "listening": []})
    assert "the network interface eno7" in said


def test_a_long_help_without_a_complaint() -> None:
    usage = ("no protocols enabled", "Usage: a [-s] [INTERFACE]")
    options = [f"-{name} = Silent, don't transmit packets" for name in "abcdefghi"]
    assert "“no protocols enabled”" in sentence(*usage, *options)
    assert "last words: “Usage: a [-s] [INTERFACE]”" in sentence(usage[1], *options)


def test_what_it_was_at_just_above() -> None:
    lines = ("** Processing: /srv/shop/4711.png", "ERROR: Unrecognized image file format", "report")
    assert "“/srv/shop/4711.png: Unrecognized image file format”" in sentence(*lines)
    apart = (lines[0], "read 12 rows", "wrote 12 rows", lines[1])
    assert "4711.png: Unrecognized" not in sentence(*apart)


def test_an_exception_without_a_word_after_one_that_tells() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3/dist-packages/h/utils.py", line 118, in load_application',
        "ModuleNotFoundError: No module named 'status'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3/dist-packages/h/utils.py", line 121, in load_application',
        "    raise NoAppError()",
        "h.utils.NoAppError",
    )
    assert "after “ModuleNotFoundError: No module named 'status'”" in sentence(*lines)


def test_an_output_file_that_the_sandbox_keeps_from_being_made() -> None:
    image = "/srv/www/logo.webp"
    facts = Facts(paths={image: gone(image)})
    line = f"Error! Cannot open output file '{image}'"
    strict = {"ProtectSystem": "strict"}
    assert f"{image}: ProtectSystem=strict makes it read-only" in sentence(
        line, show=strict, facts=facts
    )
    read = line.replace("output", "input")
    assert "ProtectSystem" not in sentence(read, show=strict, facts=facts)


SOCAT = {"protocol": "tcp", "address": "0.0.0.0", "port": 8888, "pid": 99, "program": "socat"}
LISTENING = {"listening": [SOCAT | {"unit": "b.service"}]}


def test_a_server_that_says_no_more_than_that_there_is_no_socket() -> None:
    show = {"ExecStart": command(PROGRAM, "-F", "localhost:22", "8888")}
    lines = ("ERROR tunnel_new_server: server_socket = -1", "ERROR couldn't create tunnel")
    said = sentence(*lines, show=show, system=LISTENING)
    assert "port 8888 of its command line is already held by socat" in said
    named = (*lines, "ERROR cannot read /srv/hts.conf")
    assert "held by" not in sentence(*named, show=show, system=LISTENING)
    # a client is told the port of somebody who listens, and fails for another reason
    client = ("ERROR the answer has no header", "ERROR couldn't go on")
    assert "held by" not in sentence(*client, show=show, system=LISTENING)


def test_a_device_that_an_environment_file_names() -> None:
    facts = Facts(absent={"/dev/hwrng0": "/etc/default/a:15", "/dev/shm/a": "/etc/default/a:16"})
    assert "/dev/hwrng0 (/etc/default/a line 15) does not exist" in sentence(facts=facts)


def test_who_only_lost_its_reader() -> None:
    lines = (
        {"MESSAGE": "mkdir: created directory '/srv/x'", "_PID": "125"},
        {"MESSAGE": "tr: write error: Broken pipe", "_PID": "129"},
        {"MESSAGE": "tr: write error", "_PID": "129"},
        {
            "MESSAGE": "error retrieving 'ops@example.org': Server failure",
            "_PID": "131",
        },
        {"MESSAGE": "ops@example.org: skipped: Server indicated a failure", "_PID": "131"},
        {"MESSAGE": "[stdin]: encryption failed: Server indicated a failure", "_PID": "131"},
        {"MESSAGE": "Password encryption aborted.", "_PID": "119"},
    )
    assert "ops@example.org: skipped" in judge(case(*lines)).summary
    assert "Broken pipe" in judge(case(*lines[:3])).summary
    no_pipe = {"MESSAGE": "cannot save 'b.tar': write error", "_PID": "129"}
    other = {"MESSAGE": "cannot close 'x'", "_PID": "131"}
    assert "cannot save 'b.tar'" in judge(case(no_pipe, other)).summary


@pytest.mark.parametrize(
    ("unmade", "is_said"),
    [
        ({"/srv/edi/inbox": "/opt/watch:7"}, True),
        ({"/srv/edi/inbox": "/opt/watch:7", "/srv/edi/done": "/opt/watch:8"}, False),
        ({"/srv/edi/inbox.log": "/opt/watch:7"}, False),  # it makes that itself
        ({"/run/edi": "/opt/watch:7"}, False),
    ],
)
def test_the_one_thing_of_a_script_that_is_not_there(unmade: dict[str, str], is_said: bool) -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/opt/watch", line 9, in <module>',
        "    observer.start()",
        "FileNotFoundError: [Errno 2] No such file or directory",
    )
    said = sentence(*lines, facts=Facts(unmade=unmade))
    assert ("/srv/edi/inbox (/opt/watch line 7) does not exist" in said) is is_said
    assert ("edi" in said) is is_said
    other = (*lines[:3], "FileNotFoundError: [Errno 2] No such file or directory: '/srv/x'")
    assert "inbox" not in sentence(*other, facts=Facts(unmade=unmade))
