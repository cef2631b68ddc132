# SPDX-License-Identifier: MIT
"""Which setting of the sandbox a program was refused by that only says that it was refused."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.subjects import paths_in
from tests.unit.diagnose.cases import case, gone, judge, there

PATHS = {
    "/var/lib/other/x.db": there(),
    "/srv/data/x.db": there(),
    "/opt/a/helper": there(0o755),
    "/opt/a/data": there(0o644),
    "/proc/meminfo": there(),
    "/run/docker.sock": there(kind="socket"),
    "/srv/gone": gone("/srv/gone"),
}
EPERM = {"SystemCallErrorNumber": "EPERM", "SystemCallFilter": "@system-service"}
IN_THE_WAY = (
    ("open /var/lib/other/x.db: no such file or directory", {"TemporaryFileSystem": "/var:ro"}, "/var/lib/other/x.db: TemporaryFileSystem=/var hides it"),
    ("open /srv/data/x.db: no such file or directory", {"TemporaryFileSystem": "/srv", "BindPaths": "/srv/other:/srv/b:rbind"}, "TemporaryFileSystem=/srv hides it"),
    ("cannot open /proc/meminfo: No such file or directory", {"ProcSubset": "pid"}, "/proc/meminfo: ProcSubset=pid hides it"),
    ("bind: Operation not permitted", {"SocketBindDeny": "any"}, "SocketBindDeny=any lets it bind no such port"),
    ("listen tcp :9090: bind: operation not permitted", {"SocketBindDeny": "any", "SocketBindAllow": "8080"}, "SocketBindDeny=any but SocketBindAllow=8080 lets it bind no such port"),
    ("fork/exec /opt/a/helper: permission denied", {"NoExecPaths": "/", "ExecPaths": "/usr"}, "/opt/a/helper: NoExecPaths=/ lets the unit not execute it"),
    ("setgroups: Operation not permitted", {"PrivateUsers": "yes"}, "PrivateUsers=yes has no other users"),
    ("initgroups(www-data, 33) failed (22: Invalid argument)", {"PrivateUsers": "yes"}, "PrivateUsers=yes has no other users"),
    ("chroot(\"/var/empty\"): Operation not permitted", EPERM, "SystemCallFilter= forbids that system call, as it seems (SystemCallErrorNumber=EPERM)"),
    ("io_uring_queue_init() failed: Operation not permitted", EPERM, "SystemCallFilter= forbids that system call"),
    ("clone3: Function not implemented; unshare: Function not implemented", EPERM | {"SystemCallErrorNumber": "ENOSYS"}, "SystemCallFilter= forbids that system call"),
    ("connect to unix:///run/docker.sock: no such file or directory", {"InaccessiblePaths": "/run/docker.sock"}, "/run/docker.sock: InaccessiblePaths=/run/docker.sock hides it"),
    ("ping: socket: Operation not permitted", {"CapabilityBoundingSet": ""}, "CapabilityBoundingSet= takes CAP_NET_RAW away"),
)  # fmt: skip
NOT_IN_THE_WAY = (
    ("open /srv/data/x.db: no such file or directory", {"TemporaryFileSystem": "/srv", "BindPaths": "/srv/data"}),
    ("open /srv/data/x.db: no such file or directory", {"TemporaryFileSystem": "/srv", "BindReadOnlyPaths": "/data:/srv/data:rbind"}),
    ("open /srv/gone: no such file or directory", {"TemporaryFileSystem": "/srv"}),
    ("cannot open /proc/self/maps: No such file or directory", {"ProcSubset": "pid"}),
    ("cannot open /proc/1234/maps: No such file or directory", {"ProcSubset": "pid"}),
    ("bind: Address already in use", {"SocketBindDeny": "any"}),
    ("mount: Operation not permitted", {"SocketBindDeny": "any"}),
    ("open /opt/a/data: permission denied", {"NoExecPaths": "/"}),
    ("fork/exec /opt/a/helper: permission denied", {"NoExecPaths": "/", "ExecPaths": "/opt/a /usr"}),
    ("fork/exec /opt/a/helper: permission denied", {"NoExecPaths": "/srv"}),
    ("unknown user group in line 3", {"PrivateUsers": "yes"}),
    ("parse error: Invalid argument", {"PrivateUsers": "yes"}),
    ("chroot(\"/var/empty\"): No such file or directory", EPERM),
    ("chroot(\"/var/empty\"): Operation not permitted", EPERM | {"SystemCallErrorNumber": ""}),
    ("chroot(\"/var/empty\"): Operation not permitted", {"SystemCallErrorNumber": "EPERM"}),
    ("the remote server: Operation not permitted", EPERM),
)  # fmt: skip


@pytest.mark.parametrize(("line", "show", "said"), IN_THE_WAY)
def test_a_setting_that_stands_in_the_way(line: str, show: dict[str, str], said: str) -> None:
    assert said in judge(case(line, show=show, facts=Facts(paths=PATHS))).summary
    without = judge(case(line, facts=Facts(paths=PATHS))).summary
    assert said not in without


@pytest.mark.parametrize(("line", "show"), NOT_IN_THE_WAY)
def test_a_setting_that_does_not(line: str, show: dict[str, str]) -> None:
    said = judge(case(line, show=show, facts=Facts(paths=PATHS))).summary
    assert not [setting for setting in show if f"{setting}=" in said], said


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("dial unix:///run/x.sock: y", ["/run/x.sock"]),
        ("dial unix:/run/x.sock: y", ["/run/x.sock"]),
        ("file:///etc/x.conf is missing", ["/etc/x.conf"]),
        ("http://host/a/b and file://host/x and unix://run/x", []),
    ],
)
def test_the_path_of_a_url(text: str, paths: list[str]) -> None:
    assert paths_in(text) == paths
