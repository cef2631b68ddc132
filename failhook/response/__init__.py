# SPDX-License-Identifier: MIT
"""From a finished incident to what follows: what is remembered, what is planned, who is told."""
