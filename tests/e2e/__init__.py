# SPDX-License-Identifier: MIT
"""End-to-end: real units on a real systemd, on the oldest and the newest that we claim."""
