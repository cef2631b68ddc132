# SPDX-License-Identifier: MIT
"""A sentence that says what happened and not to what: that it is unclear belongs into it.

"Connection refused" of a program that names no server, in a unit that names none either, is true and
of little use; nobody should look for a name that stands nowhere.
"""

from __future__ import annotations

import re
from dataclasses import replace

from failhook.diagnose.finding import Finding
from failhook.diagnose.wording import NAMES_A_THING

UNCLEAR = "it is unclear"
_WHICH = {
    "address-not-here": "which address",
    "certificate-expired": "which certificate",
    "connection-refused": "which server",
    "disk-full": "on which disk",
    "file-missing": "which file",
    "io-error": "of which disk",
    "key-mismatch": "which key",
    "locked": "by whom",
    "login-refused": "by whom",
    "name-unresolved": "which host",
    "permission": "to what",
    "port-taken": "which port",
    "quota": "on which disk",
    "read-only": "which file system",
    "unreachable": "which server",
}
_OF_THE_SYSTEM = re.compile(
    r"(?:FileNotFound|Permission|ConnectionRefused|ConnectionReset|Timeout|IsADirectory|NotADirectory)Error\b"
    r"|\[Errno \d{1,3}\]|\bE(?:NOENT|ACCES|CONNREFUSED|TIMEDOUT|HOSTUNREACH|ADDRINUSE)\b"
)
# What names no thing of the machine: numbers of errors, classes, the place in the program's text.
_NOTHING = re.compile(
    r"\[?errno[ =:]{0,3}\d{1,3}\]?|\berror \d{1,3}\b|\bstatus \d{1,3}(?:/[A-Z]+)?|\(\d{1,3}\)"
    r"|\b[\w.$:]{0,120}(?:Error|Exception)\b|\([^()]{1,300} line \d{1,7}\)|[“”]",
    re.IGNORECASE,
)


def admitted(unit: str, finding: Finding) -> Finding:
    """``finding``, with the words that it is unclear to what, if neither the program nor the look
    at the machine has told."""
    which = _WHICH.get(finding.cause)
    if finding.cause.startswith("crash") and _OF_THE_SYSTEM.search(finding.sentence):
        which = "of what"
    said = finding.sentence.replace(unit, " ")
    if which is None or UNCLEAR in said or NAMES_A_THING.search(_NOTHING.sub(" ", said)):
        return finding
    what, quoted, line = finding.sentence.partition(": “")
    return replace(finding, sentence=f"{what}, {UNCLEAR} {which}{quoted}{line}")
