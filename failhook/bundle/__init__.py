# SPDX-License-Identifier: MIT
"""One incident's evidence as one tar file: written here, and read again from anywhere."""
