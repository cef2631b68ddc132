# SPDX-License-Identifier: MIT
"""What is kept of Python's own compiling: the same as compiled anew, and never needed."""

import marshal
import re
import subprocess
import sys
from pathlib import Path

import pytest

from failhook import ready

PARENT = str(Path(ready.__file__).parents[1])
# Run in a process of its own: `use` and `Recorder` change `re` and `dataclasses` for all of it.
HEADER = f"import sys; sys.path.insert(0, {PARENT!r})\nfrom failhook import ready\n"
RECORD = """
recorder = ready.Recorder()
import re
from dataclasses import dataclass
PATTERNS = [
    ("a(?P<name>b+)|(c)", 0),
    (rb"[\\x00-\\xff]{2,5}\\Z", 0),
    ("(?i:stra\\u00dfe)|\\w+", re.VERBOSE | re.IGNORECASE),
    (b"^(?P<one>.)(?P<two>.)(?P=one)$", re.MULTILINE | re.DOTALL),
    ("[^\\u4e00-\\u9fff\\U0001f600]", 0),
]
for each in PATTERNS:
    re.compile(*each)
@dataclass(frozen=True, slots=True)
class Both:
    one: int
    two: str = "2"
"""
COUNT = """
compiled, executed = [], []
original = ready._COMPILER.compile
ready._COMPILER.compile = lambda *given: compiled.append(given) or original(*given)
import builtins
def run(source, *given):
    executed.append(source) if isinstance(source, str) else None
    exec(source, *given)
"""


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", HEADER + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "ready"
    _python(RECORD + "open(sys.argv[1], 'wb').write(recorder.close())", str(path))
    return path


def test_what_is_kept_equals_what_is_compiled_anew(kept: Path) -> None:
    said = _python(
        COUNT
        + "assert ready.use(sys.argv[1])\n"
        + RECORD.replace("recorder = ready.Recorder()", "")
        + "print(len(compiled), Both(1), Both(1) == Both(1, '2'), hash(Both(1)) == hash(Both(1)))\n"
        + "fresh = [original(*each) for each in PATTERNS]\n"
        + "looked = [re.compile(*each) for each in PATTERNS]\n"
        + "groups = [[one.groupindex for one in each] for each in (fresh, looked)]\n"
        + "print(fresh == looked, groups[0] == groups[1])\n"
        + "print(looked[0].fullmatch('abb')['name'], looked[2].findall('STRASSE Stra\\u00dfe'))\n"
        + "try:\n    Both(1).one = 2\nexcept AttributeError: print('frozen')\n",
        str(kept),
    )
    assert said.splitlines() == [
        "0 Both(one=1, two='2') True True",
        "True True",
        "bb ['STRASSE', 'Stra\u00dfe']",
        "frozen",
    ]


def test_what_is_not_kept_is_compiled_as_ever(kept: Path) -> None:
    said = _python(
        "assert ready.use(sys.argv[1])\nimport re\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Other:\n    three: int\n"
        "print(re.compile('o[t]her', re.I).match('OTHER')[0], Other(3))\n"
        "try:\n    re.compile('(')\nexcept re.error as error: print(error)\n",
        str(kept),
    )
    assert said.splitlines() == [
        "OTHER Other(three=3)",
        "missing ), unterminated subpattern at position 0",
    ]


def _tagged(*tag: str | int) -> bytes:
    return marshal.dumps((tag, {}, {}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        marshal.dumps(None),
        marshal.dumps(("a", "b")),
        _tagged("cpython", sys.hexversion + 1, 0, 0),
        _tagged("cpython", sys.hexversion),
    ],
)
def test_a_file_of_something_else_is_no_help_and_no_harm(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ready"
    path.write_bytes(content)
    before = re._compiler.compile  # type: ignore[attr-defined]
    assert not ready.use(str(path))
    assert re._compiler.compile is before  # type: ignore[attr-defined]


def test_a_missing_file_is_no_harm(tmp_path: Path) -> None:
    assert not ready.use(str(tmp_path / "none"))


def test_a_truncated_file_is_no_harm(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:-100])
    assert not ready.use(str(kept))


def test_a_damaged_pattern_is_refused_by_python_itself(kept: Path) -> None:
    tag, patterns, sources = marshal.loads(kept.read_bytes())
    flags, words, groups, index, names = patterns["a(?P<name>b+)|(c)", 0]
    patterns["a(?P<name>b+)|(c)", 0] = flags, b"\xff" * len(words), groups, index, names
    kept.write_bytes(marshal.dumps((tag, patterns, sources)))
    said = _python(
        "assert ready.use(sys.argv[1])\nimport re\n"
        "print(re.compile('a(?P<name>b+)|(c)').match('abb')['name'])\n",
        str(kept),
    )
    assert said == "bb\n"


def test_the_services_compile_nothing_that_was_kept(tmp_path: Path) -> None:
    """What `failhook.prepare` writes covers the imports of runner, worker and causes."""
    path = tmp_path / "ready"
    _python(f"ready.PATH = {str(path)!r}\nfrom failhook import prepare\nprepare.main()\n")
    said = _python(
        COUNT
        + "assert ready.use(sys.argv[1])\n"
        + "from failhook import intake, runner, worker\nworker.warm()\nprint(len(compiled))\n",
        str(path),
    )
    assert said == "0\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.stat().st_size < 3 << 20


def test_what_only_some_want_is_imported_by_them() -> None:
    """`inspect` waits; nobody who asks for it sees a difference."""
    code = """
assert "ast" not in sys.modules
from dataclasses import dataclass
@dataclass
class Said:
    "One."
    one: int
assert "ast" not in sys.modules
@dataclass
class Silent:
    one: int
assert Silent.__doc__ == "Silent(one: int)", Silent.__doc__
import inspect
assert inspect.__file__ and "ast" in sys.modules
from inspect import getdoc
assert getdoc(Said) == "One."
"""
    _python(code)


WAITING = ("ipaddress", "traceback", "locale")


def test_others_that_hardly_anybody_wants_wait_as_well() -> None:
    """Those who import them, `pathlib`, `logging` and `subprocess`, do not use them at once."""
    _python(f"""
import logging, pathlib, subprocess
real = [name for name in {WAITING} if "__file__" in vars(sys.modules[name])]
assert real == [], real
""")


def test_who_uses_them_sees_no_difference() -> None:
    code = """
import logging, pathlib, subprocess
from ipaddress import ip_address
assert ip_address("::1").is_loopback
try:
    raise ValueError("told")
except ValueError:
    logging.exception("said")
import traceback, locale
assert traceback.__file__ and locale.getlocale()
assert subprocess.run(["printf", "x"], capture_output=True, text=True).stdout == "x"
assert pathlib.Path("/a b").as_uri() == "file:///a%20b"
"""
    _python(code)


def test_a_module_that_is_there_already_stays() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            (
                "import inspect\n"
                f"{HEADER}assert sys.modules['inspect'] is inspect\nassert inspect.getdoc"
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
