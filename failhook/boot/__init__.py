# SPDX-License-Identifier: MIT
"""Boots: which entry came up, how it is marked, what the boot loader counts, how a boot ended."""
