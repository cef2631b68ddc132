# SPDX-License-Identifier: MIT
"""The collect stage: each collector in a process of its own, within its limits."""
