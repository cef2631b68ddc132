# SPDX-License-Identifier: MIT
"""The built-in collectors: one module for each, listed in `failhook.collect.table`."""
