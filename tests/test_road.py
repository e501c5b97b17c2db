"""The whole pipeline in one test: shards from a clip, training, stopping, resuming, an edit, and an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

import evaluate
import train
from data_prep import shard_sam, shard_videos
from mimicbrush.command import call_command
from mimicbrush.config import dump_config
from mimicbrush.edit.subcommands import COMMANDS as EDIT
from mimicbrush.errors import UserError
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.pictures.reading import read_image
from mimicbrush.pictures.writing import write_image
from tests.conftest import SIZE, network_config
from tests.data_prep.conftest import texture, write_clip, write_still

PAIRS = [
    "--pairs.ssim_low",
    "0.2",
    "--pairs.ssim_high",
    "0.95",
    "--pairs.min_gap",
    "0.1",
    "--pairs.pairs_per_shot",
    "4",
]


def write_benchmark(folder: Path, num: int = 2) -> None:
    """Write triplets of 48 x 40 pixels with a square mask."""
    for number in range(num):
        for part, seed in (("source", number), ("reference", 10 + number)):
            picture = torch.from_numpy(texture(seed, 40, 48)).permute(2, 0, 1) / 255
            write_image(picture, folder / f"{number:03d}_{part}.png")
        mask = torch.zeros(1, 40, 48)
        mask[:, 10:30, 10:30] = 1
        write_image(mask, folder / f"{number:03d}_source_mask.png")


def train_config(folder: Path) -> Path:
    config = {
        "output": str(folder / "run"),
        "network": yaml.safe_load(dump_config(network_config())),
        "data": {
            "sources": [
                {"shards": str(folder / "videos"), "weight": 0.7},
                {"shards": str(folder / "stills"), "weight": 0.3},
            ],
            "heldout": str(folder / "videos"),
            "batch_size": 2,
            "num_workers": 0,
        },
        "run": {
            "precision": "32-true",
            "accelerator": "cpu",
            "devices": 1,
            "num_previews": 2,
            "preview_steps": 1,
            "reference_use_every": 0,
        },
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def evaluate_config(folder: Path) -> Path:
    editor = {
        "class_path": "mimicbrush.editors.mimicbrush.MimicBrushEditor",
        "init_args": {"checkpoint": str(folder / "run"), "num_inference_steps": 2},
    }
    config = {
        "output": str(folder / "evaluation"),
        "sets": {"inner": {"folder": str(folder / "benchmark"), "task": "texture", "track": "inner_id"}},
        "editors": {"ours": editor, "paste": {"class_path": "mimicbrush.editors.baselines.ReferencePaste"}},
        "heldout": {"shards": str(folder / "videos"), "num_pairs": 4},
        "training_run": str(folder / "run"),
    }
    path = folder / "evaluate.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_from_clips_to_a_table(tmp_path):
    for seed in range(2):
        write_clip(tmp_path / "clips" / f"clip{seed}.mp4", seed)
        write_still(tmp_path / "photographs", f"still{seed}", seed)
    common = ["--short_side", SIZE, "--work.workers", 1]
    clips = ["--videos", tmp_path / "clips", "--output", tmp_path / "videos", *common, *PAIRS]
    call_command(shard_videos.COMMAND, list(map(str, clips)))
    stills = ["--stills", tmp_path / "photographs", "--output", tmp_path / "stills", *common]
    call_command(shard_sam.COMMAND, list(map(str, stills)))

    config = train_config(tmp_path)
    for max_steps in (2, 3):
        call_command(train.COMMAND, ["--config", str(config), "--run.max_steps", str(max_steps)])
        assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == max_steps

    write_benchmark(tmp_path / "benchmark")
    call_command(evaluate.COMMAND, ["--config", str(evaluate_config(tmp_path))])
    results = json.loads((tmp_path / "evaluation" / "results.json").read_text())
    assert results["reference_use"]["heldout"]["ours"]["another / both"]["count"] == 4
    assert (tmp_path / "evaluation" / "report.html").stat().st_size > 10_000

    picture = tmp_path / "benchmark" / "000_source.png"
    shell = ["--weights", tmp_path / "run", "--num_inference_steps", 2, "--source", picture]
    shell += ["--mask", tmp_path / "benchmark" / "000_source_mask.png", "--output", tmp_path / "edited.png"]
    shell += ["--reference", tmp_path / "benchmark" / "000_reference.png"]
    call_command(EDIT, list(map(str, shell)))
    assert read_image(tmp_path / "edited.png").shape == read_image(picture).shape
    with pytest.raises(UserError, match="exists"):
        call_command(EDIT, list(map(str, shell)))
