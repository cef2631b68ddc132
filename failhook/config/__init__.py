# SPDX-License-Identifier: MIT
"""TOML in, typed values out, and every mistake with its file, line and remedy."""
