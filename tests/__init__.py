# SPDX-License-Identifier: MIT
"""Tests, and the bed that the end-to-end ones run in."""
