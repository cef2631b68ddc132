# SPDX-License-Identifier: MIT
"""What the words of a line say: that something failed, what it names, or only that it is the end.

In English, as programs write it; `tongue` puts the system's errors into it where they are not. No
pattern repeats what can match in two ways: a hostile line costs no more than a long one.
"""

from __future__ import annotations

import re
from functools import lru_cache

FAILURE = re.compile(
    r"\b(?:fail(?:ed|ure|s|ing)?|cannot|can't|can not|could ?n[o']t|couldn't|unable|invalid|unknown(?!-(?:linux|none))|index -?\d{1,9} not in"
    r"|unexpected|expected|no such|not found|denied|problems?|refus(?:ed|es|ing)|errors?|missing|(?:does|do|did) ?n[o']t"
    r"|permission|inadequate|in use|abort(?:ed)?|exception|unrecogni[sz]ed|undefined|unsupported|illegal|bad|bogus"
    r"|must|needs (?:an?|the|to)|should (?:be|provide|have|match)|requir(?:ed?|es(?![(:]))|please (?:set|specify|configure|define|provide|enter|choose)|corrupt(?:ed|ion)?|resource busy|unreachable|temporarily unavailable|reset by peer|already exists?|mismatch|expired|timed? ?out|not (?:been )?(?:(?:the |a )?(?:correct|valid|right|proper)|(?:yet )?(?:ready|reachable|responding|connected)|allowed|permitted|possible|set"
    r"|available|supported|configured|installed|defined|specified|running|readable|writable|executable|an?)|too (?:many|few|low|high"
    r"|large|small|long|old|new)|out of(?! \d)|no space|read-only|wrong|syntax|incompatible|conflict|never"
    r"|unterminated|unclosed|malformed|unhandled|(?:bigger|larger|smaller|greater|longer|shorter) than|neither|insufficient|exceed(?:ed|s)?|broken|lost|damaged|without|forbidden|nobody|no \w+|rejected)\b",
    re.IGNORECASE,
)
NAMES_A_THING = re.compile(
    r"['\"`‘“][^'\"`’”]{1,120}['\"`’”]|/[\w.-]+/[\w.-]|(?<![\w./:<])/[A-Za-z]\w{2,}|\b\d{2,}\b|\bline \d|\w=\w|\b[a-z]\w{2,40} = \S|\w\.\w{1,80}\(|\b[A-Z_]{4,}\b|\b[0-9A-F]{8,40}\b|[\w-]{2}\.[a-z]\w{1,10}\b"
    r"|\b(?:user|group|interface|host|device|module|plugin|table|key|option)s?:? (?!(?:is|in|not|was|for|on|to|of|are|were|ha[sd]|have|found|failed|could|can|did|does)\b)[\w@./-]{2,}"
)
FRAME = re.compile(
    r"^\s+(?:at |File \"|from |in |\d+: |#\d+)|^\s*(?:at [\w.$<>]+\(|goroutine \d|\.\.\. \d+ more|\^+~*$)"
    r"|^\s*(?:while executing|error, called at |CallStack \(from )"
    r"|^\s*[\w\\{}]{1,200}(?:(?:->|::)[\w{}]{1,100})?\(\) at \S{1,300}:\d{1,7}$"
    r"|^\s*\S{1,300}:\d{1,7}:in [`'][^']{1,200}'$"
    r"|^\s{2,10}\S{1,80} at \S{1,300}:\d{1,7}$|^(?:\S{10,30} )?[\w-]{1,40}\(\d{1,8}\): backtrace: "
    r"|^\s{1,8}\[\d{1,3}\] \w|^\s{1,8}@ (?:\w+ )?\S{1,300}:\d{1,6}\b|^\d{1,4}: \(|^\s*@\s{1,24}0x[0-9a-f]{4,16}\b|^\d{1,3}\s{1,8}\S{1,80}\s{1,40}0x[0-9a-f]{8,16} |^\s*@ [0-9a-f]{16}\b|^\*\*\* (?:Aborted at \d|S(?:IG[A-Z]+|ignal \d{1,2}) \()|^\S{1,200}\.(?:nim|zig)(?:\(\d{1,6}\)|:\d{1,6}:\d{1,6}:)\s{1,40}\w|^stack (?:back|trace)(?:trace|back):$"
    r"|^\s{1,8}(?:\[C\]|\S{1,200}:\d{1,6}): in (?:main chunk|\?$|(?:function|local|method|upvalue|field) )"
    r"|^\s+\S{1,300}\.go:\d{1,7}$|^(?:[\w-]{1,60}\.[a-z]{2,10}/\S{1,300}|main\.[\w.()*]{1,80}|runtime\.\w{1,40})$"
    r"|^(?:ERROR|Warning):\s{1,8}(?:\[\d{1,3}\] |Note: some frames are missing)|^\W{0,3}(?:Kernel pid terminated|Runtime terminating during|Crash dump is being written)"
)
GOOD = re.compile(
    r"\b(?:success(?:ful|fully)?|ok|started|listening on|ready|loaded|initiali[sz]ed|using|version"
    r"|0 errors|no errors|starting|opening|opened|loading|reading|connected|enabled)\b",
    re.IGNORECASE,
)
ENDED_WITH = re.compile(
    r"\bexit(?:ed)?(?: with)? (?:status|code)(?: code)?:? \d{1,3}\W{0,3}$", re.IGNORECASE
)
# How another process ended: "error: hook pre-backup.sh failed", "the command returned 3".
OF_A_CHILD = re.compile(
    ENDED_WITH.pattern
    + r"|['\w)] failed: \d{1,5}\b\W{0,3}(?: at \S{1,300} line \d{1,7}\W{0,2})?$|\b(?:child|sub-?process|command|script|helper|hook|plugin|task|job|worker|program)\b.{0,120}"
    r"\b(?:fail(?:ed|s|ure)?|exit(?:ed|s)?|returned|status|code|did not succeed|unsuccessful(?:ly)?|signal|error)\b",
    re.IGNORECASE,
)
# Something was not there, and what that was another line said.
OF_NOTHING = re.compile(
    r"'NoneType' object|\bproperties? (?:of|'\w{1,60}' of) (?:undefined|null)\b|\b(?:undefined|null) \(reading '"
    r"|\bfor nil\b|\bon (?:null|a non-object)\b|\bnil (?:pointer|value)\b|because \".{1,200}\" is null"
    r"|^\(\*?[\w./]{3,80}\) \(?0x[0-9a-f]{6,16}|Object reference not set|\bon an undefined value\b|\bnull (?:object )?reference\b"
    r"|\(\d{1,7}, \d{1,5}\) `[^`]{1,300}` {1,4}\[AssertionDefect\]"  # Nim, without a word of its own
)
# Words of bash in a script that another shell reads: that takes the test for false, and goes on.
OF_BASH = re.compile(r": (?:\[\[|declare|shopt|source|function): (?:command )?not found$")
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
    r"|(?:one or more|several|some) errors?|\.\.\. ?failed\b|check (?:the )?(?:sys)?logs?\b|unexplained error|see previous|unexpectedly closed|registration .{0,40}failed|\bfailed process: Process\(|\bconfig(?:uration)? errors?[:.!\s]{0,3}$|plugin initiali[sz]ation aborted|\binitiali[sz]ation (?:failed|aborted)\W{0,3}$)",
    re.IGNORECASE,
)
# "aborting because of a version mismatch": the end, with its reason.
_WITH_REASON = re.compile(
    r"\bfail(?:ed|ure) to (?:start|initiali[sz]e)[^:\n]{0,40}: (?=[^:\n]{0,80}(?:/\w|['\"]))"
    r"|\b(?:exiting|aborting|stopping|terminating|quitting|giving up) (?:because(?: of)?|since|as) (?!(?:of )?(?:a |an |the )?(?:previous |fatal |earlier |above )?errors?\b)",
    re.IGNORECASE,
)
_AT_A_LINE = re.compile(r"\bline \d{1,7}[:,] {0,2}\w.{4}")
# "Unable to bind socket: Cannot assign requested address. Terminating."
_LAST_WORD = re.compile(
    r" ?[.,;:!-]{1,3} {0,2}(?:terminating|exiting|aborting|quitting|giving up|shutting down|stopping|quit|exit|abort|good-?bye|bye)\W{0,5}$",
    re.IGNORECASE,
)
# "could not get the version of iptables: exit status 1": of what it called.
_STATUS = re.compile(
    r"(\b(?:could not|couldn't|cannot|can't|unable to|failed to) [^:\n]{3,120}): exit (?:status|code):? \d{1,3}\W{0,3}$",
    re.IGNORECASE,
)
_A_REASON = re.compile(
    r"(?:cannot|can't|unable|denied|refused|in use|no such|not found|exists?|no \w+ .{3,60}(?:installed|found|configured|available|loaded|defined|specified|given))\b[^:]*$",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"(?<=[\w'\")\]])(?:[.!;] {1,2}|, (?=see \S{1,80} for ))(?:please|for more|see|try|check|run|use|refer|consult"
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
    r"\b(?:using|set to) (?:the |its )?(?:built-?in |system )?defaults?\b|\bignor(?:ed|ing)\b|\bcontinuing\b|\bskipp(?:ed|ing)\b"
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
LINES = 1024  # of a run, at most: several causes ask the same of each
_A_SENTENCE = 120  # letters
_OF_A_REASON = 5  # pairs of letters
# strerror(3), at the end of a line
STRERROR = re.compile(
    r"(?:no such file or directory|permission denied|operation not permitted|address already in use"
    r"|cannot assign requested address|connection refused|is a directory|not a directory|file exists"
    r"|no space left on device|read-only file system|too many open files|no such (?:device|process)"
    r"|invalid argument|cannot allocate memory|device or resource busy|network is unreachable)[\s)\].]{0,4}$",
    re.IGNORECASE,
)


def without_last_word(text: str) -> str:
    """What it says, without ``- giving up`` and the like after it."""
    return _LAST_WORD.sub("", text)


def without_advice(text: str) -> str:
    """What it says, without the sentence that tells what to do or where to read."""
    return _ADVICE.sub("", text)


@lru_cache(LINES)
def is_dying_reason(text: str) -> bool:
    """``No module for the protocol, aborting``: it says of what it dies, with words of its own."""
    before = _LAST_WORD.sub("", text[:600])
    return (
        len(before) < len(text[:600])
        and len(_A_WORD.findall(before)) >= _OF_A_REASON
        and not VAGUE.search(before)
        and not CONSEQUENCE.search(before)
        and not says_nothing(before)
    )


@lru_cache(LINES)
def is_consequence(text: str) -> bool:
    """It tells of the end, not of its reason; what a further sentence advises is neither."""
    plain = _WITH_REASON.sub("", _STATUS.sub(r"\1", _ADVICE.sub("", text[:600])))
    before = _LAST_WORD.sub("", plain)
    plain = before if before != plain and _A_REASON.search(before) else plain
    match = CONSEQUENCE.search(plain)
    after = plain[match.end() :] if match is not None else ""
    if ": " in after and STRERROR.search(plain):
        return False  # "http server quit: listen tcp 10.0.0.1:80: bind: permission denied"
    if _AT_A_LINE.search(after):
        return False  # "errors in configuration /etc/a.conf line 5: cert: unknown setting"
    return match is not None


@lru_cache(LINES)
def says_nothing(text: str) -> bool:
    """``BOOT FAILED``, ``Error during startup``: it failed, and no word says what."""
    text = _ADVICE.sub("", text)
    if len(text) > _A_SENTENCE or not _A_WORD.search(text):
        return _CODE.match(text) is not None
    return not _A_WORD.search(_ANY_WORD.sub(" ", text))
