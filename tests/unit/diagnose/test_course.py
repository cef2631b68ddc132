# SPDX-License-Identifier: MIT
"""What a run survived is not what it died of: an early complaint, healthy lines, a vaguer end."""
# ruff: noqa: E501 - messages are as long as they are

import pytest

from failhook.diagnose.facts import Facts
from tests.unit.diagnose.cases import PROGRAM, case, command, gone, judge, there

UP = ("started worker 1", "started worker 2", "listening on 127.0.0.1:80", "loaded 12 zones")
SURVIVED = [
    (("cannot open /etc/a/extra.conf: No such file or directory", *UP, "worker 2 lost its master, protocol version 3 rejected"), "protocol version 3 rejected"),
    (("open /var/lib/a/cache: permission denied", *UP, "unable to elect a leader: quorum lost"), "quorum lost"),
    (("ERROR: /srv/a/plugins not found", *(f"INFO: {one}" for one in UP), "ERROR: licence check failed for 'acme'"), "licence check failed"),
    (("level=error msg=\"open /etc/a/old.yml: no such file or directory\"", *(f"level=info component={one}" for one in ("api", "db", "web")), "level=error msg=\"the schema 12 is too new\""), "the schema 12 is too new"),
    (("{\"level\":\"error\",\"msg\":\"stat /etc/a/b.json: no such file or directory\"}", *("{\"level\":\"info\",\"msg\":\"ready\"}",) * 3, "{\"level\":\"fatal\",\"msg\":\"shard 3 is lost\"}"), "shard 3 is lost"),
    (("failed to read /root/.arc: Permission denied", *UP, "Fatal: replica set 'rs0' has no majority", "bye"), "rs0"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), SURVIVED)
def test_what_it_survived_is_not_the_cause(lines: tuple[str, ...], said: str) -> None:
    facts = Facts(paths={path: gone(path) for path in ("/etc/a/extra.conf", "/srv/a/plugins")})
    assert said in judge(case(*lines, facts=facts)).summary


DIED = [
    # Nothing healthy between: the first error is the cause, what follows its consequence.
    (("cannot open /etc/a/extra.conf: No such file or directory", "could not load the configuration"), "/etc/a/extra.conf"),
    # Healthy talk on the way out only.
    (("ERROR: cannot open /etc/a/extra.conf: No such file or directory", "INFO: closing the store", "INFO: stopping workers", "ERROR: a worker failed"), "/etc/a/extra.conf"),
    # The last complaint is about the same thing.
    (("cannot open /etc/a/extra.conf: No such file or directory", *UP, "/etc/a/extra.conf: failed"), "/etc/a/extra.conf"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), DIED)
def test_what_it_died_of_stays_the_cause(lines: tuple[str, ...], said: str) -> None:
    facts = Facts(paths={"/etc/a/extra.conf": gone("/etc/a/extra.conf"), "/etc/a": there()})
    assert said in judge(case(*lines, facts=facts)).summary


def test_another_error_of_the_system_is_no_consequence() -> None:
    lines = ("bind 0.0.0.0: Address already in use", "chdir: No such file or directory")
    facts = Facts(paths={"/srv/site": gone("/srv/site")})
    one = case(*lines, facts=facts, show={"ExecStart": command(PROGRAM, "-d", "/srv/site")})
    assert "/srv/site (ExecStart=) does not exist" in judge(one).summary
    same = case("bind 0.0.0.0: Address already in use", "listen: Address already in use")
    assert "bind 0.0.0.0" in judge(same).summary


def test_what_is_said_of_a_whole_configuration_and_what_is_said_of_a_line_of_it() -> None:
    vague, exact = (
        "Unable to load config file 'a.conf'",
        "Error loading module 'x.so': undefined symbol: y",
    )
    for lines in ((vague, exact), (exact, vague)):
        assert "x.so" in judge(case(*(f"ERROR: {line}" for line in lines), "exiting")).summary
    assert "a.conf" in judge(case(f"ERROR: {vague}")).summary


def test_a_library_that_speaks_of_itself_and_goes_on() -> None:
    lines = ('SLF4J: Failed to load class "x.y.Z"', "SLF4J: Defaulting to no-operation logger")
    assert "datadir" in judge(case(*lines, "Unable to access datadir, exiting abnormally")).summary


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        (("no such file", "started", "error: 'x' failed"), 1),
        (("no such file", "usage: a [-h]", "error: 'x' failed"), 0),
        (("no such file",), 0),
        (("error: 'x' is missing", "started", "error: 'x' failed"), 0),
    ],
)
def test_healthy_lines_between(lines: tuple[str, ...], count: int) -> None:
    one = case(*lines)
    assert one.course.survived(one.messages[0]) == count
