# SPDX-License-Identifier: MIT
"""Scripts that a test writes for what it tries."""

from collections.abc import Callable
from pathlib import Path

MakeScript = Callable[..., Path]


def maker(directory: Path) -> MakeScript:
    """Writes executable shell scripts below ``directory``: ``make("required.d/a", "exit 1")``."""

    def make(
        name: str, body: str = "exit 0", mode: int = 0o755, shebang: str = "#!/bin/sh"
    ) -> Path:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{shebang}\n{body}\n" if shebang else f"{body}\n")
        path.chmod(mode)
        return path

    return make
