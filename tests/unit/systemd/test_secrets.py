# SPDX-License-Identifier: MIT
"""What systemd knows to be secret. The texts of `systemctl show` are those that 252 printed."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from failhook.proc import Completed
from failhook.systemd import secrets
from failhook.systemd.unit import UnitState


def nobody(argv: Sequence[str], **_: object) -> Completed:
    raise AssertionError(f"nothing is to be run: {argv}")


def known(
    root: Path, show: str, *, user: bool = False, run: secrets.Run = nobody
) -> dict[bytes, str]:
    state = UnitState.parse("app.service", f"Id=app.service\n{show}")
    found = secrets.known_values(state, user=user, root=root, run=run)
    return {each.value: each.rule for each in found}


def put(root: Path, path: str, content: str | bytes) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("DB_PASSWORD=abcd", "abcd"),
        ("API_TOKEN=plainword", "plainword"),
        ('"SECRET=two \\"quoted\\" words"', 'two "quoted" words'),
        ("LICENSE=AbC-123-xyz", "AbC-123-xyz"),
        ("DSN=host=db password=hunter2", "hunter2"),
        ('"DSN=host=db password=hunter2"', "hunter2"),
        ("URL=postgres://app:hunter2@db/x", "hunter2"),
        ("URL=postgres://app:p%40ss@db/x", "p@ss"),
        ("URL=https://h/x?token=abcd1234", "abcd1234"),
        ("JAVA_OPTS=-Dkey.password=changeit", "changeit"),
        ('"MULTI=line one\\nline 2"', "line one\nline 2"),
        ("MY_PASSWORD_DIR_TOKEN=abcdef", "abcdef"),
    ],
)
def test_values_of_variables(tmp_path: Path, assignment: str, value: str) -> None:
    found = known(tmp_path, f"Environment={assignment}\n")
    assert found[value.encode()] == "environment"


@pytest.mark.parametrize(
    "assignment",
    [
        "A=abcde",
        "PASSWORD=abc",
        "HOST=db.example.org",
        "HOST=db.example.org:5432",
        "HOST=localhost:80",
        "IP=192.168.100.12",
        "IP=fe80::1:2:3:4",
        "IP=[::1]:8080",
        "PORT=1234567",
        "SIZE=512000M",
        "DEBUG=true",
        "MODE=production",
        "LEVEL=DEBUGGING",
        "LANG=en_US.UTF-8",
        "X_LANG=en_US.UTF-8",
        "PATH=/a/b:/c/d",
        "CONFIG=/etc/app/config.toml",
        "DATA_DIR=Some/Dir1",
        "APP_HOME=Some/Dir1",
        "USER=someuser1",
        "URL=https://example.org/x",
        "URL=postgres://app@db/x",
        "JAVA_OPTS=-Xmx512m",
        '"OPTS=-v --level info"',
        "SECRET_FILE=/etc/app/secret",
        "EMPTY=",
    ],
)
def test_values_that_are_plainly_not_secret(tmp_path: Path, assignment: str) -> None:
    assert known(tmp_path, f"Environment={assignment}\n") == {}


def test_environment_files(tmp_path: Path) -> None:
    put(tmp_path, "/etc/default/app", "PORT=8080\nTOKEN='to ken'\n")
    put(tmp_path, "/etc/app/1.env", "SECRET=s-one\n")
    put(tmp_path, "/etc/app/2.env", "SECRET=s-two\n")
    show = (
        "EnvironmentFiles=/etc/default/app (ignore_errors=yes)\n"
        "EnvironmentFiles=/etc/app/*.env (ignore_errors=no)\n"
        "EnvironmentFiles=/etc/missing (ignore_errors=yes)\n"
    )
    assert set(known(tmp_path, show)) == {b"to ken", b"s-one", b"s-two"}


def test_an_environment_file_behind_a_link(tmp_path: Path) -> None:
    put(tmp_path, "/srv/real.env", "SECRET=s-one\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/app.env").symlink_to(tmp_path / "srv/real.env")
    assert b"s-one" in known(tmp_path, "EnvironmentFiles=/etc/app.env (ignore_errors=no)\n")


def test_a_fifo_a_directory_and_a_huge_file_do_not_hang(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/fifo")
    (tmp_path / "etc/dir").mkdir()
    put(tmp_path, "/etc/huge", b"SECRET=s-one\n" + b"#" * (1 << 20) + b"\nSECRET=s-two\n")
    show = "".join(
        f"EnvironmentFiles=/etc/{name} (ignore_errors=no)\n" for name in ("fifo", "dir", "huge")
    )
    assert set(known(tmp_path, show)) == {b"s-one"}


UNIT = """[Service]
# LoadCredential=no:/etc/no
LoadCredential=db:/etc/cred/db
LoadCredential=tree:/etc/cred/tree
LoadCredential=stored
LoadCredential=mine:/etc/cred/%N-%i
ImportCredential=imp.*
SetCredential=inline:hello \\
  world \\x41 100%%
SetCredentialEncrypted=sealed: k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmbWAqWZ8dCCQkAAAAAgAAAA
Environment=NEWER_PASSWORD=not-loaded-yet
"""


def unit_with_credentials(root: Path) -> str:
    put(root, "/etc/systemd/system/app.service", UNIT)
    put(
        root,
        "/etc/systemd/system/app.service.d/a b.conf",
        "[Service]\nSetCredential=two:from drop-in\n",
    )
    put(root, "/etc/cred/db", "cred-of-db\n")
    put(root, "/etc/cred/tree/a", "cred-of-a")
    put(root, "/etc/cred/tree/b", '{"password": "inner-of-b", "port": 1}\nsecond line of it\n')
    put(root, "/etc/cred/tree/deep/c", "too deep")
    put(root, "/etc/credstore/stored", "cred-stored")
    put(root, "/etc/credstore/imp.one", "cred-imported")
    put(root, "/etc/cred/app-", "cred-by-name")
    put(root, "/etc/no", "commented out")
    return (
        "FragmentPath=/etc/systemd/system/app.service\n"
        'DropInPaths="/etc/systemd/system/app.service.d/a b.conf"\n'
        "LoadCredential=[unprintable]\nSetCredential=[unprintable]\n"
    )


def test_credentials(tmp_path: Path) -> None:
    found = known(tmp_path, unit_with_credentials(tmp_path))
    wanted = {
        b"cred-of-db",
        b"cred-of-a",
        b"inner-of-b",
        b"second line of it",
        b"cred-stored",
        b"cred-imported",
        b"cred-by-name",
        b"from drop-in",
        b"hello    world A 100%",
    }
    assert wanted <= set(found)
    assert {found[value] for value in wanted} == {"credential"}
    assert found[b"not-loaded-yet"] == "environment"
    assert not any(b"too deep" in value or b"commented" in value for value in found)
    assert not any(b"k6iUCUh" in value for value in found)


def test_what_the_running_service_was_given(tmp_path: Path) -> None:
    put(tmp_path, "/run/credentials/app.service/x", "as decrypted")
    put(tmp_path, "/run/credentials/other.service/x", "not ours")
    assert set(known(tmp_path, "")) == {b"as decrypted"}


def test_of_the_user_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    put(tmp_path, "/run/user/7/credentials/app.service/x", "the user's own")
    assert set(known(tmp_path, "", user=True)) == {b"the user's own"}


def test_encrypted_ones_are_opened_with_the_machines_key(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def run(argv: Sequence[str], **_: object) -> Completed:
        calls.append(list(argv))
        return Completed(tuple(argv), 0, b"in the clear", b"")

    put(tmp_path, "/etc/app.service", "LoadCredentialEncrypted=db:/etc/db.cred\n")
    put(tmp_path, "/etc/db.cred", "AAAA")
    assert set(known(tmp_path, "FragmentPath=/etc/app.service\n", run=run)) == {b"in the clear"}
    assert calls == [["systemd-creds", "decrypt", "--name=db", "/etc/db.cred", "-"]]


def test_encrypted_ones_that_cannot_be_opened(tmp_path: Path) -> None:
    def run(argv: Sequence[str], **_: object) -> Completed:
        return Completed(tuple(argv), 1, b"half a secret", b"no key")

    put(tmp_path, "/etc/app.service", "LoadCredentialEncrypted=db:/etc/db.cred\n")
    put(tmp_path, "/etc/db.cred", "AAAA")
    assert known(tmp_path, "FragmentPath=/etc/app.service\n", run=run) == {}


def test_a_private_key_as_credential_is_known_line_by_line(tmp_path: Path) -> None:
    body = "QzFuNHJ5" * 8
    put(tmp_path, "/run/credentials/app.service/k", f"-----BEGIN X-----\n{body}\n-----END X-----\n")
    found = known(tmp_path, "")
    assert body.encode() in found
    assert b"-----BEGIN X-----" not in found


@pytest.mark.parametrize(
    "show",
    [
        "",
        'Environment="open\n',
        "EnvironmentFiles=\n",
        "DropInPaths='x\n",
        "FragmentPath=/\0\n",
        "FragmentPath=/\n",
    ],
)
def test_nonsense_is_no_error(tmp_path: Path, show: str) -> None:
    assert known(tmp_path, show) == {}


def test_functions_for_texts_are_here_too() -> None:
    assert secrets.mask_unit_text(b"Environment=A=b\n")[1] == {"environment": 1}
    assert secrets.mask_environment_file(b"A=b\n")[1] == {"environment": 1}
