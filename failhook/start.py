# SPDX-License-Identifier: MIT
"""What the installed gate starts: ``python3 -IS start.py``, without `site` and its .pth files.

``failhook install`` copies this file and `failhook.hook` to a place that every service can read,
and writes into it which interpreter has the rest. The hook needs the standard library alone; only
the other commands pay for a whole installation. The directory goes last on the path, so that
nothing in it can stand in for a module of the standard library.
"""

import os
import sys

PYTHON = "/usr/bin/python3"  # install writes the one of its own environment

sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from failhook import hook  # noqa: E402 - only findable now


def main() -> int:
    """Hand over to the hook, or to the command line in its own environment."""
    argv = [PYTHON, "-I", "-m", "failhook", *sys.argv[1:]]
    if hook.called(os.environ, sys.argv[1:]):
        if hook.main(os.environ, sys.argv[1:]):  # no runner on this machine: the work is done here
            os.spawnv(os.P_WAIT, PYTHON, argv)
        os._exit(0)  # all is written: taking an interpreter apart is a seventh of its whole run
    try:
        os.execv(PYTHON, argv)
    except OSError as error:
        hook.say(f"{PYTHON}: {error}; reinstall failhook")
        return 127


if __name__ == "__main__":
    sys.exit(main())
