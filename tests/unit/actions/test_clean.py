# SPDX-License-Identifier: MIT
"""What is cleaned and what is refused; which files go."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from failhook import places, testing
from failhook.action import Outcome
from failhook.actions import beneath, clean, clean_roots
from failhook.actions.clean_choice import Chosen, Filters, Survey
from failhook.actions.clean_roots import Refused, Target
from failhook.places import Places
from tests.unit.collect.bench import Programs

Clean = Callable[..., Outcome]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "cache"
    made.mkdir()
    return made


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """failhook's own places, below the test's directory."""
    found = Places(tmp_path / "own/run", tmp_path / "own/state", (tmp_path / "own/etc",))
    monkeypatch.setattr(places, "find", lambda *, user: found)
    return found


@pytest.fixture
def run(where: Places) -> Clean:
    def call(raw: dict[str, object], **changes: Any) -> Outcome:
        return testing.run(clean.ACTION, raw, **changes)

    return call


def _file(path: Path, size: int = 4096, age_s: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    at = time.time() - age_s
    os.utime(path, (at, at))
    return path


def _left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


# -- which files go -------------------------------------------------------------------------------


def test_without_filters_all_files_go_and_directories_stay(run: Clean, root: Path) -> None:
    _file(root / "a/b", 10_000)
    _file(root / "c", 100)
    outcome = run({"paths": [str(root)]})
    assert outcome.ok
    assert (_left(root), (root / "a").is_dir()) == ([], True)
    assert outcome.data["freed"] == outcome.data["bytes_before"] >= 10_100
    assert outcome.data["bytes_after"] == 0
    assert outcome.detail.startswith("freed 1")
    assert str(root) in outcome.detail
    assert outcome.helped is None


def test_age_counts_by_the_last_change(run: Clean, root: Path) -> None:
    _file(root / "old", age_s=7200)
    _file(root / "young", age_s=60)
    _file(root / "of tomorrow", age_s=-86400)
    outcome = run({"paths": [str(root)], "older_than": "1h"})
    assert _left(root) == ["of tomorrow", "young"]
    assert outcome.data["roots"][0]["files_removed"] == 1


def test_names_and_sizes(run: Clean, root: Path) -> None:
    _file(root / "a.tmp", 100)
    _file(root / "b.tmp", 9000)
    _file(root / "core.12", 9000)
    _file(root / "data", 9000)
    run({"paths": [str(root)], "pattern": ["*.tmp", "core.*"], "larger_than": "1K"})
    assert _left(root) == ["a.tmp", "data"]
    run({"paths": [str(root)], "pattern": "*.tmp"})
    assert _left(root) == ["data"]


def test_the_newest_stay(run: Clean, root: Path) -> None:
    for number in range(6):
        _file(root / f"d{number % 2}/{number}.log", age_s=number * 100)
    _file(root / "d0/other", age_s=9999)
    run({"paths": [str(root)], "keep_newest": 2, "pattern": "*.log"})
    assert _left(root) == ["d0/0.log", "d0/other", "d1/1.log"]


def test_too_much_is_brought_below_a_size_oldest_first(run: Clean, root: Path) -> None:
    for number in range(10):
        _file(root / str(number), 100_000, age_s=number * 1000)
    outcome = run({"paths": [str(root)], "below": "500K"})
    after = sum(path.stat().st_blocks * 512 for path in root.iterdir())
    assert after <= 500 << 10
    assert _left(root) == [str(number) for number in range(len(_left(root)))]
    assert len(_left(root)) == 5  # one more and it would be too much
    assert outcome.data["bytes_after"] == after
    before = _left(root)
    assert run({"paths": [str(root)], "below": "500K"}).data["freed"] == 0
    assert _left(root) == before


def test_below_with_many_of_one_age_removes_no_more_than_needed(run: Clean, root: Path) -> None:
    now = time.time()
    for number in range(10):
        os.utime(_file(root / str(number), 100_000), (now - 50, now - 50))
    run({"paths": [str(root)], "below": "500K"})
    assert len(_left(root)) == 5


def test_empty_directories_go_if_that_is_said(run: Clean, root: Path) -> None:
    _file(root / "a/b/file", age_s=7200)
    (root / "fresh").mkdir()
    for name in ("a/b", "a"):
        os.utime(root / name, (time.time() - 7200,) * 2)
    run({"paths": [str(root)], "older_than": "1h", "empty_directories": True})
    assert sorted(path.name for path in root.iterdir()) == ["fresh"]


def test_sockets_and_fifos_of_declared_paths_stay(run: Clean, root: Path) -> None:
    os.mkfifo(root / "fifo")
    _file(root / "file")
    (root / "link").symlink_to("/etc/passwd")
    run({"paths": [str(root)]})
    assert _left(root) == ["fifo"]


def test_a_dry_run_removes_nothing(run: Clean, root: Path) -> None:
    _file(root / "a", 5000)
    outcome = run({"paths": [str(root)]}, dry_run=True)
    assert _left(root) == ["a"]
    assert outcome.detail.startswith("would free ")
    assert outcome.data["freed"] >= 5000


def test_hard_links_are_said(run: Clean, root: Path, tmp_path: Path) -> None:
    kept = _file(tmp_path / "kept", 9000)
    os.link(kept, root / "name")
    outcome = run({"paths": [str(root)]})
    assert "1 of them have other names, which stay" in outcome.detail
    assert outcome.data["freed"] == 0
    assert kept.stat().st_size == 9000


def test_a_path_that_is_missing_is_no_failure(run: Clean, root: Path) -> None:
    outcome = run({"paths": [str(root / "none"), str(root)]})
    assert outcome.ok
    assert f"{root}/none does not exist" in outcome.detail


@pytest.mark.parametrize("more", [{}, {"below": "1K"}])
def test_the_time_limit_ends_it_in_order(
    run: Clean, root: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    for number in range(500):
        _file(root / str(number), 10)
    monkeypatch.setattr(beneath, "time", SimpleNamespace(monotonic=lambda: 1e12))
    outcome = run({"paths": [str(root)], **more})
    assert not outcome.ok
    assert not outcome.final
    assert outcome.detail.startswith("stopped at the time limit")
    assert len(list(root.iterdir())) == 500 - outcome.data["roots"][0]["files_removed"] > 400


def test_the_bucket_of_ages_becomes_coarser_and_stays_right() -> None:
    survey = Survey(Filters(below=0), Chosen(Filters(), 0.0))
    for number in range(200_000):
        survey._note_age(number // survey._width, 10)
    assert len(survey._ages) <= 1 << 16
    cut = survey.age_for(1_000_000)  # the older half
    assert cut is not None
    assert 100_000 <= cut <= 100_000 + survey._width


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "says nothing to clean"),
        ({"unit_directories": []}, "no list of these"),
        ({"unit_directories": ["cash"]}, "no list of these: cache"),
        ({"unit_directories": ["cache"], "older_than": "1h"}, "about paths"),
        ({"paths": ["/var/cache/../lib"]}, '".."'),
        ({"paths": ["relative"]}, "absolute"),
        ({"paths": ["/var/cache/a"], "pattern": "a/b"}, "without the directory"),
        ({"paths": ["/var/cache/a"], "pattern": []}, "no pattern"),
        ({"paths": ["/var/cache/a"], "keep_newest": 10_000_000}, "more than 1000000"),
    ],
)
def test_wrong_options(raw: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(clean.ACTION, raw)


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/etc", "/etc/ssh", "/usr", "/usr/share/doc", "/home", "/var", "/var/lib", "/boot"),
        *("/tmp", "/root", "/proc/self", "/sys/kernel", "/dev", "/var/lib/dpkg", "/run/systemd"),
        *("/var/lib/dpkg/info", "/var/log", "/var/tmp", "/lib/systemd", "/run"),
    ],
)
def test_a_directory_of_the_system_is_refused(run: Clean, path: str) -> None:
    if not Path(path).is_dir():
        path = "/usr"
    outcome = run({"paths": [path]}, dry_run=True)
    assert not outcome.ok
    assert outcome.final
    assert outcome.data["roots"] == []


@pytest.mark.parametrize("path", ["/var/tmp", "/var/log"])
def test_a_shared_directory_wants_an_age_or_a_pattern(where: Places, path: str) -> None:
    with beneath.opened(path) as top:
        with pytest.raises(Refused, match="older_than or pattern"):
            clean_roots.check(top, Target(path), where, limited=False)
        clean_roots.check(top, Target(path), where, limited=True)


@pytest.mark.parametrize("path", ["/home/ann", "/var/mail", "/run/user/1000", "/var/lib/systemd"])
def test_names_alone_are_enough(where: Places, path: str, root: Path) -> None:
    with beneath.opened(str(root)) as top:
        named = beneath.Root(top.fd, path, top.mount)
        with pytest.raises(Refused):
            clean_roots.check(named, Target(path), where, limited=True)


def test_what_failhook_keeps_is_refused(run: Clean, where: Places, tmp_path: Path) -> None:
    incident = _file(where.state / "incidents/x/incident.json")
    for path in (where.state, where.state / "incidents", where.state.parent, tmp_path):
        outcome = run({"paths": [str(path)]})
        assert "holds what failhook keeps" in outcome.detail
        assert not outcome.ok
    assert incident.exists()


def test_one_refused_directory_does_not_stop_the_others(run: Clean, root: Path) -> None:
    _file(root / "file")
    outcome = run({"paths": ["/usr", str(root)]})
    assert not outcome.ok
    assert _left(root) == []
    assert "/usr is a top-level directory" in outcome.detail


# -- the directories of a unit --------------------------------------------------------------------


def _shows(programs: Programs, **properties: str) -> None:
    lines = {"Id": "gitea.service", "LoadState": "loaded", "ActiveState": "failed"} | properties
    text = "\\n".join(f"{name}={value}" for name, value in lines.items())
    programs.add("systemctl", f'printf "{text}\\n"')


@pytest.fixture
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The roots of systemd's directories, below the test's directory."""
    base = tmp_path / "bases"
    for kind, (name, _) in list(clean_roots.KINDS.items()):
        (base / kind).mkdir(parents=True)
        monkeypatch.setitem(clean_roots.KINDS, kind, (name, str(base / kind)))
    return base


def test_the_cache_of_the_unit_is_emptied_and_stays(
    run: Clean, programs: Programs, bases: Path
) -> None:
    _shows(programs, CacheDirectory="gitea gitea/deep", StateDirectory="gitea")
    os.mkfifo(_file(bases / "cache/gitea/sub/file").parent / "fifo")
    _file(bases / "state/gitea/database")
    outcome = run({"unit_directories": ["cache"]})
    assert outcome.ok
    assert list((bases / "cache/gitea").iterdir()) == []
    assert _left(bases) == ["state/gitea/database"]


def test_of_a_dynamic_user(run: Clean, programs: Programs, bases: Path) -> None:
    _shows(programs, StateDirectory="gitea")
    _file(bases / "state/private/gitea/file")
    (bases / "state/gitea").symlink_to("private/gitea")
    outcome = run({"unit_directories": ["state"]})
    assert list((bases / "state/private/gitea").iterdir()) == []
    assert (bases / "state/gitea").is_symlink()
    assert len(outcome.data["roots"]) == 1


@pytest.mark.parametrize("active", ["active", "activating", "deactivating", "reloading"])
def test_state_is_not_cleaned_under_a_running_unit(
    run: Clean, programs: Programs, bases: Path, active: str
) -> None:
    _shows(programs, StateDirectory="gitea", CacheDirectory="gitea", ActiveState=active)
    _file(bases / "state/gitea/file")
    _file(bases / "cache/gitea/file")
    outcome = run({"unit_directories": ["state", "cache"]})
    assert not outcome.ok
    assert not outcome.final
    assert "runs, and its state may be in use" in outcome.detail
    assert len(_left(bases)) == 2
    assert run({"unit_directories": ["cache"]}).ok
    assert _left(bases) == ["state/gitea/file"]


def test_between_two_restarts_it_does_not_run(run: Clean, programs: Programs, bases: Path) -> None:
    _shows(programs, StateDirectory="gitea", ActiveState="activating", SubState="auto-restart")
    _file(bases / "state/gitea/file")
    assert run({"unit_directories": ["state"]}).ok
    assert _left(bases) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("../escape", "no name below"), ("/abs", "no name below"), ("[unprintable]", "not print")],
)
def test_odd_names_are_refused(
    run: Clean, programs: Programs, bases: Path, name: str, said: str
) -> None:
    _shows(programs, CacheDirectory=name)
    outcome = run({"unit_directories": ["cache"]})
    assert (outcome.ok, outcome.final) == (False, True)
    assert said in outcome.detail


def test_a_unit_that_is_none(run: Clean, programs: Programs) -> None:
    _shows(programs, LoadState="not-found")
    assert run({"unit_directories": ["cache"], "unit": "gitea.service"}).final
    programs.add("systemctl", "exit 1")
    assert not run({"unit_directories": ["cache"]}).final


def test_the_places_of_a_user(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    for version, state in (("252.39-1~deb12u1", ".config"), ("257.9-1", ".local/state")):
        programs.add("systemctl", f"echo {version}")
        found = {kind: clean_roots._of_user(kind) for kind in clean_roots.KINDS}
        assert found == {
            "cache": "/home/ann/.cache",
            "runtime": "/run/user/1000",
            "state": f"/home/ann/{state}",
            "logs": f"/home/ann/{state}/log",
            "configuration": "/home/ann/.config",
        }
