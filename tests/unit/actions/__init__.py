# SPDX-License-Identifier: MIT
"""The actions, each on its own."""
