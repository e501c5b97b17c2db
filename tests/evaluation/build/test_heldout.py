from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import HeldoutSetConfig
from mimicbrush.evaluation.build.heldout import build_heldout
from mimicbrush.evaluation.config import BenchmarkSet


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_pairs_become_triplets_without_their_padding(shards, tmp_path):
    build_heldout(HeldoutSetConfig(shards=[shards["heldout"]], output=tmp_path / "set", num_pairs=4, size=48))
    benchmark = BenchmarkSet(folder=tmp_path / "set", task="parts", track="inner_id")
    assert find_faults(benchmark, frozenset()) == []
    samples = list_samples(benchmark)
    assert len(samples) == 4
    pairs = {pair.key: pair for pair in read_pairs(list_shards(shards["heldout"]))}
    provenance = json.loads((tmp_path / "set" / "provenance.json").read_text())["triplets"]
    for sample in samples:
        pair = pairs[provenance[sample.id]["source"]["file"]]
        assert sample.group == str(pair.origin.get("group", pair.key))
        source, mask = pixels(sample.source), pixels(sample.mask)
        assert max(source.shape) == 48 and source.shape[:2] == mask.shape
        assert 0 < (mask == 255).mean() < 1 and set(np.unique(mask)) == {0, 255}


def test_the_same_command_goes_on_and_another_seed_is_another_set(shards, tmp_path):
    config = HeldoutSetConfig(shards=[shards["heldout"]], output=tmp_path / "set", num_pairs=2, size=48)
    build_heldout(config)
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").glob("*.png")}
    (tmp_path / "set" / "001_source_mask.png").unlink()
    build_heldout(config)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").glob("*.png")} == before
    with pytest.raises(UserError, match=r"another run: .*seed was 0, is 1"):
        build_heldout(replace(config, seed=1))


def test_a_refused_build_leaves_its_output_to_the_corrected_command(shards, tmp_path):
    config = HeldoutSetConfig(shards=[shards["heldout"]], output=tmp_path / "set", num_pairs=500, size=48)
    with pytest.raises(UserError, match=r"needs 500 pairs of 2 or more; ask for fewer pairs with --num_pairs or"):
        build_heldout(config)
    build_heldout(replace(config, num_pairs=2))
    assert (tmp_path / "set" / "001_source.png").is_file()
