# SPDX-License-Identifier: MIT
"""Which package a file is of: dpkg's text files, and what rpm answers."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from failhook import proc
from failhook.changes.fingerprint import Package
from failhook.changes.packages import MAX_PACKAGES, Dpkg, Packages, Rpm, manager, spellings

STATUS = """\
Package: grafana
Status: install ok installed
Architecture: amd64
Description: dashboards
 Version: 0 is said in here, and means nothing
Version: 11.2.0

Package: libz1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:1.2.13.dfsg-1

Package: libz1
Status: install ok installed
Architecture: i386
Version: 1:1.2.12.dfsg-1

Package: halfway
Status: install reinstreq half-configured
Architecture: all
Version: 2.0

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 3.0

Package: without-a-version
Status: install ok installed

gibberish without a colon
"""
LOG = """\
2026-11-20 17:57:01 upgrade grafana:amd64 11.1.0 11.2.0
2026-11-20 17:57:02 status unpacked grafana:amd64 11.2.0
2026-11-20 17:57:03 status installed grafana:amd64 11.2.0
2026-11-20 17:57:04 status triggers-pending libc-bin:amd64 2.36
2026-13-99 17:57:03 status installed libz1:amd64 1
2026-11-20 18:00:00 remove removed:all 3.0 <none>
half a li"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with dpkg."""
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "var/log/dpkg.log").write_text(LOG)
    (info / "grafana.list").write_text("/.\n/usr\n/usr/sbin\n/usr/sbin/grafana\n/etc/grafana.ini\n")
    (info / "libz1:amd64.list").write_text("/lib/x86_64-linux-gnu/libz.so.1.2.13\n")
    (info / "grafana.md5sums").write_text("/usr/sbin/other\n")
    return tmp_path


def local(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def test_the_machines_own_manager(root: Path, tmp_path: Path) -> None:
    assert isinstance(manager(root), Dpkg)
    assert type(manager(tmp_path / "nothing")) is Packages


def test_a_machine_without_one_says_nothing() -> None:
    nobody = Packages()
    assert (nobody.stamp(), nobody.owners(["/bin/sh"])) == ("", {})
    assert (nobody.versions(["a"]), nobody.times(["a"])) == ({}, {})


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/usr/bin/sh", ["/bin/sh"]),
        ("/bin/sh", ["/usr/bin/sh"]),
        ("/usr/lib/x/y.so", ["/lib/x/y.so"]),
        ("/lib64/ld.so", ["/usr/lib64/ld.so"]),
        ("/opt/bin/x", []),
        ("/usr/bin", []),
        ("/usr/share/x", []),
        ("/", []),
    ],
)
def test_both_sides_of_merged_directories(path: str, other: list[str]) -> None:
    assert list(spellings(path)) == [path, *other]


def test_owners_by_dpkgs_lists(root: Path) -> None:
    merged = "/usr/lib/x86_64-linux-gnu/libz.so.1.2.13"
    asked = ["/usr/sbin/grafana", merged, "/usr/sbin/other", "/usr/local/bin/own"]
    assert Dpkg(root).owners(asked) == {"/usr/sbin/grafana": "grafana", merged: "libz1:amd64"}
    assert Dpkg(root).owners([]) == {}
    assert Dpkg(root / "nowhere").owners(asked) == {}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("grafana", "11.2.0"),
        ("libz1:amd64", "1:1.2.13.dfsg-1"),
        ("libz1:i386", "1:1.2.12.dfsg-1"),
        ("halfway", "2.0 (half-configured)"),
        ("removed", None),
        ("without-a-version", None),
        ("never-heard-of", None),
    ],
)
def test_versions_by_dpkgs_status(root: Path, name: str, version: str | None) -> None:
    assert Dpkg(root).versions([name]) == {name: Package("dpkg", version)}


def test_a_status_that_cannot_be_read_is_not_a_machine_without_packages(root: Path) -> None:
    (root / "var/lib/dpkg/status").unlink()
    assert Dpkg(root).versions(["grafana"]) == {}
    assert Dpkg(root).stamp() == ""


def test_the_stamp_changes_with_the_status(root: Path) -> None:
    before = Dpkg(root).stamp()
    assert before == Dpkg(root).stamp() != ""
    (root / "var/lib/dpkg/status").write_text(STATUS + "\n")
    assert Dpkg(root).stamp() != before


def test_times_by_dpkgs_log_and_the_one_before_it(root: Path) -> None:
    older = "2026-11-01 08:00:00 status installed libz1:amd64 1:1.2.13.dfsg-1\n"
    (root / "var/log/dpkg.log.1").write_text(older)
    dpkg = Dpkg(root)
    assert dpkg.times(["grafana", "libz1:amd64", "removed", "libc-bin"]) == {
        "grafana": local("2026-11-20 17:57:03"),
        "libz1:amd64": local("2026-11-01 08:00:00"),
        "removed": local("2026-11-20 18:00:00"),
    }
    assert dpkg.times([]) == {}
    (root / "var/log/dpkg.log").unlink()
    (root / "var/log/dpkg.log.1").unlink()
    assert dpkg.times(["grafana"]) == {}


def test_only_the_end_of_a_large_log_is_read(root: Path) -> None:
    with (root / "var/log/dpkg.log").open("w") as log:
        log.write("2026-01-01 00:00:00 status installed old:amd64 1\n")
        log.write("2026-01-01 00:00:00 startup archives unpack\n" * 20_000)
        log.write("2026-11-20 10:00:00 status installed new:amd64 1\n")
    assert Dpkg(root).times(["old", "new"]) == {"new": local("2026-11-20 10:00:00")}


# -- rpm ------------------------------------------------------------------------------------------


class FakeRpm:
    """Answers as rpm does; remembers what it was asked."""

    def __init__(self, answers: dict[str, str], returncode: int | None = 0) -> None:
        self.asked: list[list[str]] = []
        self._answers = answers
        self._returncode = returncode

    def __call__(self, argv: Sequence[str], **_: Any) -> proc.Completed:
        self.asked.append(list(argv))
        names = argv[argv.index("--") + 1 :]
        lines = [self._answers.get(name, f"package {name} is not installed\n") for name in names]
        return proc.Completed(tuple(argv), self._returncode, "".join(lines).encode(), b"")


def test_rpm_names_owners() -> None:
    fake = FakeRpm(
        {
            "/usr/sbin/nginx": "nginx-core 2:1.20.1-20.el9 1795197777\n",
            "/opt/own": "file /opt/own is not owned by any package\n",
        }
    )
    assert Rpm(fake).owners(["/usr/sbin/nginx", "/opt/own"]) == {"/usr/sbin/nginx": "nginx-core"}
    assert fake.asked[0][:2] == ["rpm", "-qf"]
    assert Rpm(fake).owners([]) == {}
    assert len(fake.asked) == 1


def test_rpm_with_a_file_of_two_packages_still_names_the_packages() -> None:
    fake = FakeRpm({"/usr/lib64/libz.so": "zlib 1-1 1\nzlib-compat 1-1 1\n"})
    owners = Rpm(fake).owners(["/usr/lib64/libz.so", "/usr/bin/x"])
    assert set(owners.values()) == {"zlib", "zlib-compat"}
    assert all(path.startswith("?") for path in owners)


def test_rpm_says_versions_and_when_they_came() -> None:
    fake = FakeRpm(
        {
            "nginx": "nginx 2:1.20.1-20.el9 1795197777\n",
            "kernel": "kernel 5.14-2 1795190000\nkernel 5.14-1 1700000000\n",
        }
    )
    rpm = Rpm(fake)
    assert rpm.versions(["nginx", "kernel", "gone"]) == {
        "nginx": Package("rpm", "2:1.20.1-20.el9"),
        "kernel": Package("rpm", "5.14-1, 5.14-2"),
        "gone": Package("rpm", None),
    }
    assert rpm.times(["nginx", "kernel", "gone"]) == {"nginx": 1795197777.0, "kernel": 1795190000.0}
    assert rpm.versions([]) == {}


def test_rpm_that_hangs_says_nothing() -> None:
    assert Rpm(FakeRpm({}, returncode=None)).versions(["nginx"]) == {}


def test_rpm_is_asked_for_no_more_than_there_is_room_for() -> None:
    fake = FakeRpm({})
    names = [f"p{number}" for number in range(MAX_PACKAGES + 50)]
    assert len(Rpm(fake).versions(names)) == MAX_PACKAGES
    Rpm(fake).owners([f"/{name}" for name in names])
    assert all(len(argv) < MAX_PACKAGES + 10 for argv in fake.asked)
