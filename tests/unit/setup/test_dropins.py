# SPDX-License-Identifier: MIT
"""Drop-ins: least privilege, no recursion, nothing written that systemd would not read."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.setup import dropins
from failhook.setup.changes import Changes
from failhook.setup.dropins import NAME, OURS, TYPES, Problem
from failhook.setup.obstacles import emptied
from tests.unit.collect.bench import Programs

LONG = "x" * 230 + ".service"  # 238 bytes: the longest for which a handler can be named
TOO_LONG = "x" * 231 + ".service"


@pytest.fixture
def known(programs: Programs) -> Programs:
    """A systemd that has every unit."""
    programs.add("systemctl", "echo LoadState=loaded")
    return programs


def _enable(directory: Path, name: str, *, privileged: bool = False) -> Changes:
    changes = Changes()
    dropins.enable(directory, name, changes, privileged=privileged, user=False)
    return changes


def _settings(text: str) -> list[tuple[str, str]]:
    """(section, line) of every setting, as systemd reads a unit file."""
    section, found = "", []
    for line in text.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


@pytest.mark.usefixtures("known")
def test_a_service_gets_both_triggers(tmp_path: Path) -> None:
    changes = _enable(tmp_path, "nginx.service")
    path = tmp_path / "nginx.service.d" / NAME
    assert changes.said == [f"wrote {path}"]
    assert _settings(path.read_text()) == [
        ("Unit", "OnFailure=failhook@%n.service"),
        ("Service", "ExecStopPost=-failhook %n"),
    ]
    assert path.read_text().startswith("# written by `failhook enable`")
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("shown", "setting", "helps"),
    [
        ("NoExecPaths=/", "NoExecPaths=/", True),
        ("NoExecPaths=/\\nExecPaths=/usr/bin/a /usr/lib", "NoExecPaths=/", True),
        ("NoExecPaths=-/usr/local /opt", "NoExecPaths=-/usr/local /opt", True),
        ("RootDirectory=/srv/jail", "RootDirectory=/srv/jail", True),
        ("User=a\\nRestrictAddressFamilies=AF_INET", "RestrictAddressFamilies=AF_INET", True),
        (
            "DynamicUser=yes\\nRestrictAddressFamilies=~AF_UNIX AF_X25",
            "RestrictAddressFamilies=~AF_UNIX AF_X25",
            True,
        ),
        ("ProtectSystem=strict\\nRestrictAddressFamilies=", "RestrictAddressFamilies=none", True),
        ("RestrictAddressFamilies=AF_INET", None, True),  # root writes into the spool itself
        ("User=root\\nProtectSystem=full\\nRestrictAddressFamilies=", None, True),
        ("User=a\\nRestrictAddressFamilies=AF_INET AF_UNIX", None, True),
        ("User=a\\nRestrictAddressFamilies=~AF_PACKET", None, True),
        ("User=a\\nRestrictAddressFamilies=~", None, True),
        ("RootDirectory=/", None, True),
        ("NoExecPaths=/\\nExecPaths=/usr/local/bin", "NoExecPaths=/", True),  # the hook is a script
        ("RootImage=/srv/a.raw", "RootImage=/srv/a.raw", True),
        ("StandardOutput=truncate\\nStandardError=inherit", "StandardOutput=truncate", False),
        ("StandardOutput=journal\\nStandardError=truncate", "StandardError=truncate", False),
        ("StandardOutput=append\\nStandardError=file", None, True),
        ("NoExecPaths=/\\nExecPaths=/usr /lib", None, True),
        ("NoExecPaths=/usr/local/binary /tmp", None, True),
        ("NoExecPaths=\\nExecPaths=\\nRootDirectory=\\nRootImage=", None, True),
    ],
)
def test_a_unit_in_which_no_hook_can_run_or_does_harm(
    tmp_path: Path, programs: Programs, shown: str, setting: str | None, helps: bool
) -> None:
    """systemd would warn at every stop that it cannot find failhook, or empty the output again."""
    programs.add("systemctl", f"printf 'LoadState=loaded\\n{shown}\\n'")
    changes = _enable(tmp_path, "a.service")
    settings = _settings((tmp_path / "a.service.d" / NAME).read_text())
    assert (("Service", "ExecStopPost=-failhook %n") in settings) == (setting is None)
    assert ("Unit", "OnFailure=failhook@%n.service") in settings
    told = [line for line in changes.said if "OnFailure= alone" in line]
    assert len(told) == (setting is not None)
    assert all(line.startswith(f"a.service: {setting}, ") for line in told)
    assert all(("--privileged" in line) == helps for line in told)
    changes = _enable(tmp_path, "a.service", privileged=True)
    text = (tmp_path / "a.service.d" / NAME).read_text()
    assert ("ExecStopPost=-+failhook %n" in text) == helps
    assert any("OnFailure= alone" in line for line in changes.said) != helps
    if setting is not None:
        with pytest.raises(Problem, match="too long for a handler"):
            _enable(tmp_path, TOO_LONG)


def test_a_template_is_as_its_instances_are(tmp_path: Path, programs: Programs) -> None:
    """systemctl shows no template."""
    shown = "LoadState=loaded\\nStandardOutput=truncate\\n"
    programs.add("systemctl", f"case $* in *' a@'?*.service) printf '{shown}' ;; esac")
    changes = _enable(tmp_path, "a@.service")
    assert "a@.service: StandardOutput=truncate, a hook would empty" in changes.said[-1]
    assert "ExecStopPost" not in (tmp_path / "a@.service.d" / NAME).read_text()
    with pytest.raises(Problem, match="systemd knows no unit b@"):
        _enable(tmp_path, "b@.service")


def test_who_hooked_such_a_unit_himself_is_told(programs: Programs) -> None:
    hook = "{ path=failhook ; argv[]=failhook %n ; ignore_errors=yes ; start_time=[n/a] }"
    units = (
        f"Id=a.service\nExecStopPost={hook}\nStandardOutput=truncate\nLoadState=loaded\n\n"
        f"Id=b.service\nExecStopPost={hook}\nStandardOutput=append\nLoadState=loaded\n\n"
        "Id=c.service\nExecStopPost={ path=/bin/rm ; argv[]=rm failhook ; }\n"
        "StandardOutput=truncate\nLoadState=loaded\n"
    )
    programs.add("systemctl", f"cat <<'END'\n{units}END")
    (told,) = emptied()
    assert told.startswith("a.service: ExecStopPost=failhook empties the file of StandardOutput=")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "service"])
def test_other_types_get_a_handler(tmp_path: Path, kind: str) -> None:
    _enable(tmp_path, f"a.{kind}")
    text = (tmp_path / f"a.{kind}.d" / NAME).read_text()
    assert _settings(text) == [("Unit", "OnFailure=failhook@%n.service")]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", ["a.service", "a@.service", "a@b.service", "a.mount", LONG])
def test_no_privilege_unless_somebody_asked_for_it(tmp_path: Path, name: str) -> None:
    """`+` runs as root with an environment that the service's user may have written."""
    _enable(tmp_path, name)
    dropins.enable_all(tmp_path, Changes())
    for path in tmp_path.rglob(NAME):
        if not path.is_symlink():
            assert "+" not in path.read_text()
            assert "!" not in path.read_text()
    _enable(tmp_path, "p.service", privileged=True)
    assert "ExecStopPost=-+failhook %n" in (tmp_path / "p.service.d" / NAME).read_text()
    _enable(tmp_path, "p.mount", privileged=True)
    assert "+" not in (tmp_path / "p.mount.d" / NAME).read_text()


@pytest.mark.usefixtures("known")
def test_twice_is_once(tmp_path: Path) -> None:
    _enable(tmp_path, "nginx.service")
    assert _enable(tmp_path, "nginx.service").said == []


@pytest.mark.usefixtures("known")
def test_names_that_leave_no_room_for_a_handler(tmp_path: Path) -> None:
    assert len(f"failhook@{LONG}.service") == 255
    assert _enable(tmp_path, LONG).said == [f"wrote {tmp_path / f'{LONG}.d' / NAME}"]
    assert "OnFailure=" in (tmp_path / f"{LONG}.d" / NAME).read_text()
    _, warning = _enable(tmp_path, TOO_LONG).said
    assert "stays unseen" in warning
    text = (tmp_path / f"{TOO_LONG}.d" / NAME).read_text()
    assert _settings(text) == [("Service", "ExecStopPost=-failhook %n")]
    with pytest.raises(Problem, match="longer than 238 bytes"):
        _enable(tmp_path, "x" * 240 + ".mount")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("length", [246, 247])
def test_names_that_leave_no_room_for_a_directory(tmp_path: Path, length: int) -> None:
    """A name may be 255 bytes, its drop-in directory is two longer, and a file system says no."""
    with pytest.raises(Problem, match="longer than 253 bytes"):
        _enable(tmp_path, "x" * length + ".service")
    _enable(tmp_path, "x" * 245 + ".service")
    assert dropins.hooked(tmp_path) == ["x" * 245 + ".service"]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nginx", "not the name of a unit"),
        ("../../etc/x.service", "not the name of a unit"),
        ("a b.service", "not the name of a unit"),
        ("a\n.service", "not the name of a unit"),
        ("", "not the name of a unit"),
        ("failhook.service", "failhook's own"),
        ("failhook@x.service.service", "failhook's own"),
        ("failhook-keep.service", "failhook's own"),
        ("failhook-boot-check.service", "hooked by its own unit file"),
        ("a.slice", "cannot fail"),
        ("dev-sda.device", "cannot fail"),
    ],
)
def test_what_cannot_be_hooked(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        _enable(tmp_path, name)
    assert os.listdir(tmp_path / ".") == ["programs"]


def test_a_unit_that_systemd_does_not_know(tmp_path: Path, programs: Programs) -> None:
    programs.add("systemctl", "echo LoadState=not-found")
    with pytest.raises(Problem, match="systemd knows no unit"):
        _enable(tmp_path, "nginx.service")
    with pytest.raises(Problem, match="systemd knows no unit template@"):
        _enable(tmp_path, "template@.service")


def test_a_problem_can_pass_through_a_context_manager() -> None:
    """`contextlib` writes into the exceptions that it lets through."""

    @contextlib.contextmanager
    def passing() -> Iterator[None]:
        yield

    with pytest.raises(Problem, match="words"), passing():
        raise Problem("words")


def test_all_units_but_our_own(tmp_path: Path) -> None:
    changes = Changes()
    dropins.enable_all(tmp_path, changes)
    for kind in TYPES:
        text = (tmp_path / f"{kind}.d" / NAME).read_text()
        assert _settings(text) == [("Unit", "OnFailure=failhook@%n.service")]
    for name in OURS:
        assert os.readlink(tmp_path / f"{name}.d" / NAME) == "/dev/null"
    said = [line.rpartition("/")[0].rpartition("/")[2] for line in changes.said]
    assert said == [*(f"{name}.d" for name in OURS), *(f"{kind}.d" for kind in TYPES)]
    again = Changes()
    dropins.enable_all(tmp_path, again)
    assert again.said == []


@pytest.mark.usefixtures("known")
def test_disabling_takes_away_what_enabling_wrote(tmp_path: Path) -> None:
    _enable(tmp_path, "nginx.service")
    (tmp_path / "nginx.service.d" / "admin.conf").write_text("")
    dropins.enable_all(tmp_path, Changes())
    assert dropins.hooked(tmp_path) == sorted(["nginx.service", *TYPES])
    changes = Changes()
    dropins.disable_all(tmp_path, changes)
    assert dropins.hooked(tmp_path) == ["nginx.service"]
    dropins.disable(tmp_path, "nginx.service", changes)
    dropins.disable(tmp_path, "never.service", changes)
    assert dropins.hooked(tmp_path) == []
    assert (tmp_path / "nginx.service.d" / "admin.conf").exists()
    assert len(changes.said) == len(TYPES) + 1
    # what keeps drop-ins away from our own units stays: others may still be there
    assert (tmp_path / "failhook.service.d" / NAME).is_symlink()


def test_nothing_is_hooked_where_there_is_no_directory(tmp_path: Path) -> None:
    assert dropins.hooked(tmp_path / "missing") == []
