# SPDX-License-Identifier: MIT
"""All families asked, their findings ranked, the first one made the verdict."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from failhook.collector import Sink
from failhook.describe import with_circumstance
from failhook.diagnose import (
    absent,
    accounts,
    boot_check,
    capabilities,
    command_line,
    configuration,
    crashes,
    custom,
    dependency,
    empty,
    facts,
    files,
    general,
    hardware,
    kernel_log,
    limits,
    logins,
    memory,
    needs,
    network,
    ports,
    programs,
    relative,
    results,
    setup,
    timeouts,
    tracebacks,
    variables,
    withheld,
)
from failhook.diagnose.case import Case, make
from failhook.diagnose.changed import with_suspects
from failhook.diagnose.config_file import with_configuration
from failhook.diagnose.crash import Crash
from failhook.diagnose.environment import names_set
from failhook.diagnose.finding import Cause, Finding
from failhook.diagnose.look import here, look
from failhook.diagnose.rank import rank
from failhook.diagnose.stage import FACTS, VERDICT, VERDICT_PLUGINS, Own
from failhook.diagnose.subjects import find
from failhook.diagnose.tongue import in_english, quoted_as_written, written
from failhook.diagnose.unnamed import admitted
from failhook.incident import Incident, Suspect, Verdict
from failhook.store import codec

logger = logging.getLogger(__name__)
FAMILIES = (
    boot_check, setup, dependency, results, timeouts, programs, command_line, variables, accounts, capabilities, files, absent, withheld, empty, network, ports, logins, needs, relative, memory, limits, crashes, configuration, kernel_log, hardware,
    general,
)  # fmt: skip
CAUSES: tuple[Cause, ...] = tuple(cause for family in FAMILIES for cause in family.CAUSES)
_MAX_OTHERS = 4
_WORTH_SAYING = 0.3


def examine(
    incident: Incident,
    items: Mapping[str, bytes],
    sink: Sink,
    *,
    user: bool,
    own: Own,
    environment: str = "",
) -> None:
    """The whole stage, in a process of its own: look at what the evidence speaks of, then judge.
    ``environment`` is the unit's ``Environment=``, which is masked in ``items``: it may set a
    language, and of all else in it only the names are looked at.

    Puts ``checks/facts.json`` and ``verdict.json``; where plugins are installed they are asked
    after that, and what they change is ``verdict-plugins.json``.
    """
    machine = here(system=not user)
    words = machine.words(environment)
    blind = make(incident, items)
    blind = replace(blind, messages=tuple(in_english(blind.messages, words)))
    said = [*blind.messages, *(one for each in blind.required.values() for one in each)]
    uids = {message.uid for message in blind.messages if message.uid is not None}
    its_uid = blind.unit.number("UID")
    if its_uid is not None and its_uid < 1 << 31:
        uids.add(its_uid)
    subjects = find(blind.unit, said, sorted(uids, reverse=True))
    subjects = with_configuration(subjects, blind.unit, blind.messages)
    more = relative.asked(blind)
    known = names_set(environment, blind.unit)
    paths = (*subjects.paths, *more)
    subjects = replace(subjects, paths=paths, words=words, variables_set=known)
    seen = facts.dump(look(subjects, machine=machine))
    sink.put(FACTS, seen)
    case = replace(blind, facts=facts.load(seen))
    causes = [*custom.of_data(own.causes), *CAUSES]
    verdict = diagnose(case, causes)
    if verdict is not None:
        sink.put(VERDICT, codec.dump_verdict(verdict))
    if own.plugins:
        further = diagnose(case, [*custom.of_plugins(own.plugins), *causes])
        if further is not None and further != verdict:
            sink.put(VERDICT_PLUGINS, codec.dump_verdict(further))


def diagnose(case: Case, causes: Sequence[Cause] = CAUSES) -> Verdict | None:
    """The verdict; None where nothing at all is known of the run."""
    findings = rank(case, _asked(case, causes))
    if not findings:
        return None
    found = tracebacks.crashes(case)
    first = _with_place(found, admitted(case.incident.unit, findings[0]))
    others: dict[str, Finding] = {}  # by what they say, whatever line they quote for it
    for one in findings[1:]:
        what = one.sentence.partition("“")[0]
        if what != first.sentence.partition("“")[0] and _says_more(found, first, one):
            others.setdefault(what, one)
    own = written(case.messages, case.facts.words)
    first = with_suspects(case, replace(first, sentence=quoted_as_written(first.sentence, own)))
    return Verdict(
        summary=_with_upgrade(case, first.sentence),
        cause=first.cause,
        confidence=first.confidence,
        advice=first.advice or None,
        evidence=first.proof,
        others=tuple(
            Suspect(quoted_as_written(one.sentence, own), one.cause, one.confidence)
            for one in (_with_place(found, each) for each in [*others.values()][:_MAX_OTHERS])
        ),
    )


def _says_more(found: Iterable[Crash], first: Finding, other: Finding) -> bool:
    """It is about something else than the verdict, and says what."""
    if other.confidence < _WORTH_SAYING:
        return False
    if other.cause == "unclear" and first.cause != "unclear":
        return False
    if first.at is None or other.at is None:
        return True
    of_one_crash = any(
        one.first <= first.at <= one.last and one.first <= other.at <= one.last for one in found
    )
    return first.at != other.at and not of_one_crash


def _asked(case: Case, causes: Sequence[Cause]) -> Iterable[Finding]:
    for cause in causes:
        try:
            yield from cause.look(case)
        except Exception:  # one cause must not cost the verdict of the others
            logger.exception("the cause %s failed", cause.name)


def _with_place(found: Iterable[Crash], finding: Finding) -> Finding:
    """A line of a traceback says what; the user's own frame says where."""
    if finding.at is None or finding.cause.startswith("crash"):
        return finding
    for crash in found:
        inside = crash.first <= finding.at <= crash.last
        if inside and crash.is_own and crash.file and crash.file not in finding.sentence:
            return replace(finding, sentence=f"{finding.sentence} ({crash.place})")
    return finding


def _with_upgrade(case: Case, sentence: str) -> str:
    """A package manager at work explains much that is over a minute later."""
    if not case.facts.upgrading:
        return sentence
    return with_circumstance(sentence, case.facts.upgrading[0])
