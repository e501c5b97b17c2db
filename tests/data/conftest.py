"""Folders of shards with the files that merging writes beside them, and a server for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimicbrush.data.config import CacheConfig, DataConfig, SourceConfig
from mimicbrush.data.shard_index import list_shards, read_index
from mimicbrush.data.shards import open_shards
from tests.data.http_folder import HttpFolder, served_folder

NO_CACHE = CacheConfig(gib=0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for milliseconds instead of seconds, and go around the proxies of this machine."""
    monkeypatch.setattr("mimicbrush.data.remote_files.WAITS", (0.01, 0.01))
    monkeypatch.setattr("mimicbrush.data.remote_samples.WAIT", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def published(shards: dict[str, Path]) -> dict[str, Path]:
    """Folders of shards with the files that `merge.py` writes beside them."""
    for folder in shards.values():
        publish(folder)
    return shards


@pytest.fixture
def server(published: dict[str, Path], quick: None) -> Iterator[HttpFolder]:
    with served_folder(published["videos"].parent) as served:
        yield served


def publish(folder: Path, *, excluded: tuple[str, ...] = ()) -> None:
    indexes = {shard: read_index(shard) for shard in list_shards(folder)}
    listed = [
        {"name": shard.name, "pairs": index.pairs, "bytes": index.bytes, "sha256": index.sha256}
        for shard, index in indexes.items()
    ]
    (folder / "index.json").write_text(json.dumps({"pairs": 0, "shards": listed}))
    (folder / "excluded.json").write_text(json.dumps({"near_duplicate": {"a.mp4": {"keys": list(excluded)}}}))


def data_config(videos: object, stills: object, cache: CacheConfig = NO_CACHE, **changes: object) -> DataConfig:
    sources = [SourceConfig(shards=videos, weight=0.7), SourceConfig(shards=stills, weight=0.3)]
    return DataConfig(**{"sources": sources, "batch_size": 4, "num_workers": 0, "cache": cache} | changes)


def open_videos(server: HttpFolder, cache: CacheConfig = NO_CACHE):
    return open_shards(f"{server.address}/videos", cache)[0]
