# SPDX-License-Identifier: MIT
"""The machine's own apt sources and settings, turned into those of another Debian release."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bed.namespaces import BedError, run_on_host

# Releases without -updates and -security of their own.
_ROLLING = ("sid", "unstable")
_POCKETS = ("", "updates", "security")

_SETTING = re.compile(
    r"Acquire::(http|https|ftp|Check-|Retries|ForceIPv|Max-)\S* \"[^\"]+\";", re.IGNORECASE
)
_KEYRING = re.compile(r"^signed-by: *(/\S+)|[\[ ]signed-by=([^\]\s]+)", re.IGNORECASE | re.M)


@dataclass(frozen=True, slots=True)
class Archive:
    """One package archive the machine uses: where, which part of a release, signed by whom."""

    uri: str
    release: str
    component: str
    keyrings: tuple[str, ...]

    @property
    def pocket(self) -> str:
        """`updates` of `bookworm-updates`, empty for the release itself."""
        return self.release.partition("-")[2]


def archives() -> list[Archive]:
    """The Debian archives of the machine; raises BedError if it has none."""
    fields = ("ORIGIN", "REPO_URI", "RELEASE", "COMPONENT", "SOURCESENTRY")
    layout = "\t".join(f"$({field})" for field in fields)
    listing = run_on_host(
        ["apt-get", "indextargets", "--format", layout, "Created-By: Packages"], "apt sources"
    ).stdout
    found = dict.fromkeys(filter(None, map(_archive, listing.splitlines())))
    if not any(archive.pocket == "" for archive in found):
        raise BedError("the apt sources of this machine name no Debian archive to build trees from")
    return list(found)


def _archive(line: str) -> Archive | None:
    values = line.split("\t")
    if len(values) != 5:
        return None
    origin, uri, release, component, entry = values
    # apt leaves the placeholder where it has not fetched the archive's Release file yet.
    if origin not in ("Debian", "$(ORIGIN)") or component != "main":
        return None
    archive = Archive(_resolve(uri), release, component, _keyrings(entry))
    return archive if archive.pocket in _POCKETS else None


def _resolve(uri: str) -> str:
    """Cloud images name a file that lists mirrors; the tree has no such file."""
    parts = urlsplit(uri)
    if parts.scheme not in ("mirror", "mirror+file"):
        return uri
    lines = Path(parts.path.rstrip("/")).read_text(encoding="utf-8").split()
    return lines[0] if lines else uri


def _keyrings(entry: str) -> tuple[str, ...]:
    """The keyrings the file of this entry names: apt does not tell them by itself."""
    path = Path(entry.rpartition(":")[0])
    if not path.is_file():
        return ()
    named = _KEYRING.findall(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(dict.fromkeys(ring for pair in named for ring in "".join(pair).split(",")))


def sources(suite: str) -> list[str]:
    """sources.list lines for a release, from the machine's mirrors."""
    lines = []
    for archive in archives():
        if archive.pocket and suite in _ROLLING:
            continue
        release = f"{suite}-{archive.pocket}" if archive.pocket else suite
        option = f"[signed-by={','.join(archive.keyrings)}] " if archive.keyrings else ""
        lines.append(f"deb {option}{archive.uri} {release} {archive.component}")
    return list(dict.fromkeys(lines))


def keyrings() -> list[Path]:
    """Every keyring that `sources` refers to."""
    return [Path(ring) for ring in dict.fromkeys(r for a in archives() for r in a.keyrings)]


def settings() -> list[str]:
    """apt.conf lines: how this machine reaches its mirrors, and what keeps a tree small."""
    dump = run_on_host(["apt-config", "dump"], "apt settings").stdout.splitlines()
    reach = [line for line in dump if _SETTING.fullmatch(line) and "Auto-Detect" not in line]
    return [
        *reach,
        # A snapshot or a cache may serve a release that apt would call out of date.
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages "none";',
        'APT::Install-Recommends "false";',
    ]
