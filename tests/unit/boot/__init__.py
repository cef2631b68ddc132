# SPDX-License-Identifier: MIT
"""Boots: how they are marked, how they ended, what the next one tells."""
