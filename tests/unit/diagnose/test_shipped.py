# SPDX-License-Identifier: MIT
"""Configurations that only the package of a program knows (deb-conffiles(5))."""

import os
from pathlib import Path

import pytest

from failhook.diagnose import shipped as module
from failhook.diagnose.look import look
from failhook.diagnose.shipped import shipped
from failhook.diagnose.subjects import Subjects


def known(lists: dict[str, str]) -> list[str]:
    """What is found for a program called a, or its unit b."""

    def opened(path: str, _most: int) -> bytes | None:
        name = path.removeprefix(f"{module.INFO}/").removesuffix(".conffiles")
        return lists[name].encode() if name in lists else None

    return shipped(["a", "b"], opened)


def test_what_is_for_others_is_no_configuration_of_it() -> None:
    text = "/etc/apt/a.list\n/etc/init.d/a\n/etc/cron.d/a\n/etc/logrotate.d/a\n/etc/default/a\n"
    assert known({"a": text}) == ["/etc/apt/a.list"]
    assert known({"b": text}) == ["/etc/apt/a.list"]
    assert known({"a": "/etc/init.d/a\n", "b": "/etc/b.rc\n"}) == ["/etc/b.rc"]


def test_none_where_nobody_knows_which_one_is_meant() -> None:
    assert known({}) == []
    assert known({"a": "".join(f"/etc/a/{number}.cf\n" for number in range(7))}) == []
    assert known({"a": "remove-on-upgrade /etc/a/old.cf\n\\xff\n/usr/share/x\n"}) == [
        "/etc/a/old.cf"
    ]


@pytest.mark.skipif(os.getuid() != 0, reason="what root alone writes is read: only root makes it")
def test_it_is_read_where_no_usual_place_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    for directory in ("usr", "srv/base", "etc/apt", module.INFO.lstrip("/")):
        (root / directory).mkdir(parents=True)
    monkeypatch.setattr("failhook.diagnose.look._ROOT", root)
    (root / f".{module.INFO}/a.conffiles").write_text("/etc/apt/a.list\n/etc/apt/removed.list\n")
    (root / "etc/apt/a.list").write_text("set key /srv/base/list.key\n")
    subjects = Subjects(configurations=("/etc/a.conf",), usual=True, called=("a",))
    facts = look(subjects)
    assert facts.configurations == ("/etc/apt/a.list",)
    assert facts.absent == {"/srv/base/list.key": "/etc/apt/a.list:1"}
    (root / "etc/a.conf").write_text("# the usual one\n")
    facts = look(subjects)
    assert facts.configurations == ()
    assert facts.absent == {}
