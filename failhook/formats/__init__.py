# SPDX-License-Identifier: MIT
"""What a message looks like on each channel: one module per format, pure functions."""
