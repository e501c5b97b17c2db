"""The index beside each shard, which shows that it is complete, and the list of samples to leave out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.files import read_object

FORMAT_VERSION = 1
EXCLUDED_NAME = "excluded.json"
"""File with the samples to leave out: {reason: {input: {"keys": [...], ...}}}."""
HOW_TO_MAKE_SHARDS = "make some with data_prep/shard_videos.py (clips) or data_prep/shard_sam.py (stills)"
"""Advice in the message if there are no shards."""


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Index of a finished shard; it is written last, so its presence means that the tar is whole."""

    pairs: int
    bytes: int
    sha256: str
    keys: list[str]
    inputs: dict
    """Inputs of this shard and their outcome, e.g. {clip: {"status": "kept", "pairs": 4}}."""
    examples: list[dict] = field(default_factory=list)
    """A few examples for each reason to drop a frame, pair or input: {reason, name, picture (JPEG in base64)}."""
    offsets: list[int] = field(default_factory=list)
    """Byte of the tar at which each sample begins, and where the last one ends; empty in shards of earlier versions."""
    groups: list[str | None] = field(default_factory=list)
    """For each sample the group it belongs to, None where it has no stored reference; empty in shards of earlier
    versions."""
    version: int = FORMAT_VERSION


def index_path(shard: Path) -> Path:
    """`x-000001.tar` -> `x-000001.json`."""
    return shard.with_suffix(".json")


def read_index(shard: Path) -> ShardIndex:
    """The index of a shard; raises UserError if it is missing, unreadable or of another version."""
    path = index_path(shard)
    try:
        index = ShardIndex(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no index, so the shard is unfinished; run the sharding command again") from None
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a shard index ({error}); delete it and run the sharding command again") from None
    if index.version != FORMAT_VERSION:
        raise UserError(f"{path}: format {index.version}, this version reads {FORMAT_VERSION}; shard the data anew")
    return index


def check_shard(shard: Path, index: ShardIndex) -> None:
    """Raise UserError if a shard is missing or has another size than its index states."""
    size = shard.stat().st_size if shard.is_file() else 0
    if size != index.bytes:
        raise UserError(f"{shard}: {size} bytes, its index says {index.bytes}; delete both and shard again")


def list_shards(folder: Path) -> list[Path]:
    """The finished, non-empty shards of a folder, sorted; raises UserError if there are none or one is damaged."""
    return list(sound_indexes(folder))


def sound_indexes(folder: Path) -> dict[Path, ShardIndex]:
    """The finished, non-empty shards of a folder, sorted, and their indexes.

    Raises UserError if there are none or one is damaged.
    """
    indexes = {shard: read_index(shard) for shard in require_shards(folder)}
    for shard, index in indexes.items():
        check_shard(shard, index)
    return indexes


def require_shards(folder: Path) -> list[Path]:
    """The shards of a folder, sorted, whose indexes are not read; raises UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of shards; {HOW_TO_MAKE_SHARDS}")
    shards = sorted(folder.glob("[!.]*.tar"))
    if not shards:
        raise UserError(f"{folder}: holds no finished shard; {HOW_TO_MAKE_SHARDS}")
    return shards


def read_excluded(shards: Iterable[Path]) -> frozenset[str]:
    """Keys that `excluded.json` names in the folders of the given shards; raises UserError if it is damaged."""
    keys: set[str] = set()
    for path in {shard.parent / EXCLUDED_NAME for shard in shards}:
        if path.is_file():
            try:
                keys.update(
                    key for inputs in read_object(path).values() for one in inputs.values() for key in one["keys"]
                )
            except (AttributeError, KeyError, TypeError):
                raise UserError(f"{path}: not a list of excluded samples; merge the folder again") from None
    return frozenset(keys)
