# SPDX-License-Identifier: MIT
"""What systemd runs when a unit fails. (No import belongs in this file: every start pays for it.)"""
