# SPDX-License-Identifier: MIT
"""What programs taught that were broken by somebody who did not know the verdict.

Each with a near miss: the same words where they mean something else.
"""
# ruff: noqa: E501 - messages are as long as they are

import pytest

from failhook.diagnose.config_file import users_of
from failhook.diagnose.facts import Facts
from failhook.diagnose.look import look
from failhook.diagnose.subjects import Subjects
from tests.unit.diagnose.cases import (
    UID,
    case,
    command,
    found,
    gone,
    judge,
    process,
    sentence,
    there,
)

CONFIGURED = {"ExecStart": command("/usr/sbin/a", "-c", "/etc/a.cfg")}
HAS_CONFIGURATION = Facts(paths={"/etc/a.cfg": there()})


def test_what_is_wrong_stands_above_the_line_that_says_that_something_is() -> None:
    """DCMTK's dcmqrscp; mopidy."""
    lines = (
        'CONFIG Error: Symbolic name "ws2" not defined!',
        'CONFIG Error: Reading configuration file "/etc/a.cfg" with errors!',
        "F: bad config file: /etc/a.cfg",
    )
    said = sentence(*lines, show=CONFIGURED, facts=HAS_CONFIGURATION)
    assert 'a mistake in /etc/a.cfg: “Symbolic name "ws2" not defined!”' in said
    of_mopidy = (
        "INFO     a.config Loading config from file:///etc/a.cfg",
        "WARNING  a.__main__ Found fatal audio configuration errors:",
        "WARNING  a.__main__   audio/mixer_volume 120 must be smaller than 100.",
        "ERROR    a.__main__ Please fix fatal configuration errors, exiting...",
    )
    said = sentence(*of_mopidy, show=CONFIGURED, facts=HAS_CONFIGURATION)
    assert "/etc/a.cfg" in said and "audio/mixer_volume 120 must be smaller than 100" in said


def test_a_result_with_a_reason_of_its_own_needs_none_from_above() -> None:
    lines = (
        "WARNING: no locale, using C",
        "ERROR: bad config file: /etc/a.cfg: unknown keyword colour",
    )
    said = sentence(*lines, show=CONFIGURED, facts=HAS_CONFIGURATION)
    assert "unknown keyword colour" in said and "locale" not in said
    other = {"MESSAGE": "WARNING: no such thing as x", "_PID": "77"}
    said = sentence(other, "bad config file: /etc/a.cfg", show=CONFIGURED, facts=HAS_CONFIGURATION)
    assert "no such thing" not in said


def test_a_path_in_an_advice_is_not_what_is_missing() -> None:
    """valkey and redis, where nobody has made /etc/sysctl.conf."""
    warning = (
        "# WARNING Memory overcommit must be enabled! Without it, a save may fail under low memory condition. "
        "To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot"
    )
    facts = Facts(paths={"/etc/sysctl.conf": gone("/etc/sysctl.conf")})
    said = sentence(warning, "# Can't handle RDB format version 12", facts=facts)
    assert "RDB format version 12" in said
    assert "/etc/sysctl.conf does not exist" in sentence(
        "failed to load /etc/sysctl.conf", facts=facts
    )


def test_root_in_a_user_namespace_has_no_right_to_a_low_port() -> None:
    """endlessh, which says which port it takes, and then only that it was denied."""
    lines = ("Port 22", "fatal: Permission denied")
    verdict = judge(case(*lines, show={"PrivateUsers": "yes"}))
    assert verdict.cause == "privileged-port"
    assert (
        "may not bind port 22: ports below 1024 need CAP_NET_BIND_SERVICE, which PrivateUsers=yes"
        in verdict.summary
    )
    granted = {
        "PrivateUsers": "yes",
        "AmbientCapabilities": "cap_net_bind_service",
        "UID": str(UID),
    }
    assert "privileged-port" in found(case(*lines, show=granted))
    assert "privileged-port" not in found(case(*lines))
    assert "privileged-port" not in found(case(*lines, show=granted | {"PrivateUsers": "no"}))


def test_half_a_database_on_a_full_disk() -> None:
    """zabbix_proxy made its database, had no room for all of it, and says that it is none."""
    line = 'cannot use database "/srv/a/proxy.db": database is not a Zabbix database'
    room = {"source": "/dev/sdb1", "type": "ext4", "options": "rw", "bytes": 1 << 20,
            "inodes": 100, "inodes_free": 50}  # fmt: skip
    root = {"point": "/", **room, "free": 1 << 19}
    full = {"mounts": [root, {"point": "/srv/a", **room, "free": 0}]}
    assert "/srv/a has no space left" in sentence(line, system=full)
    of_all = {"mounts": [root | {"free": 0}]}  # everybody's: any damage may be of something else
    assert "has no space left" not in sentence(line, system=of_all)
    free = {"mounts": [root, {"point": "/srv/a", **room, "free": 1 << 19}]}
    assert "has no space" not in sentence(line, system=free)
    assert "has no space" not in sentence("listening for /srv/a/proxy.db", system=full)


def test_another_process_that_went_on_is_not_what_the_main_one_died_of() -> None:
    """ctdb: its event daemon found no file, and was still there when ctdbd gave up."""
    helper = {"_PID": "121", "PRIORITY": "3"}
    lines = (
        {"MESSAGE": "10.interface: No public addresses file found"} | helper,
        {"MESSAGE": "Unable to bind to any of the node addresses - giving up", "PRIORITY": "3"},
        {"MESSAGE": "Failed to start listening on the socket", "PRIORITY": "3"},
    )
    ended = {"MESSAGE": "Received signal 15"} | helper | {"PRIORITY": "6"}
    assert "any of the node addresses" in sentence(*lines, ended, main=process(100))
    assert "No public addresses" in sentence(*lines, main=process(100))


def test_what_a_heading_announces_is_indented_below_it() -> None:
    """snakemake."""
    lines = (
        "MissingInputException in rule count in file /srv/Snakefile, line 6:",
        "Missing input files for rule count:",
        "    output: counts.txt",
        "    affected files:",
        "        raw/s02.fasta",
    )
    assert "raw/s02.fasta" in sentence(*lines)
    assert "after it all" not in sentence(*lines[:3], "after it all was said")


def test_a_user_that_only_the_configuration_names() -> None:
    """suricata: "unable to get the user ID, check if user exist!!"."""
    line = "privs: unable to get the user ID, check if user exist!!"
    facts = Facts(strangers={"ids": "/etc/a/a.yaml:12"})
    verdict = judge(case(line, facts=facts))
    assert verdict.cause == "user-missing"
    assert "the user ids (/etc/a/a.yaml line 12) does not exist" in verdict.summary
    two = Facts(strangers={"ids": "/etc/a/a.yaml:12", "acme": "/etc/a/a.yaml:40"})
    assert "user-missing" not in found(case(line, facts=two))
    assert "user-missing" not in found(case("unknown user: alice", facts=facts))
    assert "user-missing" not in found(case("cannot find the module x", facts=facts))
    assert "user-missing" not in found(case("unable to get user from the database", facts=facts))


def test_the_users_that_a_configuration_names() -> None:
    text = (
        "run-as:\n  user: ids\n# user: none-of-these\n"
        'User acme;\n"username": "b_c",\nserver.username = "d"\nuser = a b\nuser = yes\npassword = x\n'
    )
    assert list(users_of(text)) == [(2, "ids"), (4, "acme"), (5, "b_c"), (6, "d")]


def test_a_command_that_was_missed_in_passing_is_not_what_the_main_process_complained_of() -> None:
    """rpmbuild, whose helper scripts call file(1) and go on without it."""
    missed = {"MESSAGE": "ARG0: 1: file: not found", "_PID": "162"}
    lines = (
        missed,
        "Requires(rpmlib): rpmlib(FileDigests) <= 4.6.0-1",
        "error: Installed (but unpackaged) file(s) found:",
        "   /etc/site-tools.conf",
    )
    said = sentence(*lines, main=process(100))
    assert "“Installed (but unpackaged) file(s) found: /etc/site-tools.conf”" in said
    # nobody knows which process is the main one
    assert "the command file does not exist" in sentence(missed, *lines[1:])


DEVICES = Facts(
    paths={"/dev/net/tun": there(kind="character device"), "/dev/kvm": gone("/dev/kvm")}
)


@pytest.mark.parametrize(
    ("line", "show", "said"),
    [
        ("Cannot open /dev/net/tun: No such file or directory", {"PrivateDevices": "yes"}, "/dev/net/tun: PrivateDevices=yes hides it from the unit"),
        ("could not open /dev/ttyUSB0: No such file or directory", {"PrivateDevices": "yes"}, "/dev/ttyUSB0: PrivateDevices=yes hides it"),
        ("ERROR: ioctl() [No such file or directory][2]", {"PrivateDevices": "yes"}, "the device that it needs: PrivateDevices=yes hides it"),
        ("open(/dev/net/tun): Operation not permitted", {"DevicePolicy": "closed"}, "/dev/net/tun: DevicePolicy=closed lets the unit not use it"),
        ("open(/dev/net/tun): Operation not permitted", {"DeviceAllow": "/dev/fuse rw"}, "/dev/net/tun: DeviceAllow=/dev/fuse rw lets the unit not use it"),
    ],
)  # fmt: skip
def test_a_device_that_the_unit_may_not_use(line: str, show: dict[str, str], said: str) -> None:
    """n2n's edge, and whoever opens one by its name."""
    assert said in judge(case(line, show=show, facts=DEVICES)).summary


@pytest.mark.parametrize(
    ("line", "show"),
    [
        ("Cannot open /dev/net/tun: No such file or directory", {}),
        ("Cannot open /dev/kvm: No such file or directory", {"PrivateDevices": "yes"}),  # nobody has it
        ("Cannot open /dev/null: Permission denied", {"PrivateDevices": "yes"}),
        ("Cannot open /srv/tun: No such file or directory", {"PrivateDevices": "yes"}),
        ("ioctl() failed: timeout", {"PrivateDevices": "yes"}),
        ("using /dev/net/tun", {"PrivateDevices": "yes"}),
        ("open /dev/net/tun: Permission denied", {"PrivateDevices": "yes"}),  # there, and closed
        ("open /dev/net/tun: Permission denied", {"DevicePolicy": "closed"}),
        ("open /dev/net/tun: Operation not permitted", {"DevicePolicy": "closed", "DeviceAllow": "char-misc rw"}),
        ("Device eth0 not found", {"PrivateDevices": "yes"}),
        ("tun0: No such device", {"PrivateDevices": "yes"}),
        ("open(/dev/net/tun): Operation not permitted", {"DevicePolicy": "closed", "DeviceAllow": "/dev/net/tun rw"}),
        ("open(/dev/net/tun): No such file or directory", {"DevicePolicy": "closed"}),
    ],
)  # fmt: skip
def test_a_device_that_no_setting_keeps_from_it(line: str, show: dict[str, str]) -> None:
    said = judge(case(line, show=show, facts=DEVICES)).summary
    assert "PrivateDevices" not in said and "DevicePolicy" not in said


def test_a_file_of_the_command_line_that_is_not_for_a_program_that_only_chats() -> None:
    """ircd-hybrid says its version, its pid, and nothing of the configuration that it cannot read."""
    closed = there(0o600, "root", read=False, write=False)
    facts = Facts(
        paths={"/etc/a.cfg": closed},
        withheld={"/x": "/etc/a.cfg:7", "/y": "/etc/a.cfg:9"},
        names={UID: "irc"}, users={"irc": UID},
    )  # fmt: skip
    show = CONFIGURED | {"User": "irc", "UID": str(UID)}
    lines = [{"MESSAGE": text, "_UID": str(UID)} for text in ("version 8.2", "pid 144")]
    said = sentence(*lines, show=show, facts=facts)
    assert "irc may not read /etc/a.cfg (ExecStart=), mode 0600, owner root" in said
    assert "irc may not read" in sentence(show=show, facts=facts)
    other = lines[0] | {"MESSAGE": "ERROR: no network 'office' is defined"}
    assert "no network 'office'" in sentence(*lines, other, show=show, facts=facts)
    assert "may not read" not in sentence(*lines, show=show, facts=facts, exit_status="0")


def test_a_word_behind_a_slash_is_no_file() -> None:
    """netplan, whose helper then complains that there is no udevd."""
    lines = (
        "/etc/netplan/10-lan.yaml:5:18: Error in network definition: address '10.0.0.5' is missing /prefixlength",
        {
            "MESSAGE": "Failed to send reload request: No such file or directory",
            "_PID": "152",
            "SYSLOG_IDENTIFIER": "udevadm",
        },
    )
    facts = Facts(paths={"/prefixlength": gone("/prefixlength"), "/data": gone("/data")})
    said = sentence(*lines, facts=facts)
    assert (
        "a mistake in /etc/netplan/10-lan.yaml line 5" in said
        and "/prefixlength does not" not in said
    )
    assert "/data does not exist" in sentence("open /data: no such file or directory", facts=facts)


def test_in_other_words_still() -> None:
    """Prometheus names its file with the option; Go's dial; mount(8)."""
    line = 'msg="Error loading config (--config.file=/etc/p.yml)" err="parsing YAML file: line 12: field x not found in type config.plain"'
    assert "a mistake in /etc/p.yml line 12: “msg=" in sentence(line)
    line = line.replace(
        "parsing YAML file", f"parsing YAML file {'x' * 60}: yaml: unmarshal errors"
    )
    assert "line 12: “field x not found in type config.plain" in sentence(line)
    said = sentence("no brokers to talk to: dial tcp 10.0.0.5:9092: i/o timeout")
    assert "10.0.0.5" in said and "cannot be reached" in said
    refused = judge(
        case(
            "mount: wrong fs type, bad option, bad superblock on /dev/sdb1, missing codepage or helper program"
        )
    )
    assert refused.cause != "configuration" and "/dev/sdb1" in refused.summary


def test_nothing_is_named_that_was_not_looked_at() -> None:
    assert look(Subjects()).strangers == {}


def test_what_perl_says_below_the_reason_of_others() -> None:
    """Dancer2: the reason has no place at its end, and perl's own last word has one."""
    lines = (
        "Unable to parse the configuration file: /srv/a/config.yml: YAML Error: no closing quote",
        "   Line: 4",
        " at /usr/share/perl5/YAML/Loader.pm line 574.",
        "BEGIN failed--compilation aborted at app.pl line 1.",
    )
    assert "a mistake in /srv/a/config.yml" in sentence(*lines)
    assert "BEGIN failed" in sentence(lines[-1])  # nothing else was said
    of_another = {"MESSAGE": "no 'x' in /srv/b", "_PID": "77"}
    for above in (of_another, "INFO starting the application"):
        assert "crash-perl" in found(case(above, lines[-1]))


def test_errors_that_are_announced_and_counted() -> None:
    """storeBackup: the file that it could not make is in the heading, the reason below it."""
    lines = (
        "ERROR compressing /srv/a.raw -> /backup/a.raw.bz2 generated the following error messages:",
        "ERROR bzip2: No space left on device",
        *(f"INFO files of kind {number}: 0" for number in range(6)),
        "ERROR -- 1 ERROR OCCURRED DURING THE BACKUP! --",
    )
    facts = Facts(paths={"/backup/a.raw.bz2": gone("/backup/a.raw.bz2")})
    said = sentence(*lines, facts=facts)
    assert "there was no space left" in said
    assert "does not exist" in sentence(lines[0], facts=facts)  # nothing follows
    other = {"MESSAGE": lines[1], "_PID": "77"}
    assert "does not exist" in sentence(lines[0], other, facts=facts)  # of another one


@pytest.mark.parametrize(
    "line", ["write error: No space left on device", "database or disk is full"]
)
def test_images_are_full_by_nature(line: str) -> None:
    """On a machine with snaps each of them is: none is what the service could not write to."""
    some = {"bytes": 66 << 20, "free": 0, "inodes": 900, "inodes_free": 0, "source": "/dev/loop3"}
    root = {
        "point": "/",
        **some,
        "type": "ext4",
        "options": "rw",
        "free": 9 << 20,
        "inodes_free": 99,
    }
    others = [
        {"point": "/snap/core20/1974", **some, "type": "squashfs", "options": "ro,nodev"},
        {"point": "/media/cdrom", **some, "type": "iso9660", "options": "rw"},
        {"point": "/srv/mirror", **some, "type": "ext4", "options": "relatime,ro"},
        {"point": "/boot/efi", **some, "type": "vfat", "options": "rw"},
    ]
    said = [sentence(line, system={"mounts": [root, other]}) for other in others]
    nearly = [other | {"free": 5 << 20, "inodes_free": 500} for other in others]
    said += [sentence(line, system={"mounts": [root, other]}) for other in nearly]
    assert not any(str(other["point"]) in one for one in said for other in others)
    named = {"mounts": [root, *others]}
    assert "/boot/efi has no space" in sentence(f"cannot write /boot/efi/x: {line}", system=named)
    full = {"point": "/srv/shop", **some, "type": "ext4", "options": "rw"}
    assert "/srv/shop has no space left" in sentence(line, system={"mounts": [root, *others, full]})


def test_a_wrong_password_is_no_setting() -> None:
    assert found(case("Fatal: wrong password or no key found")).keys() == {
        "login-refused",
        "unclear",
    }
