# SPDX-License-Identifier: MIT
"""How secrets look in text, one kind per module; `failhook.redact` is the door that uses them."""
