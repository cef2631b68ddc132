# SPDX-License-Identifier: MIT
"""``python -m failhook.prepare``: keep what our services would compile at every start.

`failhook install` runs it, in a process that has compiled nothing yet; see `failhook.ready`.
"""

from __future__ import annotations

from failhook import ready


def main() -> None:
    """Import what the services need and write the file. Raises OSError."""
    recorder = ready.Recorder()
    _import_what_services_need()
    from pathlib import Path

    from failhook import files

    path = Path(ready.PATH)
    path.parent.mkdir(exist_ok=True)
    files.write(path, recorder.close(), mode=0o644)


def _import_what_services_need() -> None:
    """The runner, its workers, their collectors, the causes."""
    from failhook import intake, runner, worker  # noqa: F401
    from failhook.mask import programs, shapes

    worker.warm()
    shapes.patterns()
    programs.patterns()


if __name__ == "__main__":
    main()
