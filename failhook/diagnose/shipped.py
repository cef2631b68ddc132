# SPDX-License-Identifier: MIT
"""The configurations that a package of the program's name brought.

Some lie where no convention says, as /etc/apt/mirror.list of apt-mirror does. dpkg lists them in
``/var/lib/dpkg/info/PACKAGE.conffiles`` (deb-conffiles(5)).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

INFO = "/var/lib/dpkg/info"
_MOST = 6  # more than that, and nobody knows which one is meant
_LIST_BYTES = 64 << 10
# What a package brings for others to read: init, cron, syslog, PAM, the shell.
_FOR_OTHERS = re.compile(
    r"^/etc/(?:init\.d|init|default|cron\.[a-z]+|logrotate\.d|rsyslog\.d|apparmor\.d|systemd|dbus-1"
    r"|pam\.d|ufw|sudoers\.d|profile\.d|bash_completion\.d|X11|xdg|udev|tmpfiles\.d|sysctl\.d"
    r"|modprobe\.d|insserv\.conf\.d|network|ppp|apt/apt\.conf\.d|ld\.so\.conf\.d|fail2ban|monit)/"
)


def shipped(names: Iterable[str], open_file: Callable[[str, int], bytes | None]) -> list[str]:
    """The configurations of the first package of these names that has any; none where there are
    many. ``open_file`` gives the start of a file, None where it is none."""
    for name in names:
        listed = open_file(f"{INFO}/{name}.conffiles", _LIST_BYTES) or b""
        paths = [line.split()[-1] for line in listed.decode("utf-8", "replace").split("\n") if line]
        found = [path for path in paths if path.startswith("/etc/") and not _FOR_OTHERS.match(path)]
        if found:
            return found if len(found) <= _MOST else []
    return []
