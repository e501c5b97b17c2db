"""A bounded folder of samples that were read from an address, shared by all processes of a machine.

A shard's samples lie in one sparse file, named by the shard's SHA-256, at the places that they have in the shard. The
file begins with the CRC-32 of each sample that is there. A sample is taken only if its bytes have that CRC-32, so
neither a crash amid writing nor several writers at once can leave a wrong one. Another shard has another SHA-256, so
copies of a shard that was replaced are never taken; like all others, they are removed when they were not used for the
longest time.

fsspec's own caches do not fit: none is bounded, they go by the address instead of the content, and their lists of the
blocks that they hold may be lost when several processes write them.
"""

from __future__ import annotations

import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mimicbrush.data.config import CacheConfig

SUFFIX = ".samples"
ENTRY = struct.Struct("<Q")
PRESENT = 1 << 32
"""Bit of an entry that says that its sample is there, whose CRC-32 may be 0."""
BLOCK = 512
"""Bytes of a block as `st_blocks` counts them."""
RESERVE = 0.05
"""Share of the disk that stays free."""
FILL = 0.9
"""Share of the largest size to which a full cache is reduced."""


class Extent(NamedTuple):
    """Place of one sample in its shard."""

    shard: str
    """SHA-256 of the shard."""
    sample: int
    num_samples: int
    first: int
    """First byte of the sample."""
    last: int
    """Byte after its last one."""

    @property
    def start(self) -> int:
        """First byte of the sample in the cache's file, behind the entries of all samples."""
        return self.num_samples * ENTRY.size + self.first


class SampleCache:
    """Samples of shards at an address, on this machine's disk.

    It may be pickled and forked; a folder that cannot be written is named once and then left alone.
    """

    def __init__(self, config: CacheConfig) -> None:
        self.folder = config.folder.expanduser()
        self.max_bytes = int(config.gib * 2**30)
        self._free = 0
        """Bytes that this process may still write before it looks again at what all processes have written."""

    def holds(self, place: Extent) -> bool:
        """Whether the sample seems to be here; `load` may find it damaged."""
        try:
            with self._path(place.shard).open("rb") as file:
                return bool(_read_entry(file, place) & PRESENT)
        except (OSError, struct.error):
            return False

    def load(self, place: Extent) -> bytes | None:
        """The sample's bytes, None if they are not here."""
        path = self._path(place.shard)
        try:
            with path.open("rb") as file:
                entry = _read_entry(file, place)
                content = _read(file, place.start, place.last - place.first) if entry & PRESENT else b""
        except (OSError, struct.error):
            return None
        if _entry(content) != entry:
            return None
        with suppress(OSError):
            os.utime(path)  # it was used just now
        return content

    def store(self, place: Extent, content: bytes) -> None:
        """Keep a sample, and remove those of other shards if the folder becomes too large."""
        if len(content) > self.max_bytes * FILL:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(len(content)):
                return
            with os.fdopen(os.open(self._path(place.shard), os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
                for start, part in (
                    (place.start, content),
                    (place.sample * ENTRY.size, ENTRY.pack(_entry(content))),
                ):
                    file.seek(start)
                    file.write(part)
        except OSError as error:
            self.max_bytes = 0
            fact = f"{self.folder}: samples cannot be kept ({error.strerror})"
            warnings.warn(f"{fact}, so they are read from their address each time; see data.cache", stacklevel=2)

    def _make_room(self, size: int) -> bool:
        """Remove the files that were not used for the longest time; returns whether there is room for `size` bytes."""
        if size <= self._free:
            self._free -= size
            return True
        held = sorted(_list_sizes(self.folder))
        total = sum(bytes_ for _, bytes_, _ in held)
        disk = shutil.disk_usage(self.folder)
        limit = min(self.max_bytes, total + disk.free - int(RESERVE * disk.total))
        if total + size > limit:
            for _, bytes_, path in held:
                if total + size <= limit * FILL:
                    break
                with suppress(FileNotFoundError):  # another process removed it
                    path.unlink()
                total -= bytes_
        # Other processes write, too: each takes a part of what is free.
        self._free = max(0, limit - total - size) // 64
        return total + size <= limit

    def _path(self, shard: str) -> Path:
        return self.folder / f"{shard}{SUFFIX}"


def _list_sizes(folder: Path) -> Sequence[tuple[int, int, Path]]:
    """Time of last use, size on disk and path of each file."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_mtime_ns, getattr(status, "st_blocks", status.st_size // BLOCK) * BLOCK, path))
    return found


def _entry(content: bytes) -> int:
    return PRESENT | zlib.crc32(content)


def _read_entry(file: BinaryIO, place: Extent) -> int:
    (entry,) = ENTRY.unpack(_read(file, place.sample * ENTRY.size, ENTRY.size))
    return entry


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
