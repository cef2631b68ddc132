# SPDX-License-Identifier: MIT
"""Files without content, of programs that speak of a format or of nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from failhook.diagnose import config_file
from failhook.diagnose.facts import Facts, PathFact
from failhook.diagnose.look import look
from failhook.diagnose.subjects import Subjects
from tests.unit.diagnose.cases import case, command, found, judge, there

KEY = "/etc/a/host_key"
NOTHING = replace(there(), size=0)
SHOW = {"ExecStart": command("/usr/sbin/a", "-r", KEY)}


def test_of_the_command_line() -> None:
    one = case("Early exit: Bad buf_getptr", show=SHOW, facts=Facts(paths={KEY: NOTHING}))
    assert f"{KEY} (ExecStart=) is empty" in judge(one).summary


def test_of_the_configuration() -> None:
    facts = Facts(empty={"/etc/a/a.pem": "/etc/a/a.conf:7"})
    assert "/etc/a/a.pem (/etc/a/a.conf line 7) is empty" in judge(case(facts=facts)).summary


def test_named_by_the_line() -> None:
    facts = Facts(paths={KEY: NOTHING})
    said = judge(case(f"{KEY}: invalid format", show=SHOW, facts=facts)).summary
    assert f"{KEY} is empty: “{KEY}: invalid format”" in said


@pytest.mark.parametrize(
    ("lines", "fact", "more"),
    [
        (("Early exit: Bad buf_getptr",), there(), {}),  # it has content
        (("bind to port 22: Address already in use",), NOTHING, {}),  # it died of something else
        (("Early exit: Bad buf_getptr",), NOTHING, {"exit_status": "0"}),
        (("bad numerical configuration: size_limit = 50M",), NOTHING, {}),  # it names a setting
    ],
)
def test_where_it_is_not_said(lines: tuple[str, ...], fact: PathFact, more: dict[str, Any]) -> None:
    facts = Facts(paths={KEY: fact})
    assert "file-empty" not in found(case(*lines, show=SHOW, facts=facts, **more))


def test_the_look_at_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "is_input", lambda path: path.endswith(".key"))  # also in /tmp
    conf, key, full = tmp_path / "a.conf", tmp_path / "a.key", tmp_path / "b.key"
    key.write_bytes(b"")
    full.write_bytes(b"x")
    conf.write_text(f"# {full}\nkey {key}\nother {full}\nlog {tmp_path}/a.log\n")
    conf.chmod(0o644)
    facts = look(Subjects(configurations=(str(conf),)), system=False)
    if conf.stat().st_uid == 0:
        assert facts.empty == {str(key): f"{conf}:2"}
    else:  # of what others may write nothing is read
        assert facts.empty == {}
