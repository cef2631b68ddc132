# SPDX-License-Identifier: MIT
"""Which files and places a unit's settings speak of."""

from collections.abc import Callable

import pytest

from failhook.changes import subjects
from failhook.systemd.unit import UnitState


def state(name: str = "a.service", **properties: str) -> UnitState:
    return UnitState(name, properties)


def exec_line(path: str, argv: str = "") -> str:
    return f"{{ path={path} ; argv[]={argv or path} ; ignore_errors=no ; pid=0 }}"


def heads(**known: bytes) -> Callable[[str], bytes]:
    """The first bytes of programs; "usr_bin_x" is /usr/bin/x."""
    files = {f"/{name.replace('_', '/')}": data for name, data in known.items()}
    return lambda path: files.get(path, b"")


def test_the_units_own_files_but_ours() -> None:
    found = state(
        FragmentPath="/etc/systemd/system/a.service",
        SourcePath="/etc/init.d/a",
        DropInPaths="/etc/systemd/system/a.service.d/x.conf "
        '"/etc/systemd/system/a.service.d/with space.conf" '
        "/etc/systemd/system/a.service.d/50-failhook.conf relative.conf",
    )
    assert subjects.unit_files(found) == [
        "/etc/systemd/system/a.service",
        "/etc/init.d/a",
        "/etc/systemd/system/a.service.d/x.conf",
        "/etc/systemd/system/a.service.d/with space.conf",
    ]
    assert subjects.unit_files(state()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (exec_line("/usr/bin/elf"), ["/usr/bin/elf"]),
        (exec_line("-/usr/bin/elf"), ["/usr/bin/elf"]),
        (exec_line("/usr/bin/script"), ["/usr/bin/script", "/bin/sh"]),
        (exec_line("/usr/bin/env"), ["/usr/bin/env", "/usr/bin/env", "/usr/bin/python3"]),
        (exec_line("elf"), ["/usr/bin/elf"]),
        (exec_line("script"), ["/usr/bin/script", "/bin/sh"]),
        (exec_line("nowhere"), []),
        (exec_line("/opt/gone"), ["/opt/gone"]),
        (exec_line("failhook"), []),
        (exec_line("/usr/local/bin/failhook"), []),
        (exec_line("../x/y"), []),
    ],
)
def test_programs_and_their_interpreters(line: str, found: list[str]) -> None:
    head = heads(
        usr_bin_elf=b"\x7fELF",
        usr_bin_script=b"#! /bin/sh -e\necho",
        usr_bin_env=b"#!/usr/bin/env -S A=b python3 -I\n",
        usr_bin_python3=b"\x7fELF",
    )
    got = subjects.programs(state(ExecStart=line), head)
    assert got == list(dict.fromkeys(found))


def test_every_exec_line_counts() -> None:
    lines = f"{exec_line('/usr/bin/one')}\n{exec_line('/usr/bin/two')}"
    got = subjects.programs(
        state(ExecStartPre=lines, ExecStart=exec_line("/usr/bin/three")), heads()
    )
    assert got == ["/usr/bin/one", "/usr/bin/two", "/usr/bin/three"]


def test_files_that_command_lines_and_settings_name() -> None:
    found = subjects.named(
        state(
            "a@b.service",
            ExecStart=exec_line("/usr/sbin/a", "/usr/sbin/a -c /etc/a/x.conf --key=/etc/a.key"),
            ExecStopPost=exec_line("/usr/local/bin/failhook", "failhook /etc/not-this"),
            EnvironmentFiles="/etc/default/a (ignore_errors=yes)\n/etc/sysconfig/a",
        )
    )
    assert found == [
        "/etc/a/x.conf",
        "/etc/a.key",
        "/etc/default/a",
        "/etc/sysconfig/a",
        "/etc/a@b.conf",
        "/etc/a.conf",
    ]


def test_directories_below_etc_are_those_of_the_name() -> None:
    got = subjects.directories(
        state("web@1.service", ConfigurationDirectory="own:link ../../root more"),
        ["/usr/sbin/nginx", "/usr/bin/python3.11", "/bin/sh"],
    )
    assert got == ["/etc/web@1", "/etc/web", "/etc/nginx", "/etc/own", "/etc/more"]


@pytest.mark.parametrize("name", ["bash", "python3", "default", "systemd-resolved", "ssl"])
def test_directories_that_are_everybodys(name: str) -> None:
    assert subjects.directories(state(f"{name}.service"), [f"/usr/bin/{name}"]) == []


def test_places_that_it_needs_mounted() -> None:
    got = subjects.places(
        state(
            RequiresMountsFor='/srv/data "/srv/with space"',
            WorkingDirectory="-/srv/work",
            RootDirectory="!/srv/root",
            StateDirectory="a:link b",
            LogsDirectory="a",
            What="tmpfs",
            Where="/mnt/x",
        )
    )
    assert got == [
        "/srv/data",
        "/srv/with space",
        "/srv/work",
        "/srv/root",
        "/mnt/x",
        "/var/lib/a",
        "/var/lib/b",
        "/var/log/a",
    ]
