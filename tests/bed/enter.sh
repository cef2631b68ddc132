#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The inside of a test bed, from the machine's own namespaces to a running systemd or to a shell in
# a root tree. Each stage is a call of this script, because each begins in a namespace of its own:
#
#   scratch            mount the tmpfs that takes all writes            (supervisor's mount namespace)
#   boot -> init       become PID 1 of a bed and turn into systemd      (new pid, then all the others)
#   layer -> chroot    run BED_SCRIPT in a tree, keep what it changed   (new mount, then pid)
#
# Refuses to write anywhere but on that tmpfs, in BED_CGROUP and, for a layer, in BED_OUT.
#
# BED_SCRATCH  empty directory to mount the tmpfs on
# BED_LAYERS   root tree: directories joined by ":", topmost first
# BED_CGROUP, BED_PTY, BED_HOST_NETWORK        for "boot"
# BED_OUT, BED_FILES, BED_SCRIPT               for "layer"
set -eu
umask 022
root=$BED_SCRATCH/root

# tar, not cp: trusted.overlay.origin must stay behind, it names inodes of the old place.
copy() { # from to
    mkdir -p "$2"
    tar --create --numeric-owner --xattrs --xattrs-include=security.capability \
        --xattrs-include=trusted.overlay.opaque --directory "$1" . |
        tar --extract --numeric-owner --preserve-permissions --xattrs --xattrs-include='*' \
            --directory "$2"
}

# A lower directory inside another one is refused by the kernel (ELOOP), and every layer lies inside
# the machine's own root: on top of that one, layers are copied to the tmpfs.
stage_scratch() {
    mount -t tmpfs -o mode=755 failhook-bed "$BED_SCRATCH"
    mkdir "$BED_SCRATCH/upper" "$BED_SCRATCH/work" "$root"
    on_host=
    case ":$BED_LAYERS:" in *:/:*) on_host=1 ;; esac
    lower='' number=0 IFS=:
    for layer in $BED_LAYERS; do
        if [ "$on_host" ] && [ "$layer" != / ]; then
            number=$((number + 1))
            copy "$layer" "$BED_SCRATCH/layers/$number"
            layer=$BED_SCRATCH/layers/$number
        fi
        lower=${lower:+$lower:}$layer
    done
    unset IFS
    printf %s "$lower" >"$BED_SCRATCH/lower"
}

mount_root() { # more mount options
    mount -t overlay -o "lowerdir=$(cat "$BED_SCRATCH/lower")$1" \
        -o "upperdir=$BED_SCRATCH/upper,workdir=$BED_SCRATCH/work" overlay "$root"
}

read_only() {
    for path; do
        [ -e "$path" ] || continue # no sysrq in this kernel
        mount --bind "$path" "$path"
        mount -o remount,bind,ro,nosuid,nodev,noexec "$path"
    done
}

# Nothing in here may reach the machine's own devices, sysctls or /run.
# One hole is left: for ProtectProc= and ProcSubset=, systemd 252 mounts a /proc of its own over this
# one, and such a unit can write sysctls, if it is root, and reads the machine's boot id.
mount_kernel_views() {
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    read_only "$root/proc/sys" "$root/proc/sysrq-trigger"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
    while read -r name major minor; do
        mknod -m 666 "$root/dev/$name" c "$major" "$minor"
    done <<-END
	null 1 3
	zero 1 5
	full 1 7
	random 1 8
	urandom 1 9
	tty 5 0
	END
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,nosuid,noexec,mode=620,gid=5,ptmxmode=666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin"
    ln -s fd/1 "$root/dev/stdout"
    ln -s fd/2 "$root/dev/stderr"
    mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"
}

# The machine's name servers, without leaving a copy in the tree.
mount_resolv_conf() {
    [ -e /etc/resolv.conf ] || return 0
    target=$(chroot "$root" readlink -m /etc/resolv.conf)
    case $target in
    /run/*) mkdir -p "$(dirname "$root$target")" && : >"$root$target" ;;
    *) [ -e "$root$target" ] || return 0 ;;
    esac
    mount --bind /etc/resolv.conf "$root$target"
}

stage_boot() {
    # /proc is still the machine's: this is our number outside.
    read -r pid _ </proc/self/stat
    echo "$pid"
    exec >&2
    # Before the cgroup namespace, else the bed's systemd would share system.slice with the machine.
    echo 0 >"$BED_CGROUP/cgroup.procs"
    net=--net
    [ -z "$BED_HOST_NETWORK" ] || net=
    # shellcheck disable=SC2086
    exec unshare --mount --uts --ipc --cgroup $net --propagation private sh "$0" init
}

first_boot() {
    [ ! -e "$BED_SCRATCH/booted" ] || return 0
    : >"$BED_SCRATCH/booted"
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    echo failhook-bed >"$root/etc/hostname"
    echo 127.0.0.1 localhost failhook-bed >"$root/etc/hosts"
    # A dangling link or a list of the machine's disks would only cost time-outs.
    rm -f "$root/etc/fstab" "$root/etc/crypttab"
    # Nobody updated /usr while the bed was off: no ldconfig and no catalog at the first boot.
    touch "$root/etc/.updated" "$root/var/.updated"
    # journald keeps its files from boot to boot only if it finds this.
    mkdir -p "$root/var/log/journal"
}

# In /run, so that the tree is not changed: a login on the console, which nobody reads; the audit
# log, which is the machine's; timers that would do upkeep in the middle of a test.
mask_units() {
    mkdir -p "$root/run/systemd/system"
    for unit in console-getty.service systemd-journald-audit.socket apt-daily.timer \
        apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer logrotate.timer man-db.timer motd-news.timer; do
        ln -s /dev/null "$root/run/systemd/system/$unit"
    done
}

stage_init() {
    mount_root ""
    mount_kernel_views
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
    : >"$root/dev/console"
    mount --bind "$BED_PTY" "$root/dev/console"
    # The kernel's own boot id is the machine's and outlives our reboots.
    cat /proc/sys/kernel/random/uuid >"$root/run/boot-id"
    mount --bind "$root/run/boot-id" "$root/proc/sys/kernel/random/boot_id"
    mount -o remount,bind,ro "$root/proc/sys/kernel/random/boot_id"
    first_boot
    mask_units
    [ -z "$BED_HOST_NETWORK" ] || mount_resolv_conf
    cd "$root"
    pivot_root . .
    umount --lazy .
    cd /
    # shellcheck disable=SC2086
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        container=failhook-bed setpriv --bounding-set "$BED_CAPABILITIES" --inh-caps=-all \
        /lib/systemd/systemd --system --unit=multi-user.target --show-status=yes
}

# A copy of what is there is put back, so that the layer only holds what the script did.
stage_layer() {
    stage_scratch
    mount_root ,redirect_dir=off,metacopy=off,index=off
    [ -z "$BED_FILES" ] || cp -r "$BED_FILES/." "$root/"
    # The script's own pid namespace, so that no daemon it started outlives it.
    setpriv --pdeathsig KILL unshare --pid --fork --kill-child --ipc sh "$0" chroot
    copy "$BED_SCRATCH/upper" "$BED_OUT"
}

stage_chroot() {
    mount_kernel_views
    mount_resolv_conf
    # Packages start their services, unless this refuses. On the tmpfs: nothing stays behind.
    printf '#!/bin/sh\nexit 101\n' >"$root/run/policy-rc.d"
    chmod 755 "$root/run/policy-rc.d"
    policy=$root/usr/sbin/policy-rc.d made=
    [ -e "$policy" ] || { : >"$policy" && made=1; }
    mount --bind "$root/run/policy-rc.d" "$policy"
    chroot "$root" /bin/sh -euc "$BED_SCRIPT" </dev/null
    umount "$policy"
    [ -z "$made" ] || rm "$policy"
}

"stage_$1"
