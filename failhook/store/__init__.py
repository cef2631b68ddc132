# SPDX-License-Identifier: MIT
"""The history: one directory per incident as the truth, an index beside it, retention over both."""
