# SPDX-License-Identifier: MIT
"""Getting failhook onto a machine and into units, and out again without a trace."""
