# SPDX-License-Identifier: MIT
"""The example that ``failhook plugins new`` writes: it works, and so does its test.

The texts are in ``templates``, with ``@WORD@`` where a name goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from failhook import files

KINDS = ("action", "collector")
WAYS = ("executable", "file", "package")
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Written:
    """One file of an example."""

    path: str
    content: str
    mode: int = 0o644


def example(name: str, kind: str, way: str) -> list[Written]:
    """The files of an example of that ``kind`` (of `KINDS`) and ``way`` (of `WAYS`)."""
    module = name.replace("-", "_")
    if way == "package":
        module = f"failhook_{module}"
    words = {
        "NAME": name,
        "KIND": kind,
        "KINDWORD": kind.upper(),
        "MODULE": module,
        "IMPORT": f"from {module} import {kind.upper()}",
    }
    if way == "file":
        words["IMPORT"] = (
            f'{kind.upper()} = testing.load_{kind}(Path(__file__).parent / "{module}.py")'
        )
    language = "executable" if way == "executable" else "python"
    code = _filled(f"{kind}-{language}", words)
    test = _filled(f"{kind}-{language}-test", words)
    if way == "executable":
        return [Written(name, code, 0o755), Written(f"test_{module}.py", test)]
    if way == "file":
        return [Written(f"{module}.py", code), Written(f"test_{module}.py", _sorted(test))]
    return [
        Written("pyproject.toml", _filled("package-pyproject", words)),
        Written("README.md", _filled("package-README", words)),
        Written(f"src/{module}/__init__.py", code),
        Written(f"tests/test_{module}.py", test),
    ]


def write(directory: Path, files_of: list[Written]) -> None:
    """Write an example into ``directory``, which is made. Raises OSError."""
    for one in files_of:
        path = directory / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, one.content, mode=one.mode)


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _sorted(test: str) -> str:
    """A test of a file needs to know where that is."""
    if "from pathlib import Path\n" in test:
        return test
    return test.replace(
        "from failhook import", "from pathlib import Path\n\nfrom failhook import", 1
    )
