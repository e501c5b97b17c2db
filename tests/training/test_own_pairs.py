"""Shards of one's own photographs are trained on as they are, also those of a single pair."""

from __future__ import annotations

import math

from data_prep.photographs.source_to_pairs import shard_photographs
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.records import read_records
from tests.conftest import one_block_config
from tests.data_prep.photographs.conftest import config_for, write_subjects
from tests.training.test_training import fit


def test_three_steps_on_a_single_pair(tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.shard_report.report_page.training_view", lambda samples: [])
    folder = write_subjects(tmp_path / "in", mug=2)
    (tmp_path / "in" / "pair.csv").write_text("source,reference\nmug/00.png,mug/01.png\n")
    shard_photographs(config_for(folder / "pair.csv", tmp_path / "shards"))
    run = {"max_steps": 3, "precision": "32-true", "accelerator": "cpu", "devices": 1, "record_every": 1}
    never = {"preview_every": 0, "reference_use_every": 0, "heldout_loss_every": 0}
    config = TrainConfig(
        output=tmp_path / "run",
        network=one_block_config(),
        data=DataConfig(sources=[SourceConfig(shards=tmp_path / "shards", weight=1.0)], batch_size=2, num_workers=0),
        recipe=RecipeConfig(learning_rate=1e-3, warmup_steps=1),
        run=RunConfig(**run, **never),
    )
    fit(config, tmp_path, monkeypatch)
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 3
    losses = [float(row["loss"]) for row in read_records(tmp_path / "run" / "metrics.csv")]
    assert len(losses) == 3 and all(map(math.isfinite, losses))
