# SPDX-License-Identifier: MIT
"""Options of one letter: a password behind its program, and nothing behind others."""

import pytest

from failhook.mask import programs


@pytest.mark.parametrize(
    ("line", "secrets"),
    [
        (b"mysql -uroot -pa1 db", [b"a1"]),
        (b"mysql -p db", []),
        (b"mysqldump\0-pa1\0db", [b"a1"]),
        (b"mariadb-dump '-pa b' db", [b"a b"]),
        (b"mariadb-dump -p'a b' db", [b"a b"]),
        (b"mkdir -pa1", []),
        (b"mysql.service: find -print", []),
        (b"curl -u a:b1 x", [b"b1"]),
        (b"curl -sSu a:b1 x", [b"b1"]),
        (b"curl -u 'a:b 1' x", [b"b 1"]),
        (b"curl -u admin https://x/", []),
        (b"curl --user=a:b1 x", [b"b1"]),
        (b'["curl", "-u", "a:b 1"]', [b"b 1"]),
        (b"tar -u a:b1", []),
        (b"sshpass -pa1 ssh x", [b"a1"]),
        (b"redis-cli -h x -a a1 ping", [b"a1"]),
        (b"docker login -u x -p a1", [b"a1"]),
        (b"docker run -p 80:80 x", []),
        (b"smbclient -U user%a1 //h/s", [b"a1"]),
        (b"rabbitmqctl add_user x a1", [b"a1"]),
        (b"htpasswd -bc file user a1", [b"a1"]),
        (b"openssl enc -k a1 -in x", [b"a1"]),
    ],
)
def test_line(line: bytes, secrets: list[bytes]) -> None:
    assert [line[span.start : span.end] for span in programs.spans(line)] == secrets
