# SPDX-License-Identifier: MIT
"""failhook itself, installed in a root tree the way a user would install it."""

import os
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.bed import trees
from tests.bed.namespaces import BedError, run_on_host
from tests.bed.trees import Tree

_CHECKOUT = Path(__file__).resolve().parents[2]

# What the distribution has (psutil, requests, jinja2, rich) is used from there.
_INSTALL = """
python3 -m venv --system-site-packages /opt/failhook
/opt/failhook/bin/pip install --no-index --no-deps /root/failhook-*.whl
/opt/failhook/bin/failhook install
"""


@cache
def wheel() -> tuple[str, bytes]:
    """Name and content of this checkout's wheel; the same source gives the same bytes."""
    with tempfile.TemporaryDirectory(prefix="failhook-bed-") as made:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
        # 2020-01-01: zip has no dates before 1980, and today's must not change the layer's key.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1577836800"}
        command = [*pip, "--wheel-dir", made, str(_CHECKOUT)]
        run_on_host(command, "building the wheel", env=environment)
        found = list(Path(made).glob("failhook-*.whl"))
        if len(found) != 1:
            raise BedError(f"expected one wheel, found {found}")
        return found[0].name, found[0].read_bytes()


def failhook_tree(base: Tree) -> Tree:
    """The tree with failhook installed from the checkout and its units in place."""
    name, content = wheel()
    with tempfile.TemporaryDirectory(prefix="failhook-bed-") as staging:
        built = Path(staging, name)
        built.write_bytes(content)
        files = {f"/root/{name}": built}
        return trees.extend(base, "failhook", _INSTALL, files=files, keep_enabled=True)
