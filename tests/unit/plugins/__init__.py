# SPDX-License-Identifier: MIT
"""Unit tests of `failhook.plugins`."""
