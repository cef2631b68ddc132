# SPDX-License-Identifier: MIT
"""What systemd runs when a unit fails. (No import here: every start pays for it.)"""
