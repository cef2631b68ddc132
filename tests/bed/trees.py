# SPDX-License-Identifier: MIT
"""Root trees for beds: a Debian release, the machine's own root, and layers on top of either."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bed import apt, cache
from tests.bed.namespaces import (
    DIE_WITH_PARENT,
    SCRIPT,
    BedError,
    host_environment,
    run_on_host,
)

# The releases the end-to-end tests run on: the oldest and the newest systemd of a stable Debian.
RELEASES = ("bookworm", "trixie")

# systemd-coredump is not among them: a layer may install it, but then nothing of the machine may
# be writable for its postinst, and mmdebstrap does not promise that.
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "libpam-systemd",
    "libnss-systemd",
    "dbus",
    "procps",
    "iproute2",
    "ca-certificates",
    "python3",
    "python3-venv",
    "python3-pip",
    "python3-psutil",
    "python3-requests",
    "python3-jinja2",
    "python3-rich",
)

_BUILDER = "failhook-bed"

# What the machine itself would start has no place in a bed: it may wait for disks, for a network
# or for the one instance of it that is allowed.
_QUIET = """
for link in /etc/systemd/system/*.wants /etc/systemd/system/*.requires; do
    [ ! -d "$link" ] || { rm -r "$link" && mkdir "$link"; }
done
rm -f /etc/rc?.d/S*
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A root file system: directories for an overlay, the topmost first."""

    name: str
    key: str
    layers: tuple[Path, ...]


def ensure(release: str) -> Tree:
    """The tree of a Debian release, built on first use (about a minute)."""
    key = cache.key_of(release, _PACKAGES)
    layer = cache.cached(
        release, key, f"building the root tree of {release}", lambda to: _bootstrap(release, to)
    )
    return Tree(release, key, (layer,))


def host() -> Tree:
    """The machine's own root, with the services that it would start taken out."""
    if os.path.ismount("/usr"):
        raise BedError("/usr is a file system of its own here: this root cannot be used as a tree")
    return extend(Tree("host", "host", (Path("/"),)), "quiet", _QUIET)


def install(tree: Tree, *packages: str) -> Tree:
    """The tree with more Debian packages; their services are not enabled."""
    names = " ".join(packages)
    script = f"apt-get -q update && apt-get -q install -y {names} && apt-get clean"
    return extend(tree, "-".join(packages), script)


def extend(
    tree: Tree,
    name: str,
    script: str,
    *,
    files: Mapping[str, Path] | None = None,
    keep_enabled: bool = False,
) -> Tree:
    """The tree with a layer on top that holds what a shell script did as root in it.

    `files` are copied in first (path in the tree: file here). What packages enabled is disabled
    again, so that they do not start with the bed, unless `keep_enabled`.
    """
    sent = dict(files or {})
    digests = {target: cache.file_digest(source) for target, source in sent.items()}
    key = cache.key_of(tree.key, script, digests, keep_enabled)

    def build(to: Path) -> None:
        _run_script(tree, name, script, sent, to)
        if not keep_enabled:
            _disable_added(to, tree)

    full_name = f"{tree.name}+{name}"
    layer = cache.cached(full_name[:80], key, f"building the layer {full_name}", build)
    return Tree(full_name, key, (layer, *tree.layers))


def _run_script(tree: Tree, name: str, script: str, files: Mapping[str, Path], to: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="failhook-bed-") as staging:
        for target, source in files.items():
            staged = Path(staging, target.lstrip("/"))
            staged.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, staged)
        environment = host_environment(
            DEBIAN_FRONTEND="noninteractive",
            BED_SCRATCH=str(cache.mount_point()),
            BED_LAYERS=":".join(map(str, tree.layers)),
            BED_FILES=staging if files else "",
            BED_SCRIPT=script,
            BED_OUT=str(to),
        )
        enter = ("unshare", "--mount", "--propagation", "private", "sh", str(SCRIPT), "layer")
        run_on_host((*DIE_WITH_PARENT, *enter), f"layer {name}", env=environment)


def _disable_added(layer: Path, below: Tree) -> None:
    patterns = ("etc/systemd/system/multi-user.target.wants/*", "etc/rc?.d/S*")
    for link in (path for pattern in patterns for path in layer.glob(pattern)):
        inside = link.relative_to(layer)
        if link.is_symlink() and not any((low / inside).is_symlink() for low in below.layers):
            link.unlink()


def _bootstrap(release: str, to: Path) -> None:
    """Run mmdebstrap as a user without rights, unpack what it made as root."""
    builder = _builder()
    scratch = cache.directory() / f".{to.name}.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    log = cache.directory() / f"{release}.log"
    try:
        os.chown(scratch, builder.pw_uid, builder.pw_gid)
        with log.open("wb") as log_file:
            maker = subprocess.Popen(
                _mmdebstrap(release),
                cwd=scratch,
                env=host_environment(TMPDIR=str(scratch)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log_file,
            )
            with maker, subprocess.Popen(_unpack(to), stdin=maker.stdout) as unpacker:
                assert maker.stdout is not None
                maker.stdout.close()  # else mmdebstrap would not notice that tar is gone
        if maker.returncode != 0 or unpacker.returncode != 0:
            tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-30:])
            raise BedError(f"no root tree of {release}, see {log}\n{tail}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _mmdebstrap(release: str) -> list[str]:
    # TERM, not KILL: mmdebstrap then removes its own half-made tree.
    argv = ["setpriv", "--reuid", _BUILDER, "--regid", _BUILDER, "--clear-groups"]
    argv += ["--pdeathsig", "TERM", "mmdebstrap", "--mode=unshare", "--variant=minbase"]
    argv += ["--format=tar", f"--include={','.join(_PACKAGES)}"]
    argv += [f"--aptopt={setting}" for setting in apt.settings()]
    for ring in apt.keyrings():
        copy = f'mkdir -p "$1{ring.parent}" && cp "{ring}" "$1{ring}"'
        argv.append(f"--setup-hook={copy}")
    # apt's lists stay, so that a layer can install packages.
    argv += ["--skip=cleanup/apt/lists"]
    argv.append('--customize-hook=: >"$1/etc/resolv.conf"; rm -f "$1/etc/hostname"')
    return [*argv, release, "-", *apt.sources(release)]


def _unpack(to: Path) -> list[str]:
    options = "--extract --numeric-owner --preserve-permissions --xattrs --xattrs-include=*"
    return ["tar", *options.split(), "--exclude=./dev/*", "--directory", str(to)]


def _builder() -> pwd.struct_passwd:
    """The user that mmdebstrap runs as; made on first use, with the sub-ids it needs."""
    with cache.lock("user"):
        try:
            return pwd.getpwnam(_BUILDER)
        except KeyError:
            what = "adding the user that builds root trees"
            options = ["--system", "--user-group", "--no-create-home", "--add-subids-for-system"]
            options += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
            run_on_host(["useradd", *options, _BUILDER], what)
            return pwd.getpwnam(_BUILDER)
