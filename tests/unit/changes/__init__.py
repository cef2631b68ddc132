# SPDX-License-Identifier: MIT
"""Fingerprints of units that run well, and what is different."""
