# SPDX-License-Identifier: MIT
"""Real processes over directories of their own, with a systemd that only looks like one."""
