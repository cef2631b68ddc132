# SPDX-License-Identifier: MIT
"""How a run went on after each of its lines: did it survive what it complained of?

A program that says "no such file" and then that it listens did not die of that file. What it died
of is the last complaint before its end, however vague that is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

from failhook.diagnose.level import Level
from failhook.diagnose.text import Message, continues

FAILURE = re.compile(
    r"\b(?:fail(?:ed|ure|s|ing)?|cannot|can't|can not|could ?n[o']t|couldn't|unable|invalid|unknown"
    r"|unexpected|expected|no such|not found|denied|refus(?:ed|es|ing)|errors?|missing|(?:does|do|did) ?n[o']t"
    r"|permission|inadequate|in use|abort(?:ed)?|exception|unrecogni[sz]ed|undefined|unsupported|illegal|bad|bogus"
    r"|must|requir(?:ed?|es(?![(:]))|please (?:set|specify|configure|define|provide|enter|choose)|corrupt(?:ed|ion)?|mismatch|expired|timed? ?out|not (?:been )?(?:(?:the |a )?(?:correct|valid|right|proper)|(?:yet )?(?:ready|reachable|responding|connected)|allowed|permitted|possible|set"
    r"|available|supported|configured|installed|defined|running|readable|writable|executable|an?)|too (?:many|few"
    r"|large|small|long|old|new)|out of(?! \d)|no space|read-only|wrong|syntax|incompatible|conflict|never"
    r"|unterminated|unclosed|neither|insufficient|exceed(?:ed|s)?|broken|lost|damaged|without|forbidden|nobody|no \w+|rejected)\b",
    re.IGNORECASE,
)
NAMES_A_THING = re.compile(
    r"['\"`‘“][^'\"`’”]{1,120}['\"`’”]|/[\w.-]+/[\w.-]|(?<![\w./:<])/[A-Za-z]\w{2,}|\b\d{2,}\b|\bline \d|\w=\w|\w\.\w{1,80}\(|\b[A-Z_]{4,}\b|\b[0-9A-F]{8,40}\b|[\w-]{2}\.[a-z]\w{1,10}\b"
    r"|\b(?:user|group|interface|host|device|module|plugin|table|key|option)s?:? (?!(?:is|in|not|was|for|on|to|of|are|were|ha[sd]|have|found|failed|could|can|did|does)\b)[\w@./-]{2,}"
)
FRAME = re.compile(
    r"^\s+(?:at |File \"|from |in |\d+: |#\d+)|^\s*(?:at [\w.$<>]+\(|goroutine \d|\.\.\. \d+ more|\^+~*$)"
    r"|^\s*(?:while executing|error, called at |CallStack \(from )"
    r"|^\s*[\w\\{}]{1,200}(?:(?:->|::)[\w{}]{1,100})?\(\) at \S{1,300}:\d{1,7}$"
    r"|^\s*\S{1,300}:\d{1,7}:in [`'][^']{1,200}'$"
    r"|^\s{2,10}\S{1,80} at \S{1,300}:\d{1,7}$|^(?:\S{10,30} )?[\w-]{1,40}\(\d{1,8}\): backtrace: "
    r"|^\s{1,8}\[\d{1,3}\] \w|^\s{1,8}@ (?:\w+ )?\S{1,300}:\d{1,6}\b|^\d{1,4}: \(|^\s*@\s{1,8}0x[0-9a-f]{4,16}\b|^stack (?:back|trace)(?:trace|back):$"
    r"|^\s{1,8}(?:\[C\]|\S{1,200}:\d{1,6}): in (?:main chunk|\?$|(?:function|local|method|upvalue|field) )"
    r"|^\s+\S{1,300}\.go:\d{1,7}$|^(?:[\w-]{1,60}\.[a-z]{2,10}/\S{1,300}|main\.[\w.()*]{1,80}|runtime\.\w{1,40})$"
    r"|^\W{0,3}(?:Kernel pid terminated|Runtime terminating during|Crash dump is being written)"
)
GOOD = re.compile(
    r"\b(?:success(?:ful|fully)?|ok|started|listening on|ready|loaded|initiali[sz]ed|using|version"
    r"|0 errors|no errors|starting|opening|opened|loading|reading|connected|enabled)\b",
    re.IGNORECASE,
)
# How another process ended: "error: hook pre-backup.sh failed", "the command returned 3".
OF_A_CHILD = re.compile(
    r"\bexit(?:ed)?(?: with)? (?:status|code)(?: code)?:? \d{1,3}\W{0,3}$|\b(?:child|sub-?process|command|script|helper|hook|plugin|task|job|worker|program)\b.{0,120}"
    r"\b(?:fail(?:ed|s|ure)?|exit(?:ed|s)?|returned|status|code|did not succeed|unsuccessful(?:ly)?|signal|error)\b",
    re.IGNORECASE,
)
# Something was not there, and what that was another line said.
OF_NOTHING = re.compile(
    r"'NoneType' object|\bproperties? (?:of|'\w{1,60}' of) (?:undefined|null)\b|\b(?:undefined|null) \(reading '"
    r"|\bfor nil\b|\bon (?:null|a non-object)\b|\bnil (?:pointer|value)\b|because \".{1,200}\" is null"
    r"|^\(\*?[\w./]{3,80}\) \(?0x[0-9a-f]{6,16}|Object reference not set|\bon an undefined value\b|\bnull (?:object )?reference\b"
)
# What a script that is run again and again finds done already.
DONE_BEFORE = re.compile(r"psql:.{1,300}: ERROR: .{1,200} already exists\b")
# Words of the end, not of its reason.
CONSEQUENCE = re.compile(
    r"\b(?:exit(?:ing|ed)?|abort(?:ing|ed)?|giv(?:ing|e) up|(?<!not )shut(?:ting)? ?down|terminat(?:ing|ed)"
    r"|stopp(?:ing|ed)|bye|quit(?:ting)?|bailing out|fail(?:ed|ure) to (?:start|initiali[sz]e)\b"
    r"|start(?:-?up)? (?:failed|failure)(?!: ?\w)|(?:could|can)(?:not|n't| not) (?:start|continue|proceed|finish|complete)"
    r"|(?:fatal |there (?:were|are) )?errors? (?:found )?in (?:the )?config(?:uration)?(?: file)?s?"
    r"|config(?:uration)?(?: file)? (?:test|check)? ?(?:failed|is not valid|contains? errors?)"
    r"|(?:cannot|could not|couldn't|unable to|failed to) (?:remove|unlink|delete)\b.{0,200}\bno such file"
    r"|failed with (?:result|exit)|see (?:the |\"|')|try (?:'|\"|`|--help)|usage:|for more info"
    r"|due to (?:a |the )?(?:previous |fatal )?errors?|errors? encountered|\bcontext cancel+ed\b|\b\d{1,6} (?:fatal )?(?:errors?|failures?)\b(?: (?:ha(?:s|ve) )?(?:occurred|found|detected|generated|reported)\b|[.!]?$)|see .{0,30}\babove|please (?:fix|check|see)"
    r"|(?:one or more|several|some) errors?|\.\.\. ?failed\b|check (?:the )?(?:sys)?logs?\b|unexplained error|see previous|unexpectedly closed|registration .{0,40}failed|\bfailed process: Process\(|\bconfig(?:uration)? errors?\W{0,3}$|plugin initiali[sz]ation aborted|\binitiali[sz]ation (?:failed|aborted)\W{0,3}$)",
    re.IGNORECASE,
)

# "aborting because of a version mismatch": the end, with its reason.
_WITH_REASON = re.compile(
    r"\bfail(?:ed|ure) to (?:start|initiali[sz]e)[^:\n]{0,40}: (?=[^:\n]{0,80}(?:/\w|['\"]))"
    r"|\b(?:exiting|aborting|stopping|terminating|quitting|giving up) (?:because(?: of)?|since|as) (?!(?:of )?(?:a |an |the )?(?:previous |fatal |earlier |above )?errors?\b)",
    re.IGNORECASE,
)
# "Unable to bind socket: Cannot assign requested address. Terminating."
_LAST_WORD = re.compile(
    r"[.,;:!-]{1,3} {0,2}(?:terminating|exiting|aborting|quitting|giving up|shutting down|stopping|exit|abort)\W{0,5}$",
    re.IGNORECASE,
)
# "could not get the version of iptables: exit status 1": of what it called.
_STATUS = re.compile(
    r"(\b(?:could not|couldn't|cannot|can't|unable to|failed to) [^:\n]{3,120}): exit (?:status|code):? \d{1,3}\W{0,3}$",
    re.IGNORECASE,
)
_A_REASON = re.compile(
    r"(?:cannot|can't|unable|denied|refused|in use|no such|not found|exists?|no \w+ .{3,60}(?:installed|found|configured|available))\b[^:]*$",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"(?<=[\w'\")\]])[.!;] {1,2}(?:please|for more|see|try|check|run|use|refer|consult"
    r"|to (?:fix|solve|resolve|avoid|change|correct) (?:this|that|it))\b.*",
    re.IGNORECASE,
)
# Says of a whole configuration that it is not to be read: the line above says what is wrong in it.
VAGUE = re.compile(
    r"\b(?:fail(?:ed|ure)|unable|could ?n[o']t|cannot|can't|error)(?: to| in| while)? "
    r"(?:load|read|pars|process|apply|initiali[sz]|reading|loading)\w*\b.{0,30}\b(?:config(?:uration)?|settings|options)\b"
    r"|\bconfig(?:uration)?(?: file)? (?:pars\w+ )?(?:error|failure|failed)\b(?!:)"
    r"|(?:open|find|load|read|process)\w* (?:the )?config(?:uration)?(?: file)?\b",
    re.IGNORECASE,
)
# The program says that it went on.
HARMLESS = re.compile(
    r"\busing (?:the |its )?(?:built-?in )?defaults?\b|\bignor(?:ed|ing)\b|\bcontinuing\b|\bskipp(?:ed|ing)\b"
    r"|\bfall(?:ing|s)? ?back\b|\bnon-?fatal\b|\bnot fatal\b|\b(?:is|are|will be) optional\b"
    r"|\bdeprecat|\bdisabling\b|\bwill (?:be )?(?:disabled|retry|try again)\b|\bretrying\b|\bproceeding\b|\bdefaulting to\b"
    r"|/usr/share/GeoIP/",  # of hardly any machine, and few programs need it
    re.IGNORECASE,
)
RETRIES = re.compile(
    r"\b(?:will (?:be )?(?:retr(?:y|ied)|try(?:ing)? again)|retry(?:ing)?|retries|try(?:ing)? again|reconnect(?:ing)?"
    r"|attempts?|next try|back(?:ing)?[ -]?off)\b",
    re.IGNORECASE,
)
# It does not try again any more: why is said by what it tried.
GAVE_UP = re.compile(
    r"\b(?:gave up|giv(?:ing|e) up|no more (?:retries|attempts|tries)|(?:retr(?:y|ies)|attempts?|tries)\b.{0,24}\b(?:exhausted|exceeded"
    r"|reached|failed|used up)|(?:all|max(?:imum)?|too many)\b.{0,24}\b(?:attempts|retries|tries|failures)|after \d{1,6} (?:\w+ )?(?:attempts|retries|tries|times))\b"
    r"(?!.{0,200}\bcaused by)",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(
    r"\bfollowing (?:\w+ )?(?:errors?|messages?|reasons?|output|problems?)\b.{0,20}[:.]?$|\breasons? follows?\W{0,3}$",
    re.IGNORECASE,
)
_RECOVERED = re.compile(
    r"\b(?:connected|succe\w{2,8}|recovered|(?:re)?established|restored|reconnected|back online|is up)\b",
    re.IGNORECASE,
)
# What a program does on its way out, after the error that it dies of.
_LEAVING = re.compile(
    r"\b(?:clos(?:ed|ing)|clean(?:ed|ing)? ?up|remov(?:ed|ing)|unload(?:ed|ing)?|flush(?:ed|ing)?"
    r"|disconnect(?:ed|ing)?|releas(?:ed|ing)|destroy(?:ed|ing)?|kill(?:ed|ing)|finish(?:ed|ing)|done"
    r"|usage|options?:|help)\b",
    re.IGNORECASE,
)
# What tells one thing from another: a path, something in quotes, a name of several words or parts.
_DISTINCT = re.compile(r"(?<!/)/(?!/)[\w./@+-]{3,200}|\b\w+[_.]\w[\w.]+\b|\b[A-Z][a-z]+[A-Z]\w*")
_IN_QUOTES = re.compile(r"['\"`‘“]([^'\"`’”]{1,80})['\"`’”]")

# Words that any program could say of any failure: a line of nothing else names nothing.
_ANY_WORD = re.compile(
    r"\b(?:an?|the|of|in|into|to|on|at|by|with|during|while|when|from|as|ha[sd]|have|is|was|were|been|be|this|that|its?|your|our|for|and|or"
    r"|not|could|can|cannot|can'?t|unable|due|because|occurred|happened|encountered|caught|got|went|there|some|one|more|any|all|something"
    r"|fatal|critical|severe|serious|unexpected(?:ly)?|unhandled|uncaught|unknown|unrecoverable|internal|irrecoverable|wrong|problems?"
    r"|errors?|exceptions?|fail(?:ed|ures?|s|ing)?|crash(?:ed|ing)?|panic|start(?:ing|ed|up)?|boot(?:ing|strap(?:ping)?)?"
    r"|initiali[sz](?:e[ds]?|ation|ing)|init|load(?:ing|ed)?|launch(?:ing|ed)?|run(?:ning)?|open(?:ing)?|creat(?:e|ing)|setup|set|up|setting"
    r"|exit(?:ing|ed|s)?|abort(?:ing|ed|s)?|terminat(?:e[ds]?|ing|ion)|shut(?:ting)?|shutdown|down|stop(?:ping|ped|s)?|quit(?:ting)?|bye"
    r"|giv(?:e|ing)|bail(?:ing)?|out|ended|ending|dying|die|died|completed?|continu(?:e|ing)|proceed"
    r"|application|app|server|service|daemon|process|program|system|engine|vm|main|thread|worker|instance|context|child|parent|component"
    r"|code|status|execution|operation|task|job|command|result|reason|cause|now|undefined|null|none|nil|please|will|see|above|below|logs?|details?|information|info)\b",
    re.IGNORECASE,
)
_A_WORD = re.compile(r"[^\W\d_]{2}")
_CODE = re.compile(r"\W{0,2}[A-Z]{1,8}[-_]?\d{2,6}\W{0,2}$")  # E1001, and nothing else
_LINES = 1024  # of a run, at most: several causes ask the same of each
_A_SENTENCE = 120  # letters
_EXITS = re.compile(
    r"\W{0,4}(?:now )?(?:exit(?:ing|ed)?|terminat(?:ing|ed)|shutting down|bye|process exited)\b.{0,40}$",
    re.IGNORECASE,
)
_IGNORED = re.compile(r"Exception ignored (?:in|on|while)\b")  # sys.unraisablehook
_IN_A_TRACE = re.compile(r"\s|Traceback \(most recent call last\):")
_OF_A_TRACE = 40  # lines
_NEAR = 4
_OF_THE_ERROR = re.compile(r"\b(?:hint|detail|context|statement|note|tip|help): ", re.IGNORECASE)
_AS_GOOD_AS = 3  # healthy lines
_OFTEN = 3  # the same words
_NEUTRAL = 3  # of them are as good as a healthy one
# strerror(3), at the end of a line
_STRERROR = re.compile(
    r"(?:no such file or directory|permission denied|operation not permitted|address already in use"
    r"|cannot assign requested address|connection refused|is a directory|not a directory|file exists"
    r"|no space left on device|read-only file system|too many open files|no such (?:device|process)"
    r"|invalid argument|cannot allocate memory|device or resource busy|network is unreachable)[\s)\].]{0,4}$",
    re.IGNORECASE,
)


_USAGE = re.compile(r"usage(?: of \S{1,80}| information)?:", re.IGNORECASE)
_OPTION = re.compile(
    r"^\s{1,20}(?:\[ {0,3})?(?:-\w, )?--?\w[\w-]{1,40}(?:[=, ]|\s{2,})"
)  # of a help
_LONG_USAGE = 8  # lines


class Course:
    """The way of one run, by its lines."""

    def __init__(self, messages: Sequence[Message], *, ran_out_of_time: bool = False) -> None:
        self._messages = messages
        self._ran_out_of_time = ran_out_of_time

    def is_usage(self, message: Message) -> bool:
        """A line of the help that a program prints after it did not like its command line."""
        return message.number > self._usage_at.get(message.pid, message.number)

    @cached_property
    def _usage_at(self) -> dict[str, int]:
        """The first line of that by process, where a complaint stands before it, or it is long."""
        found: dict[str, int] = {}
        complained: set[str] = set()
        for one in self._messages:
            is_help = _USAGE.match(one.text) and (one.pid in complained or self._is_long_from(one))
            if is_help or (one.pid in complained and _OPTION.match(one.raw)):
                found.setdefault(one.pid, one.number)
            if _complains(one):
                complained.add(one.pid)
        return found

    def _is_long_from(self, message: Message) -> bool:
        below = self._messages[message.number + 1 : message.number + 1 + _LONG_USAGE]
        return len(below) == _LONG_USAGE and all(one.pid == message.pid for one in below)

    def survived(self, message: Message) -> int:
        """How many healthy lines stand between a complaint and the one that the run died of; 0
        where it is that one, or says the same."""
        last = self._last_complaint
        if last is None or message.number >= last.number:
            return 0
        again = self._again(message)
        if again is last:
            return 0
        between = slice((again or message).number + 1, last.number)
        healthy = sum(self._healthy[between]) + sum(self._neutral[between]) // _NEUTRAL
        return healthy + (_AS_GOOD_AS if _another_error(message, last) else 0)

    def told_nearby(self, message: Message) -> bool:
        """A line says only that a configuration is no good, and one close to it says why."""
        if not VAGUE.search(message.text[:600]):
            return False
        above = self._messages[max(0, message.number - _NEAR) : message.number]
        below = self._messages[message.number + 1 : message.number + 1 + _NEAR]
        return any(
            _complains(one)
            and one.pid == message.pid
            and one.level >= message.level - 1
            and not VAGUE.search(one.text[:600])
            and bool(NAMES_A_THING.search(one.text[:600]))
            for one in (*above, *below)
        )

    def announces(self, message: Message) -> bool:
        """``x generated the following error messages:``, and here they are, by the same process."""
        below = self._messages[message.number + 1 : message.number + 1 + _NEAR]
        return _ANNOUNCES.search(message.text[:600]) is not None and any(
            one.pid == message.pid and _complains(one) for one in below
        )

    def explains(self, message: Message) -> bool:
        """A warning right above an error of the same process that names nothing itself, or one of a
        thing that a later error names again: it is the error's reason."""
        if message.level is not Level.WARNING or HARMLESS.search(message.text[:600]):
            return False
        following = self._messages[message.number + 1 : message.number + 2]
        again = self._again(message)
        return any(
            one.level >= Level.ERROR
            and one.pid == message.pid
            and not NAMES_A_THING.search(one.text[:600])
            for one in following
        ) or (again is not None and again.level >= Level.ERROR and again.pid == message.pid)

    def is_ignored(self, message: Message) -> bool:
        """A line of an exception that Python tells of and goes on: in a destructor, mostly."""
        return message.number in self._ignored

    @cached_property
    def _ignored(self) -> frozenset[int]:
        found: list[int] = []
        for one in self._messages:
            if _IGNORED.match(one.text):
                found.append(one.number)
                for following in self._messages[one.number + 1 : one.number + 1 + _OF_A_TRACE]:
                    found.append(following.number)
                    if not _IN_A_TRACE.match(following.raw):
                        break  # the exception itself ends it
        return frozenset(found)

    def came_after_the_end(self, message: Message) -> bool:
        """Another process of the run says it after one has said that it exits: of that, mostly."""
        return any(
            one.pid != message.pid and one.pid and _EXITS.match(one.text)
            for one in self._messages[max(0, message.number - _NEAR) : message.number]
        )

    def complained_after(self, message: Message) -> bool:
        """It called this a warning, and told of a failure later that it calls nothing: as compilers
        do, whose errors alone have no word before them."""
        if message.level is not Level.WARNING:
            return False
        last = self._last_complaint
        return last is not None and last.number > message.number and last.pid == message.pid

    def did_without(self, message: Message) -> bool:
        """A later line names the same thing and says that the program goes on without it."""
        things = _things(message.text)
        return any(
            things & _things(one.text) and HARMLESS.search(one.text[:600])
            for one in self._messages[message.number + 1 : message.number + 1 + _NEAR]
        )

    def gave_up_on(self, message: Message) -> bool:
        """It tried again and again, to no avail, and said so."""
        repeated = self._ran_out_of_time and self._said[message.text] >= _OFTEN
        if not (repeated or RETRIES.search(message.text[:600])) or self._gave_up_at is None:
            return False
        if message.number >= self._gave_up_at:
            return False
        after = self._messages[message.number + 1 : self._gave_up_at]
        return not any(
            _RECOVERED.search(one.text[:600]) and not FAILURE.search(one.text[:600])
            for one in after
        )

    def _again(self, message: Message) -> Message | None:
        """The last complaint after it that speaks of the same thing."""
        last = max((self._last_of.get(thing, -1) for thing in _things(message.text)), default=-1)
        return self._messages[last] if last > message.number else None

    @cached_property
    def _last_of(self) -> dict[str, int]:
        """The last complaint that names each thing."""
        return {thing: one.number for one in self._complaints for thing in _things(one.text)}

    @cached_property
    def _said(self) -> Counter[str]:
        return Counter(one.text for one in self._messages)

    @cached_property
    def _gave_up_at(self) -> int | None:
        """The number of the last line that says so; where systemd lost its patience, the end."""
        if self._ran_out_of_time:
            return len(self._messages)
        return next(
            (one.number for one in reversed(self._messages) if GAVE_UP.search(one.text[:600])), None
        )

    @cached_property
    def _healthy(self) -> list[bool]:
        return [_is_healthy(one) and not self.is_usage(one) for one in self._messages]

    @cached_property
    def _neutral(self) -> list[bool]:
        above = (None, *self._messages)
        return [
            _is_neutral(one)
            and not self.is_usage(one)
            and not (before is not None and continues(before, one))
            for before, one in zip(above, self._messages, strict=False)
        ]

    @cached_property
    def _complaints(self) -> list[Message]:
        """All errors that are no mere consequences."""
        return [one for one in self._messages if _complains(one) and not self.is_usage(one)]

    @cached_property
    def _last_complaint(self) -> Message | None:
        """The error that came last, and no mere consequence."""
        return self._complaints[-1] if self._complaints else None


def without_last_word(text: str) -> str:
    """What it says, without ``- giving up`` and the like after it."""
    return _LAST_WORD.sub("", text)


def without_advice(text: str) -> str:
    """What it says, without the sentence that tells what to do or where to read."""
    return _ADVICE.sub("", text)


@lru_cache(_LINES)
def is_consequence(text: str) -> bool:
    """It tells of the end, not of its reason; what a further sentence advises is neither."""
    plain = _WITH_REASON.sub("", _STATUS.sub(r"\1", _ADVICE.sub("", text[:600])))
    before = _LAST_WORD.sub("", plain)
    plain = before if before != plain and _A_REASON.search(before) else plain
    match = CONSEQUENCE.search(plain)
    if match is not None and ": " in plain[match.end() :] and _STRERROR.search(plain):
        return False  # "http server quit: listen tcp 10.0.0.1:80: bind: permission denied"
    return match is not None


@lru_cache(_LINES)
def says_nothing(text: str) -> bool:
    """``BOOT FAILED``, ``Error during startup``: it failed, and no word says what."""
    if len(text) > _A_SENTENCE or not _A_WORD.search(text):
        return _CODE.match(text) is not None
    return not _A_WORD.search(_ANY_WORD.sub(" ", text))


def _another_error(message: Message, last: Message) -> bool:
    """Both end with an error of the system, another one each: the second one does not follow from
    the first, so the program went on in between."""
    first, second = _STRERROR.search(message.text[:600]), _STRERROR.search(last.text[:600])
    if first is None or second is None or message.pid != last.pid:
        return False
    around = tuple(f"{path}/" for path in _DISTINCT.findall(last.text[:600]) if path[0] == "/")
    if any(path.startswith(around) for path in _DISTINCT.findall(message.text[:600])):
        return False  # "cannot open /srv/a/block: …", and so "no store in /srv/a: …"
    return first[0].lower() != second[0].lower() and message.level is last.level


@lru_cache(_LINES)
def _things(text: str) -> frozenset[str]:
    """What it names; also within quotes: the host of a URL."""
    found = {*_DISTINCT.findall(text[:600]), *_IN_QUOTES.findall(text[:600])}
    return frozenset(one for one in found if not one.startswith("127."))


def _complains(message: Message) -> bool:
    text = message.text[:600]
    if FRAME.match(message.raw) or is_consequence(text) or HARMLESS.search(text):
        return False
    if not any(map(str.isalpha, text)):
        return False
    if message.level >= Level.ERROR:
        return True
    failures = len({word.lower() for word in FAILURE.findall(text)})
    return message.level is Level.UNKNOWN and failures > bool(GOOD.search(text))


def _is_healthy(message: Message) -> bool:
    """It says that something went well, or tells as it goes."""
    text = message.text[:600]
    if FRAME.match(message.raw) or is_consequence(text) or _LEAVING.search(text):
        return False
    if message.level is Level.TALK:
        return _OF_THE_ERROR.search(message.raw[:300]) is None
    return message.level is Level.UNKNOWN and bool(GOOD.search(text)) and not FAILURE.search(text)


def _is_neutral(message: Message) -> bool:
    """It tells of neither good nor bad, and belongs to no line above it."""
    text = message.text[:600]
    if message.level is not Level.UNKNOWN or message.raw.startswith((" ", "\t")):
        return False
    if FRAME.match(message.raw) or _LEAVING.search(text) or is_consequence(text):
        return False
    return any(map(str.isalpha, text)) and not FAILURE.search(text) and not GOOD.search(text)
