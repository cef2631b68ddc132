# SPDX-License-Identifier: MIT
"""Causes that the administrator adds: as data (``causes.d``), or as Python (``plugins/*.py``).

A plugin's file has a tuple ``CAUSES`` of `failhook.diagnose.finding.Cause`. It is loaded in the
process that diagnoses, after the built-in causes have had their say: one that hangs, crashes or
leaves costs nothing but its own finding.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from failhook.config.custom_cause import CustomCause
from failhook.diagnose.case import Case
from failhook.diagnose.finding import Cause, Finding, from_message

logger = logging.getLogger(__name__)


def of_data(known: Sequence[CustomCause]) -> list[Cause]:
    """Each as a `Cause`."""
    return [Cause(one.name, one.sentence, _looker(one)) for one in known]


def _looker(custom: CustomCause):  # type: ignore[no-untyped-def]
    def look(case: Case) -> Iterator[Finding]:
        incident = case.incident
        if not any(fnmatchcase(incident.unit, each) for each in custom.units):
            return
        if custom.results and incident.result not in custom.results:
            return
        advice = " ".join(filter(None, (custom.advice, custom.runbook)))
        for message in case.messages:
            sentence = custom.found_in(message.raw)
            if sentence is not None:
                yield from_message(
                    case,
                    message,
                    custom.name,
                    what=sentence,
                    advice=advice,
                    confidence=custom.confidence,
                )

    return look


def of_plugins(paths: Iterable[Path]) -> list[Cause]:
    """The causes of Python files. Never raises for what is in them."""
    found: list[Cause] = []
    for number, path in enumerate(paths):
        try:
            spec = importlib.util.spec_from_file_location(f"failhook_plugin_{number}", path)
            if spec is None or spec.loader is None:
                continue
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # where dataclasses look their annotations up
            spec.loader.exec_module(module)
            found += [one for one in getattr(module, "CAUSES", ()) if isinstance(one, Cause)]
        except Exception:  # somebody else's code
            logger.exception("%s cannot be loaded", path)
    return found
