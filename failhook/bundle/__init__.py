# SPDX-License-Identifier: MIT
"""The evidence as one tar file: written as a stream, checked and unpacked as if it were hostile."""
