# SPDX-License-Identifier: MIT
"""Machines that really boot: QEMU without KVM, firmware, boot loader, kernel, systemd, failhook.

`image` makes root file systems and disks, `qemu` drives one run of the emulator, `machine` is a
machine over several boots. Not in the default test run (minutes of work): `contrib/check --vm`.
"""
