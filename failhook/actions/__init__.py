# SPDX-License-Identifier: MIT
"""What failhook can do about a failure: one file per type of action."""
