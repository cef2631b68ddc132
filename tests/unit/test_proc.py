# SPDX-License-Identifier: MIT
"""The door to child processes: what they get, what they may cost, and that they end."""

import os
import resource
import sys
import time
from pathlib import Path

import pytest

from failhook import proc


def _gone(pid: int) -> bool:
    """The process is no more, or only waits for its parent to notice."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_output_status_and_time() -> None:
    done = proc.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.stdout, done.stderr, done.returncode, done.ok) == (b"out\n", b"err\n", 3, False)
    assert not done.truncated
    assert not done.timed_out
    assert 0 < done.took_s < 5
    assert done.why() == "sh ended with status 3: err"


def test_a_program_that_is_missing_or_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for name in ("no-such-program", str(tmp_path / "text"), str(tmp_path)):
        done = proc.run([name])
        assert (done.returncode, done.ok, done.timed_out) == (None, False, False)
        assert "could not be started: " in done.why()


def test_a_zero_byte_in_an_argument_is_an_answer_and_no_crash() -> None:
    done = proc.run(["echo", "a\0b"])
    assert done.returncode is None
    assert "null byte" in done.why()


def test_a_killed_program_is_no_timeout() -> None:
    done = proc.run(["sh", "-c", "kill -9 $$"])
    assert (done.returncode, done.timed_out, done.ok) == (-9, False, False)
    assert done.why() == "sh ended with status -9"


def test_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    evil = {"LD_PRELOAD": "/evil.so", "PYTHONPATH": "/evil", "PATH": str(tmp_path), "LANG": "x"}
    for name, value in evil.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    done = proc.run(["env"], env={"EXTRA": "1"})
    seen = dict(line.split("=", 1) for line in done.text.splitlines())
    assert not seen.keys() & {"LD_PRELOAD", "PYTHONPATH", "LANG"}
    assert seen["PATH"] == proc.SEARCH_PATH
    assert (seen["LC_ALL"], seen["TZ"], seen["EXTRA"]) == ("C.UTF-8", "Europe/Berlin", "1")


def test_no_descriptor_and_no_directory_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as stream:
        os.set_inheritable(stream.fileno(), True)
        done = proc.run(["sh", "-c", "pwd; ls /proc/self/fd"])
    assert done.text.splitlines()[0] == "/"
    assert len(done.text.splitlines()[1:]) <= 4  # 0, 1, 2 and the directory that ls looks at


def test_our_standard_input_is_not_the_childs() -> None:
    ours, (reading, writing) = os.dup(0), os.pipe()
    os.write(writing, b"for us")
    os.close(writing)
    try:
        os.dup2(reading, 0)
        assert proc.run(["cat"], timeout_s=2).stdout == b""
    finally:
        os.dup2(ours, 0)
        for fd in (ours, reading):
            os.close(fd)


def test_standard_input_is_empty_unless_given() -> None:
    assert proc.run(["cat"]).stdout == b""
    assert proc.run(["cat"], stdin=b"x\0y").stdout == b"x\0y"
    assert proc.run(["cat"], stdin=b"").stdout == b""


def test_input_larger_than_a_pipe_meets_output_larger_than_a_pipe() -> None:
    given = bytes(range(256)) * 8192
    assert proc.run(["cat"], stdin=given).stdout == given


def test_a_program_that_does_not_want_its_input() -> None:
    done = proc.run(["true"], stdin=bytes(1 << 20))
    assert done.ok


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM; sleep 60; :"])
def test_time_is_over(script: str) -> None:
    done = proc.run(["sh", "-c", f"echo early; {script}"], timeout_s=0.2)
    assert (done.timed_out, done.returncode, done.ok) == (True, None, False)
    assert done.stdout == b"early\n"
    assert 0.2 <= done.took_s < 1
    assert f"did not finish within {done.took_s:.1f} s" in done.why()


def test_the_whole_group_ends_with_the_time() -> None:
    done = proc.run(["sh", "-c", "sleep 60 & echo $!; sleep 60"], timeout_s=0.2)
    assert _gone(int(done.stdout))


def test_who_stays_behind_with_our_pipe_ends_with_the_time() -> None:
    """The program itself is long gone, but something that it started holds its output open."""
    done = proc.run(["sh", "-c", "sleep 60 & echo $!"], timeout_s=0.2)
    assert done.timed_out
    assert _gone(int(done.stdout))


def test_a_program_that_closes_its_output_and_stays() -> None:
    done = proc.run(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout_s=0.2)
    assert (done.timed_out, done.returncode) == (True, None)
    assert done.took_s < 1


def test_the_group_is_the_callers_where_he_says_so() -> None:
    script = "import os; print(os.getpgid(0))"
    ours = proc.run([sys.executable, "-IS", "-c", script], own_group=False)
    assert int(ours.text) == os.getpgid(0)
    theirs = proc.run([sys.executable, "-IS", "-c", script])
    assert int(theirs.text) != os.getpgid(0)
    assert proc.run(["sleep", "60"], own_group=False, timeout_s=0.1).timed_out


def test_the_head_is_kept_and_the_program_stopped() -> None:
    done = proc.run(["sh", "-c", "echo $$; exec yes"], max_bytes=1000)
    assert len(done.stdout) == 1000
    assert (done.truncated, done.timed_out) == (True, False)
    assert done.took_s < 2
    assert _gone(int(done.stdout.split()[0]))


def test_the_tail_is_kept_and_the_program_read_to_its_end() -> None:
    done = proc.run(["seq", "200000"], max_bytes=1000, keep="tail")
    assert done.stdout.endswith(b"\n199999\n200000\n")
    assert len(done.stdout) == 1000
    assert (done.truncated, done.ok) == (True, True)


@pytest.mark.parametrize("keep", ["head", "tail"])
def test_exactly_as_much_as_may_be_is_not_cut(keep: str) -> None:
    done = proc.run(["printf", "12345"], max_bytes=5, keep=keep)
    assert (done.stdout, done.truncated) == (b"12345", False)
    done = proc.run(["printf", "123456"], max_bytes=5, keep=keep)
    assert done.truncated
    assert done.stdout == (b"12345" if keep == "head" else b"23456")


def test_endless_complaints_are_bounded_and_do_not_cut_the_output() -> None:
    done = proc.run(["sh", "-c", "head -c 1000000 /dev/zero >&2; echo done"], max_bytes=1000)
    assert done.stdout == b"done\n"
    assert len(done.stderr) <= 1000
    assert not done.truncated


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_a_gibibyte_of_output_costs_its_limit_and_no_more() -> None:
    proc.run(["head", "-c", "10M", "/dev/zero"], keep="tail", max_bytes=1 << 20)  # warm
    before = _peak()
    done = proc.run(["head", "-c", "1G", "/dev/zero"], keep="tail", max_bytes=4 << 20, timeout_s=60)
    assert len(done.stdout) == 4 << 20
    assert done.ok
    assert _peak() - before < 40 << 20


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    done = proc.run(["printf", r"\377\n"])
    assert done.text == "\ufffd\n"
    assert proc.run(["sh", "-c", r"printf '\377' >&2; exit 1"]).why().endswith("status 1: \ufffd")


def test_who_holds_the_output_after_the_child_is_not_waited_for() -> None:
    script = ["sh", "-c", "echo said; setsid sleep 6 & exit 3"]
    began = time.monotonic()
    done = proc.run(script, timeout_s=20, linger_s=0.2)
    assert (done.returncode, done.stdout, done.timed_out) == (3, b"said\n", False)
    assert time.monotonic() - began < 5
    assert proc.run(["sh", "-c", "echo said"], timeout_s=20, linger_s=0.2).stdout == b"said\n"
    assert proc.run(["sleep", "30"], timeout_s=0.2, linger_s=0.2).timed_out


def test_a_program_is_found_where_it_would_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    monkeypatch.setattr(proc, "SEARCH_PATH", f"{first}:{second}")
    (first / "a").mkdir()
    (first / "b").write_text("not executable")
    for name in ("a", "b"):
        assert proc.find(name) is None
        (second / name).write_text("#!/bin/sh\n")
        (second / name).chmod(0o755)
        assert proc.find(name) == str(second / name)
