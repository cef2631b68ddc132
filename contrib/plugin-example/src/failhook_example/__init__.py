# SPDX-License-Identifier: MIT
"""An action and a collector for failhook, as an example of a package."""
