"""The curriculum from end to end, tiny: world pairs, two stages by train.py, and the measurement of both."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.world.write_pairs import PairShard, write_pair_shard
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.hub.locations import local_folder
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.records import read_records
from mimicbrush.world.edit_progress.config import EditProgressConfig
from mimicbrush.world.edit_progress.heldout_edits import draw_heldout_edits, figures_of
from mimicbrush.world.edit_progress.measure_runs import JUDGE, measure_runs
from tests.conftest import one_block_config
from tests.training.test_training import fit


def train_stage(shards: Path, output: Path, folder: Path, monkeypatch, *, weights: Path | None = None) -> None:
    stage = TrainConfig(
        output=output,
        network=one_block_config(weights=str(weights) if weights else None),
        data=DataConfig(sources=[SourceConfig(shards=shards, weight=1.0)], batch_size=2, num_workers=0),
        recipe=RecipeConfig(warmup_steps=1, matching_weight=0.1),
        run=RunConfig(
            max_steps=2,
            precision="32-true",
            accelerator="cpu",
            devices=1,
            record_every=1,
            keep_checkpoint_every=2,
            preview_every=0,
            reference_use_every=0,
        ),
    )
    fit(stage, folder, monkeypatch)


def test_stages_follow_one_another_and_are_measured(tmp_path, monkeypatch):
    shards = tmp_path / "shards"
    for kind in ("moved", "other_objects"):
        write_pair_shard(PairShard(shards, kind, 0, 2), size=32, seed=0)
    first, second = tmp_path / "1_moved", tmp_path / "2_other_objects"
    train_stage(shards / "moved", first, tmp_path, monkeypatch)
    train_stage(shards / "other_objects", second, tmp_path, monkeypatch, weights=first)
    options = {"num_sources": 1, "num_inference_steps": 2}
    config = EditProgressConfig(output=tmp_path / "progress", runs=(first, second, tmp_path / "later"), **options)
    assert measure_runs(config).startswith("2 checkpoints measured, 2 in all")
    rows = read_records(config.output / "progress.csv")
    assert [row["step"] for row in rows] == [2, 4]
    assert all(row["psnr_same"] > 0 for row in rows)
    assert {path.name for path in config.output.glob("*.png")} == {
        "edits-000002.png",
        "edits-000004.png",
        "progress.png",
    }
    assert math.isfinite(read_records(second / "metrics.csv")[-1]["loss_matching"])
    assert measure_runs(config).startswith("0 checkpoints measured, 2 in all")
    with pytest.raises(UserError, match="runs"):  # steps alone would not tell other runs apart
        measure_runs(replace(config, runs=(second,)))


def test_the_truth_itself_is_named_and_black_is_not():
    edits = draw_heldout_edits(2, seed=1)
    assert [each.reference for each in edits] == ["same", "other"] * 2
    truths = [each.rendered.truth[0] for each in edits]
    figures = figures_of(edits, truths, judge_folder=local_folder(JUDGE))
    assert figures["psnr_same"] == figures["psnr_other"] == math.inf
    assert figures["judge_same"] == figures["judge_other"] == 1
    black = figures_of(edits, [np.zeros_like(each) for each in truths], judge_folder=local_folder(JUDGE))
    assert black["judge_same"] == black["judge_other"] == 0


def test_runs_without_kept_checkpoints_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"train with run\.keep_checkpoint_every"):
        measure_runs(EditProgressConfig(output=tmp_path / "progress", runs=(tmp_path / "none",)))
