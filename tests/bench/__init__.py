# SPDX-License-Identifier: MIT
"""What failhook costs, as ratios taken in one run: `python3 -m tests.bench [a b c d e f]`.

Everything happens in a bed (`tests.bed`), with its interpreter on both sides of every ratio, in
interleaved rounds, and the median counts. It reports and judges nothing: a shared machine is no
place for a gate.
"""
