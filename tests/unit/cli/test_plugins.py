# SPDX-License-Identifier: MIT
"""failhook plugins: what there is, one of them, a new one, and trying one."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from failhook import places
from failhook.collect import table
from failhook.plugins import new
from failhook.plugins.model import Way
from tests.unit.cli.conftest import CommandLine

ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def whose(failhook: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins of these tests belong to whoever runs them."""
    where = replace(failhook.where, user=not ROOT)
    failhook.where = where
    monkeypatch.setattr(places, "find", lambda *, user: where)


def script(failhook: CommandLine, path: str, body: str) -> Path:
    """An executable in the configuration directory."""
    etc = failhook.where.configuration[0]
    etc.chmod(0o755)
    file = etc / path
    file.parent.mkdir(mode=0o755, exist_ok=True)
    file.parent.chmod(0o755)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


LAMP = '# Switches a lamp on\n[ -z "$FAILHOOK_DRY_RUN" ] || printf "would "\necho "$FAILHOOK_UNIT"'


def test_all_of_them(failhook: CommandLine) -> None:
    path = script(failhook, "actions/lamp", LAMP)
    script(failhook, "collectors/lamps", "echo on")
    refused = script(failhook, "actions/open", "")
    refused.chmod(0o777)
    said = failhook("plugins")
    assert said.code == 0
    assert "lamp          executable" in said.out or "lamp " in said.out
    assert f"not used: {refused}: {refused} may be written by others" in said.out
    document = failhook("plugins", "--json").document
    collectors = {one["name"]: one["origin"] for one in document["collectors"]}
    assert list(collectors)[:3] == list(table.NAMES)[:3]
    assert collectors["lamps"] == Way.EXECUTABLE
    actions = {one["name"]: one for one in document["actions"]}
    assert actions["restart"]["origin"] == Way.BUILT_IN
    assert actions["restart"]["counts_as"] == "restarts"
    assert {one["name"] for one in actions["restart"]["options"]} >= {"delay", "healthy_after"}
    assert actions["lamp"]["source"] == str(path)
    assert actions["lamp"]["any_option"] is True
    assert [one["file"] for one in document["problems"] if "open" in one["file"]] == [str(refused)]


def test_one_of_them(failhook: CommandLine) -> None:
    script(failhook, "actions/lamp", LAMP)
    said = failhook("plugins", "show", "lamp")
    assert said.code == 0
    assert said.out.startswith("lamp: Switches a lamp on\n")
    assert "FAILHOOK_OPTION_NAME" in said.out
    page = failhook("plugins", "show", "restart").out
    assert page.startswith("restart: ")
    assert "Counts    in [limits] restarts" in page
    assert "healthy_after" in page
    shown = failhook("plugins", "show", "restart", "--json").document["plugin"]
    assert shown["action"]["name"] == "restart"
    assert shown["collector"] is None
    assert failhook("plugins", "show", "unit").out.startswith("unit: properties")


def test_there_is_none(failhook: CommandLine) -> None:
    said = failhook("plugins", "show", "restrat")
    assert (said.code, said.out) == (3, "")
    assert "there is no action and no collector 'restrat'; did you mean restart?" in said.err
    refused = script(failhook, "actions/open", "")
    refused.chmod(0o777)
    said = failhook("plugins", "test", "open")
    assert said.code == 3
    assert "open is not used: " in said.err
    assert "chmod go-w" in said.err
    assert failhook("plugins", "show", "restart", "--kind", "collector").code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "lamp"), "failhook plugins show lamp"),
        (("show",), "which one? failhook plugins show NAME"),
        (("new",), "which one? failhook plugins new NAME"),
        (("new", "My Lamp"), "is no name for a plugin"),
        (("new", "restart"), "there is a built-in action restart"),
        (("new", "journal", "--kind", "collector"), "there is a built-in collector journal"),
        (("test", "lamp", "--option", "red"), "write --option KEY=VALUE"),
        (("test", "lamps", "--for-real"), "a collector takes no options"),
        (("test", "restart", "--option", "delay=soon"), "delay 'soon' is no duration"),
        (("test", "restart", "--option", "dely=1"), "did you mean 'delay'?"),
    ],
)
def test_wrong_usage(failhook: CommandLine, words: tuple[str, ...], said: str) -> None:
    script(failhook, "actions/lamp", LAMP)
    script(failhook, "collectors/lamps", "echo on")
    answer = failhook("plugins", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# -- new ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", new.KINDS)
@pytest.mark.parametrize("way", new.WAYS)
def test_a_new_one(failhook: CommandLine, tmp_path: Path, kind: str, way: str) -> None:
    directory = tmp_path / "made"
    words = ("--kind", kind, "--way", way, "--directory", str(directory))
    said = failhook("plugins", "new", "my-lamp", *words)
    assert said.code == 0
    written = [line for line in said.out.splitlines() if line.startswith(str(directory))]
    assert written
    assert all(Path(path).is_file() for path in written)
    assert f"python3 -m pytest {directory}" in said.out
    again = failhook("plugins", "new", "my-lamp", *words)
    assert again.code == 2
    assert "is there already" in again.err


def test_a_new_one_beside_where_one_stands(
    failhook: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert failhook("plugins", "new", "lamp").code == 0
    assert (tmp_path / "lamp" / "lamp.py").is_file()
    said = failhook("plugins", "new", "torch", "--way", "executable", "--json")
    assert said.document["written"] == ["torch/torch", "torch/test_torch.py"]


# -- test ---------------------------------------------------------------------------------------


def test_an_action_is_tried_dry(failhook: CommandLine, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script(failhook, "actions/lamp", f'{LAMP}\n[ -n "$FAILHOOK_DRY_RUN" ] || touch {mark}; exit 0')
    said = failhook("plugins", "test", "lamp")
    assert said.code == 0
    assert said.out.splitlines()[0] == "lamp: would gitea.service"
    assert "a dry run, --for-real does it" in said.out
    assert not mark.exists()
    said = failhook("plugins", "test", "lamp", "--for-real")
    assert said.out.splitlines()[0] == "lamp: gitea.service"
    assert mark.exists()


def test_on_an_incident_of_the_history(failhook: CommandLine) -> None:
    script(failhook, "actions/lamp", f"{LAMP}\necho $FAILHOOK_BUNDLE")
    one = failhook.pack(failhook.add(1, unit="a.service"))
    for word in (one.id, "last", "a.service"):
        document = failhook("plugins", "test", "lamp", "--incident", word, "--json").document
        assert document["test"]["incident"] == one.id
        assert document["test"]["detail"].endswith("/bundle.tar.gz")
    assert failhook("plugins", "test", "lamp", "--incident", "b.service").code == 3


def test_options_as_toml_or_as_text(failhook: CommandLine) -> None:
    script(
        failhook, "actions/lamp", 'echo "$FAILHOOK_OPTION_A $FAILHOOK_OPTION_B" $FAILHOOK_DRY_RUN'
    )
    words = ("--option", "a=red lamp", "--option", "b=true")
    detail = failhook("plugins", "test", "lamp", *words, "--json").document["test"]["detail"]
    assert detail == "red lamp true 1"
    dry = failhook("plugins", "test", "restart", "--option", "unit=80", "--option", "delay=0")
    assert "is no text" not in dry.err  # a text that looks like a number is a text


def test_a_failure_is_an_exit_code(failhook: CommandLine) -> None:
    script(failhook, "actions/lamp", "echo $FAILHOOK_DRY_RUN; echo no lamp; exit 75")
    said = failhook("plugins", "test", "lamp")
    assert said.code == 1
    assert said.out.splitlines()[0] == "lamp: no lamp"
    assert "failed for now" in said.out
    script(failhook, "actions/lamp", ": $FAILHOOK_DRY_RUN; kill -SEGV $$")
    assert failhook("plugins", "test", "lamp").code == 1


def test_a_collector_is_tried(failhook: CommandLine) -> None:
    script(
        failhook,
        "collectors/lamps",
        'echo "password=hunter2hunter2"; for n in $(seq 20); do echo $n; done; printf "\\033[31m"',
    )
    said = failhook("plugins", "test", "lamps")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("lamps: 1 item, ")
    assert "hunter2" not in said.out
    assert "1 masked" in said.out
    assert "lines more" in said.out
    test = failhook("plugins", "test", "lamps", "--json").document["test"]
    assert test["items"][0]["path"] == "lamps/output.txt"
    assert test["ok"] is True
    script(failhook, "collectors/lamps", "echo broken >&2; exit 3")
    said = failhook("plugins", "test", "lamps")
    assert said.code == 1
    assert "ended with status 3: broken" in said.out
    assert json.loads(failhook("plugins", "test", "lamps", "--json").out)["test"]["ok"] is False
