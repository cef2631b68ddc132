# SPDX-License-Identifier: MIT
"""How good is the verdict on the recorded failures? Pure: no machine is asked, no bed is booted."""

import io
import statistics
import tarfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from failhook.diagnose.case import make
from failhook.diagnose.engine import diagnose
from failhook.diagnose.stage import is_wanted
from failhook.diagnose.unnamed import UNCLEAR
from failhook.incident import Verdict
from failhook.store import codec
from tests.corpus.failures import Failure

_UNCLEAR = ("unclear", None)


@dataclass(frozen=True, slots=True)
class Score:
    """One failure's verdict. A sentence that names nothing true and does not call itself unclear is
    wrong; one that calls itself unclear is a miss."""

    failure: Failure
    verdict: Verdict | None
    cpu_s: float

    @property
    def sentence(self) -> str:
        """The verdict's own words."""
        return self.verdict.summary if self.verdict else ""

    @property
    def named(self) -> bool:
        """It names the true thing at fault."""
        return self.failure.named_by(self.sentence)

    @property
    def wrong(self) -> bool:
        """It says something else, and is sure of it."""
        sure = self.verdict is not None and self.verdict.cause not in _UNCLEAR
        return not self.named and sure and UNCLEAR not in self.sentence


def items_of(failure: Failure) -> dict[str, bytes]:
    """The recorded items that a verdict looks at, and the incident."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(failure.bundle.read_bytes())) as tar:
        for member in tar.getmembers():
            name = member.name.partition("/")[2]
            wanted = is_wanted(name) or name == "incident.json"
            stream = tar.extractfile(member) if wanted else None
            if stream is not None:
                found[name] = stream.read()
    return found


def score(failure: Failure) -> Score:
    """The verdict that this version gives on the recorded evidence."""
    items = items_of(failure)
    incident = replace(codec.load(items.pop("incident.json")), verdict=None)
    start = time.process_time()
    verdict = diagnose(make(incident, items))
    return Score(failure, verdict, time.process_time() - start)


def table(part: str, scores: Sequence[Score]) -> str:
    """One line on a part of the corpus."""
    named = sum(one.named for one in scores)
    wrong = sum(one.wrong for one in scores)
    count = len(scores)
    times = sorted(one.cpu_s * 1000 for one in scores)
    programs = len({one.failure.program for one in scores})
    return (
        f"{part:9} {count:4} failures of {programs:3} programs: "
        f"named {named:3} ({named / count:4.0%}), wrong {wrong:2} ({wrong / count:4.1%}), "
        f"missed {count - named - wrong:2}; CPU {statistics.median(times):.1f} ms median, "
        f"{times[-1]:.0f} ms at most"
    )


def details(scores: Iterable[Score]) -> str:
    """What is not named, one after the other."""
    lines = []
    for one in scores:
        if not one.named:
            cause = one.verdict.cause if one.verdict else None
            lines += [
                f"{'WRONG' if one.wrong else 'missed'} {one.failure.name} [{cause}]",
                f"    said:  {one.sentence}",
                f"    truth: {one.failure.truth}",
            ]
    return "\n".join(lines)
