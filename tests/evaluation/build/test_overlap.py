from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mimicbrush.data.shards import FramePair, write_shard
from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.config import OverlapConfig
from mimicbrush.evaluation.build.overlap import find_overlap
from mimicbrush.pictures.writing import encode_jpeg
from tests.data_prep.conftest import texture


def write_set(folder: Path) -> Path:
    folder.mkdir()
    for seed, part in enumerate(("000_source", "000_reference", "001_source", "001_reference")):
        Image.fromarray(texture(seed)).save(folder / f"{part}.png")
    return folder


def sample(key: str, source: Image.Image, reference: Image.Image, quality: int = 60) -> FramePair:
    pictures = [encode_jpeg(np.asarray(picture), quality=quality) for picture in (source, reference)]
    return FramePair(key=key, source=pictures[0], reference=pictures[1], similarity=0.5, origin={"file": f"{key}.mp4"})


def other(seed: int) -> Image.Image:
    return Image.fromarray(texture(100 + seed))


def test_copies_that_were_scaled_encoded_anew_or_mirrored_are_named(tmp_path):
    folder = write_set(tmp_path / "set")
    shown = Image.open(folder / "000_source.png")
    mirrored = ImageOps.mirror(Image.open(folder / "001_reference.png"))
    pairs = [
        sample("smaller", shown.resize((120, 80)), other(0)),
        sample("mirrored", other(1), mirrored),
        sample("cropped", shown.crop((90, 0, 240, 100)), other(2)),
    ]
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards" / "videos-000000.tar", pairs, inputs={})
    with pytest.raises(UserError) as caught:
        find_overlap(OverlapConfig(folder=folder, shards=[str(tmp_path / "shards")]))
    assert [fault.partition(" in ")[0] for fault in caught.value.faults] == [
        "000_source.png looks like smaller.mp4",
        "001_reference.png looks like mirrored.mp4",
    ]


def test_other_pictures_are_no_copies(tmp_path, capsys):
    folder = write_set(tmp_path / "set")
    (tmp_path / "shards").mkdir()
    pairs = [sample(f"p{seed}", other(2 * seed), other(2 * seed + 1)) for seed in range(30)]
    write_shard(tmp_path / "shards" / "videos-000000.tar", pairs, inputs={})
    Image.new("RGB", (240, 160), "white").save(folder / "002_source.png")
    find_overlap(OverlapConfig(folder=folder, shards=[str(tmp_path / "shards")]))
    said = capsys.readouterr().out
    assert "1 pictures were not compared, because they show hardly any detail: 002_source.png" in said
    assert f"none of 4 pictures in {folder} looks like a picture of 30 training samples" in said
