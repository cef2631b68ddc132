# SPDX-License-Identifier: MIT
"""Failures of real programs, broken on purpose under a real systemd, with their true cause.

`known/` and `held_out/` each hold TOML files that say how to break a program and what is then truly
at fault (from the program's documentation, not from what failhook prints), and beside them the
bundle that was recorded, ``NAME.tar.gz``. No cause was written by looking at the evidence or the
sentences of `held_out/` (the names of its programs were known): what the verdict makes of those
tells what it will make of one that nobody has seen yet.

    python3 -m tests.corpus record [NAME ...]     break them again and keep the new evidence
    python3 -m tests.corpus score                 how often the sentence names the true thing
"""
