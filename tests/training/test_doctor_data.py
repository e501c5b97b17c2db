"""The doctor's checks of shards and held-out data."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps

from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import open_shards, write_shard
from mimicbrush.training.doctor.data_checks import IN_FULL, check_heldout, check_source
from tests.conftest import SIZE, make_pairs
from tests.training.test_doctor import verdicts


def of_source(folder: Path, **kwargs) -> dict[str, str]:
    source = SourceConfig(shards=folder, weight=1)
    arguments = {"size": SIZE, "samples_per_step": 4, "extent": IN_FULL} | kwargs
    return verdicts(check_source(source, DataConfig(sources=[source]), **arguments))


def test_a_valid_source_is_counted(shards):
    found = of_source(shards["videos"])
    assert found.keys() == {"ok"}
    assert "sha256 of 2 of 2 shards" in found["ok"]
    source = SourceConfig(shards=shards["videos"], weight=1)
    first, *_ = check_source(
        source, DataConfig(sources=[source]), size=SIZE, samples_per_step=4, extent=IN_FULL._replace(hashed_bytes=0)
    )
    assert "2 shards, 16 pairs, a pass takes 4 steps; looked at 16: longer side 40 pixels" in first.message


def test_small_pictures_are_a_warning(shards):
    assert (
        "16 of 16 pictures are smaller (40 pixels) than network.size 64"
        in of_source(shards["videos"], size=64)["warning"]
    )


def test_inverted_object_masks_are_a_warning(tmp_path):
    def inverted(mask: bytes) -> bytes:
        buffer = io.BytesIO()
        ImageOps.invert(Image.open(io.BytesIO(mask))).save(buffer, "PNG")
        return buffer.getvalue()

    pairs = [replace(pair, masks=[inverted(mask) for mask in pair.masks]) for pair in make_pairs(4, stills=True)]
    write_shard(tmp_path / "stills" / "a-000000.tar", pairs, {})
    found = of_source(tmp_path / "stills")
    assert "4 of 4 object masks cover over half of their picture, 75% at the median" in found["warning"]


def test_pairs_without_keypoints_and_stills_without_masks_are_warnings(tmp_path):
    pairs = [replace(pair, keypoints=[]) for pair in make_pairs(4)]
    write_shard(tmp_path / "videos" / "a-000000.tar", pairs, {})
    assert "4 of 4 pairs have no keypoints" in of_source(tmp_path / "videos")["warning"]
    bare = [replace(pair, masks=[]) for pair in make_pairs(4, stills=True)]
    write_shard(tmp_path / "stills" / "a-000000.tar", bare, {})
    assert "neither a reference nor object masks" in of_source(tmp_path / "stills")["warning"]


def test_altered_bytes_and_damaged_shards_are_faults(shards):
    path = list_shards(shards["videos"])[0]
    content = bytearray(path.read_bytes())
    # One of the zeros that end a tar.
    content[-1] = 1
    path.write_bytes(content)
    assert path.name in of_source(shards["videos"])["fault"]
    for shard in open_shards(shards["videos"]):
        shard.path.write_bytes(bytes(shard.path.stat().st_size))
    assert "all 16 looked at are damaged" in of_source(shards["videos"])["fault"]


def test_heldout_data_among_training_data_is_a_warning(shards, tmp_path):
    sources = [SourceConfig(shards=shards["videos"], weight=1)]
    same = verdicts(check_heldout(DataConfig(sources=sources, heldout=shards["videos"]), IN_FULL))
    assert "share 16 samples (pair0-0, pair0-1, pair0-2, pair0-3, ...)" in same["warning"]
    others = verdicts(check_heldout(DataConfig(sources=sources, heldout=shards["heldout"]), IN_FULL))
    assert "share 4 groups (group0, group1, group2, group3)" in others["warning"]
    moved = [
        replace(pair, key=f"moved-{pair.key}", origin={"group": "elsewhere/group1"}) for pair in make_pairs(1, seed=9)
    ]
    write_shard(tmp_path / "moved" / "a-000000.tar", moved, {})
    alike = verdicts(check_heldout(DataConfig(sources=sources, heldout=tmp_path / "moved"), IN_FULL))
    assert "files of the same names in other folders (group1); if they are the same clips" in alike["warning"]
    apart = [replace(pair, origin={"group": f"apart-{pair.key}"}) for pair in make_pairs(4, seed=99)]
    write_shard(tmp_path / "apart" / "a-000000.tar", apart, {})
    assert verdicts(check_heldout(DataConfig(sources=sources, heldout=tmp_path / "apart"), IN_FULL)).keys() == {"ok"}
