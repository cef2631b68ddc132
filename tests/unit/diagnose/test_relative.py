# SPDX-License-Identifier: MIT
"""A file without its directory: where the service runs, and where the file lies."""

from dataclasses import replace

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.relative import asked, name_in
from tests.unit.diagnose.cases import case, command, gone, judge, there

LINE = "FileNotFoundError: [Errno 2] No such file or directory: 'config/shop.yaml'"
STARTED = {"ExecStart": command("/usr/bin/python3", "/srv/shop/main.py")}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (LINE, "config/shop.yaml"),
        ("Error: ENOENT: no such file or directory, open 'config.json'", "config.json"),
        ("open config.yml: no such file or directory", "config.yml"),
        (
            "unable to load ./certs/a.pem: open certs/a.pem: no such file or directory",
            "certs/a.pem",
        ),
        ("No such file or directory @ rb_sysopen - config.yml (Errno::ENOENT)", "config.yml"),
        ("cat: list.txt: No such file or directory", "list.txt"),
        ("cannot open './list.txt' for reading: No such file or directory", "list.txt"),
        ("open /etc/a.yml: no such file or directory", None),
        ("No such file or directory: '../../etc/x.conf'", None),
        ("app: No such file or directory", None),
        ("no such file or directory", None),
    ],
)
def test_the_name(line: str, name: str | None) -> None:
    assert name_in(line) == name


def _facts(*there_are: str) -> Facts:
    paths = ("/config/shop.yaml", "/srv/shop/config/shop.yaml")
    return Facts(paths={path: there() if path in there_are else gone(path) for path in paths})


def test_it_lies_beside_its_program() -> None:
    one = case(LINE, show=STARTED, facts=_facts("/srv/shop/config/shop.yaml"))
    assert asked(one) == ["/config/shop.yaml", "/srv/shop/config/shop.yaml"]
    verdict = judge(one)
    assert verdict.cause == "working-directory"
    assert (
        "config/shop.yaml is in /srv/shop, and the service runs in / (WorkingDirectory= is not set)"
        in verdict.summary
    )
    assert verdict.advice is not None
    assert verdict.advice.startswith(
        "WorkingDirectory=/srv/shop, or name /srv/shop/config/shop.yaml"
    )


def test_it_lies_nowhere() -> None:
    said = judge(case(LINE, show=STARTED, facts=_facts())).summary
    assert "config/shop.yaml does not exist, and is named without a directory" in said
    assert "the service starts in / (WorkingDirectory= is not set)" in said
    facts = Facts(paths={"/srv/run/config/shop.yaml": gone("/srv/run")})
    said = judge(case(LINE, show={**STARTED, "WorkingDirectory": "/srv/run"}, facts=facts)).summary
    assert "the service starts in /srv/run:" in said


@pytest.mark.parametrize(
    "facts",
    [_facts("/config/shop.yaml"), Facts()],
    ids=["it is there: it went elsewhere", "not seen"],
)
def test_where_nothing_is_known(facts: Facts) -> None:
    assert judge(case(LINE, show=STARTED, facts=facts)).cause != "working-directory"


def test_a_user_manager_starts_in_a_home() -> None:
    one = case(LINE, show=STARTED, facts=_facts("/srv/shop/config/shop.yaml"))
    his = replace(one, incident=replace(one.incident, manager="user"))
    assert judge(his).cause != "working-directory"


@pytest.mark.parametrize(
    "setting",
    [{"WorkingDirectory": "~"}, {"RootDirectory": "/srv/jail"}, {"RootImage": "/srv/a.raw"}],
)
def test_where_it_runs_is_not_known(setting: dict[str, str]) -> None:
    one = case(LINE, show=STARTED | setting, facts=_facts("/srv/shop/config/shop.yaml"))
    assert asked(one) == []
    assert judge(one).cause != "working-directory"
