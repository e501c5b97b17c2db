"""The command that trains variants, with a small script instead of train.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from mimicbrush.command import call_command
from mimicbrush.config import dump_config, load_config
from mimicbrush.errors import UserError
from mimicbrush.tensor_files import torch_save
from mimicbrush.training.ablations.__main__ import COMMAND
from mimicbrush.training.ablations.config import AblationsConfig
from mimicbrush.training.config import TrainConfig
from tests.conftest import REPOSITORY

SHIPPED = REPOSITORY / "configs" / "train" / "ablations" / "small.yaml"

SCRIPT = """
import os, pathlib, signal, sys, yaml
config = yaml.safe_load(pathlib.Path(sys.argv[2]).read_text())
output = pathlib.Path(config["output"])
output.mkdir(parents=True)
if config["seed"] == 3:
    sys.exit(2)
if config["seed"] == 4:
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    os.kill(os.getppid(), signal.SIGINT)
    while not heard:
        signal.pause()
(output / "trained").write_text(f"{config['recipe']['learning_rate']} {config['run']['max_steps']}")
"""


@pytest.fixture
def train(tmp_path, monkeypatch):
    """train(variants, *arguments): run the command; returns the output folder."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr("mimicbrush.training.ablations.variants.TRAIN_SCRIPT", script)
    path = tmp_path / "ablations.yaml"
    output, shards = tmp_path / "out", tmp_path / "shards"
    shards.mkdir()
    (shards / "videos-000000.tar").touch()

    def train(variants: str, *arguments: str) -> Path:
        sources = f"{{sources: [{{shards: {shards}, weight: 1.0}}]}}"
        path.write_text(f"output: {output}\ndata: {sources}\nrun: {{max_steps: 2}}\nvariants: {variants}\n")
        call_command(COMMAND, ["--config", str(path), *arguments])
        return output

    return train


def test_each_variant_is_trained_and_finished_ones_are_skipped(train, tmp_path, capsys):
    done = tmp_path / "out" / "done" / "checkpoints" / "last.ckpt"
    done.parent.mkdir(parents=True)
    torch_save({"global_step": 2, "state_dict": {}}, done)
    output = train("{full: {}, fast: {recipe: {learning_rate: 3e-4}}, done: {}}")
    assert (output / "full" / "trained").read_text() == "1e-05 2"
    assert (output / "fast" / "trained").read_text() == "0.0003 2"
    assert not (output / "done" / "trained").exists()
    assert load_config(TrainConfig, output / "fast.yaml").output == output / "fast"
    assert capsys.readouterr().out.splitlines() == [
        f"variant 1 of 3, full: training -> {output}/full",
        f"variant 2 of 3, fast: training -> {output}/fast",
        f"variant 3 of 3, done: already trained 2 of 2 steps -> {output}/done; raise run.max_steps to train on",
        f"variants trained: full, fast, done -> {output}",
    ]


def test_a_failed_variant_is_named_and_the_others_are_trained(train, tmp_path):
    with pytest.raises(UserError, match=r"1 of 2 variants failed: broken; see above why"):
        train("{broken: {seed: 3}, full: {}}")
    assert (tmp_path / "out" / "full" / "trained").is_file()


def test_a_finished_variant_with_other_options_is_not_skipped(train, tmp_path):
    done = tmp_path / "out" / "done"
    (done / "checkpoints").mkdir(parents=True)
    torch_save({"global_step": 2, "state_dict": {}}, done / "checkpoints" / "last.ckpt")
    (done / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError, match=r"1 of 2 variants failed: done"):
        train("{done: {}, full: {}}")


def test_only_chosen_variants_are_trained_and_options_apply_to_all(train):
    output = train("{full: {}, fast: {}, slow: {}}", "--only", "slow,full", "--run.max_steps", "7")
    assert (output / "slow" / "trained").read_text() == "1e-05 7"
    assert not (output / "fast").exists()


def test_ctrl_c_reaches_the_variant_which_ends_in_its_own_way(train, tmp_path, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train("{waits: {seed: 4}, next: {}}")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "out" / "waits" / "trained").is_file()
    assert not (tmp_path / "out" / "next").exists()


@pytest.mark.parametrize(
    ("variants", "arguments", "message"),
    [
        ("{full: {recipe: {rate: 1}}}", (), r"variants\.full: .*rate"),
        ("{full: {recipe: {learning_rate: -1}}}", (), r"variants\.full: .*learning_rate is -1"),
        ("{full: {output: x}}", (), r"variants\.full\.output: the folder is .*full; leave it out"),
        ("{a/b: {}}", (), "'a/b' names a folder"),
        ("{a/b: {}, b: {output: x}}", (), r"(?s)2 faults.*'a/b' names a folder.*variants\.b\.output"),
        (
            "{a: {recipe: {learning_rate: -1}}, b: {run: {max_steps: 0}}}",
            (),
            r"(?s)2 faults.*variants\.a: recipe\.learning_rate is -1.*variants\.b: run\.max_steps is 0",
        ),
        ("{full: {}}", ("--only", "fulll"), "only names fulll; variants are full"),
        ("{}", (), "there is no variant"),
        ("{full: {}, frozen: {}}", ("--data.heldout", "nowhere"), "nowhere: no such folder of shards"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(train, tmp_path, variants, arguments, message):
    with pytest.raises(UserError, match=message):
        train(variants, *arguments)
    assert not (tmp_path / "out").exists()


def test_shipped_variants_differ_from_the_run_in_what_they_say():
    config = load_config(AblationsConfig, SHIPPED)
    run = load_config(TrainConfig, SHIPPED.parents[1] / "small_ablations.yaml")
    runs = config.runs
    assert len(runs) == 10 and dump_config(runs["full"]) == dump_config(run)
    assert runs["tokens_only"].network.reference_blend == 0 and not runs["tokens_only"].recipe.train_reference
    assert [Path(source.shards).name for source in runs["stills_only"].data.sources] == ["stills"]
    assert runs["weak"].data.batch.augment.rotation_prob == 0.3
    assert {run.output for run in runs.values()} == {config.output / name for name in runs}
