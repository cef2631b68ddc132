# SPDX-License-Identifier: MIT
"""Python environments for servers that are no Debian package: made on first use, kept in the cache.

They are not in the project's dev extra, because every checkout would pay for them: moto takes most
of a minute and 140 MB. Its extra "server" would take twice as much, for services that nobody asks.
"""

import os
import sys
from pathlib import Path

from tests.bed import cache
from tests.bed.namespaces import run_on_host

_MOTO = ("moto[s3]>=5.1", "flask", "flask-cors")


def moto() -> Path:
    """A Python that has moto, a server that speaks S3, and boto3, a client that does."""
    return _python("moto", _MOTO)


def _python(name: str, packages: tuple[str, ...]) -> Path:
    key = cache.key_of(os.path.realpath(sys.executable), sys.version, packages)

    def build(to: Path) -> None:
        made = to / "bin/python"
        run_on_host([sys.executable, "-m", "venv", str(to)], f"an environment for {name}")
        # As whoever runs the tests: pip's settings may be in the environment.
        install = [str(made), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run_on_host([*install, *packages], f"installing {name}", env=dict(os.environ))

    return cache.cached(f"venv-{name}", key, f"installing {name}", build) / "bin/python"
