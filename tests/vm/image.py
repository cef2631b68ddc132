# SPDX-License-Identifier: MIT
"""Root file systems and disks in plain files: no loop device, nothing mounted on the machine.

The root is made by mkfs.ext4 -d from a tree's layers, seen as one in a mount namespace of its
own; the EFI system partition by mkfs.vfat and mtools. A template is made once for each state of
the checkout; a disk is a sparse copy of it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bed import cache, failhook_tree, trees
from tests.bed.namespaces import BedError, host_environment, run_on_host
from tests.bed.trees import Tree
from tests.vm.layers import machine_tree

MIB = 1024 * 1024
_ESP_AT, _ESP_MIB = 1 * MIB, 64
_ROOT_AT, _ROOT_MIB = 65 * MIB, 896
# Of the Discoverable Partitions Specification: systemd-bless-boot looks at the first.
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_ROOT_TYPE = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
_TABLE = f"""label: gpt
start=1MiB, size={_ESP_MIB}MiB, type={_ESP_TYPE}, name=esp
start={_ROOT_AT // MIB}MiB, size={_ROOT_MIB}MiB, type={_ROOT_TYPE}, name=root
"""
# Only a mount namespace sees the layers joined.
_MAKE_ROOT = """
mount -t overlay -o "ro,lowerdir=$1" overlay "$2"
exec mkfs.ext4 -q -F -m 0 -J size=8 -d "$2" "$3"
"""


@dataclass(frozen=True, slots=True)
class Template:
    """What a disk is copied from, and the kernel on it for a boot without firmware."""

    release: str
    root: Path
    tree: Tree

    def file(self, name: str) -> Path:
        """A file of the root file system, where it lies in the tree."""
        return next(layer / name for layer in self.tree.layers if (layer / name).is_file())

    @property
    def kernel(self) -> Path:
        """What is booted without firmware."""
        return self.file("boot/vmlinuz")

    @property
    def initrd(self) -> Path | None:
        """What that kernel needs to find its root; None where all of it is built in."""
        found = (layer / "boot/initrd" for layer in self.tree.layers)
        return next((path for path in found if path.is_file()), None)


def directory() -> Path:
    """Where the images are: $FAILHOOK_VM_CACHE or /var/cache/failhook-vm."""
    path = Path(os.environ.get("FAILHOOK_VM_CACHE") or "/var/cache/failhook-vm")
    path.mkdir(parents=True, exist_ok=True)
    return path


def template(
    release: str, packages: Sequence[str] = (), *, generic_kernel: bool = False
) -> Template:
    """The image of a Debian release with this checkout's failhook in it, made on first use.

    One image is kept of each release, and one with more packages or the other kernel.
    """
    tree = machine_tree(release, generic_kernel=generic_kernel)
    tree = failhook_tree(trees.install(tree, *packages) if packages else tree)
    kind = f"{'more-' if packages or generic_kernel else ''}{release}"
    root = directory() / f"{kind}-{tree.key}.img"
    with cache.lock(f"vm-{kind}"):
        if not root.exists():
            for old in directory().glob(f"{kind}-*.img"):
                old.unlink()
            _make_root(tree, root)
    return Template(release, root, tree)


def _make_root(tree: Tree, root: Path) -> None:
    partial = root.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with partial.open("wb") as file:
        file.truncate(_ROOT_MIB * MIB)
    lower = ":".join(map(str, tree.layers))
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _MAKE_ROOT, "sh"]
    run_on_host([*enter, lower, str(cache.mount_point()), str(partial)], "making the root image")
    partial.rename(root)


class Disk:
    """A disk in a file: an EFI system partition and a root, changed and read from outside."""

    def __init__(self, path: Path, template: Template) -> None:
        self.path = path
        self._esp = f"{path}@@{_ESP_AT}"
        self._root = f"{path}?offset={_ROOT_AT}"
        with path.open("wb") as file:
            file.truncate(_ROOT_AT + (_ROOT_MIB + 1) * MIB)
        self._tool(["sfdisk", "--quiet", str(path)], input_text=_TABLE)
        place = ["bs=1M", f"seek={_ROOT_AT // MIB}", "conv=notrunc,sparse", "status=none"]
        self._tool(["dd", f"if={template.root}", f"of={path}", *place])
        self._make_esp()

    def _make_esp(self) -> None:
        with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
            esp = Path(made, "esp")
            with esp.open("wb") as file:
                file.truncate(_ESP_MIB * MIB)
            self._tool(["mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", str(esp)])
            place = ["bs=1M", f"seek={_ESP_AT // MIB}", "conv=notrunc,sparse", "status=none"]
            self._tool(["dd", f"if={esp}", f"of={self.path}", *place])

    def put_on_esp(self, files: Mapping[str, bytes | Path]) -> None:
        """Write files to the EFI system partition; directories are made."""
        known: set[Path] = set()
        for name, content in files.items():
            for parent in reversed(Path(name).parents):
                if parent.name and parent not in known:
                    known.add(parent)
                    self._tool(["mmd", "-D", "s", "-i", self._esp, f"::/{parent}"], check=False)
            with tempfile.NamedTemporaryFile(prefix="failhook-vm-") as file:
                if isinstance(content, bytes):
                    file.write(content)
                    file.flush()
                source = file.name if isinstance(content, bytes) else str(content)
                self._tool(["mcopy", "-o", "-i", self._esp, source, f"::/{name}"])

    def names_on_esp(self, folder: str) -> list[str]:
        """The names in a directory of the EFI system partition, sorted; none if it is not there."""
        listing = self._tool(["mdir", "-b", "-i", self._esp, f"::/{folder}/"], check=False)
        lines = [line for line in listing.splitlines() if line.startswith("::/")]
        return sorted(line.rpartition("/")[2] for line in lines)

    def read_from_esp(self, name: str) -> bytes:
        """A file of the EFI system partition."""
        with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
            target = Path(made, "file")
            self._tool(["mcopy", "-n", "-i", self._esp, f"::/{name}", str(target)])
            return target.read_bytes()

    def put(self, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> None:
        """Write files of root's to the root file system, mode 644 or 755 for a script; links."""
        with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
            commands, known = [], set()
            for number, (name, content) in enumerate({**files, **(links or {})}.items()):
                for parent in reversed(Path(name).parents):
                    if parent != Path("/") and parent not in known:
                        known.add(parent)
                        commands.append(f"mkdir {parent}")
                commands.append(f"rm {name}")
                if name in (links or {}):
                    commands.append(f"symlink {name} {content}")
                    continue
                source = Path(made, str(number))
                source.write_text(content, encoding="utf-8")
                source.chmod(0o755 if content.startswith("#!") else 0o644)
                commands.append(f"write {source} {name}")
            script = Path(made, "commands")
            script.write_text("\n".join(commands) + "\n", encoding="utf-8")
            self._tool(["debugfs", "-w", "-f", str(script), self._root])
        self.check()

    def check(self) -> str:
        """Replay the journal and check the root file system, as the next boot would; its words."""
        return self._tool(["e2fsck", "-p", "-f", self._root], check=False)

    def read(self, name: str) -> bytes:
        """A file of the root file system; empty if it is not there."""
        with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
            target = Path(made, "file")
            self._tool(["debugfs", "-R", f"dump {name} {target}", self._root])
            return target.read_bytes() if target.exists() else b""

    def remove(self) -> None:
        """Give the space back."""
        self.path.unlink(missing_ok=True)

    @staticmethod
    def _tool(argv: list[str], *, input_text: str = "", check: bool = True) -> str:
        done = subprocess.run(
            argv,
            input=input_text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=host_environment(),
            check=False,
        )
        if check and done.returncode != 0:
            raise BedError(f"the disk: {argv[0]} ended with {done.returncode}\n{done.stdout}")
        return done.stdout
