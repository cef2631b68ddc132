# SPDX-License-Identifier: MIT
"""Seeded secrets in the shapes that real programs print them in; nothing here opens anything.

Each row is a text and what must not be left of it. The vendor prefixes are put together from two
halves so that secret scanners of code hosts do not take this file for a leak.
"""

# ruff: noqa: E501 - one row a line, however long
from __future__ import annotations

import base64
import json

S = "cAn4ry-Zq8vT"
SPACED = "cAn4ry two W0rds"
QUOTED = 'cAn4"ry\\7'
RSA = "\n".join(
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        *("QzFuNHJ5" * 8 for _ in range(6)),
        "cAn4ry==",
        "-----END RSA " + "PRIVATE KEY-----",
    ]
)
OPENSSH = RSA.replace("RSA", "OPENSSH")
_LONG = "Zq8vTcAn4ryXw2Lm9KjH7Gf5Ds3Aq1Po6Iu4"
WG = base64.b64encode(b"0123456789abcdef0123456789abcd\xff\xfe").decode()

CANARIES: tuple[tuple[str, str], ...] = (
    (f"password={S}", S),
    (f"connecting with user=app password={S} host=db", S),
    (f"DB_PASSWORD={S}", S),
    (f"export PGPASSWORD='{SPACED}'", SPACED),
    (f'MYSQL_PWD="{SPACED}" mysqld', SPACED),
    (f"password = {SPACED}", SPACED),
    (f"  password: {SPACED}", SPACED),
    (f"dbPassword: {S}", S),
    (f"spring.datasource.password={S}", S),
    (f"SECRET_KEY_BASE={S}", S),
    (f"api_key: {S}", S),
    (f"apiKey={S};", S),
    (f"aws_secret_access_key = {S}/abc+def", S),
    (f"secret access key: {S}", S),
    (f"client-secret={S}", S),
    (f"passphrase: {SPACED}", SPACED),
    (json.dumps({"user": "app", "password": QUOTED}), json.dumps(QUOTED)[1:-1]),
    (json.dumps({"MESSAGE": json.dumps({"token": SPACED})}), SPACED),
    (json.dumps({"MESSAGE": json.dumps({"m": json.dumps({"token": SPACED})})}), SPACED),
    (json.dumps({"MESSAGE": f"login with password={S}"}), S),
    (json.dumps({"tokens": [S, SPACED]}), S),
    (json.dumps({"tokens": [S, SPACED]}), SPACED),
    (json.dumps([{"name": "DB_PASSWORD", "value": SPACED}]), SPACED),
    (json.dumps(["app", "--password", SPACED, "-v"]), SPACED),
    (f"{{User:app Password:{S} Host:db}}", S),
    (f"Config(user='app', password='{SPACED}')", SPACED),
    (f"app --password {S} --verbose", S),
    (f"app --password={S}", S),
    (f"app --api-token '{SPACED}'", SPACED),
    (f"app\0--password\0{S}\0-v", S),
    (f"mysqldump -u root -p{S} app", S),
    (f"mysql -uroot -p'{SPACED}' app", SPACED),
    (f"curl -sS -u app:{S} https://example.org/", S),
    (f"curl --user 'app:{SPACED}' https://example.org/", SPACED),
    (f"sshpass -p {S} ssh host", S),
    (f"redis-cli -a {S} ping", S),
    (f"docker login -u app -p {S} registry", S),
    (f"ldapsearch -x -D cn=admin -w {S} -b dc=x", S),
    (f"requirepass {S}", S),
    (f"Authorization: Bearer {S}", S),
    (f"> authorization: Basic {base64.b64encode(b'app:' + S.encode()).decode()}", base64.b64encode(S.encode()[2:10]).decode()[:8]),
    (f"-H 'X-Api-Key: {S}'", S),
    (f"X-Auth-Token: {S}", S),
    (f"sending header bearer {S}{S}", S),
    (f"Cookie: theme=dark; session={S}", S),
    (f"Set-Cookie: sid={S}; HttpOnly", S),
    (f"postgres://app:{S}@db:5432/app", S),
    (f"amqp://app:p@{S}@mq/vhost", S),
    (f"redis://:{S}@cache:6379/0", S),
    (f"mysql://app:{S}/x@db/app", S),
    (f"app:{S}@tcp(db:3306)/app", S),
    (f"Server=db;User Id=app;Password={S};Encrypt=yes", S),
    (f"host=db user=app password='{SPACED}' dbname=app", SPACED),
    (f"GET /cb?state=1&access_token={S}&x=1 HTTP/1.1", S),
    (f"GET /cb?next=%2Fa%3Ftoken%3D{S}%26x%3D1 HTTP/1.1", S),
    (f"https://blob.example.net/c?sv=1&sig={S}%3D", S),
    (f"user[password]={S}&commit=1", S),
    ("key " + "AK" + "IA" + "CAN4RYCAN4RYCAN4", "CAN4RYCAN4RYCAN4"),
    ("remote " + "gh" + f"p_{_LONG}", _LONG),
    ("remote " + "glp" + f"at-{_LONG[:20]}", _LONG[:20]),
    ("bot " + "xo" + f"xb-123456789012-{_LONG[:24]}", _LONG[:24]),
    ("pay " + "sk_" + f"live_{_LONG[:24]}", _LONG[:24]),
    ("map " + "AI" + f"za{_LONG[:35]}", _LONG[:35]),
    ("npm " + "np" + f"m_{_LONG}", _LONG),
    ("llm " + "sk" + f"-proj-{_LONG}", _LONG),
    ("jwt " + "ey" + f"JhbGciOiJIUzI1NiJ9.{_LONG}.{_LONG}", _LONG),
    ("https://hooks.slack" + f".com/services/T00/B00/{_LONG[:24]}", _LONG[:24]),
    (f"PrivateKey = {WG}", WG),
    (f"PresharedKey={WG}", WG),
    (f"root:$6$saltsalt${_LONG}{_LONG}:19000:0:99999:7:::", _LONG),
    (f"root:$y$j9T$saltsalt${_LONG}:19000:0", _LONG),
    (f"userPassword: {{SSHA}}{_LONG}", _LONG),
    (RSA, "QzFuNHJ5"),
    (OPENSSH, "cAn4ry=="),
    (json.dumps({"key": RSA}), "QzFuNHJ5"),
    ("\n".join(f"Nov 21 02:14:07 web1 app[81]: {line}" for line in RSA.split("\n")), "QzFuNHJ5"),
    ("\n".join(f"Nov 21 02:14:07 web1 app[81]: {line}" for line in RSA.split("\n")), "cAn4ry=="),
    (RSA[: RSA.index("-----END")], "QzFuNHJ5"),
    (RSA[60:], "QzFuNHJ5"),
    (f"<db><password>{SPACED}</password></db>", SPACED),
    (f'<add key="Password" value="{SPACED}"/>', SPACED),
    (f"ALTER ROLE app PASSWORD '{SPACED}';", SPACED),
    (f"CREATE USER 'app'@'%' IDENTIFIED BY '{SPACED}'", SPACED),
    (f"machine db login app password {S}", S),
    (f"\x1b[36mpassword\x1b[0m={S}\x1b[0m", S),
    (f"Password:{S}", S),
    (f"wpa psk=\"{SPACED}\"", SPACED),
    (f'Environment="APP_PASSWORD={SPACED}" LANG=C', SPACED),
    (f"SetCredential=db: {SPACED}", SPACED),
    (f"invalid token: {S} is expired", S),
)  # fmt: skip
