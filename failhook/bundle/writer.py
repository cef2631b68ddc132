# SPDX-License-Identifier: MIT
"""Writing a bundle: one stream straight to the disk, published by rename, or nothing at all.

The same items make the same bytes: no owner, no clock, fixed modes, the incident's time. A limit on
the size is kept by leaving items out, and the manifest, written last, says which.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from failhook import document
from failhook.bundle import layout, tarhead
from failhook.bundle.layout import BundleError
from failhook.bundle.stream import GzipStream
from failhook.incident import Bundle, Incident, JsonObject
from failhook.item import Item

_RESERVE = 4096  # for the manifest's head and the incident's own words, compressed
_RESERVE_PER_ITEM = 160  # its entry: a path, and a digest that does not compress
_MOST_HEADERS = 2 * layout.MAX_PAX + 4 * layout.BLOCK  # of one name, and what fills the last block
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk does not answer properly",
    errno.ENOENT: "the directory is gone",
}


class BundleWriter:
    """Packs the evidence of one incident into ``directory / name``.

    Use it as a context manager: what is not finished leaves nothing behind. Raises BundleError,
    with the reason in words and the errno, for everything that the disk refuses.
    """

    def __init__(
        self,
        directory: Path,
        incident: Incident,
        *,
        max_bytes: int,
        name: str = "bundle.tar.gz",
        file_type: type[io.FileIO] = io.FileIO,
    ) -> None:
        """``max_bytes`` limits the compressed file, of which the manifest is always part.

        ``file_type`` is for tests of a failing disk.
        """
        self._path = directory / name
        self._incident = incident
        self._max = max_bytes
        self._top = layout.top_directory(incident.unit, incident.id)
        self._temporary = f".{name[:200]}.{os.getpid()}.new"
        self._names = layout.Names()
        self._masked: Counter[str] = Counter()
        self._bytes = 0
        self._items: list[JsonObject] = []
        self._left_out: list[JsonObject] = []
        self._file: io.FileIO | None = None
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _error(self._path, error) from error
        with self._refusals():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._directory)
            fd = os.open(self._temporary, _FLAGS, 0o600, dir_fd=self._directory)
            self._file = file_type(fd, "r+b")
            self._stream = GzipStream(self._file)
            self._put_header(self._top, 0, directory=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def add(self, item: Item) -> bool:
        """Pack one item; False where it does not fit any more, which the manifest then says.

        A hostile or doubled path is made harmless, never refused: evidence is worth more than its
        name. Raises BundleError.
        """
        path = self._names.free(item.path)
        above = self._names.new_directories(path)
        most = self._stream.most_if_closed(len(item.data) + _MOST_HEADERS * (len(above) + 1))
        with self._refusals():
            take_back = None if most + self._reserve() < self._max else self._stream.mark()
            for directory in above:
                self._put_header(f"{self._top}/{directory}", 0, directory=True)
            self._put_file(path, item.data)
            if take_back and self._stream.size_if_closed() + self._reserve() > self._max:
                take_back()
                reason = "the bundle's size limit is reached"
                left: JsonObject = {"path": path, "collector": item.collector}
                self._left_out.append(left | {"bytes": len(item.data), "reason": reason})
                return False
        self._names.take(path)
        self._masked.update(item.masked)
        self._bytes += len(item.data)
        self._items.append(_entry(path, item))
        return True

    def finish(self, header: JsonObject) -> Bundle:
        """Write the manifest, make the file durable, and give it its name. Raises BundleError.

        ``header`` goes into the manifest as it is (``created``, ``evidence``, …); what the writer
        knows itself cannot be overridden. Nothing in it is masked here.
        """
        manifest = document.text(self._manifest(header)).encode()
        with self._refusals():
            assert self._file is not None
            self._put_file(layout.MANIFEST, manifest)
            self._stream.write(bytes(2 * layout.BLOCK))
            sha256 = self._stream.close()
            os.fsync(self._file.fileno())
            self._file.close()
            os.rename(
                self._temporary,
                self._path.name,
                src_dir_fd=self._directory,
                dst_dir_fd=self._directory,
            )
            self._file = None
            self._sync_name()
        size = self._stream.size
        self.abort()
        return Bundle(str(self._path), size, sha256)

    def _sync_name(self) -> None:
        try:
            os.fsync(self._directory)
        except OSError:  # a name that may be gone after a power cut is no published bundle
            with contextlib.suppress(OSError):
                os.unlink(self._path.name, dir_fd=self._directory)
            raise

    def abort(self) -> None:
        """Remove what was written so far. Does nothing after `finish` or a second time."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._directory)
            self._file = None
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        if self._directory < 0:
            raise BundleError(f"{self._path} was finished or given up already")
        try:
            yield
        except OSError as error:
            self.abort()
            raise _error(self._path, error) from error

    def _reserve(self) -> int:
        entries = len(self._items) + len(self._left_out) + 1
        return _RESERVE + _RESERVE_PER_ITEM * entries

    def _put_file(self, path: str, data: bytes) -> None:
        self._put_header(f"{self._top}/{path}", len(data), directory=False)
        self._stream.write(data)
        self._stream.write(bytes(-len(data) % layout.BLOCK))

    def _put_header(self, path: str, size: int, *, directory: bool) -> None:
        mtime = max(0, int(self._incident.first_seen))
        self._stream.write(tarhead.header(path, size, mtime, directory=directory))

    def _manifest(self, header: JsonObject) -> JsonObject:
        incident = self._incident
        known: JsonObject = {"schema": layout.SCHEMA, "id": incident.id, "unit": incident.unit}
        known |= {"host": incident.host, "boot_id": incident.boot_id}
        totals: JsonObject = {
            "items": len(self._items),
            "bytes": self._bytes,
            "truncated": sum(entry["truncated"] is True for entry in self._items),
            "left_out": len(self._left_out),
            "masked": self._masked.total(),
        }
        masked: JsonObject = dict(sorted(self._masked.items()))
        own = known | {"items": [*self._items], "totals": totals, "masked": masked}
        return known | header | own | {"left_out": [*self._left_out]}


def _entry(path: str, item: Item) -> JsonObject:
    masked: JsonObject = dict(sorted(item.masked.items()))
    return {
        "path": path,
        "collector": item.collector,
        "bytes": len(item.data),
        "sha256": hashlib.sha256(item.data).hexdigest(),
        "truncated": item.truncated,
        "reason": item.reason,
        "took_ms": item.took_ms,
        "masked": masked,
    }


def _error(path: Path, error: OSError) -> BundleError:
    why = _WHY.get(error.errno or 0, error.strerror or str(error))
    return BundleError(f"{path} could not be written: {why}", error.errno)
