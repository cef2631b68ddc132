# SPDX-License-Identifier: MIT
"""Which plugins there are, which one a name means, and why others are not used."""

import sys
from pathlib import Path
from typing import Any

import pytest

from failhook import plugins, testing
from failhook.action import Action, Outcome
from failhook.actions import table
from failhook.actions.schema import is_open, options_of
from failhook.actions.table import Traits
from failhook.changes import stage as changes
from failhook.collect import table as collectors_table
from failhook.diagnose import stage as diagnosis
from failhook.isolate import run_isolated
from failhook.plugins import find
from failhook.plugins.model import Way
from tests.unit.plugins.conftest import Etc

LAMP = '''
    """Lamps."""
    from __future__ import annotations
    from dataclasses import dataclass
    from failhook.plugin import *

    @dataclass(frozen=True)
    class Options:
        lamp: str = option(TEXT, "which lamp")
        seconds: float = option(DURATION, "for how long", default=10.0)
        rooms: tuple = option(TEXTS, "where", default=("hall",))
        limit: Rate = option(RATE, "how often", default=Rate(3, 60.0))
        key: Secret = option(SECRET, "the key", default=Secret("env", "LAMP_KEY"))

    def run(request):
        return done(f"{request.options.lamp} for {request.options.seconds:g} s", pid_is_mine=True)

    ACTION = Action("lamp", "switches a lamp on", Options, run, delivers=True, repeatable=True,
                    counts_as="restarts", timeout_s=7.5, retries=2)
    '''
LAMPS = """
    from failhook.plugin import *

    def collect(context, sink):
        sink.put("lamps/list.txt", context.incident.unit)

    COLLECTOR = Collector("lamps", "all lamps", collect, timeout_s=3.0, max_bytes=1000)
    """


def action(etc: Etc, name: str) -> Action[Any] | None:
    """What ``name`` means."""
    return find.find_action(etc.places, etc.configuration, name)


def act(etc: Etc, name: str, raw: dict[str, object]) -> Outcome:
    """Bind and run, as the engine does."""
    found = action(etc, name)
    assert found is not None
    asked = testing.request(found, raw)
    return run_isolated(lambda: found.run(asked), timeout_s=20)


def said(etc: Etc) -> list[str]:
    """What is wrong, without its place."""
    return [one.message for one in find.problems(etc.places, etc.configuration)]


def names(etc: Etc) -> dict[str, Way]:
    """The types of action that are plugins."""
    listing = find.actions(etc.places, etc.configuration)
    return {one.action.name: one.way for one in listing.found if one.way is not Way.BUILT_IN}


def collectors(etc: Etc) -> dict[str, Way]:
    """The collectors that are plugins."""
    return {
        one.collector.name: one.way for one in find.collectors(etc.places, etc.configuration).found
    }


# -- the three ways -----------------------------------------------------------------------------


def test_nothing_there(etc: Etc) -> None:
    assert action(etc, "lamp") is None
    assert find.traits(etc.places, etc.configuration, "lamp") is None
    assert names(etc) == collectors(etc) == {}
    assert plugins.collectors_to_run(etc.places, etc.configuration) == []


def test_built_in_first(etc: Etc) -> None:
    etc.script("actions/restart.sh", "echo mine")
    found = action(etc, "restart")
    assert found is table.load("restart")
    assert find.traits(etc.places, etc.configuration, "webhook") == Traits(delivers=True)
    assert names(etc) == {}
    assert said(etc) == ["'restart' is there already (built in)"]


def test_an_executable(etc: Etc) -> None:
    path = etc.script("actions/lamp.sh", 'echo "lamp $FAILHOOK_OPTION_COLOUR"')
    assert names(etc) == {"lamp": Way.EXECUTABLE}
    assert act(etc, "lamp", {"colour": "red"}).detail == "lamp red"
    found = action(etc, "lamp")
    assert found is not None
    assert is_open(found)
    (listed,) = [
        one
        for one in find.actions(etc.places, etc.configuration).found
        if one.way is Way.EXECUTABLE
    ]
    assert listed.source == str(path)


def test_a_python_file(etc: Etc) -> None:
    etc.python("my_lamps.py", LAMP)
    assert names(etc) == {"lamp": Way.FILE}
    assert act(etc, "lamp", {"lamp": "red", "seconds": "1min"}).detail == "red for 60 s"
    found = action(etc, "lamp")
    assert found is not None
    assert (found.summary, found.timeout_s, found.retries) == ("switches a lamp on", 7.5, 2)
    assert found.repeatable
    traits = find.traits(etc.places, etc.configuration, "lamp")
    assert traits == Traits(delivers=True, counts_as="restarts")
    told = {one.name: (one.kind, one.required, one.default) for one in options_of(found)}
    assert told == {
        "lamp": ("text", True, None),
        "seconds": ("duration", False, 10.0),
        "rooms": ("list of texts", False, ["hall"]),
        "limit": ("limit", False, "3 per 60s"),
        "key": ("secret", False, "{ env = 'LAMP_KEY' }"),
    }


def test_an_installed_package(etc: Etc) -> None:
    text = """
        [failhook.actions]
        lamp = lamp_plugin:ACTION
        [failhook.collectors]
        lamps = lamp_plugin:COLLECTOR
        """
    etc.package("lamp_plugin", f"{LAMP}\n{LAMPS}", text)
    assert names(etc) == {"lamp": Way.PACKAGE}
    assert collectors(etc) == {"lamps": Way.PACKAGE}
    assert act(etc, "lamp", {"lamp": "red"}).detail == "red for 10 s"
    assert said(etc) == []


def test_several_in_one_file(etc: Etc) -> None:
    second = 'ACTIONS = [Action("lamp-off", "off", Options, run)]\n'
    etc.python("lamps.py", f"{LAMP}\n    {second}\n{LAMPS}\n    COLLECTORS = ()\n")
    assert names(etc) == {"lamp": Way.FILE, "lamp-off": Way.FILE}
    assert collectors(etc) == {"lamps": Way.FILE}


def test_the_code_of_a_plugin_is_never_loaded_here(etc: Etc, tmp_path: Path) -> None:
    before = set(sys.modules)
    etc.python("lamps.py", f"{LAMP}\n{LAMPS}")
    text = "[failhook.actions]\nother = other_plugin:ACTION\n"
    etc.package("other_plugin", LAMP.replace('"lamp",', '"other",'), text)
    assert set(names(etc)) == {"lamp", "other"}
    found = find.find_action(etc.places, etc.configuration, "lamp")
    assert found is not None
    assert table.bind(found, {"lamp": "red"})[1] == []
    fresh = set(sys.modules) - before
    assert not [one for one in fresh if "plugin_" in one or "other_plugin" in one]
    assert not list(tmp_path.rglob("__pycache__"))


# -- options ------------------------------------------------------------------------------------


def test_mistakes_are_the_same_as_of_built_in_ones(etc: Etc) -> None:
    etc.python("lamps.py", LAMP)
    found = action(etc, "lamp")
    assert found is not None
    options, mistakes = table.bind(found, {"lmp": "red", "seconds": "soon"})
    assert options is None
    assert {(one.key, one.message, one.hint) for one in mistakes} == {
        ("lmp", "is not known", "did you mean 'lamp'?"),
        ("seconds", '\'soon\' is no duration; write "20s", "5min", "1h" or "7d"', ""),
        ("lamp", "is missing", "which lamp; lamp needs it"),
    }


def test_a_file_that_changes_is_read_again(etc: Etc) -> None:
    path = etc.python("lamps.py", LAMP)
    assert names(etc) == {"lamp": Way.FILE}
    path.write_text(path.read_text().replace('"lamp",', '"torch",'))
    assert names(etc) == {"torch": Way.FILE}
    found = action(etc, "torch")
    assert found is not None
    path.write_text("\n")
    outcome = run_isolated(lambda: found.run(testing.request(found, {"lamp": "x"})), timeout_s=20)
    assert not outcome.ok


# -- collectors ---------------------------------------------------------------------------------


def test_collectors_of_an_incident(etc: Etc) -> None:
    etc.script("collectors/disks.sh", "df")
    etc.python("lamps.py", LAMPS)
    (etc.admin / "failhook.toml").write_text('[collect]\nskip = ["disks"]\n')
    found = find.collectors(etc.places, etc.configuration)
    assert {one.collector.name: one.off for one in found.found} == {"disks": True, "lamps": False}
    (lamps,) = plugins.collectors_to_run(etc.places, etc.configuration)
    assert (lamps.name, lamps.summary, lamps.timeout_s, lamps.max_bytes) == (
        "lamps",
        "all lamps",
        3.0,
        1000,
    )
    assert not lamps.shares_process
    assert not lamps.in_process


def test_names_that_are_taken(etc: Etc) -> None:
    assert (changes.NAME, *_cause_names()) == find.RESERVED
    for name in ("journal", "changes", "diagnose", "app"):
        etc.script(f"collectors/{name}", "df")
    (etc.admin / "failhook.toml").write_text(
        '[collector.app]\ntype = "files"\npaths = ["/var/log/app"]\n'
    )
    assert collectors(etc) == {}
    assert sorted(said(etc)) == [
        "'app' is there already ([collector.app])",
        "'changes' is there already (built in)",
        "'diagnose' is there already (built in)",
        "'journal' is there already (built in)",
    ]
    assert "journal" in collectors_table.NAMES


def _cause_names() -> list[str]:
    own = diagnosis.Own((), ())
    return [diagnosis.collector(testing.incident(), {}, own).name]


# -- which one ----------------------------------------------------------------------------------


def test_the_administrators_takes_the_place_of_the_vendors(etc: Etc) -> None:
    etc.script("actions/lamp", "echo vendor", vendor=True)
    assert act(etc, "lamp", {}).detail == "vendor"
    etc.script("actions/lamp.sh", "echo admin")
    assert act(etc, "lamp", {}).detail == "admin"
    (etc.admin / "actions" / "lamp.sh").unlink()
    (etc.admin / "actions" / "lamp").symlink_to("/dev/null")
    assert action(etc, "lamp") is None
    assert said(etc) == []


def test_a_name_counts_once(etc: Etc) -> None:
    etc.script("actions/lamp.py", "echo one")
    second = etc.script("actions/lamp.sh", "echo two")
    file = etc.python("lamps.py", LAMP)
    assert names(etc) == {"lamp": Way.EXECUTABLE}
    assert act(etc, "lamp", {}).detail == "one"
    problems = find.problems(etc.places, etc.configuration)
    assert {one.file for one in problems} == {second, file}
    assert all("is there already" in one.message for one in problems)


def test_what_is_no_plugin_is_passed_over(etc: Etc) -> None:
    for name in (".hidden", "lamp~", "lamp.dpkg-old", "lamp.rpmsave", "README", "lamp.md"):
        etc.script(f"actions/{name}", "", mode=0o644)
    assert names(etc) == {}
    assert said(etc) == []


# -- what is refused ----------------------------------------------------------------------------


def test_what_others_may_write(etc: Etc) -> None:
    path = etc.script("actions/lamp", "echo hi", mode=0o775)
    assert action(etc, "lamp") is None
    assert said(etc) == [f"{path} may be written by others: chmod go-w {path}"]
    path.chmod(0o755)
    assert action(etc, "lamp") is not None
    path.parent.chmod(0o777)
    assert action(etc, "lamp") is None
    file = etc.python("lamps.py", LAMP)
    file.parent.chmod(0o777)
    assert action(etc, "lamp") is None


def test_a_package_that_others_may_write(etc: Etc) -> None:
    info = etc.package("lamp_plugin", LAMP, "[failhook.actions]\nlamp = lamp_plugin:ACTION\n")
    module = etc.site / "lamp_plugin.py"
    module.chmod(0o666)
    assert names(etc) == {}
    assert said(etc) == [f"{module} may be written by others: chmod go-w {module}"]
    module.chmod(0o644)
    info.chmod(0o646)
    assert names(etc) == {}


def test_not_executable_or_no_name(etc: Etc) -> None:
    path = etc.script("actions/lamp", "", mode=0o644)
    etc.script("actions/Lamp Post", "")
    assert said(etc) == [
        "'Lamp Post' is no name: lower case letters, digits, - and _",
        f"is not executable: chmod +x {path}",
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            "import no_such_module_at_all",
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("def broken(", "SyntaxError"),
        ("import os; os._exit(0)", "ended without saying how it went (status 0)"),
        ("import os; os.kill(os.getpid(), 11)", "ended without saying how it went (SIGSEGV)"),
        ("raise SystemExit(3)", "it left with status 3"),
        ("ACTION = 3", "offers a int where an Action should be"),
        ("COLLECTORS = [None]", "offers a NoneType where a Collector should be"),
        ("ACTIONS = 3", "TypeError"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_a_broken_file_is_a_problem_and_nothing_else(etc: Etc, body: str, why: str) -> None:
    path = etc.python("broken.py", body)
    etc.script("actions/lamp", "echo hi")
    assert names(etc) == {"lamp": Way.EXECUTABLE}
    problems = find.problems(etc.places, etc.configuration)
    assert [one.file for one in problems] == [path]
    assert why in problems[0].message
    assert act(etc, "lamp", {}).ok


def test_names_and_figures_of_a_plugin_are_not_believed(etc: Etc) -> None:
    etc.python("a.py", LAMP.replace('"lamp",', '"../../lamp",'))
    assert names(etc) == {}
    assert said(etc) == ["does not say properly what it offers"]
    etc.python("a.py", LAMP.replace("timeout_s=7.5", "timeout_s=float('nan')"))
    assert action(etc, "lamp") is None
    wild = LAMP.replace("7.5", "1e9").replace("retries=2", "retries=10**9")
    etc.python("a.py", wild.replace('"restarts"', '"everything"'))
    found = action(etc, "lamp")
    assert found is not None
    assert (found.timeout_s, found.retries, found.counts_as) == (86400.0, 100, None)


@pytest.mark.parametrize(
    ("module", "line", "why"),
    [
        (
            LAMP,
            "lantern = p_plugin:ACTION",
            "is called lantern by its package and 'lamp' by itself",
        ),
        (LAMP, "lamp = p_plugin:NO", "AttributeError"),
        (LAMP, "lamp = not_there_at_all:ACTION", "there is no module not_there_at_all"),
        ("ACTION = 3", "lamp = p_plugin:ACTION", "and None by itself"),
    ],
)
def test_a_broken_package_is_a_problem_and_nothing_else(
    etc: Etc, module: str, line: str, why: str
) -> None:
    etc.package("p_plugin", module, f"[failhook.actions]\n{line}\n")
    assert names(etc) == {}
    (problem,) = said(etc)
    assert why in problem
