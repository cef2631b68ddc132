# SPDX-License-Identifier: MIT
"""What a silent program means by its status, by its manual."""

import pytest

from failhook.diagnose.statuses import DOCUMENTED
from tests.unit.diagnose.cases import case, command, judge


@pytest.mark.parametrize(
    ("program", "words", "status", "said"),
    [
        ("inotifywait", ("-q", "-t", "3", "/srv/in"), "2", "no event came within its time (-t)"),
        ("curl", ("-sf", "https://h.example/x"), "22", "answered with an HTTP error"),
        ("flock", ("-n", "/run/a.lock", "/usr/bin/b"), "1", "somebody else holds the lock"),
        ("timeout", ("5", "/usr/bin/b"), "124", "took longer than its time limit"),
        ("rsync", ("-q", "/srv/a/", "h:/b/"), "23", "were not transferred"),
    ],
)
def test_a_documented_status(program: str, words: tuple[str, ...], status: str, said: str) -> None:
    path = f"/usr/bin/{program}"
    show = {"ExecStart": command(path, *words, status=status)}
    summary = judge(case(show=show, exit_status=status)).summary
    assert f"{path} ended with status {status}" in summary
    assert said in summary
    assert f"it was to do: {program} {' '.join(words)}" in summary


def test_one_that_speaks_is_believed_first() -> None:
    show = {"ExecStart": command("/usr/bin/curl", "https://h.example/x", status="6")}
    said = "curl: (6) Could not resolve host: h.example"
    assert "h.example" in judge(case(said, show=show, exit_status="6")).summary
    assert "it was to do" not in judge(case(said, show=show, exit_status="6")).summary


def test_an_unknown_status_stays_unclear() -> None:
    show = {"ExecStart": command("/usr/bin/curl", "-s", "https://h.example/x", status="99")}
    assert "it is unclear why" in judge(case(show=show, exit_status="99")).summary


def test_every_status_is_one() -> None:
    for program, statuses in DOCUMENTED.items():
        for status, meaning in statuses.items():
            assert 0 < int(status) < 256, program
            assert meaning[0].islower() or meaning.startswith(("-", "TLS")), (program, meaning)
