# SPDX-License-Identifier: MIT
"""What follows from an incident."""
