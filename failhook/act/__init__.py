# SPDX-License-Identifier: MIT
"""``failhook act``: carries out what was planned, and looks later at units in trouble."""
