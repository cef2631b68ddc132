# SPDX-License-Identifier: MIT
# Which units failed and have not recovered, at login: for machines without pam_motd's motd.d.
# Copy it to /etc/profile.d/. The file is written by failhook and has printable ASCII only.
case $- in
    *i*) [ ! -f /run/motd.d/50-failhook ] || cat /run/motd.d/50-failhook ;;
esac
