# SPDX-License-Identifier: MIT
"""Deliveries: what waits in the outbox is brought to its destinations, in order, for days."""
