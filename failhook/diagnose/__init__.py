# SPDX-License-Identifier: MIT
"""The diagnose stage: from evidence to one sentence that says why, with proof.

`subjects` reads which files, users and addresses the evidence speaks of, `look` looks at them on
the machine, `case` holds all of it, each family of causes is a file of its own, and `engine` ranks
what they found. Only `look` touches the machine: everything else is pure, so that a bundle from
elsewhere gets the same verdict as it got at home.
"""
