# SPDX-License-Identifier: MIT
"""Runs tests/unit inside a Debian release, with its Python and its versions of the libraries.

Called by contrib/check --all: `unit_tests_in.py trixie`.
"""

# ruff: noqa: T201

import io
import sys
import tarfile
from pathlib import Path

import standardwebhooks

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_CHECKOUT))

from tests.bed import Machine, failhook_tree, trees  # noqa: E402 - only findable now

_RUN = """
cd /opt/tests
/opt/failhook/bin/python --version
exec /opt/failhook/bin/python -m pytest -q -W default tests/unit 2>&1
"""


def _packed() -> bytes:
    """tests/ and the settings of pytest, without the package: that is the wheel's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("tests", "pyproject.toml", "contrib/examples", "contrib/grub"):
            archive.add(_CHECKOUT / name, f"opt/tests/{name}")
        # The reference verifier of signatures; Debian has no package of it.
        archive.add(Path(standardwebhooks.__file__).parent, "opt/tests/standardwebhooks")
    return buffer.getvalue()


def main(release: str) -> int:
    """Print what pytest says and return its exit code."""
    needed = ("python3-pytest", "python3-hypothesis", "python3-aiosmtpd", "openssl")
    base = trees.install(trees.ensure(release), *needed)
    with Machine(failhook_tree(base)) as machine:
        machine.run(["tar", "-x", "-C", "/"], input=_packed())
        done = machine.shell(_RUN, check=False, timeout=600)
    print(done.text)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
