from __future__ import annotations

import os
import shutil
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from mimicbrush.data.config import CacheConfig
from mimicbrush.data.sample_cache import Extent, SampleCache

MIB = 2**20


def place(shard: str, sample: int, size: int = MIB, num_samples: int = 8) -> Extent:
    return Extent(shard * 64, sample, num_samples, sample * size, (sample + 1) * size)


def content(seed: int, size: int = MIB) -> bytes:
    return bytes([seed]) * size


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


@pytest.fixture
def cache(tmp_path: Path) -> SampleCache:
    return SampleCache(CacheConfig(folder=tmp_path / "cache", gib=8 / 1024))


def test_what_was_stored_is_loaded_and_nothing_else(cache):
    assert cache.load(place("a", 0)) is None
    assert not cache.holds(place("a", 0))
    cache.store(place("a", 2), content(1))
    assert cache.holds(place("a", 2))
    assert cache.load(place("a", 2)) == content(1)
    for other in (place("a", 1), place("a", 7), place("b", 2)):
        assert not cache.holds(other)
        assert cache.load(other) is None


def test_a_sample_whose_checksum_is_zero_is_no_hole(cache):
    found, other = (Extent("a" * 64, sample, 8, 4 * sample, 4 * sample + 4) for sample in range(2))
    content = bytes.fromhex("9d0ad96d")
    assert zlib.crc32(content) == 0
    cache.store(found, content)
    assert cache.load(found) == content
    assert cache.load(other) is None


def test_the_folder_may_be_removed_while_it_is_used(cache):
    cache.store(place("a", 0), content(1))
    shutil.rmtree(cache.folder)
    assert cache.load(place("a", 0)) is None
    cache.store(place("a", 1, size=1), content(2, size=1))
    assert cache.load(place("a", 1, size=1)) == content(2, size=1)


def test_the_folder_stays_within_its_size_and_the_longest_unused_goes(cache):
    """Eight MiB: shard a is used again before b makes room for d."""
    for number, shard in enumerate("abc"):
        for sample in range(2):
            cache.store(place(shard, sample), content(number))
        os.utime(cache.folder / f"{shard * 64}.samples", ns=(number, number))
    assert cache.load(place("a", 0)) == content(0)
    for sample in range(2):
        cache.store(place("d", sample), content(4))
        assert bytes_in(cache.folder) <= 8 * MIB
    held = {shard for shard in "abcd" if cache.holds(place(shard, 0))}
    assert held == {"a", "c", "d"}


def test_a_twentieth_of_the_disk_stays_free(cache, monkeypatch):
    def disk_usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(total=100 * MIB, free=9 * MIB - bytes_in(folder))

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    for number, shard in enumerate("abcdef"):
        cache.store(place(shard, 0), content(number))
        assert bytes_in(cache.folder) <= 4 * MIB
    assert cache.holds(place("f", 0))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(total=100 * MIB, free=0))
    cache.store(place("g", 0), content(7))
    assert not cache.holds(place("g", 0))


def test_many_writers_stay_within_the_size(tmp_path):
    config = CacheConfig(folder=tmp_path / "cache", gib=16 / 1024)
    caches = [SampleCache(config) for _ in range(16)]
    for number in range(64):
        for writer, each in enumerate(caches):
            each.store(place("0123456789abcdef"[writer], number % 8, 65536), content(number % 256, 65536))
    assert 0.5 * 16 * MIB < bytes_in(config.folder) <= 16 * MIB


def test_a_shard_larger_than_the_folder_is_kept_in_part(cache):
    for sample in range(20):
        cache.store(place("a", sample, num_samples=20), content(sample))
        assert bytes_in(cache.folder) <= 8 * MIB
    assert cache.load(place("a", 19, num_samples=20)) == content(19)
    assert cache.load(place("a", 0, num_samples=20)) is None


@pytest.mark.parametrize("damage", ["torn", "changed", "short", "empty"])
def test_what_a_crash_left_is_read_anew(cache, damage):
    cache.store(place("a", 0), content(1))
    cache.store(place("a", 1), content(2))
    path = cache.folder / f"{'a' * 64}.samples"
    whole = bytearray(path.read_bytes())
    start = place("a", 1).start
    if damage == "torn":
        whole[start + MIB // 2 : start + MIB] = bytes(MIB // 2)
    elif damage == "changed":
        whole[start + 5] ^= 1
    path.write_bytes({"short": whole[:-1], "empty": b""}.get(damage, whole))
    assert cache.load(place("a", 1)) is None
    assert (cache.load(place("a", 0)) is None) == (damage == "empty")
    cache.store(place("a", 1), content(2))
    assert cache.load(place("a", 1)) == content(2)


def test_a_file_that_another_process_removes_is_missed_by_nobody(cache):
    cache.store(place("a", 0), content(1))
    (cache.folder / f"{'a' * 64}.samples").unlink()
    assert cache.load(place("a", 0)) is None
    cache.store(place("a", 1), content(2))
    assert cache.load(place("a", 1)) == content(2)


def test_a_folder_that_cannot_be_written_is_named_once(tmp_path):
    (tmp_path / "file").touch()
    cache = SampleCache(CacheConfig(folder=tmp_path / "file" / "cache", gib=1))
    with pytest.warns(UserWarning, match="cannot be kept .*read from their address each time; see data.cache"):
        cache.store(place("a", 0), content(1))
    with warnings.catch_warnings(action="error"):
        cache.store(place("a", 0), content(1))


def test_sizes_below_zero_are_refused():
    with pytest.raises(ValueError, match="gib is -1, expected at least 0"):
        CacheConfig(gib=-1)
