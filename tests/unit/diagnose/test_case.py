# SPDX-License-Identifier: MIT
"""What a case is made of: items of a bundle, good, damaged or hostile; facts, settings, dates."""
# ruff: noqa: E501 - a row of a table is one line

import base64
import json
from typing import Any

import pytest

from failhook.diagnose import facts as facts_of
from failhook.diagnose.case import make
from failhook.diagnose.certificate import validity
from failhook.diagnose.facts import Access, CertificateFact, Facts, PathFact, ProgramFact
from failhook.systemd import settings
from failhook.systemd.unit import UnitState
from tests.unit import samples
from tests.unit.diagnose.cases import case, command, entry, gone, judge, of_manager, of_setup


def test_who_said_a_line() -> None:
    one = case("the program's", setup=["a.service: Failed at step CHDIR spawning /x: No"])
    assert [message.raw for message in one.messages] == ["the program's"]
    assert [line.message for line in one.setup] == [
        "a.service: Failed at step CHDIR spawning /x: No"
    ]
    assert "Started a.service - A." in [line.message for line in one.manager]
    assert one.proof(one.messages[0]).ref is not None


def test_our_own_lines_are_nobodys() -> None:
    assert not case({"MESSAGE": "recorded", "SYSLOG_IDENTIFIER": "failhook"}).messages


def test_one_entry_of_many_lines_is_many_messages() -> None:
    assert len(case("one\n\ntwo\nthree").messages) == 3


def test_a_long_journal_gives_its_ends() -> None:
    one = case(*(f"line {number}" for number in range(5000)))
    assert one.messages[0].text == "line 0"
    assert one.messages[-1].text == "line 4999"
    assert len(one.messages) <= 750


def test_a_line_of_the_set_up_is_believed_if_systemd_is_its_executable() -> None:
    """Anybody may call himself ``(a)``; journald adds _EXE, _PID and _SYSTEMD_UNIT."""
    said = "a.service: Failed at step EXEC spawning /bin/evil: No such file"
    forged = {"SYSLOG_IDENTIFIER": "(a)", "_EXE": "/usr/bin/logger", "MESSAGE": said}
    assert not case(forged, exit_status="203").setup
    late = {"SYSLOG_IDENTIFIER": "(a)", "_EXE": "", "MESSAGE": said}
    assert not case(late, exit_status="1").setup  # it ran: this is not systemd's word
    assert case(late, exit_status="203").setup


@pytest.mark.parametrize("field", ["SYSLOG_IDENTIFIER", "_COMM", "UNIT", "_SYSTEMD_SLICE"])
def test_what_calls_itself_systemd_is_not(field: str) -> None:
    forged = {"MESSAGE": "a.service: Watchdog timeout (limit 2s)!", field: "systemd"}
    one = case(forged)
    assert not any("Watchdog" in line.message for line in one.manager)
    assert len(one.messages) == 1


def test_what_lost_its_unit_and_what_stands_in_own_logs() -> None:
    lost = "2026-11-21T21:49:37 app[100]: its last word\n2026-11-21T21:49:37 b[7]: not its own\n"
    items = {"journal/lost.txt": lost.encode(), "logs/a.log": b"ERROR in its log\n"}
    one = case({"MESSAGE": "first", "SYSLOG_IDENTIFIER": "app"}, items=items)
    assert [message.text for message in one.messages] == ["first", "its last word", "in its log"]
    assert [message.number for message in one.messages] == [0, 1, 2]
    assert one.proof(one.messages[2]).ref == "logs/a.log"


LOST = (
    "2026-11-21T22:49:36.100000+00:00 (sd-listen)[7]: web.socket: Address already in use\n"
    "2026-11-21T22:49:37.500000+00:00 nightly[8]: cannot use /srv/x: it is damaged\n"
    "at-some-time nightly[8]: no /srv/y\n"
)


def test_of_a_silent_program_what_others_said_while_it_ran_counts() -> None:
    """It may be of a child, and may be of anybody: that is said. What was said before the run began
    is somebody else's."""
    items = {"journal/lost.txt": LOST.encode()}
    alone = case(items=items)
    assert [message.raw for message in alone.messages] == ["cannot use /srv/x: it is damaged"]
    assert alone.silent
    assert judge(alone).summary == (
        "a.service failed to start: it wrote nothing, it is unclear why; meanwhile nightly said "
        "“cannot use /srv/x: it is damaged”"
    )
    assert [message.text for message in case("working", items=items).messages] == ["working"]


@pytest.mark.parametrize(
    "started",
    [
        command("/usr/local/bin/nightly"),
        command("/bin/sh", "-c", "'logger -p user.err -t nightly \"no /srv/x\"'"),
        command("/bin/sh", "-c", "'/usr/bin/logger --tag=nightly x'"),
    ],
)
def test_who_bears_a_name_of_its_command_line_is_the_program(started: str) -> None:
    one = case(items={"journal/lost.txt": LOST.encode()}, show={"ExecStart": started})
    assert not one.silent
    assert "unclear" not in judge(one).summary


def test_what_rests_on_what_was_overheard_is_no_cause() -> None:
    line = "2026-11-21T22:49:37.500000+00:00 nightly[8]: cat: /srv/x: No such file or directory\n"
    facts = Facts(paths={"/srv/x": gone("/srv/x")})
    verdict = judge(case(items={"journal/lost.txt": line.encode()}, facts=facts))
    assert verdict.cause == "unclear"
    assert "it wrote nothing, it is unclear why; meanwhile nightly said" in verdict.summary
    assert "file-missing" not in [other.cause for other in verdict.others]


def test_who_is_called_as_an_interpreter_may_be_anybodys() -> None:
    lost = LOST.replace("nightly[8]", "python3[8]").encode()
    show = {"ExecStart": command("/usr/bin/python3", "/srv/a.py")}
    assert case(items={"journal/lost.txt": lost}, show=show).silent


def test_a_program_with_a_log_of_its_own_is_not_silent() -> None:
    items = {
        "journal/lost.txt": LOST.encode(),
        "logs/a/a.log": b"ERROR no table 'orders' in shop\n",
    }
    one = case(items=items)
    assert not one.silent
    assert "no table 'orders'" in judge(one).summary


def test_what_good_runs_said_is_old_news_and_what_failed_ones_said_is_not() -> None:
    line = "2026-11-21T21:49:37 a[90]: warning: x\n"
    assert case(items={"journal/before.txt": line.encode()}).earlier == {"warning: x"}
    failed = line + "2026-11-21T21:49:38 systemd[1]: a.service: Failed with result 'exit-code'.\n"
    assert not case(items={"journal/before.txt": failed.encode()}).earlier


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\xff\xfe", b"[]", b"null", b'{"paths": 3}', b"{" * 3000, b'"x"', b'{"schema": 9}'],
)
def test_damaged_items_count_as_not_known(damage: bytes) -> None:
    names = (
        "journal/journal.json", "journal/journal.txt", "journal/lost.txt", "journal/before.txt",
        "unit/show.txt", "unit/cat.txt", "unit/dependencies.txt", "unit/required.json",
        "kernel/kernel.txt", "system/system.json", "checks/facts.json", "cgroup/memory.max",
        "logs/x", "coredump/x.txt",
    )  # fmt: skip
    one = make(samples.incident(), dict.fromkeys(names, damage))
    assert one.facts == Facts()
    assert not one.listeners
    assert not one.manager


def test_listeners_mounts_neighbours_and_memory() -> None:
    system: dict[str, Any] = {
        "listening": [
            {"protocol": "tcp", "address": "::", "port": 80, "pid": 7, "program": "b", "unit": "b.service"},
            {"protocol": "tcp", "address": "::", "port": "x"}, 3,
            {"protocol": "udp", "address": "::", "port": 81, "unit": "a.service"},
        ],
        "mounts": [{"point": "/", "bytes": 10, "free": 10}, {"point": "/srv", "options": "ro"}, {"point": 3}],
    }  # fmt: skip
    items = {
        "unit/dependencies.txt": b"!  UNIT LOAD ACTIVE SUB RESULT RELATION\n!  b.service loaded failed failed exit-code Requires\nx\n",
        "cgroup/memory.max": b"max\n",
        "cgroup/memory.peak": b"12\n",
        "cgroup/memory.events": b"oom_kill 2\nbad\n",
    }  # fmt: skip
    one = case(system=system, items=items)
    holder = one.listener(80)
    assert holder is not None
    assert holder.holder == "b (pid 7, b.service)"
    assert one.listener(81) is None  # its own
    mount = one.mount("/srv/x")
    assert mount is not None
    assert mount.options == "ro"
    assert [each.name for each in one.neighbours] == ["b.service"]
    assert one.memory == {"memory.peak": 12, "memory.oom_kill": 2}


FACTS = Facts(
    at=3.5,
    paths={"/x": PathFact("file", 0o640, "root", "adm", 3, acl=True, access=(Access(1, True, False, False),))},
    programs={"/y": ProgramFact("/bin/sh", True, script=True)},
    certificates={"/z": CertificateFact(1.0, 2.0)},
    users={"a": 1, "b": None},
    names={1: "a"},
    libraries={"x": ("y",)},
    hosts={"h": False},
    name_servers=(),
    addresses=("::1",),
    lines={"/x:1": "line"},
    foreign=("/x",),
    upgrading=("dpkg (pid 3)",),
    machine="x86_64",
)  # fmt: skip


def test_facts_are_kept_and_read_back() -> None:
    assert facts_of.load(facts_of.dump(FACTS)) == FACTS
    assert FACTS.paths["/x"].described == "mode 0640, owner root:adm"
    assert FACTS.user(1) == "a"
    assert FACTS.user(0) == "root"
    assert FACTS.user(7) == "uid 7"
    assert FACTS.user(None) == "its user"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("paths", {"/x": {"kind": 3}}),
        ("paths", {"/x": {"kind": "file", "mode": "0644"}}),
        ("paths", {"/x": []}),
        ("paths", {"/x": {"mode": 3}}),
        ("programs", {"/x": {"interpreter": 3}}),
        ("certificates", {"/x": {"not_before": 1.0, "not_after": 1e300}}),
        ("names", {"x": "y", "9" * 30: "z"}),
        ("hosts", []),
        ("at", "now"),
    ],
)
def test_hostile_facts_count_as_not_seen(name: str, value: object) -> None:
    loaded = facts_of.load(json.dumps({"schema": 1, name: value}).encode())
    assert loaded == Facts(name_servers=loaded.name_servers)


def test_settings_that_show_leaves_out() -> None:
    files = (
        "# /etc/systemd/system/a.service\n[Service]\nLoadCredential=a:/x\nLoadCredential = b:/y\n"
        "StandardOutput=append:/srv/log\nStandardError=file:%t/x-%p:y\nUser=ignored\n"
    )
    state = UnitState("a.service", {"StandardOutput": "append", "LoadCredential": ""})
    done = settings.complete(state, files)
    assert done.get("LoadCredential") == "a:/x b:/y"
    assert done.get("StandardOutput") == "append:/srv/log"
    assert done.get("StandardError") == "file:/run/x-a:y"
    assert done.get("User") is None
    assert settings.complete(done, "LoadCredential=other").get("LoadCredential") == "a:/x b:/y"
    emptied = settings.complete(state, "LoadCredential=a:/x\nLoadCredential=\n")
    assert emptied.get("LoadCredential") is None


# -- certificates ----------------------------------------------------------------------------------


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def pem(begins: bytes, ends: bytes, *, tag: int = 0x17, version: bool = True) -> bytes:
    """A certificate with these dates, and nothing in it that could be verified."""
    head = [_der(0xA0, _der(2, b"\x02"))] if version else []
    dates = _der(0x30, _der(tag, begins), _der(tag, ends))
    signed = _der(0x30, *head, _der(2, b"\x01"), _der(0x30), _der(0x30, b"x" * 200), dates)
    text = base64.encodebytes(_der(0x30, signed))
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("version", [True, False])
def test_the_dates_of_a_certificate(version: bool) -> None:
    found = validity(b"some words\n" + pem(b"700101000000Z", b"491231235959Z", version=version))
    assert found == (0.0, 2524607999.0)
    later = validity(pem(b"19700101000000Z", b"20500101000000Z", tag=0x18))
    assert later == (0.0, 2524608000.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n" + b"A" * 100 + b"\n-----END CERTIFICATE-----",
        pem(b"700101000000Z", b"no date"),
        pem(b"700101000000Z", b"491231235959Z", tag=0x16),
        pem(b"701301000000Z", b"491231235959Z"),
        pem(b"700101000000Z", b"491231235959Z").replace(b"-----END", b"-----EN"),
        pem(b"700101000000Z", b"491231235959Z")[:120] + b"\n-----END CERTIFICATE-----",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_certificate(data: bytes) -> None:
    assert validity(data) is None


def test_entries_have_the_fields_that_tell_who_said_them() -> None:
    """The helper's own entries are what journald would write."""
    assert of_manager("x")["_PID"] == "1"
    assert of_setup("x")["_EXE"].endswith("/systemd")
    assert entry("x")["_PID"] != "1"
