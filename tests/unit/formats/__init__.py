# SPDX-License-Identifier: MIT
"""Unit tests, in the shape of the package."""
