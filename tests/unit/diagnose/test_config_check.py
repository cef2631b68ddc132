# SPDX-License-Identifier: MIT
"""The command that an advice names: it checks the very configuration that the unit reads."""
# ruff: noqa: E501 - commands are as long as they are

import pytest

from failhook.diagnose.config_check import check_command
from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import case, command, judge, there


@pytest.mark.parametrize(
    ("started", "wanted"),
    [
        (("/usr/sbin/nginx", "-g", "daemon on;"), "nginx -t"),
        (("/usr/sbin/nginx", "-c", "/etc/web.conf"), "nginx -t -c /etc/web.conf"),
        (("/usr/sbin/php-fpm8.2", "--nodaemonize"), "php-fpm8.2 -t"),
        (("/usr/sbin/php-fpm8.2", "--fpm-config", "/etc/web.conf"), "php-fpm8.2 -t -y /etc/web.conf"),
        (("/usr/sbin/php-fpm-exporter", "x"), None),
        (("/etc/init.d/dnsmasq", "systemd-exec"), "dnsmasq --test"),
        (("/usr/sbin/haproxy", "-f", "/etc/web.conf"), "haproxy -c -f /etc/web.conf"),
        (("/usr/sbin/haproxy", "-Ws"), None),  # which file it reads is not certain
        (("/usr/sbin/fail2ban-server", "-c", "/etc/web.conf"), None),  # it would check another one
        (("/usr/bin/knotd", "-c", "/etc/web.conf"), "knotc -c /etc/web.conf conf-check"),
        (("/usr/bin/knotd",), "knotc conf-check"),
        (("/usr/bin/nobody-knows", "-c", "/etc/web.conf"), None),
    ],
)  # fmt: skip
def test_the_command(started: tuple[str, ...], wanted: str | None) -> None:
    facts = Facts(paths={"/etc/web.conf": there()})
    assert check_command(case(show={"ExecStart": command(*started)}, facts=facts)) == wanted


def test_only_of_the_program_itself() -> None:
    show = {"ExecStart": command("/usr/bin/acme"), "ExecStartPre": command("/usr/sbin/nginx", "-t")}
    assert check_command(case(show=show)) is None


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        (("/etc/web.conf:3: unknown directive 'x'",),
         "correct /etc/web.conf line 3, and check it: nginx -t"),
        (("invalid value for option 'colour'",),
         "check its configuration: nginx -t; its options: systemctl cat a.service"),
        ((), "check its configuration: nginx -t; or run it by hand as the unit's user: /usr/sbin/nginx"),
    ],
)  # fmt: skip
def test_the_advice(lines: tuple[str, ...], advice: str) -> None:
    one = case(*lines, show={"ExecStart": command("/usr/sbin/nginx")}, exit_status="1")
    assert judge(one).advice == advice
