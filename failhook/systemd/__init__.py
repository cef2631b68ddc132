# SPDX-License-Identifier: MIT
"""What we ask systemd, journald and the kernel, and how their answers read. No policy here."""
