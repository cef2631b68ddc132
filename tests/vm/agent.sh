#!/bin/sh
# SPDX-License-Identifier: MIT
#
# In the machine: runs what the test on the host asks for, one command after the other. A line of
# the port is "NUMBER SECONDS SHELL-COMMAND-IN-BASE64", the answer "NUMBER STATUS OUTPUT-IN-BASE64".
modprobe virtio_pci
modprobe virtio_console
while ! [ -e /dev/vport0p1 ]; do sleep 0.1; done
exec 3<>/dev/vport0p1
echo 0 0 "$(base64 -w 0 /proc/sys/kernel/random/boot_id)" >&3
while :; do
    read -r number seconds line <&3 || {
        sleep 0.2
        continue
    }
    said=$(
        printf %s "$line" | base64 -d |
            timeout --kill-after=5 "$seconds" sh 3>&- 2>&1
        printf '\n%s' "$?"
    )
    printf '%s %s %s\n' "$number" "${said##*
}" "$(printf %s "${said%
*}" | base64 -w 0)" >&3
done
