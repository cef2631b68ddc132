# SPDX-License-Identifier: MIT
"""What is at fault stands in another line, in the code above it, or on the machine alone."""
# ruff: noqa: E501 - messages are as long as they are

import pytest

from failhook.ascii import without_escapes
from failhook.diagnose.facts import Facts
from failhook.diagnose.place import place_in
from failhook.diagnose.text import peel
from tests.unit.diagnose.cases import (
    PROGRAM,
    UID,
    case,
    command,
    entry,
    gone,
    judge,
    sentence,
    there,
)

ERROR = "2026-11-27 12:06:07 ERROR: "
WARNING = "2026-11-27 12:06:07 WARN: "
INFO = "2026-11-27 12:06:07 INFO: "


# -- how lines look -----------------------------------------------------------------------------


def test_colours_are_no_part_of_a_line() -> None:
    line = '\x1b[0;m\x1b[1;31mDMAIN\x1b[0;m \x1b[1;31mFATAL\x1b[0;m no database "/srv/x.db"'
    assert without_escapes(line) == 'DMAIN FATAL no database "/srv/x.db"'
    assert without_escapes("\x1b]0;title\x07text\x1b[K") == "text"
    verdict = judge(case(line))
    assert "\x1b" not in verdict.summary
    assert "[0;m" not in verdict.summary
    assert verdict.evidence[0].ref == "journal/journal.txt:2"


def test_a_table_of_time_pid_and_part() -> None:
    assert peel("11:58:00 | 205    | configuration   | syntax error")[0] == "syntax error"
    assert peel("11 | 22 files | 3 errors")[0] == "11 | 22 files | 3 errors"


def test_lines_begin_with_one() -> None:
    assert place_in("/srv/photos/IMG_1.jpg: 0 files updated") is None
    assert str(place_in("/etc/a.conf: 10 unknown word")) == "/etc/a.conf line 10"


# -- the course of the run ----------------------------------------------------------------------


def test_a_warning_of_what_a_later_error_names_again() -> None:
    lines = (
        f"{WARNING}Failed to resolve tcp://db1.shop.example:4567",
        f"{INFO}listening at tcp://0.0.0.0:4567",
        f"{INFO}EVS version 1",
        f"{INFO}connecting to group 'shop'",
        f"{ERROR}failed to open the backend: 131: No address to connect",
        f"{ERROR}Failed to open channel 'shop' at 'gcomm://db1.shop.example:4567'",
    )
    facts = Facts(hosts={"db1.shop.example": False})
    assert "db1.shop.example cannot be resolved" in sentence(*lines, facts=facts)
    assert "cannot be resolved" not in sentence(*lines[:-1], facts=facts)


def test_what_it_did_without() -> None:
    missing = Facts(paths={"/etc/a/topology.cfg": gone("/etc/a/topology.cfg")})
    lines = (
        "topology file (/etc/a/topology.cfg) not found - network topology not defined",
        "topology file (/etc/a/topology.cfg) not found - using defaults",
        "can't find metadata.a - try option '-a'",
    )
    assert "metadata.a" in sentence(*lines, facts=missing)
    assert "/etc/a/topology.cfg does not exist" in sentence(lines[0], facts=missing)


def test_a_child_that_only_notices_the_end() -> None:
    lines = (
        entry("cannot find metadata.a in 'store 7'"),
        entry("exiting ..."),
        entry("background writer - error on the data pipe '/x/y': EACCES", _PID="101"),
    )
    assert "metadata.a" in sentence(*lines)


def test_the_end_with_its_reason_is_no_mere_end() -> None:
    lines = (
        f'{ERROR}failed to get info: Get "http://127.0.0.1:9200/": connection refused',
        f"{INFO}starting exporter",
        f"{ERROR}http server quit: listen tcp 10.40.7.15:9114: bind: cannot assign requested address",
    )
    facts = Facts(addresses=("127.0.0.1",))
    system: dict[str, list[str]] = {"listening": []}
    assert "10.40.7.15 is not one of this machine" in sentence(*lines, facts=facts, system=system)


def test_of_errors_that_tell_as_much_the_first() -> None:
    lines = (
        f"{ERROR}can't find metadata.a - try using option '-a'",
        f"{ERROR}init: metadata manager failed !!!",
    )
    assert "metadata.a" in sentence(*lines)


# -- Python -------------------------------------------------------------------------------------

_TRACE = "Traceback (most recent call last):"
_STEP = '  File "/usr/local/bin/a", line 9, in <module>'


def test_a_configuration_that_configparser_read_as_empty() -> None:
    lines = (
        _TRACE, _STEP, '    url = config["amqp"]["url"]',
        '  File "/usr/lib/python3.11/configparser.py", line 979, in __getitem__',
        "    raise KeyError(key)", "KeyError: 'amqp'",
    )  # fmt: skip
    absent = Facts(absent={"/etc/a/a.ini": "/usr/local/bin/a:8"})
    verdict = judge(case(*lines, facts=absent))
    said = verdict.summary
    assert verdict.advice == "make it, or correct where it is named"
    assert "KeyError: 'amqp'" in said
    assert "/etc/a/a.ini (/usr/local/bin/a line 8) does not exist" in said
    other = Facts(absent={"/srv/out.json": "/usr/local/bin/a:8"})
    assert "does not exist" not in sentence(*lines, facts=other)
    own = (*lines[:3], "KeyError: 'amqp'")
    assert "does not exist" not in sentence(*own, facts=absent)


def test_what_is_no_json_from_its_first_letter_on() -> None:
    error = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    assert "is empty or not JSON at all" in sentence(_TRACE, _STEP, "    json.load(x)", error)
    later = "json.decoder.JSONDecodeError: Expecting ',' delimiter: line 3 column 1 (char 44)"
    assert "not JSON at all" not in sentence(_TRACE, _STEP, "    json.load(x)", later)


def test_a_file_that_is_no_database() -> None:
    lines = (
        _TRACE,
        _STEP,
        "    rows = db.execute(x)",
        "sqlite3.DatabaseError: file is not a database",
    )
    facts = Facts(data={"/var/lib/a/a.db": "/etc/systemd/system/a.service:6"})
    assert "it reads /var/lib/a/a.db" in sentence(*lines, facts=facts)


def test_a_socket_that_was_left_over() -> None:
    lines = (
        _TRACE, _STEP, '    listener.bind("/run/a-lines.sock")', "OSError: [Errno 98] Address already in use",
    )  # fmt: skip
    facts = Facts(paths={"/run/a-lines.sock": there(kind="socket")})
    assert "the socket /run/a-lines.sock exists already, left over" in sentence(*lines, facts=facts)
    port = (*lines[:2], '    listener.bind(("", 8192))', lines[3])
    assert "socket /run" not in sentence(*port, facts=facts)


def test_the_own_end_of_a_socket_is_no_peer() -> None:
    line = (
        "<socket.socket fd=6, family=2, laddr=('127.0.0.1', 37994)>; error=111 (Connection refused)"
    )
    assert "37994 was refused" not in sentence(line, system={"listening": []})
    peer = "<socket.socket fd=6, raddr=('127.0.0.1', 5672)>; error=111 (Connection refused)"
    assert "port 5672 was refused" in sentence(peer, system={"listening": []})


# -- files --------------------------------------------------------------------------------------

_MOUNTS = {
    "mounts": [
        {"point": "/", "source": "/dev/a", "type": "ext4", "options": "rw", "bytes": 9000, "free": 8000},
        {"point": "/srv/card", "source": "x", "type": "vfat", "options": "ro", "bytes": 900, "free": 80},
        {"point": "/srv/backup", "source": "y", "type": "ext4", "options": "rw", "bytes": 900, "free": 800},
    ]
}  # fmt: skip


def test_what_cannot_be_made_on_a_disk_that_is_read_only() -> None:
    said = sentence("Error creating file: /srv/card/x.jpg_tmp", system=_MOUNTS)
    assert "/srv/card is mounted read-only" in said
    assert "read-only" not in sentence("Error creating file: /srv/backup/x.jpg_tmp", system=_MOUNTS)
    assert "read-only" not in sentence("Error reading file: /srv/card/x.jpg", system=_MOUNTS)


def test_no_space_where_the_line_names_what_was_read() -> None:
    lines = (
        "/srv/backup/host.a: starting",
        "/home/x.tar: read: [Errno 28] No space left on device",
    )
    assert "no space left, as it seems on /srv/backup" in sentence(*lines, system=_MOUNTS)


def test_what_a_capability_decides_is_not_the_mode_of_a_file() -> None:
    line = "could not chroot to /run/a: [Errno 1] Operation not permitted: '/run/a'"
    facts = Facts(
        paths={"/run/a": gone("/run/a"), "/run": there(0o755, write=False)}, names={UID: "a"}
    )
    how = {"show": {"User": "a", "UID": str(UID), "AmbientCapabilities": "cap_sys_chroot"}}
    text = "[Service]\nCapabilityBoundingSet=\n"
    said = sentence(
        entry(line, _UID=str(UID)), facts=facts, items={"unit/cat.txt": text.encode()}, **how
    )
    assert "CapabilityBoundingSet= takes CAP_SYS_CHROOT away" in said


def test_a_log_that_another_daemon_writes() -> None:
    def silent(path: str) -> str:
        facts = Facts(paths={path: gone(path), "/var/log": there(kind="directory")})
        show = {"ExecStart": command(PROGRAM, "-l", path, status="2")}
        return judge(case(show=show, facts=facts, exit_status="2")).summary

    assert "/var/log/mail.log (ExecStart=) does not exist" in silent("/var/log/mail.log")
    assert "does not exist" not in silent("/var/log/a.log")


def test_a_command_that_was_never_reached_misses_nothing() -> None:
    first = command(PROGRAM, "--wait", status="9").replace("[n/a]", "[now]")
    second = command("/bin/cp", "/srv/a", "/srv/done", status="0/0", code="(null)")
    facts = Facts(paths={"/srv/done": gone("/srv/done"), "/srv/a": there(kind="directory")})
    show = {"Type": "oneshot", "ExecStart": f"{first}\n{second}"}
    assert "/srv/done" not in judge(case(show=show, facts=facts, exit_status="9")).summary


def test_the_file_for_which_a_password_was_wrong() -> None:
    show = {"ExecStart": command(PROGRAM, "/srv/in/7.pdf", "/srv/in/7.txt")}
    facts = Facts(paths={"/srv/in/7.pdf": there(), "/srv/in/7.txt": gone("/srv/in/7.txt")})
    said = sentence("Command Line Error: Incorrect password", show=show, facts=facts)
    assert "a login was refused for /srv/in/7.pdf (ExecStart=)" in said
    two = Facts(paths={"/srv/in/7.pdf": there(), "/srv/in/7.txt": there()})
    said = sentence("Command Line Error: Incorrect password", show=show, facts=two)
    assert "refused for" not in said


# -- configurations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("syntax error in section neighbor", "line 5: peer-as AS-64513 ;", '"AS-64513" is an invalid ASN'),
            '/etc/a/a.conf line 5: “syntax error in section neighbor: peer-as AS-64513: "AS-64513" is an invalid ASN”',
        ),
        (
            ("There is no such command.", "Error occurred during reading the below line:", "  rtp portrange 40"),
            "“There is no such command: rtp portrange 40”",
        ),
        (("a: /etc/a/a.conf:7: misplaced option",), "/etc/a/a.conf line 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_below(lines: tuple[str, ...], said: str) -> None:
    show = {"ExecStart": command(PROGRAM, "-c", "/etc/a/a.conf")}
    facts = Facts(paths={"/etc/a/a.conf": there()})
    assert said in sentence(*lines, show=show, facts=facts)


# -- what is told by few words ------------------------------------------------------------------


def test_a_few_short_lines_are_told_whole() -> None:
    lines = ("init :: non DOS media", "Cannot initialize '::'", "Bad target ::/kernel.bin")
    assert "“init :: non DOS media / Cannot initialize '::' / Bad target" in sentence(*lines)
    assert "init ::" not in sentence(*(f"{INFO}{line}" for line in lines))
    assert "init ::" not in sentence(*lines, *(f"a further line {word}" for word in "abc"))


def test_one_line_many_times_is_one_line() -> None:
    lines = ("BDB0178 Encrypted database: no flag specified",) * 9
    more = ("BDB0210 /srv/w.db: metadata page checksum error", "Can't open file 'w.db'")
    facts = Facts(paths={"/srv/w.db": there()})
    assert "/srv/w.db" in sentence(*lines, *more)
    assert "/srv/w.db is cut off or damaged" in sentence(*lines, *more, facts=facts)


def test_an_item_of_a_list_is_no_mere_talk() -> None:
    lines = (
        "WARNING! it would cause conflicts:",
        "  * existing target is neither a link nor a directory: bin/deploy",
        "All operations aborted.",
    )
    assert "bin/deploy" in sentence(*lines)


def test_an_exception_that_python_ignores() -> None:
    lines = (
        "Invalid workbook: /srv/in/p.xlsx",
        "Exception ignored in: <function A.__del__ at 0x7faa6fd33a60>",
        _TRACE, '  File "/usr/local/bin/a", line 213, in __del__',
        "AttributeError: 'A' object has no attribute 'handle'",
    )  # fmt: skip
    assert "Invalid workbook: /srv/in/p.xlsx" in sentence(*lines)
    assert "AttributeError" in sentence(lines[0], *lines[2:])


def test_a_complaint_about_a_file_that_is_not_there() -> None:
    show = {"ExecStart": command(PROGRAM, "/srv/in/p.xlsx", "/srv/out/p.csv")}
    facts = Facts(paths={path: gone(path) for path in ("/srv/in/p.xlsx", "/srv/out/p.csv")})
    said = sentence("Invalid workbook: /srv/in/p.xlsx", show=show, facts=facts)
    assert "/srv/in/p.xlsx does not exist: “Invalid workbook" in said
    written = sentence("Invalid option while writing /srv/out/p.csv", show=show, facts=facts)
    assert "p.csv does not exist" not in written


def test_a_key_that_only_root_may_read() -> None:
    path = "/etc/a/gate.key"
    facts = Facts(
        paths={path: there(0o600, read=False)},
        withheld={path: "/etc/a/a.json:14"},
        names={UID: "a"},
    )
    line = entry("fatal: use_private_key_file: asio.ssl error", _UID=str(UID))
    assert "a may not read /etc/a/gate.key (/etc/a/a.json line 14)" in sentence(line, facts=facts)
    other = entry("fatal: the colour is unknown", _UID=str(UID))
    assert "gate.key" not in sentence(other, facts=facts)


def test_a_command_of_a_shell_that_crashed() -> None:
    script = 'echo "select 1" | isql -b Stock'
    show = {"ExecStart": command("/bin/sh", "-c", script, status="139")}
    said = judge(case("Segmentation fault", show=show, exit_status="139")).summary
    assert "isql -b Stock" in said
    assert "a command of it was ended by SIGSEGV" in said
    plain = {"ExecStart": command(PROGRAM, status="139")}
    assert "SIGSEGV" not in judge(case("Segmentation fault", show=plain, exit_status="139")).summary


def test_no_server_of_a_realm() -> None:
    lines = (
        "Kerberos initialization for files/h.example@OFFICE.EXAMPLE",
        "error getting credentials: Resource temporarily unavailable",
    )
    assert "no KDC of the realm OFFICE.EXAMPLE can be reached" in sentence(*lines)


def test_the_last_attempt() -> None:
    system: dict[str, list[str]] = {"listening": []}
    said = sentence("opening socket to 127.0.0.1:5672", system=system)
    assert "nobody listens on 127.0.0.1:5672" in said
    went_on = sentence("opening socket to 127.0.0.1:5672", "no plan 'x' found", system=system)
    assert "nobody listens" not in went_on


def test_a_socket_of_the_command_line() -> None:
    show = {"ExecStart": command(PROGRAM, "-s", "unix:/srv/run/a.sock")}
    said = sentence("Failed to bind: Address already in use", show=show)
    assert "the socket /srv/run/a.sock exists already" in said


def test_an_unterminated_block() -> None:
    line = "Unterminated block at end of file: services.conf. Block was opened on line 13"
    assert "services.conf line 13: “Unterminated block" in sentence(line, "Read the documentation.")


def test_a_module_that_a_program_missed_and_told_of() -> None:
    lines = ("Error: Bad module 'wsgi'", "It had these arguments:", "1. No module named 'notes'")
    assert "the Python module notes is not installed" in sentence(*lines)
    chained = (
        _TRACE, _STEP, "    import a", "ModuleNotFoundError: No module named 'tzdata'", "",
        "During handling of the above exception, another exception occurred:", "",
        _TRACE, _STEP, "    a.zone(x)", "ZoneInfoNotFoundError: 'No time zone found with key Europe/X'",
    )  # fmt: skip
    assert "Europe/X" in sentence(*chained)


def test_a_socket_that_is_forbidden_without_a_word_of_the_family() -> None:
    show = {"RestrictAddressFamilies": "AF_UNIX"}
    said = sentence("can't create socket (must run as root?)", show=show)
    assert "RestrictAddressFamilies=AF_UNIX forbids the sockets" in said
    allowed = {"RestrictAddressFamilies": "AF_UNIX AF_INET"}
    assert "forbids" not in sentence("can't create socket (must run as root?)", show=allowed)


def test_the_missing_file_that_it_was_told_to_read() -> None:
    show = {"ExecStart": command(PROGRAM, "-S", "/etc/a-lab.conf")}
    paths = ("/etc/a-lab.conf", "/var/lib/misc/a.leases")
    facts = Facts(paths={path: gone(path) for path in paths})
    lines = (
        "/etc/a-lab.conf: No such file or directory", "started, v1.35.0",
        "can't open '/var/lib/misc/a.leases': No such file or directory",
    )  # fmt: skip
    assert "/etc/a-lab.conf does not exist" in sentence(*lines, show=show, facts=facts)
    assert "a.leases does not exist" in sentence(*lines, facts=facts)


def test_a_socket_that_has_no_directory() -> None:
    show = {"ExecStart": command(PROGRAM, "-s", "unix:/run/web/a.sock")}
    facts = Facts(paths={"/run/web/a.sock": gone("/run/web")})
    said = sentence("Failed to bind: No such file or directory", show=show, facts=facts)
    assert "the directory /run/web does not exist, so that the socket /run/web/a.sock" in said
    there_is = Facts(paths={"/run/web/a.sock": gone("/run/web/a.sock")})
    said = sentence("Failed to bind: No such file or directory", show=show, facts=there_is)
    assert "the directory" not in said


def test_an_error_that_alone_has_no_word_before_it() -> None:
    warnings = [f"po/de.po:2: warning: header field '{name}' missing" for name in ("A", "B", "C")]
    end = 'error while opening "locale/a.mo" for writing: No such file or directory'
    assert "locale/a.mo" in sentence(*warnings, end)
    assert "po/de.po line 2" in sentence(*warnings)


def test_a_remark_without_the_word_that_others_have() -> None:
    warnings = [f"po/de.po:2: warning: header field '{name}' missing" for name in ("A", "B", "C")]
    wrong = "po/de.po:8: format specifications in 'msgid' and 'msgstr' are not the same"
    assert "a mistake in po/de.po line 8" in sentence(*warnings, wrong, "found 1 fatal error")
    other = [one.replace("po/de.po", "po/fr.po") for one in warnings]
    assert "po/de.po line 8" not in sentence(*other, wrong, "found 1 fatal error")
    # where no remark calls itself a warning, a place alone is no complaint
    assert "a mistake" not in sentence("po/de.po:8: formats differ", "found 1 fatal error")


def test_a_sign_that_is_no_level() -> None:
    tables = [f"[12:00:01] Allocated table {name}" for name in ("log", "tls", "die", "act")]
    lines = (
        "[12:00:01] --- Loading a v1.8",
        "[12:00:02] * USER FILE NOT FOUND!",
        "A v1.8 (C) 1997",
    )
    assert "“USER FILE NOT FOUND!”" in sentence(*tables, *lines)
    talk = (
        "[12:00:01] * Ready",
        "[12:00:02] # open /srv/y: no such file",
        "[12:00:03] * Ready, bye",
    )
    assert "/srv/y" in sentence(*talk)


def test_all_words_of_a_run_of_few_words() -> None:
    lines = ("patching file a.php", "Reversed patch detected!", "1 hunk ignored -- see a.php.rej")
    assert f"its last words: “{' / '.join(lines)}”" in sentence(*lines)
    rows = (
        "( Verifying SHA256 )---------------------------------------------",
        "router.img                                               OK",
        "switch.img                                               ERR",
        "----------------------------------------------------------------",
        "Errors Occurred: Errors:1   Miss:0   Success:1   Total:2",
    )
    assert "router.img OK / switch.img ERR / Errors Occurred: Errors:1" in sentence(*rows)
    long = [f"{line} {'and so on ' * 12}" for line in lines]
    assert " / " not in sentence(*long)


def test_complaints_of_which_none_tells_more() -> None:
    progress = [f"Scanning: {number}%" for number in range(9)]
    end = ("Repair is required.", "1 file is damaged.", "You have 10.", "Repair is not possible.")
    said = sentence(*progress, *end)
    assert "“Repair is required. / 1 file is damaged. / Repair is not possible”" in said
    named = sentence(*progress, "cannot read 'b.tar'", "Repair is not possible.")
    assert "“cannot read 'b.tar'”" in named
    both = sentence(*progress, "cannot apply 'b' to 'c'", "cannot merge 'b' and 'd'", "done")
    assert "“cannot apply 'b' to 'c' / cannot merge 'b' and 'd'”" in both
    errors = ("ERROR cannot apply 'b' to 'c'", "ERROR cannot merge 'b' and 'd'")
    assert "'c' / cannot" in sentence(*progress, *errors)
    assert "'c' / cannot" not in sentence(*errors, *progress)
    other = {"MESSAGE": errors[1], "_PID": "7"}
    assert "'c' / cannot" not in sentence(*progress, errors[0], other)
    long = [f"{one} {'and so on ' * 12}" for one in errors]
    assert " / cannot" not in sentence(*progress, *long)


def test_the_number_of_an_error_names_nothing() -> None:
    show = {"ExecStart": command(PROGRAM, "-d", "/srv/feed/prices.lz4")}
    said = sentence("Error 44 : Unrecognized header : cannot be decoded", show=show)
    assert "of: “a -d /srv/feed/prices.lz4" in said
