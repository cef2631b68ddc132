# SPDX-License-Identifier: MIT
"""The command with which a program checks its own configuration, for the advice.

Each is the one that the program's manual gives, and neither starts nor changes anything. failhook
itself runs none of them: they execute what they are given, as whoever calls them.
"""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import on_command_line, the_one
from failhook.diagnose.subjects import commands

# "[…]": only where the unit names the file; without it the program takes its usual one.
_COMMANDS = {
    "alertmanager": "amtool check-config {file}",
    "apache2": "apache2ctl configtest",
    "apache2ctl": "apache2ctl configtest",
    "apachectl": "apache2ctl configtest",
    "bird": "bird -p[ -c {file}]",
    "caddy": "caddy validate --config {file}",
    "chronyd": "chronyd -p[ -f {file}]",
    "collectd": "collectd -t[ -C {file}]",
    "dhcpd": "dhcpd -t[ -cf {file}]",
    "dnsmasq": "dnsmasq --test[ -C {file}]",
    "dovecot": "doveconf -n[ -c {file}]",
    "exim4": "exim4 -bV[ -C {file}]",
    "fail2ban-server": "fail2ban-client -t",
    "freeradius": "freeradius -XC",
    "haproxy": "haproxy -c -f {file}",
    "httpd": "httpd -t[ -f {file}]",
    "icinga2": "icinga2 daemon -C[ -c {file}]",
    "kea-dhcp4": "kea-dhcp4 -t {file}",
    "kea-dhcp6": "kea-dhcp6 -t {file}",
    "keepalived": "keepalived -t[ -f {file}]",
    "knotd": "knotc[ -c {file}] conf-check",
    "lighttpd": "lighttpd -tt -f {file}",
    "logrotate": "logrotate -d {file}",
    "mariadbd": "mariadbd[ --defaults-file={file}] --verbose --help",
    "monit": "monit -t[ -c {file}]",
    "mysqld": "mysqld[ --defaults-file={file}] --validate-config",
    "nagios4": "nagios4 -v {file}",
    "named": "named-checkconf -z[ {file}]",
    "nft": "nft -c -f {file}",
    "nginx": "nginx -t[ -c {file}]",
    "nmbd": "testparm -s[ {file}]",
    "nsd": "nsd-checkconf {file}",
    "pdns_recursor": "pdns_recursor --config=check",
    "pdns_server": "pdns_server --config=check",
    "postfix": "postfix check",
    "postmulti": "postfix check",
    "proftpd": "proftpd -t[ -c {file}]",
    "prometheus": "promtool check config {file}",
    "prosody": "prosodyctl[ --config {file}] check config",
    "rsyslogd": "rsyslogd -N1[ -f {file}]",
    "shibd": "shibd -t[ -c {file}]",
    "slapd": "slaptest -u[ -f {file}]",
    "smbd": "testparm -s[ {file}]",
    "squid": "squid -k parse[ -f {file}]",
    "sshd": "sshd -t[ -f {file}]",
    "suricata": "suricata -T[ -c {file}]",
    "syslog-ng": "syslog-ng -s[ -f {file}]",
    "unbound": "unbound-checkconf[ {file}]",
    "varnishd": "varnishd -C -f {file}",
}
_OF_PHP = "{name} -t[ -y {file}]"
_PHP = re.compile(r"php-fpm\d{0,2}(?:\.\d{1,2})?")
_PART = re.compile(r"\[([^][]{1,40})\]")
_FILE = "{file}"


def check_command(case: Case) -> str | None:
    """What checks the configuration of the unit's program; None where it has no such command, or
    that one wants a file and it is not certain which."""
    return case.once(check_command, lambda: _command_of(case))


def _command_of(case: Case) -> str | None:
    for setting, path, _ in commands(case.unit):
        name = path.rpartition("/")[2]
        found = _OF_PHP if _PHP.fullmatch(name) else _COMMANDS.get(name)
        if setting == "ExecStart" and found is not None:
            return _with_file(case, found.replace("{name}", name))
    return None


def _with_file(case: Case, command: str) -> str | None:
    named = on_command_line(case.unit)
    if named and _FILE not in command:
        return None  # the command would check another one
    command = _PART.sub(r"\1" if named else "", command)
    file = the_one(case.unit, case.facts)
    return command.replace(_FILE, file or "") if file or _FILE not in command else None
