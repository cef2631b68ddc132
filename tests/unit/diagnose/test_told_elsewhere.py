# SPDX-License-Identifier: MIT
"""What a line leaves open and something beside it tells: the unit, a script, the line above."""
# ruff: noqa: E501 - a row of a table is one line

import os
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.diagnose.endpoints import endpoints_of, is_code
from failhook.diagnose.facts import Access, Facts, ProgramFact
from failhook.diagnose.level import Level
from failhook.diagnose.look import look
from failhook.diagnose.machine import Machine
from failhook.diagnose.ports import ports_in
from failhook.diagnose.subjects import Subjects, find, paths_in
from failhook.diagnose.text import peel
from failhook.incident import Process
from failhook.systemd.unit import UnitState
from tests.unit.diagnose.cases import UID, case, command, found, gone, judge, sentence, there, what

DNSMASQ = {
    "protocol": "udp", "address": "0.0.0.0", "port": 67, "pid": 98, "program": "dnsmasq",
    "unit": "lan-dhcp.service",
}  # fmt: skip
ROOM = {"type": "tmpfs", "options": "rw", "inodes": 900, "inodes_free": 800}
IMAGES = {
    "mounts": [
        {"point": "/", "bytes": 10**10, "free": 9 * 10**9} | ROOM,
        {"point": "/srv/images", "bytes": 4 << 20, "free": 4 << 20} | ROOM,
    ]
}
ROOTED = pytest.mark.skipif(os.geteuid() != 0, reason="of what others may write nothing is read")


# -- ports, hosts and disks ---------------------------------------------------------------------


def test_a_port_by_the_name_of_its_service() -> None:
    line = "cannot bind DHCP server socket: Address already in use"
    one = case(line, system={"listening": [DNSMASQ]})
    assert "port 67 (0.0.0.0) is already held by dnsmasq" in (what(one, "port-taken") or "")


def test_a_datagram_port_is_one_of_those_that_others_hold() -> None:
    one = case("bind: Address already in use", system={"listening": [DNSMASQ]})
    said = what(one, "port-taken")
    assert said is not None
    assert "it is unclear which (others listen on 67: dnsmasq" in said


def test_whom_it_was_told_to_ask() -> None:
    facts = Facts(endpoints={"127.0.0.1": "/etc/default/a:1", "3307": "/etc/default/a:2"})
    said = judge(case("[Errno 111] Connection refused", facts=facts)).summary
    assert "the server 127.0.0.1 (/etc/default/a line 1), port 3307 (/etc/default/a line 2)" in said


def test_whom_it_listens_on_is_nobody_to_ask() -> None:
    facts = Facts(endpoints={"127.0.0.1": "/etc/a:1"}, listens=("127.0.0.1",))
    said = judge(case("[Errno 111] Connection refused", facts=facts)).summary
    assert "a server that it needs refused the connection, it is unclear which server" in said


def test_the_disk_of_its_command_line() -> None:
    """What did not fit was removed: no disk is full any more."""
    show = {"ExecStart": command("/usr/bin/mk", "/srv/tree", "/srv/images/a.img")}
    said = sentence("Write failed because No space left on device", show=show, system=IMAGES)
    assert "there was no space left, as it seems on /srv/images: “Write failed" in said
    show = {"ExecStart": command("/usr/bin/mk", "/srv/tree")}
    said = sentence("Write failed because No space left on device", show=show, system=IMAGES)
    assert "there was no space left, it is unclear on which disk: “Write failed" in said


def test_an_address_that_could_not_be_bound() -> None:
    facts = Facts(addresses=("192.0.2.1",), endpoints={"192.0.2.40": "/etc/a.conf:135"})
    said = judge(case("main proc, Error binding", facts=facts)).summary
    assert "it is told to listen on 192.0.2.40 (/etc/a.conf line 135)" in said
    assert "address-not-here" not in found(case("main proc, Error", facts=facts))


# -- files --------------------------------------------------------------------------------------


def test_the_file_that_a_traceback_was_about() -> None:
    lines = (
        "thumbnail of /srv/photos/b.jpg",
        "Traceback (most recent call last):",
        '  File "/opt/a.py", line 9, in <module>',
        "    image.load()",
        '  File "/usr/lib/python3/dist-packages/PIL/ImageFile.py", line 266, in load',
        "    raise OSError(msg)",
        "OSError: image file is truncated (23 bytes not processed)",
    )
    facts = Facts(paths={"/srv/photos/b.jpg": there()})
    said = judge(case(*lines, facts=facts)).summary
    assert "/srv/photos/b.jpg, as it seems, is cut off or damaged: “OSError: image file" in said
    assert "file-damaged" not in found(case(*lines))  # nobody has seen it there


def test_steps_of_a_traceback_name_no_file_that_is_missing() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/opt/a.py", line 9, in <module>',
        "    context.load_verify_locations(name)",
        "FileNotFoundError: [Errno 2] No such file or directory",
    )
    facts = Facts(absent={"/etc/ssl/a/ca.pem": "/etc/systemd/system/a.service:5"})
    said = judge(case(*lines, facts=facts)).summary
    assert "/etc/ssl/a/ca.pem (/etc/systemd/system/a.service line 5) does not exist" in said


def test_the_directory_of_a_log() -> None:
    missing = replace(there(), kind="missing", missing_at="/var/log/a")
    log = "/var/log/a/server.log"
    facts = Facts(absent={log: "/etc/a.conf:3"}, paths={log: missing})
    said = judge(case(facts=facts)).summary
    assert "/var/log/a (/etc/a.conf line 3) does not exist" in said
    missing = replace(missing, missing_at=log)
    facts = Facts(absent={log: "/etc/a.conf:3"}, paths={log: missing})
    assert "file-missing" not in found(case(facts=facts))  # the program makes that itself


def test_the_last_word_of_a_checker() -> None:
    show = {"ExecStart": command("/sbin/e2fsck", "-n", "/srv/vm/a.ext4")}
    lines = (
        "Free blocks count wrong (1, counted=2).",
        "/srv/vm/a.ext4: ** WARNING: Filesystem still has errors **",
    )
    assert "the file system on /srv/vm/a.ext4 has errors that were not repaired" in sentence(
        *lines, show=show
    )
    assert "the file system on /srv/vm/a.ext4 has errors" in sentence(
        "UNEXPECTED INCONSISTENCY; RUN fsck", show=show
    )
    assert "file-system" not in found(case("no errors were left", show=show))


# -- exceptions and levels ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("asyncssh.misc.PermissionDenied: Permission denied", "asyncssh.misc.PermissionDenied: "),
        ("json.decoder.JSONDecodeError: Expecting value: line 1 column 1", "JSONDecodeError: Exp"),
    ],
)
def test_whose_exception_it_is(line: str, said: str) -> None:
    start = (
        "Traceback (most recent call last):",
        '  File "/opt/a.py", line 7, in <module>',
        "    x()",
    )
    assert f": {said}" in judge(case(*start, line)).summary


def test_a_part_of_the_program_is_no_level() -> None:
    assert peel('config: line 8: unrecognized flag "SYNC"')[1] is Level.UNKNOWN
    assert peel("CONFIG: reading a.properties")[1] is Level.TALK
    assert peel("[detail] key exists")[1] is Level.TALK


def test_threads_that_a_limit_forbids() -> None:
    line = "resource unavailable (a.c:2207:create)"
    assert "LimitNPROC=4 allows" in (what(case(line, show={"LimitNPROC": "4"}), "processes") or "")
    assert "processes" not in found(case(line))


# -- path units ---------------------------------------------------------------------------------

_TABLE = "!  UNIT LOAD ACTIVE SUB RESULT RELATION\n"


def _path_unit(result: str) -> str:
    show = {"Paths": "/srv/in/READY (PathExists)"}
    row = f"!  work.service loaded failed failed {result} Triggers\n"
    items = {"unit/dependencies.txt": (_TABLE + row).encode()}
    how = {"result": "unit-start-limit-hit", "exit_status": None, "exit_code": None}
    return judge(case(show=show, items=items, manager=(), **how)).summary  # type: ignore[arg-type]


def test_what_a_path_unit_starts_leaves_the_reason_in_place() -> None:
    said = _path_unit("start-limit-hit")
    assert (
        "it started work.service too often in too short a time, since PathExists=/srv/in/READY"
        in said
    )


def test_what_a_path_unit_starts_fails() -> None:
    assert "it started work.service again and again, which failed each time" in _path_unit(
        "exit-code"
    )


# -- the look at the machine --------------------------------------------------------------------

SCRIPT = """#!/usr/bin/python3
import os, json
config = json.load(open("/etc/sync.json"))
for entry in connection.entries:
    connect(host=os.environ["HOST"], mirror="db.example.org")
"""


def test_hosts_of_a_script_stand_in_quotes() -> None:
    assert is_code("/opt/a", SCRIPT)
    assert is_code("/opt/a.rb", "")
    assert not is_code("/opt/a.sh", "#!/bin/sh\n")
    quoted = [one for _, one, _ in endpoints_of(SCRIPT, quoted=True)]
    assert quoted == ["db.example.org"]


def test_the_files_of_a_unit() -> None:
    state = UnitState("a.service", {"FragmentPath": "/a", "DropInPaths": "/b /c"})
    assert find(state, [], []).unit_files == ("/a", "/b", "/c")


@ROOTED
def test_what_the_unit_and_its_script_name(tmp_path: Path) -> None:
    unit, script, config = tmp_path / "a.service", tmp_path / "a.py", tmp_path / "sync.json"
    unit.write_text(
        "[Unit]\nConditionPathExists=/nowhere/a/b.pem\n[Service]\n"
        "Environment=CA=/etc/nowhere-a/ca.pem\nEnvironment=BROKER=192.0.2.9:9093\n"
    )
    script.write_text(f'#!/usr/bin/python3\nopen("{config}")\n')
    config.write_text('{"host": "ldap1.example", "port": 636}\n')
    for path in (unit, script, config):
        path.chmod(0o644)
    facts = look(Subjects(unit_files=(str(unit),), scripts=(str(script),)), system=False)
    assert facts.absent == {"/etc/nowhere-a/ca.pem": f"{unit}:4"}
    assert facts.endpoints["192.0.2.9"] == f"{unit}:5"
    assert facts.endpoints["ldap1.example"] == f"{config}:1"


@pytest.mark.parametrize(
    ("name", "writes", "expected"),
    [("jobs.sqlite", False, True), ("jobs.sqlite", True, False), ("page.html", False, False)],
)
def test_a_database_is_there_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, writes: bool, expected: bool
) -> None:
    script = tmp_path / "a.py"
    script.write_text(f'#!/usr/bin/python3\nurl = "sqlite:////srv/jobs/{name}"\n')
    script.chmod(0o644)
    access = (Access(UID, read=True, write=writes, execute=False),)
    seen = replace(there(), access=access)
    monkeypatch.setattr(Machine, "path", lambda *_: seen)
    withheld = Machine(Path("/")).withheld([str(script)], UID, ())
    place = f"{script}:2"
    assert withheld == ({f"/srv/jobs/{name}": place} if expected else {})


def test_a_realm_is_no_host() -> None:
    assert paths_in("kinit -t /etc/a.keytab a@CORP.EXAMPLE") == ["/etc/a.keytab"]
    facts = Facts(endpoints={"kdc1.corp.example": "/etc/krb5.conf:7"})
    show = {"ExecStart": command("/usr/bin/kinit", "-k", "svc@CORP.EXAMPLE")}
    line = "Resource temporarily unavailable while getting initial credentials"
    said = judge(case(line, show=show, facts=facts)).summary
    assert "the host name kdc1.corp.example (/etc/krb5.conf line 7) cannot be resolved" in said


# -- more lines than one ------------------------------------------------------------------------


def test_a_sentence_over_two_lines() -> None:
    lines = (
        "Signature key id in /srv/a.minisig is 2ED2",
        "but the key id in the public key is DFDE",
    )
    assert f"“{lines[0]}: {lines[1]}”" in sentence(*lines)
    assert f"“{lines[1]}”" in sentence("opened", {"_PID": "7", "MESSAGE": lines[1]})


def test_what_it_waited_for_when_its_time_ran_out() -> None:
    lines = (
        "waiting for root's lock in /srv/cvs/a",
        "a [export aborted]: received termination signal",
    )
    manager = ("Starting a.service - A...", "a.service: start operation timed out. Terminating.")
    said = sentence(*lines, manager=manager, result="timeout")
    assert "its last words: “waiting for root's lock in /srv/cvs/a”" in said


def test_what_a_job_worked_on() -> None:
    show = {"ExecStart": command("/sbin/cs", "open", "--key-file", "/etc/keys/a.key", "/srv/a.img")}
    said = sentence("No key available with this passphrase", show=show)
    assert (
        "“No key available with this passphrase”, of: “cs open --key-file /etc/keys/a.key" in said
    )
    said = sentence("No key 'b' available with this passphrase", show=show)
    assert said.endswith("“No key 'b' available with this passphrase”")
    show = {"ExecStart": command("/bin/sh", "-c", "read /etc/keys/a.key")}
    assert "of: “sh" not in sentence("No key available with this passphrase", show=show)


def test_a_helper_misses_a_command_and_the_program_dies_of_something_else() -> None:
    missing = {"_PID": "101", "MESSAGE": "sh: 1: udevadm: not found"}
    last = "Error: The location 2GiB is outside of the device /srv/a.img."
    main = Process(pid=100)
    assert "The location 2GiB is outside" in sentence(missing, last, main=main)
    assert "the command udevadm does not exist" in sentence(missing, "Error: it failed", main=main)


def test_an_unhandled_condition() -> None:
    lines = (
        'Unhandled ASDF/FIND-COMPONENT:MISSING-COMPONENT in thread #<SB-THREAD:THREAD "m" RUNNING',
        "                                                             {1001348003}>:",
        "  Component :CL-CSV not found",
        'Backtrace for: #<SB-THREAD:THREAD "main thread" RUNNING {1001348003}>',
        "0: (SB-DEBUG::DEBUGGER-DISABLED-HOOK Component :CL-CSV not found #<unused> :QUIT T)",
        '1: (LOAD #<SB-SYS:FD-STREAM for "file /opt/plan.lisp" {1001336F73}> :VERBOSE NIL)',
        "2: (ERROR ASDF/FIND-COMPONENT:MISSING-COMPONENT :REQUIRES :CL-CSV)",
    )
    said = sentence(*lines)
    assert "MISSING-COMPONENT: Component :CL-CSV not found, in /opt/plan.lisp" in said


# -- proxies ------------------------------------------------------------------------------------

NEW = "urllib3.exceptions.NewConnectionError: <urllib3.connection.HTTPSConnection object at 0x7f>: "
NEW += "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"
BLAME = "requests.exceptions.ProxyError: HTTPSConnectionPool(host='rates.example', port=443): "
BLAME += "Max retries exceeded with url: / (Caused by ProxyError('Cannot connect to proxy.'))"


def test_the_proxy_is_who_does_not_resolve() -> None:
    place = "/etc/systemd/system/a.service.d/proxy.conf:2"
    endpoints = {"proxy.corp.example": place, "rates.example": "/opt/a.py:4"}
    said = judge(case(NEW, BLAME, facts=Facts(endpoints=endpoints))).summary
    assert f"the host name proxy.corp.example ({place.replace(':', ' line ')})" in said
    said = judge(case(NEW, facts=Facts(endpoints={"rates.example": "/opt/a.py:4"}))).summary
    assert "the host name rates.example (/opt/a.py line 4) cannot be resolved" in said


# -- what the unit gives ------------------------------------------------------------------------


def test_where_the_options_stand() -> None:
    show = {
        "ExecStart": command("/sbin/a", "-f", "$OPTIONS"),
        "EnvironmentFiles": "/etc/a.conf (ignore_errors=yes)\n/etc/default/a (ignore_errors=yes)",
    }
    seen = Facts(paths={"/etc/default/a": there(), "/etc/a.conf": gone("/etc/a.conf")})
    said = judge(case("invalid option -- '-'", show=show, facts=seen)).summary
    assert "a mistake in its command line, which has $OPTIONS of /etc/default/a: “invalid" in said
    said = judge(case("invalid option -- '-'", facts=seen)).summary
    assert "a mistake in its configuration or command line" in said


def test_a_shell_that_fails_without_a_word() -> None:
    show = {"ExecStart": command("/bin/bash", "-c", 'grep -q "^dev " $CONF')}
    said = sentence(show=show)
    assert '/bin/bash -c “grep -q "^dev " $CONF” ended with status 3' in said
    assert "it is unclear why" in said
    assert "-c “" not in sentence("something", show=show)


def test_an_interpreter_that_another_program_missed() -> None:
    job = "/etc/cron.hourly/count"
    lines = (f"run-parts: failed to exec {job}: No such file or directory",)
    head = ProgramFact("/usr/bin/python", False, script=True)
    facts = Facts(paths={job: there(0o755)}, programs={job: head})
    said = judge(case(*lines, facts=facts)).summary
    assert f"{job} asks for the interpreter /usr/bin/python, which does not exist" in said
    head = ProgramFact("/usr/bin/python3", True, script=True)
    facts = Facts(paths={job: there(0o755)}, programs={job: head})
    assert "command-missing" not in found(case(*lines, facts=facts))


def test_an_interface_that_nobody_speaks_of() -> None:
    links = {"links": [{"name": "lo"}, {"name": "eth0"}], "listening": []}
    line = "There must be at least 1 Vif as upstream."
    facts = Facts(addresses=(), endpoints={"eth0.8": "/etc/a.conf:3", "eth0": "/etc/a.conf:4"})
    said = judge(case(line, facts=facts, system=links)).summary
    assert "it is told to use the network interface eth0.8 (/etc/a.conf line 3), which does" in said
    facts = Facts(addresses=(), endpoints={"tun0": "/etc/a.conf:3"})
    assert "interface-missing" not in found(case(line, facts=facts, system=links))
    facts = Facts(addresses=(), endpoints={"eth0.8": "/etc/a.conf:3"})
    named = case("cannot open /srv/a/b", facts=facts, system=links)
    assert "interface-missing" not in found(named)


def test_a_warning_that_explains_the_error_below_it() -> None:
    show = {"ExecStart": command("/usr/sbin/a", "-n", "/etc/a.conf")}
    seen = Facts(paths={"/etc/a.conf": there()})
    lines = ({"MESSAGE": "Unknown token 'net' in configfile", "PRIORITY": "4"},
             {"MESSAGE": "Unable to load config file...", "PRIORITY": "3"})  # fmt: skip
    said = judge(case(*lines, show=show, facts=seen)).summary
    assert "a mistake in /etc/a.conf: “Unknown token 'net' in configfile”" in said


def test_a_program_that_misses_what_its_configuration_would_say() -> None:
    missing = "/etc/a/targets.yml"
    facts = Facts(paths={missing: gone(missing)}, configurations=(missing,))
    said = judge(case('level=error msg="no targets in config file"', facts=facts)).summary
    assert f"{missing} (EnvironmentFile=) does not exist: “no targets in config file”" in said


def test_nobody_listens_at_an_address_in_brackets() -> None:
    line = "stream: default: connect: [127.0.0.1]:8000: error -2: Couldn't connect"
    said = sentence(line, "initial server connection failed", system={"listening": [DNSMASQ]})
    assert "nobody listens on [127.0.0.1]:8000" in said


def test_what_a_log_says_could_not_be_executed() -> None:
    state = UnitState("a.service", {})
    lines = ("failed to exec /etc/cron.hourly/a: No such file or directory", "run /srv/b now")
    messages = case(*lines).messages
    assert find(state, messages, []).executed == ("/etc/cron.hourly/a",)


@ROOTED
def test_only_programs_of_root_are_opened(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("#!/nowhere/python\n")
    for mode, known in ((0o755, True), (0o644, False), (0o777, False)):
        script.chmod(mode)
        facts = look(Subjects(executed=(str(script),)), system=False)
        assert (str(script) in facts.programs) is known, oct(mode)


# -- sandboxes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "show", "said"),
    [
        ("chmod: changing permissions of '/srv/a': Operation not permitted", {"RestrictSUIDSGID": "yes"}, "RestrictSUIDSGID=yes forbids the set-user-ID"),
        ("unshare failed: Operation not permitted", {"RestrictNamespaces": "yes"}, "RestrictNamespaces=yes forbids new namespaces"),
        ("sched_setscheduler(): Operation not permitted", {"RestrictRealtime": "yes"}, "RestrictRealtime=yes forbids real-time"),
        ("sysctl: permission denied on key 'net.ipv4.ip_forward'", {"ProtectKernelTunables": "yes"}, "ProtectKernelTunables=yes forbids writing the kernel's settings"),
        ("modprobe: ERROR: could not insert 'wireguard': Operation not permitted", {"ProtectKernelModules": "yes"}, "ProtectKernelModules=yes forbids loading kernel modules"),
        ('sudo: The "no new privileges" flag is set, which prevents sudo from running as root.', {"NoNewPrivileges": "yes"}, "NoNewPrivileges=yes forbids what sudo"),
        ("[Errno 111] Connection refused", {"PrivateNetwork": "yes"}, "PrivateNetwork=yes gives it a network of its own"),
        ("The connection to the server 127.0.0.1:8001 was refused - did you specify the right port?",
         {"PrivateNetwork": "yes"}, "PrivateNetwork=yes gives it a network of its own"),
        ("Name or service not known", {"PrivateNetwork": "yes"}, "PrivateNetwork=yes gives it a network of its own"),
        ("cannot reach a at /tmp/a.sock: No such file or directory", {"PrivateTmp": "yes"}, "/tmp/a.sock: PrivateTmp=yes hides it from the unit"),
        ("error in call to Lua API (runtime code generation failed, restricted kernel?)", {"MemoryDenyWriteExecute": "yes"}, "MemoryDenyWriteExecute=yes denies it memory"),
    ],
)  # fmt: skip
def test_a_setting_that_stands_in_the_way(line: str, show: dict[str, str], said: str) -> None:
    facts = Facts(paths={"/tmp/a.sock": there(kind="socket")})
    assert said in judge(case(line, show=show, facts=facts)).summary
    other = judge(case(line, show=dict.fromkeys(show, "no"), facts=facts)).summary
    assert said not in other


def test_a_program_inside_of_its_root_directory() -> None:
    root = "/srv/jail"
    show = {"RootDirectory": root, "ExecStart": command("/bin/b", status="203")}
    state = UnitState("a.service", {"RootDirectory": root, "ExecStart": show["ExecStart"]})
    assert find(state, [], []).programs == ("/srv/jail/bin/b",)
    inside = ProgramFact("/lib64/ld-linux-x86-64.so.2", False)
    facts = Facts(paths={"/srv/jail/bin/b": there(0o755)}, programs={"/srv/jail/bin/b": inside})
    setup = ("a.service: Failed to execute /bin/b: No such file or directory",
             "a.service: Failed at step EXEC spawning /bin/b: No such file or directory")  # fmt: skip
    said = judge(case(show=show, facts=facts, setup=setup, exit_status="203")).summary
    assert "ExecStart=/bin/b (in RootDirectory=/srv/jail) needs the dynamic loader" in said


def test_the_data_that_a_library_could_not_read() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/opt/a.py", line 5, in <module>',
        "    tree.parse(path)",
        "xml.etree.ElementTree.ParseError: not well-formed (invalid token): line 4, column 27",
    )
    show = {"ExecStart": command("/usr/bin/python3", "/opt/a.py", "/srv/jobs.xml")}
    said = judge(case(*lines, show=show, facts=Facts(paths={"/srv/jobs.xml": there()}))).summary
    assert "line 4, column 27 (/opt/a.py line 5); it reads /srv/jobs.xml line 4" in said
    facts = Facts(data={"/srv/jobs.xml": "/opt/a.py:4"})
    said = judge(case(*lines, facts=facts)).summary
    assert "; it reads /srv/jobs.xml (/opt/a.py line 4)" in said
    facts = Facts(data={"/srv/jobs.xml": "/opt/a.py:4", "/srv/b.xml": "/opt/a.py:5"})
    assert "it reads" not in judge(case(*lines, facts=facts)).summary


def test_an_empty_state() -> None:
    facts = Facts(empty={"/var/lib/a/position.json": "/opt/a.py:4"})
    line = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    said = judge(case(line, facts=facts)).summary
    assert f"/var/lib/a/position.json (/opt/a.py line 4) is empty: “{line}”" in said


def test_ports_of_the_command_line_and_none_of_error_codes() -> None:
    show = {"ExecStart": command("/usr/bin/busybox", "httpd", "-p", "80"), "UID": str(UID)}
    line = {"MESSAGE": "httpd: bind: Permission denied", "_UID": str(UID)}
    said = judge(case(line, show=show, facts=Facts(names={UID: "a"}))).summary
    assert "a may not bind port 80: ports below 1024 need CAP_NET_BIND_SERVICE" in said
    assert ports_in("(system:98) bind: Address already in use") == []
    assert ports_in("db:98") == [98]


def test_a_trace_of_a_shell() -> None:
    lines = ("+ TARGET=/mnt/usbdisk", "+ mountpoint -q /mnt/usbdisk", "+ exit 3")
    assert "its last words: “+ mountpoint -q /mnt/usbdisk”" in sentence(*lines)


def test_who_says_it() -> None:
    assert "“sudo: a password is required”" in sentence("sudo: a password is required")


def test_a_mount_whose_helper_is_missing() -> None:
    line = {"MESSAGE": "mount: /srv/media: unknown filesystem type 'nfs'.", "_COMM": "mount",
            "SYSLOG_IDENTIFIER": "mount"}  # fmt: skip
    show = {"Where": "/srv/media", "What": "nas:/media", "Options": "rw"}
    said = judge(case(line, show=show, unit="srv-media.mount", manager=())).summary
    assert "its helper mount.nfs (package nfs-common) is missing, as it seems" in said


@ROOTED
def test_data_that_a_script_names(tmp_path: Path) -> None:
    script, data = tmp_path / "a.py", tmp_path / "state.json"
    data.write_text("{")
    script.write_text(f'#!/usr/bin/python3\nopen("{data}")\nopen("/etc/nowhere.json")\n')
    script.chmod(0o644)
    facts = look(Subjects(scripts=(str(script),)), system=False)
    assert facts.data == {str(data): f"{script}:2"}


def test_a_directory_of_a_run_that_nobody_makes() -> None:
    line = "Can't create pidfile /run/pen/imap.pid"
    facts = Facts(paths={"/run/pen/imap.pid": gone("/run/pen")})
    assert "the directory /run/pen does not exist" in judge(case(line, facts=facts)).summary
    show = {"RuntimeDirectory": "pen"}  # systemd made it, and took it away after the run
    assert "file-missing" not in found(case(line, facts=facts, show=show))


def test_a_silent_program_whose_port_is_taken() -> None:
    taken = DNSMASQ | {"protocol": "tcp", "port": 3890, "program": "socat", "unit": "b.service"}
    show = {"ExecStart": command("/usr/bin/simpleproxy", "-L", "3890", "-R", "ldap:389")}
    said = sentence(show=show, system={"listening": [taken]})
    assert "port 3890 of its command line is already held by socat" in said
    assert "port-taken" not in found(case("hello", show=show, system={"listening": [taken]}))


def test_the_line_of_code_of_an_exception_that_names_nothing() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/opt/week.py", line 5, in <module>',
        '    locale.setlocale(locale.LC_TIME, "de_DE.UTF-8")',
        '  File "/usr/lib/python3.11/locale.py", line 626, in setlocale',
        "    return _setlocale(category, locale)",
        "locale.Error: unsupported locale setting",
    )
    code = '(/opt/week.py line 5: locale.setlocale(locale.LC_TIME, "de_DE.UTF-8"))'
    assert code in sentence(*lines)
    assert "setlocale" not in sentence(*lines[:-1], "ValueError: 'x' is no locale of this machine")


def test_the_host_that_the_next_line_names() -> None:
    lines = (
        "getaddrinfo: Temporary failure in name resolution",
        "invalid address [store1.mail.example]",
    )
    assert "the host name store1.mail.example cannot be resolved" in sentence(*lines)


def test_the_options_of_a_mount() -> None:
    line = {
        "MESSAGE": "mount: /srv/media: wrong fs type, bad option, bad superblock on tmpfs",
        "_COMM": "mount",
        "SYSLOG_IDENTIFIER": "mount",
    }
    show = {"Where": "/srv/media", "What": "tmpfs", "Options": "nr_inode=10k"}
    said = judge(case(line, show=show, unit="srv-media.mount", manager=())).summary
    assert said.endswith("; its options are nr_inode=10k")
