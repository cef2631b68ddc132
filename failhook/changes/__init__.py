# SPDX-License-Identifier: MIT
"""What changed since a unit last ran well: a fingerprint of it, kept, compared on failure."""
