# SPDX-License-Identifier: MIT
"""The boot check: is this boot a good one? Scripts, units, disks, network, HTTP; green or red."""
