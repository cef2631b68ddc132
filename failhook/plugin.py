# SPDX-License-Identifier: MIT
"""The one module that the author of a plugin needs: collectors, actions, options, outcomes.

    from failhook.plugin import Action, Outcome, Request, TEXT, done, failed, option

`failhook.collector` and `failhook.action` say what each is; the built-in ones are written against
the same interface. `failhook.testing` tries a plugin on an incident that it makes.
"""

from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.collector import Collector, Context, Sink, Skipped
from failhook.incident import Incident
from failhook.message import Entry, Event, Message
from failhook.secret import Secret, SecretError
from failhook.values import (
    COUNT,
    DURATION,
    FLAG,
    NUMBER,
    PAIRS,
    PATH,
    PATHS,
    RATE,
    SECRET,
    SHARE,
    SIZE,
    TEXT,
    TEXTS,
    Kind,
    Rate,
    Wrong,
    choice,
)

__all__ = [
    "COUNT",
    "DURATION",
    "FLAG",
    "NUMBER",
    "PAIRS",
    "PATH",
    "PATHS",
    "RATE",
    "SECRET",
    "SHARE",
    "SIZE",
    "TEXT",
    "TEXTS",
    "Action",
    "Collector",
    "Context",
    "Entry",
    "Event",
    "Incident",
    "Kind",
    "Message",
    "Outcome",
    "Rate",
    "Request",
    "Secret",
    "SecretError",
    "Sink",
    "Skipped",
    "Wrong",
    "choice",
    "done",
    "failed",
    "option",
]
