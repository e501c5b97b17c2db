import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.bench import training_speed
from mimicbrush.bench.config import LoaderBenchConfig, TrainBenchConfig
from mimicbrush.bench.loader_speed import bench_loader
from mimicbrush.bench.step_timer import StepTimeline
from mimicbrush.bench.training_speed import bench_config, bench_training, row_configs
from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.training.config import RunConfig, TrainConfig
from tests.conftest import network_config

CPU = torch.device("cpu")


@pytest.fixture
def train_config(shards: dict[str, Path], tmp_path: Path) -> Path:
    config = TrainConfig(
        output=tmp_path / "never",
        network=network_config(),
        data=DataConfig(sources=[SourceConfig(shards=shards["videos"], weight=1.0)], batch_size=2, num_workers=1),
        run=RunConfig(precision="32-true", accelerator="cpu", devices=1),
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    return path


@pytest.mark.slow
def test_rows_are_measured_and_written(train_config, tmp_path, capsys):
    output = tmp_path / "results" / "train.json"
    rows = ("float32", "checkpointing", "configured")
    bench_training(TrainBenchConfig(train_config=train_config, rows=rows, repeats=1, device="cpu", output=output))
    written = json.loads(output.read_text())
    assert [row["name"] for row in written["rows"]] == [*rows]
    for row in written["rows"]:
        assert row["images_per_second"] > 0
        assert {"VAE", "CLIP", "shape", "reference", "imitative", "backward", "optimiser"} <= row["milliseconds"].keys()
        # The parts sum to the whole step.
        assert sum(row["milliseconds"].values()) == pytest.approx(2e3 / row["images_per_second"], rel=0.05)
    assert "+ gradient checkpointing" in output.with_suffix(".md").read_text()
    assert output.with_suffix(".png").stat().st_size > 1000
    assert "MFU" in capsys.readouterr().out
    assert not (tmp_path / "never").exists()


def test_shards_are_read_by_the_loader(train_config, shards, capsys):
    bench = TrainBenchConfig(train_config=train_config, shards=shards["stills"], rows=("configured",), repeats=1)
    bench_training(replace(bench, device="cpu"))
    assert "images/s" in capsys.readouterr().out


def test_a_row_out_of_memory_is_reported_and_the_others_run(train_config, monkeypatch, tmp_path, capsys):
    def refuse(*args, **kwargs) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(training_speed, "time_steps", refuse)
    output = tmp_path / "train.json"
    rows = ("float32", "configured")
    bench_training(TrainBenchConfig(train_config=train_config, rows=rows, repeats=1, device="cpu", output=output))
    assert capsys.readouterr().out.count("out of memory") == 4
    assert len(json.loads(output.read_text())["rows"]) == 2


def test_rows_accumulate_options_but_configured_is_the_config_itself(train_config):
    bench = TrainBenchConfig(train_config=train_config)
    config = bench_config(bench, CPU)
    rows = row_configs(bench, config, torch.device("cuda"))
    assert rows["frozen"].run.precision == "bf16-mixed"
    assert rows["frozen"].run.channels_last
    assert not rows["frozen"].run.compile
    assert rows["checkpointing"].run.compile
    assert rows["configured"] == config
    assert "bfloat16" not in row_configs(bench, config, CPU)
    assert not row_configs(bench, config, CPU)["channels_last"].run.compile


def test_a_config_that_stops_early_is_timed_without_held_out_pairs(train_config, shards):
    config = load_config(TrainConfig, train_config)
    data, run = replace(config.data, heldout=shards["heldout"]), replace(config.run, patience=3)
    train_config.write_text(dump_config(replace(config, data=data, run=run)))
    timed = bench_config(TrainBenchConfig(train_config=train_config), CPU)
    assert (timed.data.heldout, timed.run.patience) == (None, None)


def test_the_full_size_network_needs_no_hub():
    config = bench_config(TrainBenchConfig(network="full", batch_size=3), CPU)
    assert config.network.autoencoder.pretrained is None
    assert (config.network.size, config.data.batch_size) == (512, 3)


def test_a_nested_part_is_not_counted_twice(monkeypatch):
    ticks = iter([0.0, 1.0, 3.0, 6.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    timeline = StepTimeline(CPU)
    timeline.enter("outer")
    timeline.timed(timeline.timed(lambda: None, "inner"), "middle")()
    assert timeline.seconds() == {"outer": 1.0, "middle": 2.0 + 4.0, "inner": 3.0}


def test_pairs_of_the_loader_are_counted(train_config, shards, capsys):
    bench_loader(LoaderBenchConfig(train_config=train_config, shards=shards["stills"], workers=(1,), seconds=0.2))
    *_, line = capsys.readouterr().out.splitlines()
    assert line.split()[0] == "1"
    assert float(line.split()[2]) > 0
