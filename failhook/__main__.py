# SPDX-License-Identifier: MIT
"""``python -m failhook``: the whole command, behind a wheel's gate and `failhook.start`."""

import os
import sys

from failhook import hook


def main() -> int:
    """Hand over to the hook or to the command line."""
    arguments = sys.argv[1:]
    if hook.called(os.environ, arguments):
        record = hook.main(os.environ, arguments)
        if record:
            _work_here(record)
        os._exit(0)  # see `failhook.start`
    from failhook import ready

    ready.use()
    if arguments in (["runner"], ["runner", "--user"]):
        return _run_runner(user="--user" in arguments)
    from failhook.cli import main as command_line

    return command_line(arguments)


def _run_runner(*, user: bool) -> int:
    """As the units call it: a failure waits for its evidence, so its first worker comes before
    anything else, and options are not even looked for."""
    import gc

    from failhook.recruit import recruit

    gc.disable()  # until all is imported: what is made meanwhile stays
    first = recruit(user=user)
    from failhook.serve import serve

    serve(first, user=user)
    return 0


def _work_here(record: str) -> None:
    """No runner on this machine: the same pipeline in this process. The unit never pays for it."""
    try:
        from failhook.cli.run import from_hook

        from_hook(record)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the hook exits 0
        hook.say(f"nothing was recorded: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
