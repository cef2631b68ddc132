# SPDX-License-Identifier: MIT
"""What runs inside a failing unit, and that it stays as small as it is."""
