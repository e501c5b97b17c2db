"""The samples of one shard at an address: read by range, several at once, compared with their checksums, kept."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Protocol, TypeVar

import numpy as np

from mimicbrush.data.remote_files import Address
from mimicbrush.data.sample_cache import Extent, SampleCache
from mimicbrush.data.shard_index import HOW_TO_PUBLISH, ShardIndex, read_index
from mimicbrush.errors import UserError

TRIES = 3
"""Number of times that a sample is read whose bytes are not those that its shard's index names."""
WAIT = 0.5
"""Seconds between these."""


class RemoteSamples:
    """The samples of a shard at an address. It may be pickled and forked."""

    def __init__(self, shard: Address, index: ShardIndex, cache: SampleCache | None) -> None:
        self.shard = shard
        self.sha256 = index.sha256
        self.bytes = index.bytes
        # Arrays: lists of so many numbers would be copied into each worker process, bit by bit.
        self.offsets = np.array(index.offsets, np.int64)
        self.checksums = np.array(index.checksums, np.uint32)
        self.keys = [] if index.checksums else index.keys
        self.cache = cache
        self._begun: dict[tuple[int, int], Future[bytes]] = {}
        """Requests whose answers were not read yet, by process and sample: a request does not outlive a fork."""

    def __getstate__(self) -> dict:
        return vars(self) | {"_begun": {}}

    def prepare(self, sample: int) -> None:
        """Begin to read a sample; a file system that cannot do so in the background reads it later, in `read`."""
        begun = os.getpid(), sample
        if begun in self._begun or (self.cache is not None and self.cache.holds(self._extent(sample))):
            return
        files, path = self.shard.open_file_system()
        if files.async_impl:
            first, last = self._ends(sample)
            request = files._cat_file(path, start=first, end=last)
            self._begun[begun] = asyncio.run_coroutine_threadsafe(request, files.loop)

    def read(self, sample: int) -> bytes | None:
        """The bytes of a sample, None if there are other bytes than its shard's index says.

        Raises UserError where the shard cannot be reached, or was replaced since it was opened.
        """
        content = self._load(sample)
        if content is not None:
            self._begun.pop((os.getpid(), sample), None)
            return content
        content = self._take_begun(sample)
        for number in range(TRIES):
            if content is None:
                content = self._request(sample)
            if self._is_right(sample, content):
                if self.cache is not None:
                    self.cache.store(self._extent(sample), content)
                return content
            content = None
            time.sleep(WAIT * number)
        self._refuse_other_shard()
        return None

    def _load(self, sample: int) -> bytes | None:
        return None if self.cache is None else self.cache.load(self._extent(sample))

    def _extent(self, sample: int) -> Extent:
        return Extent(self.sha256, sample, len(self.offsets) - 1, *self._ends(sample))

    def _ends(self, sample: int) -> tuple[int, int]:
        """The first byte of a sample, and the byte after its last one."""
        return int(self.offsets[sample]), int(self.offsets[sample + 1])

    def _take_begun(self, sample: int) -> bytes | None:
        """The answer to the request of `prepare`; None if that failed: `_request` tries again, and names the fault."""
        request = self._begun.pop((os.getpid(), sample), None)
        try:
            return None if request is None else request.result()
        except Exception:  # of whatever library
            return None

    def _request(self, sample: int) -> bytes:
        try:
            return self.shard.read_bytes(*self._ends(sample))
        except FileNotFoundError:
            raise UserError(f"{self.shard}: no longer there; {HOW_TO_PUBLISH}") from None

    def _is_right(self, sample: int, content: bytes) -> bool:
        first, last = self._ends(sample)
        if len(content) != last - first:
            return False
        if len(self.checksums):
            return zlib.crc32(content) == self.checksums[sample]
        # Shards of earlier versions have no checksums; their keys are compared at least.
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                return all(member.name.partition(".")[0] == self.keys[sample] for member in tar)
        except tarfile.TarError:
            return False

    def _refuse_other_shard(self) -> None:
        """Raise UserError if the address holds another shard by now."""
        if read_index(self.shard).sha256 != self.sha256 or not self.shard.ends_at(self.bytes):
            raise UserError(f"{self.shard}: replaced since it was opened; put the first one back, or start a new run")


class ReadsAhead(Protocol):
    """A shard whose samples may be asked for before they are read."""

    def prepare(self, sample: int) -> None:
        """Begin to read a sample."""


S = TypeVar("S", bound=ReadsAhead)


def prepare_ahead(places: Iterable[tuple[S, int]], ahead: int = 16) -> Iterator[tuple[S, int]]:
    """Go through shards and numbers of samples, and begin to read the next `ahead` of them."""
    waiting: deque[tuple[S, int]] = deque()
    for shard, sample in places:
        shard.prepare(sample)
        waiting.append((shard, sample))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting
