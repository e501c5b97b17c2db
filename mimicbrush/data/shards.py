"""Layout of frame pairs on disk: a WebDataset tar per shard, with an index beside it.

A shard `name-000042.tar` is finished when, and only when, its index `name-000042.json` exists: the tar is written
under a temporary name, then renamed, then the index is. A tar without an index is never read, and neither is a sample
that the folder's `excluded.json` names.

WebDataset reads the shards. It imports torch, which data preparation needs only for its report, so it is imported by
the functions that read, and the tar is written by Python's own library.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from mimicbrush.data.config import CacheConfig
from mimicbrush.data.remote_files import Address
from mimicbrush.data.remote_samples import RemoteSamples, prepare_ahead
from mimicbrush.data.sample_cache import SampleCache
from mimicbrush.data.shard_index import EXCLUDED_NAME, ShardIndex, index_path, read_excluded, sound_indexes
from mimicbrush.errors import UserError
from mimicbrush.files import sha256, whole, write_json


class DamagedSampleError(Exception):
    """A stored sample that cannot be used; training skips, names and counts it."""


@dataclass(frozen=True, kw_only=True)
class FramePair:
    """One sample on disk."""

    key: str
    """Unique; letters, digits, `-` and `_` only: WebDataset cuts a key at its first dot."""
    source: bytes
    """Encoded image (JPEG or WebP)."""
    reference: bytes | None
    """Encoded image: the same clip at another moment, or a warped still; None: drawn in the batch from the still."""
    similarity: float | None
    """SSIM of the two; None where there is no reference."""
    keypoints: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Matched points: source x, y, reference x, y, each in [0, 1] of its image's width or height."""
    masks: list[bytes] = field(default_factory=list)
    """Object masks of the source as PNG (stills), else empty."""
    origin: dict = field(default_factory=dict)
    """File, time stamps, sizes, and licence or URL where known."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.key):
            raise ValueError(f"key {self.key!r} may hold letters, digits, '-' and '_' only")


def write_shard(path: Path, pairs: Iterable[FramePair], inputs: dict, examples: Iterable[dict] = ()) -> ShardIndex:
    """Write `path` (ending in .tar) and its index, atomically; a shard without pairs is an index alone.

    `inputs` and `examples` may be filled while `pairs` is consumed: they are read afterwards.
    """
    keys: list[str] = []
    groups: list[str | None] = []
    with whole(path) as partial:
        with tarfile.open(partial, "w|") as tar:
            for pair in pairs:
                _add_sample(tar, pair)
                keys.append(pair.key)
                groups.append(None if pair.reference is None else _group(pair.origin))
        if len(set(keys)) != len(keys):
            raise ValueError(f"{path}: two pairs share a key")
    offsets = find_samples(path) if keys else []
    index = ShardIndex(
        pairs=len(keys),
        bytes=path.stat().st_size if keys else 0,
        sha256=sha256(path) if keys else "",
        keys=keys,
        inputs=inputs,
        examples=list(examples),
        offsets=offsets,
        groups=groups,
        checksums=_checksums(path, offsets),
    )
    if not keys:
        path.unlink()
    write_json(asdict(index), index_path(path))
    return index


@dataclass(frozen=True)
class Shard:
    """A finished shard, for reading its samples in any order."""

    path: Path | Address
    sha256: str
    samples: np.ndarray
    """Numbers of its samples that are not excluded."""
    offsets: np.ndarray
    """See ShardIndex."""
    groups: list[str | None]
    """See ShardIndex."""
    remote: RemoteSamples | None = None
    """Reads the samples of a shard at an address."""

    def find_groups(self) -> list[str | None]:
        """The group of each of `samples`, None where one has no stored reference.

        From the index; in shards of earlier versions from the samples' headers and JSON. No picture is read.
        Raises UserError where the shard is damaged.
        """
        if self.remote and not self.groups:
            fact = f"{self.path}: its index is of an earlier version, which names no groups of held-out pairs"
            raise UserError(f"{fact}; shard anew, or copy the folder to this machine and give that")
        groups = self.groups or _read_groups(self.path)
        if len(groups) != len(self.offsets) - 1:
            raise UserError(f"{self.path}: a sample is damaged; delete the shard and its index, and shard again")
        return [groups[sample] for sample in self.samples]

    def read(self, sample: int) -> FramePair:
        """The pair of this number; raises DamagedSampleError where it cannot be read."""
        first, last = self.offsets[sample : sample + 2].tolist()
        if self.remote is None:
            return read_sample(self.path, first, last)
        content = self.remote.read(sample)
        if content is None:
            raise DamagedSampleError(f"{self.path}, byte {first}: not the bytes that were written")
        return parse_sample(content, self.path, first)

    def prepare(self, sample: int) -> None:
        """Begin to read a sample, if it is at an address, so that `read` need not wait; `read` must follow."""
        if self.remote is not None:
            self.remote.prepare(sample)


def open_shards(folder: str | Path, cache: CacheConfig | None = None) -> list[Shard]:
    """The finished shards of a folder that hold a usable sample, sorted.

    folder: may be an address; cache: keeps what is read there.
    Raises UserError if there are none, or one is damaged.
    """
    kept = SampleCache(cache) if cache and cache.gib else None
    indexes = sound_indexes(folder)
    excluded = read_excluded(indexes)
    shards = []
    for path, index in indexes.items():
        samples = [number for number, key in enumerate(index.keys) if key not in excluded]
        offsets = index.offsets or find_samples(path)
        if len(offsets) != index.pairs + 1 or len(index.groups) not in (0, index.pairs):
            raise UserError(f"{path}: its index does not fit it; delete both and shard again")
        if samples:
            numbers = np.array(samples, np.int32), np.array(offsets, np.int64)
            remote = RemoteSamples(path, index, kept) if isinstance(path, Address) else None
            shards.append(Shard(path, index.sha256, *numbers, index.groups, remote))
    if not shards:
        raise UserError(f"{folder}: all samples are excluded by {EXCLUDED_NAME}; merge the folder again")
    return shards


def sample_stages(shards: Sequence[Path]) -> list:
    """WebDataset's stages from shards, in order, to samples that are not excluded."""
    import webdataset as wds

    excluded = read_excluded(shards)
    return [
        wds.SimpleShardList([str(shard) for shard in shards]),
        wds.tarfile_to_samples(),
        wds.select(lambda sample: sample["__key__"] not in excluded),
    ]


def read_pairs(shards: Sequence[Path] | Sequence[Address]) -> Iterator[FramePair]:
    """Read all pairs of the given shards of one folder, or address, in order, without excluded pairs."""
    if any(isinstance(shard, Address) for shard in shards):
        chosen = [shard for shard in open_shards(shards[0].parent) if shard.path in shards]
        places = ((shard, sample) for shard in chosen for sample in shard.samples.tolist())
        return (shard.read(sample) for shard, sample in prepare_ahead(places))
    import webdataset as wds

    return iter(wds.DataPipeline(*sample_stages(shards), wds.map(to_pair)))


def find_samples(shard: Path) -> list[int]:
    """Find the first byte of each sample of a tar, and the end of the last sample."""
    starts, key = [], None
    with tarfile.open(shard) as tar:
        for member in tar:
            if member.name.partition(".")[0] != key:
                key = member.name.partition(".")[0]
                starts.append(member.offset)
        return [*starts, tar.offset]


def _checksums(shard: Path, offsets: Sequence[int]) -> list[int]:
    """CRC-32 of each sample of a tar."""
    if not offsets:
        return []
    with shard.open("rb") as file:
        return [zlib.crc32(file.read(last - first)) for first, last in pairwise(offsets)]


def read_sample(shard: Path, first: int, last: int) -> FramePair:
    """The pair in these bytes of a tar, as `find_samples` gives them; raises DamagedSampleError if there is none."""
    with shard.open("rb") as file:
        file.seek(first)
        return parse_sample(file.read(last - first), shard, first)


def parse_sample(content: bytes, shard: Path | Address, first: int) -> FramePair:
    """The pair in these bytes, which begin at byte `first`; raises DamagedSampleError if there is none."""
    from webdataset.tariterators import group_by_keys, tar_file_iterator

    try:
        members = tar_file_iterator(io.BytesIO(content))
        (sample,) = group_by_keys({**member, "__url__": str(shard)} for member in members)
        return to_pair(sample)
    except (tarfile.TarError, ValueError, KeyError, TypeError, UserError) as error:
        raise DamagedSampleError(f"{shard}, byte {first}: {error}") from None


def _read_groups(shard: Path) -> list[str | None]:
    """Read the groups of a shard whose index lacks them, from the samples themselves."""
    groups: dict[str, str | None] = {}
    with_reference = set()
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                groups.setdefault(key, None)
                if name.startswith("reference"):
                    with_reference.add(key)
                elif name == "json":
                    groups[key] = _group(json.load(tar.extractfile(member))["origin"])
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{shard}: damaged ({error}); delete it and its index, and shard again") from None
    return [group if key in with_reference else None for key, group in groups.items()]


def _group(origin: dict) -> str:
    """The group of a pair; pairs of one group, or without one, are not independent of each other."""
    return str(origin.get("group", ""))


def _add_sample(tar: tarfile.TarFile, pair: FramePair) -> None:
    """Add a pair's members, sorted by name, as WebDataset's own writer does, byte for byte."""
    for name, content in sorted(_to_members(pair).items()):
        member = tarfile.TarInfo(f"{pair.key}.{name}")
        member.size, member.mode = len(content), 0o444
        member.uname = member.gname = "bigdata"
        tar.addfile(member, io.BytesIO(content))


def _to_members(pair: FramePair) -> dict[str, bytes]:
    members = {f"source.{image_suffix(pair.source)}": pair.source}
    if pair.reference is not None:
        members[f"reference.{image_suffix(pair.reference)}"] = pair.reference
    for number, mask in enumerate(pair.masks):
        members[f"mask{number:02d}.png"] = mask
    facts = {"similarity": pair.similarity, "keypoints": pair.keypoints, "origin": pair.origin}
    members["json"] = json.dumps(facts, ensure_ascii=False).encode()
    return members


def to_pair(sample: dict) -> FramePair:
    """Convert a sample as WebDataset reads it to a FramePair; raises UserError if a member is missing (damaged tar)."""
    members = {name.split(".")[0]: content for name, content in sample.items() if not name.startswith("__")}
    if "source" not in members or "json" not in members:
        raise UserError(f"{sample.get('__url__', 'shard')}: sample {sample['__key__']} is incomplete; shard again")
    facts = json.loads(members["json"])
    return FramePair(
        key=sample["__key__"],
        source=members["source"],
        reference=members.get("reference"),
        similarity=facts["similarity"],
        keypoints=[tuple(point) for point in facts["keypoints"]],
        masks=[members[name] for name in sorted(members) if name.startswith("mask")],
        origin=facts["origin"],
    )


def image_suffix(encoded: bytes) -> str:
    """jpg, webp or png, by the content's first bytes."""
    if encoded[:2] == b"\xff\xd8":
        return "jpg"
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "webp"
    if encoded[:4] == b"\x89PNG":
        return "png"
    raise ValueError("an image must be encoded as JPEG, WebP or PNG")
