# SPDX-License-Identifier: MIT
"""What a person did wrong at the command line."""

from __future__ import annotations


class UsageError(Exception):
    """The call or the configuration is wrong: says how to do it right (exit code 2)."""
