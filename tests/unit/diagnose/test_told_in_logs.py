# SPDX-License-Identifier: MIT
"""What logs of strangers taught about the lines around the one that tells: in lines of our own."""
# ruff: noqa: E501 - messages are as long as they are

from failhook.diagnose.finding import quote
from tests.unit.diagnose.cases import case, judge, sentence

_SUPERVISOR = (
    "=SUPERVISOR REPORT==== 7-Nov-2026::11:12:13.141516 ===",
    "    supervisor: {local,ledger_sup}",
    "    errorContext: start_error",
    "    reason: {on_load_function_failed,ledger_nif,",
    '                {error,{load,"no such library (2)."}}}',
    "    offender: [{pid,undefined},",
    "               {id,ledger_safe_sup},",
    "               {mfargs,{supervisor,start_link,[ledger_safe_sup]}}]",
)


def test_a_supervisor_of_erlang_says_why_its_child_did_not_come() -> None:
    said = judge(case("Starting the ledger", *_SUPERVISOR))
    assert said.cause == "crash-erlang"
    assert "ledger_nif" in said.summary and "no such library" in said.summary
    assert "ledger_safe_sup" not in said.summary  # the child, and no reason
    other = [line.replace("start_error", "child_terminated") for line in _SUPERVISOR]
    assert judge(case(*other)).cause != "crash-erlang"  # it was started again
    cut = judge(case(*_SUPERVISOR[:4]))
    assert cut.cause == "crash-erlang" and "ledger_nif" in cut.summary


def test_what_builds_and_runs_it_is_not_well_when_it_has_failed() -> None:
    lines = (
        "2026-11-07 11:12:13.100 ERROR [main] o.s.b.SpringApplication: Application run failed",
        "org.acme.BeanError: the bean ledger is no good",
        "\tat org.acme.Beans.make(Beans.java:5)",
        "Caused by: org.acme.PlaceholderError: Could not resolve placeholder 'ledger.uri'",
        "\tat org.acme.Places.of(Places.java:9)",
        "[INFO] ------------------------------------------------------------------------",
        "[INFO] BUILD FAILURE",
        "[INFO] ------------------------------------------------------------------------",
        "[ERROR] Failed to execute goal org.acme:run (default-cli): Process terminated with exit code: 1",
        "[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.",
        "[ERROR] Re-run Maven using the -X switch to enable full debug logging.",
    )
    told = judge(case(*lines))
    assert told.cause == "crash-java" and "ledger.uri" in told.summary
    well = [
        line.replace("BUILD FAILURE", "ledger is ready").replace("-----", "serve") for line in lines
    ]
    assert judge(case(*well)).confidence < told.confidence - 0.2  # type: ignore[operator]


def test_an_assertion_of_nim_without_words_is_told_by_the_line_above() -> None:
    said = 'ERR 2026-11-07 11:12:13.141+00:00 Cannot open the skeleton file=worker.nim:42 msg="the ttl is not set"'
    defect = (
        "Error: unhandled exception: /srv/a/beacon.nim(143, 12) `ctx.start()`  [AssertionDefect]"
    )
    assert "the ttl is not set" in sentence("starting", said, defect)
    worded = defect.replace("`  [", "` the peer has no key [")
    assert "the peer has no key" in sentence("starting", said, worded)


def test_a_long_chain_of_exceptions_is_quoted_from_its_innermost() -> None:
    wrapped = "java.util.CompletionException: org.acme.JournalException: java.nio.FileSystemException: /srv/a/log: Operation not permitted"
    assert quote(wrapped, 200) == wrapped
    assert quote(wrapped, 80).startswith("java.nio.FileSystemException: /srv/a/log: Operation")
    alone = "java.nio.FileSystemException: /srv/a/log: Operation not permitted"
    assert quote(alone, 60).startswith("java.nio.FileSystemException: /srv")
