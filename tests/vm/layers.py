# SPDX-License-Identifier: MIT
"""What a machine has and a bed has not: a kernel, udev, boot loader tools, a console to log in.

The trees, the cache and failhook itself are the beds' (`tests.bed`): a machine boots the very
files that the end-to-end tests boot in namespaces.
"""

from __future__ import annotations

from pathlib import Path

from tests.bed import trees
from tests.bed.trees import Tree

_AGENT = Path(__file__).with_name("agent.sh")

# apt would bring initramfs-tools with the kernel; everything needed to mount the root is built in.
# Of the modules stay those for file systems, consoles, firmware and watchdogs.
_SCRIPT = """
apt-get -q update
apt-get -q install -y udev kmod systemd-boot systemd-coredump grub-common e2fsprogs login
cd /tmp
kernel=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)
apt-get -q -o APT::Sandbox::User=root download "$kernel"
dpkg-deb -x linux-image-*.deb kernel
mkdir -p /usr/lib/modules
cp kernel/boot/vmlinuz-* /boot/vmlinuz
release=$(cd kernel && ls -d lib/modules/* usr/lib/modules/* 2>/dev/null | head -n 1)
cp -r "kernel/$release" /usr/lib/modules/
release=${release##*/}
cd "/usr/lib/modules/$release/kernel"
rm -rf sound drivers/net drivers/infiniband drivers/gpu drivers/scsi drivers/media drivers/md \\
    drivers/target drivers/video drivers/hid drivers/input drivers/usb drivers/xen net/netfilter \\
    net/sched net/sctp net/ceph net/bridge net/openvswitch drivers/iommu drivers/gpio \\
    fs/xfs fs/btrfs fs/ceph fs/nfs fs/nfsd fs/ocfs2 fs/smb fs/cifs fs/ubifs fs/gfs2 fs/dlm \\
    fs/f2fs fs/jfs fs/reiserfs fs/bcachefs
depmod "$release"
passwd -d root
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
"""

# Debian's kernel for real hardware, which knows machine checks and memory failures; even the disk's
# driver is a module of it, so it comes with Debian's initrd.
_GENERIC_KERNEL = """
mkdir -p /etc/initramfs-tools/conf.d
printf '%s\\n' nvme ext4 virtio_pci virtio_console >/etc/initramfs-tools/modules
printf '%s\\n' MODULES=list COMPRESS=gzip FSTYPE=ext4 >/etc/initramfs-tools/conf.d/vm
apt-get -q update
apt-get -q install -y --no-install-recommends initramfs-tools linux-image-amd64
rm -rf /usr/lib/modules/*cloud*
mv /boot/vmlinuz-* /boot/vmlinuz
mv /boot/initrd.img-* /boot/initrd
cd /usr/lib/modules/*/kernel
rm -rf sound drivers net
find fs -mindepth 1 -maxdepth 1 ! -name fat ! -name nls -exec rm -r {} +
depmod "$(basename "$(dirname "$PWD")")"
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
"""

# Upkeep that costs an emulated processor its seconds, and what waits for hardware.
_MASKED = """
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
e2scrub_reap.service fstrim.timer logrotate.timer man-db.timer motd-news.timer
systemd-networkd.service systemd-networkd.socket systemd-resolved.service
systemd-timesyncd.service systemd-firstboot.service ldconfig.service
systemd-journal-catalog-update.service systemd-update-done.service
systemd-hwdb-update.service systemd-boot-update.service systemd-boot-system-token.service
systemd-pcrphase.service systemd-pcrphase-sysinit.service getty@tty1.service
grub-common.service systemd-udev-settle.service systemd-binfmt.service
modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@fuse.service
modprobe@loop.service kmod-static-nodes.service systemd-modules-load.service
sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount
dev-mqueue.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount
cryptsetup.target integritysetup.target veritysetup.target systemd-battery-check.service
systemd-tpm2-setup.service systemd-tpm2-setup-early.service tpm2.target
systemd-udev-load-credentials.service systemd-networkd-persistent-storage.service
"""

_CONFIGURE = """
printf '%s\\n' failhook-vm >/etc/hostname
printf '127.0.0.1 localhost failhook-vm\\n' >/etc/hosts
printf '%s\\n' 0123456789abcdef0123456789abcdef >/etc/machine-id
printf '%s\\n' '/dev/nvme0n1p2 / ext4 rw 0 1' '/dev/nvme0n1p1 /efi vfat umask=0077 0 2' >/etc/fstab
mkdir -p /efi /var/log/journal /etc/systemd/system/sysinit.target.wants
for unit in MASKED; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
# No module comes because there is a device: what is needed is asked for by its name.
ln -sf /dev/null /etc/udev/rules.d/80-drivers.rules
chmod 755 /usr/local/sbin/vm-agent
cat >/etc/systemd/system/vm-agent.service <<'END'
[Unit]
Description=Runs what the test on the host asks for
DefaultDependencies=no
After=local-fs.target
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/local/sbin/vm-agent
Restart=always
RestartSec=1s
OOMScoreAdjust=-1000
Slice=-.slice
END
ln -sf ../vm-agent.service /etc/systemd/system/sysinit.target.wants/
touch /etc/.updated /var/.updated
"""


def machine_tree(release: str, *, generic_kernel: bool = False) -> Tree:
    """The tree of a Debian release with all that it takes to boot, built on first use.

    Debian's kernel for virtual machines, or the generic one and its initrd.
    """
    tree = trees.extend(trees.ensure(release), "vm-system", _SCRIPT, keep_enabled=True)
    if generic_kernel:
        tree = trees.extend(tree, "vm-generic-kernel", _GENERIC_KERNEL, keep_enabled=True)
    script = _CONFIGURE.replace("MASKED", " ".join(_MASKED.split()))
    files = {"/usr/local/sbin/vm-agent": _AGENT}
    return trees.extend(tree, "vm", script, files=files, keep_enabled=True)
