# SPDX-License-Identifier: MIT
"""Variables of a command line that nothing sets."""

from typing import Any

from failhook.diagnose.environment import names_set, unset
from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import PROGRAM, case, command, control, found, judge


def test_a_variable_that_is_not_set() -> None:
    noted = (
        "a.service: Referenced but unset environment variable evaluates to an empty string: MAINPID"
    )
    usage = ("Usage:", " kill [options] <pid> [...]")
    show = {"ExecStop": command("/bin/kill", "$MAINPID", status="1")}
    stop = control("ExecStop", status="1")
    said = judge(case(*usage, setup=[noted], control=stop, show=show))
    assert said.cause == "variable-unset"
    assert "ExecStop= uses $MAINPID, which is not set" in said.summary
    both = noted.replace("MAINPID", "HOST, PORT")
    said = judge(case("a: missing operand", setup=[both]))
    assert "$HOST and $PORT, which are not set" in said.summary
    # Hardly any unit has all of them set.
    assert judge(case("cannot open /srv/a: it is a pipe", setup=[noted])).cause != "variable-unset"


def test_a_variable_that_is_not_set_where_systemd_does_not_say_so() -> None:
    """Before version 254."""
    show = {"ExecStart": command(PROGRAM, "-v", "$SOURCE", "${TARGET}")}
    facts = Facts(unset=("TARGET", "OTHER"))
    for words in (
        "missing destination file operand after '/srv/a'",
        "cannot create regular file ''",
    ):
        said = judge(case(words, show=show, facts=facts))
        assert said.cause == "variable-unset"
        assert "ExecStart= uses $TARGET, which is not set" in said.summary
    assert judge(case(words, show=show)).cause != "variable-unset"
    stop = {"ExecStart": command(PROGRAM, "-v"), "ExecStop": command(PROGRAM, "${TARGET}")}
    assert judge(case(words, show=stop, facts=facts)).cause != "variable-unset"
    clean: Any = {"exit_code": "exited", "exit_status": "0"}
    assert "variable-unset" not in found(case(words, show=show, facts=facts, **clean))
    shell = {"ExecStart": command("/bin/sh", "-c", "cp ${TARGET}")}
    assert judge(case(words, show=shell, facts=facts)).cause != "variable-unset"
    told = ("colour='' is no colour", "no argument of it")
    assert judge(case(told[0], show=show, facts=facts)).cause != "variable-unset"


def test_which_variables_are_set() -> None:
    unit = case(show={"PassEnvironment": "HTTP_PROXY"}).unit
    known = names_set('LANG=C "COLOUR=a red one" EMPTY=', unit)
    assert known == ("LANG", "COLOUR", "EMPTY", "HTTP_PROXY")
    files = ("# OFF=1\nA_FILE=x\nexport OF_A_SHELL=y\nQUOTED='a\nINSIDE=b'\n",)
    used = ("COLOUR", "HTTP_PROXY", "A_FILE", "OF_A_SHELL", "OFF", "INSIDE", "MAINPID")
    assert unset(("MONITOR_UNIT",), known, files) == ()
    # systemd takes no "export" for a part of a name, and ignores what is no name.
    assert unset(used, known, files) == ("OF_A_SHELL", "OFF", "INSIDE")
    pattern = {
        "ExecStart": command(PROGRAM, "$OPTIONS"),
        "EnvironmentFiles": "/etc/a.d/*.env (ignore_errors=no)",
    }
    assert names_set("", case(show=pattern).unit) == ("OPTIONS",)


def test_optional_variables_are_none_of_the_cause() -> None:
    """Most units of Debian use one that nobody sets."""
    show = {"ExecStart": command(PROGRAM, "$OPTIONS")}
    facts = Facts(unset=("OPTIONS",))
    assert "variable-unset" not in found(case(show=show, facts=facts))  # it is silent
    of_its_configuration = "/etc/a.conf:3: directive colour requires an argument"
    assert "variable-unset" not in found(case(of_its_configuration, show=show, facts=facts))
    assert "variable-unset" not in found(case("no value for colour", show=show, facts=facts))
    usage = found(case("Usage: a -c FILE", show=show, facts=facts))["variable-unset"]
    assert usage.confidence < 0.7
