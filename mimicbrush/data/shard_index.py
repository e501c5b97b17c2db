"""The index beside each shard, which shows that it is complete, and the list of samples to leave out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from mimicbrush.data.remote_files import NO_RANGES, Address, at_once, locate
from mimicbrush.errors import UserError
from mimicbrush.files import read_object

F = TypeVar("F", Path, Address)

FORMAT_VERSION = 1
EXCLUDED_NAME = "excluded.json"
"""File with the samples to leave out: {reason: {input: {"keys": [...], ...}}}."""
INDEX_NAME = "index.json"
"""File that names the shards of a folder, with their bytes and SHA-256; it is all that is known of an address."""
HOW_TO_MAKE_SHARDS = (
    "make some with data_prep/shard_videos.py (clips), data_prep/shard_sam.py (stills) or data_prep/shard_pairs.py"
    " (photographs of one thing, or pairs)"
)
"""Advice in the message if there are no shards."""
HOW_TO_PUBLISH = "run data_prep/merge.py on the folder, and copy all of it there"
"""Advice in the message if a folder at an address is not what its index.json says."""


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
    checksums: list[int] = field(default_factory=list)
    """CRC-32 of the bytes of each sample, for what is read from an address; empty in shards of earlier versions."""
    version: int = FORMAT_VERSION


class ListedShard(NamedTuple):
    """A shard as `index.json` names it."""

    name: str
    bytes: int
    sha256: str


def index_path(shard: F) -> F:
    """`x-000001.tar` -> `x-000001.json`."""
    return shard.with_suffix(".json")


def read_index(shard: Path | Address) -> ShardIndex:
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


def check_shard(shard: Path | Address, index: ShardIndex) -> None:
    """Raise UserError if a shard is missing or has another size than its index states."""
    if isinstance(shard, Address):
        if not shard.ends_at(index.bytes):
            raise UserError(f"{shard}: missing, or not of {index.bytes} bytes as its index says; copy it there again")
        return
    if index.bytes and not shard.is_file():
        raise UserError(f"{shard}: missing, its index says {index.bytes} bytes; delete the index and shard again")
    size = shard.stat().st_size if shard.is_file() else 0
    if size != index.bytes:
        raise UserError(f"{shard}: {size} bytes, its index says {index.bytes}; delete both and shard again")


def list_shards(folder: str | Path | Address) -> list[Path] | list[Address]:
    """The finished, non-empty shards of a folder, sorted; raises UserError if there are none or one is damaged."""
    return list(sound_indexes(folder))


def sound_indexes(folder: str | Path | Address) -> dict[Path, ShardIndex] | dict[Address, ShardIndex]:
    """The finished, non-empty shards of a folder, sorted, and their indexes.

    Raises UserError if there are none or one is damaged.
    """
    folder = locate(folder)
    if isinstance(folder, Address):
        listed = read_listing(folder)
        indexes = at_once(partial(_read_listed, folder), listed)
        return {folder / one.name: index for one, index in zip(listed, indexes, strict=True)}
    indexes = {shard: read_index(shard) for shard in require_shards(folder)}
    for shard, index in indexes.items():
        check_shard(shard, index)
    return indexes


def _read_listed(folder: Address, listed: ListedShard) -> ShardIndex:
    """Read the index of a listed shard, and check that the shard is the listed one."""
    shard = folder / listed.name
    index = read_index(shard)
    if (index.sha256, index.bytes) != (listed.sha256, listed.bytes):
        raise UserError(f"{shard}: another shard than {INDEX_NAME} names; {HOW_TO_PUBLISH}")
    if len(index.offsets) - 1 != index.pairs:
        fact = f"{shard}: its index is of an earlier version, which does not say where its samples lie"
        raise UserError(f"{fact}; shard anew, or copy the folder to this machine and give that")
    check_shard(shard, index)
    return index


def require_shards(folder: str | Path | Address) -> list[Path] | list[Address]:
    """The shards of a folder, sorted, whose indexes are not read; raises UserError if there are none."""
    folder = locate(folder)
    if isinstance(folder, Address):
        return [folder / one.name for one in read_listing(folder)]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of shards; {HOW_TO_MAKE_SHARDS}")
    shards = sorted(folder.glob("[!.]*.tar"))
    if not shards:
        raise UserError(f"{folder}: holds no finished shard; {HOW_TO_MAKE_SHARDS}")
    return shards


def read_listing(folder: Address) -> list[ListedShard]:
    """The shards that `index.json` names at an address, sorted; raises UserError if there are none.

    HTTP lists no folders, and a list that was written whole is the same for all who read it.
    """
    path = folder / INDEX_NAME
    try:
        if len(path.read_bytes(0, 1)) != 1:
            raise UserError(f"{folder}: {NO_RANGES}")
        content = path.read_text()
    except FileNotFoundError:
        raise UserError(f"{folder}: no {INDEX_NAME} there, which names the shards; {HOW_TO_PUBLISH}") from None
    try:
        shards = [ListedShard(one["name"], one["bytes"], one["sha256"]) for one in json.loads(content)["shards"]]
        is_sound = all(map(_is_sound, shards))
    except (ValueError, TypeError, KeyError):
        is_sound = False
    if not is_sound:
        raise UserError(f"{path}: damaged, or another kind of file; {HOW_TO_PUBLISH}")
    if not shards:
        raise UserError(f"{folder}: {INDEX_NAME} names no shard; {HOW_TO_PUBLISH}")
    return sorted(shards)


def _is_sound(listed: ListedShard) -> bool:
    """Whether this can be a shard; its name and digest become names of files."""
    return (
        all(isinstance(value, kind) for value, kind in zip(listed, (str, int, str), strict=True))
        and re.fullmatch(r"[^/\\.][^/\\]*\.tar", listed.name) is not None
        and re.fullmatch(r"[0-9a-f]{64}", listed.sha256) is not None
        and listed.bytes > 0
    )


def read_excluded(shards: Iterable[Path] | Iterable[Address]) -> frozenset[str]:
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
