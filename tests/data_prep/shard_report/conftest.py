"""Shards of pairs that a report is written of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.clips.clip_to_pairs import shard_videos
from data_prep.config import EncodeConfig, PairConfig, VideoShardConfig, WorkConfig
from data_prep.frames.images import encode_image
from mimicbrush.data.shards import FramePair, write_shard
from tests.data_prep.conftest import texture, write_clip

PICTURE = encode_image(texture(0, 48, 64), EncodeConfig())


def pair(key: str, similarity: float = 0.5, name: str = "a.mp4") -> FramePair:
    points = [(0.25, 0.5, 0.5, 0.5)] * 9
    origin = {"file": name, "group": name, "times": [0.5, 2.0]}
    return FramePair(key=key, source=PICTURE, reference=PICTURE, similarity=similarity, keypoints=points, origin=origin)


def write_pairs(folder: Path, num_shards: int = 1, per_shard: int = 2) -> list[Path]:
    """Shards of pairs whose similarities rise from 0.3 to 0.9; the indexes name one clip each."""
    shards = [folder / f"videos-{number:06d}.tar" for number in range(num_shards)]
    similarities = np.linspace(0.3, 0.9, num_shards * per_shard).reshape(num_shards, per_shard)
    for number, shard in enumerate(shards):
        pairs = [pair(f"s{number}-{i}", float(value)) for i, value in enumerate(similarities[number])]
        record = {"status": "kept", "detail": "", "similarity": {"0.50": per_shard}}
        write_shard(shard, pairs, {f"clip{number}.mp4": record})
    return shards


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a sharding command for an intact clip and for one that cannot be read and has a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    write_clip(folder / "in" / "a.mp4", step=1)
    (folder / "in" / "zero<b>&'\n猫.mp4").touch()
    limits = {"ssim_low": 0.0, "ssim_high": 0.9, "min_gap": 0.1, "min_changed": 0.0}
    pairs = PairConfig(**limits, frames_per_shot=4, vouching=False)
    shard_videos(
        VideoShardConfig(
            videos=folder / "in", output=folder / "out", short_side=64, pairs=pairs, work=WorkConfig(workers=1)
        )
    )
    return folder / "out"
