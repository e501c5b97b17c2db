"""Runs of the tiny network learn, stop and resume, and change only trained parts."""

import signal
from pathlib import Path

import pytest
import torch
import yaml

import train
from mimicbrush.command import call_command
from mimicbrush.config import dump_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, PartConfig
from mimicbrush.model.weights.build import initialise, load_network
from mimicbrush.model.weights.find import checkpoint_of
from mimicbrush.model.weights.release import save_release
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.pictures.geometry import FEATHER_PASSES
from mimicbrush.requests import ReferenceRequest
from mimicbrush.run_folder import claim
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.records import read_records
from mimicbrush.training.run_setup import make_module
from mimicbrush.training.stop_signals import StopSignals
from tests.conftest import DEPTH, one_block_config

WITH_PICTURES = {"preview_every": 2, "reference_use_every": 2}


def config(shards: dict[str, Path], output: Path, *, network: NetworkConfig | None = None, **run) -> TrainConfig:
    sources = [SourceConfig(shards=shards["videos"], weight=0.7), SourceConfig(shards=shards["stills"], weight=0.3)]
    fields = {
        "max_steps": 2,
        "precision": "32-true",
        "accelerator": "cpu",
        "devices": 1,
        "checkpoint_every": 2,
        "record_every": 1,
        "preview_every": 0,
        "num_previews": 2,
        "preview_steps": 2,
        "reference_use_every": 0,
        "num_reference_use_pairs": 4,
    }
    return TrainConfig(
        output=output,
        network=network or one_block_config(),
        data=DataConfig(sources=sources, heldout=shards["heldout"], batch_size=4, num_workers=0),
        recipe=RecipeConfig(learning_rate=1e-3, warmup_steps=1),
        run=RunConfig(**fields | run),
    )


def fit(config: TrainConfig, tmp_path: Path, monkeypatch, *overrides: str, charts=False, with_doctor=False) -> None:
    """Run train.py in this process.

    Charts, and the doctor's checks, take longer than a short run's training, so most runs have neither.
    """
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    with monkeypatch.context() as patch:
        if not charts:
            patch.setattr("mimicbrush.training.records.draw_training", lambda rows, path: None)
            patch.setattr("mimicbrush.training.previews.draw_reference_use", lambda rows, path: None)
        if not with_doctor:
            patch.setattr("mimicbrush.training.command.check_before_run", lambda *parts: None)
        call_command(train.COMMAND, ["--config", str(path), *overrides])


def test_a_second_ctrl_c_interrupts_at_once(shards, tmp_path, monkeypatch):
    def interrupt(stop: StopSignals, votes: list[float]) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(StopSignals, "agree", interrupt)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(config(shards, tmp_path / "run"), tmp_path, monkeypatch)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_run_writes_everything_and_resumes_with_the_same_command(shards, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    fit(config(shards, run, **WITH_PICTURES), tmp_path, monkeypatch, charts=True, with_doctor=True)
    made = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert made >= {"config.yaml", "metrics.csv", "checkpoints/last.ckpt", "previews/step-0000002.png"}
    assert made >= {"loss.png", "reference_use.csv", "reference_use.png"}
    text = capsys.readouterr().err
    assert (
        "step 2: editing 2 held-out pairs for a preview\nstep 2: measuring reference use on 4 held-out pairs\n" in text
    )
    first = read_checkpoint(run / "checkpoints" / "last.ckpt")

    fit(config(shards, run, **WITH_PICTURES), tmp_path, monkeypatch)
    assert "already trained 2 of 2 steps" in capsys.readouterr().out

    fit(config(shards, run, **WITH_PICTURES), tmp_path, monkeypatch, "--run.max_steps", "4")
    second = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert (first["global_step"], second["global_step"]) == (2, 4)
    assert [row["step"] for row in read_records(run / "metrics.csv")] == [1, 2, 3, 4]
    assert [row["step"] for row in read_records(run / "reference_use.csv")] == [2, 4]
    assert yaml.safe_load((run / "config.yaml").read_text())["run"]["max_steps"] == 4


def test_a_resumed_run_ends_with_the_uninterrupted_runs_optimiser_step(shards, trained, tmp_path, monkeypatch):
    """Optimiser state, schedule and averaged weights come back; only the data's order starts anew."""
    fit(config(shards, tmp_path / "run"), tmp_path, monkeypatch, "--run.max_steps", "3")
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    steps = {int(state["step"]) for state in checkpoint["optimizer_states"][0]["state"].values()}
    assert steps == {3}
    assert checkpoint["ema"].keys() <= checkpoint["state_dict"].keys()


def test_the_same_command_gives_the_same_weights(shards, trained, tmp_path, monkeypatch):
    fit(config(shards, tmp_path / "again"), tmp_path, monkeypatch)
    states = [read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (trained, tmp_path / "again")]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_previews_and_reference_use_leave_training_untouched(shards, tmp_path, monkeypatch):
    states = []
    for name, changes in {"with": WITH_PICTURES, "without": {}}.items():
        fit(config(shards, tmp_path / name, max_steps=4, **changes), tmp_path, monkeypatch)
        states.append(read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"])
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_another_run_in_the_folder_is_refused(shards, trained, tmp_path, monkeypatch):
    settings = config(shards, trained)
    with pytest.raises(UserError, match=r"holds another run: recipe.learning_rate was 0.001, is 0.1") as refused:
        fit(settings, tmp_path, monkeypatch, "--recipe.learning_rate", "0.1")
    way_out = f"--network.weights {trained} --output NEW"
    assert f"set it back to resume, or start a new run from these weights with {way_out}," in str(refused.value)
    taken = way_out.replace("NEW", str(tmp_path / "new")).split()
    fit(settings, tmp_path, monkeypatch, "--recipe.learning_rate", "0.1", *taken)
    assert read_checkpoint(tmp_path / "new" / "checkpoints" / "last.ckpt")["global_step"] == 2


@pytest.mark.parametrize("field", ["seed", "run.ema_decay", "recipe.imitative_lora", "data.shuffle_window"])
def test_a_refused_setting_comes_with_a_way_out(shards, tmp_path, monkeypatch, field):
    settings = config(shards, tmp_path / "run")
    claim(settings.output, settings)
    change = [f"--{field}", {"run.ema_decay": "0.5"}.get(field, "7")]
    with pytest.raises(UserError, match=rf"{field} was .*; choose another output or delete the folder"):
        fit(settings, tmp_path, monkeypatch, *change)
    checkpoint_of(settings.output).parent.mkdir()
    checkpoint_of(settings.output).touch()
    with pytest.raises(UserError, match=rf"{field} was .*--network.weights .*--output NEW"):
        fit(settings, tmp_path, monkeypatch, *change)
    # The weights of another network would not fit.
    with pytest.raises(UserError, match=r"network\.size was 32, is 64; choose another output or delete the folder"):
        fit(settings, tmp_path, monkeypatch, "--network.size", "64")


def test_a_failed_start_does_not_claim_the_folder(shards, tmp_path, monkeypatch):
    right = config(shards, tmp_path / "run")
    wrong = TrainConfig(**vars(right) | {"data": DataConfig(**vars(right.data) | {"heldout": tmp_path / "nowhere"})})
    with pytest.raises(UserError, match="nowhere"):
        fit(wrong, tmp_path, monkeypatch)
    fit(right, tmp_path, monkeypatch)


def test_accumulated_batches_are_one_step(shards, tmp_path, monkeypatch):
    fit(config(shards, tmp_path / "run", accumulate=3, max_steps=2, preview_every=2), tmp_path, monkeypatch)
    assert [row["step"] for row in read_records(tmp_path / "run" / "metrics.csv")] == [1, 2]
    assert [path.name for path in (tmp_path / "run" / "previews").iterdir()] == ["step-0000002.png"]


def test_a_step_keeps_its_samples_in_other_batches(shards, tmp_path, monkeypatch):
    """A run started in batches of 4 resumes in batches of at most 3, with the next samples."""
    run, seen = tmp_path / "run", []
    training_step = MimicBrushModule.training_step
    monkeypatch.setattr(
        MimicBrushModule,
        "training_step",
        lambda self, pairs, n: seen.append(pairs.position) or training_step(self, pairs, n),
    )
    fit(config(shards, run, max_steps=1), tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"takes 4 samples per step, now 3; set run.samples_per_step to 4"):
        fit(config(shards, run), tmp_path, monkeypatch, "--data.batch_size=3")
    fit(config(shards, run, samples_per_step=4), tmp_path, monkeypatch, "--data.batch_size=3")
    assert seen[-2:] == [[4, 5], [6, 7]]


def test_a_checkpoint_of_another_network_is_not_resumed(trained, monkeypatch):
    other = trained / "config.yaml"
    wider = yaml.safe_load(other.read_text())
    wider["network"]["reference_unet"]["arguments"]["block_out_channels"] = [16]
    wider["run"]["max_steps"] = 4
    other.write_text(yaml.safe_dump(wider))
    with pytest.raises(UserError, match="misshaped"):
        call_command(train.COMMAND, ["--config", str(other)])


def test_frozen_parts_stay_and_trained_parts_move(shards, trained):
    before = make_module(config(shards, trained)).state_dict()
    after = read_checkpoint(trained / "checkpoints" / "last.ckpt")["state_dict"]
    moved = {name.split(".")[1] for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"imitative_unet", "image_projector", "shape_projector"}


def test_a_trained_reference_unet_moves_too(shards):
    run = config(shards, Path("unused"))
    module = make_module(TrainConfig(**vars(run) | {"recipe": RecipeConfig(train_reference=True)}))
    assert all(parameter.requires_grad for parameter in module.network.reference_unet.parameters())


def test_a_checkpoint_edits_and_its_averaged_weights_differ(trained):
    source, mask = torch.rand(1, 3, 40, 24), torch.zeros(1, 1, 40, 24)
    mask[..., 10:20, 6:18] = 1
    request = ReferenceRequest(source=source, mask=mask, reference=torch.rand(3, 30, 50))
    averaged, plain = (
        MimicBrushEditor(trained, num_inference_steps=2, use_ema=use_ema, device="cpu").edit(request).frames
        for use_ema in (True, False)
    )
    assert averaged.shape == source.shape
    assert not torch.equal(averaged, plain)
    untouched = torch.nn.functional.max_pool2d(mask, 2 * FEATHER_PASSES + 1, 1, FEATHER_PASSES) == 0
    assert torch.equal(averaged[untouched.expand_as(source)], source[untouched.expand_as(source)])


def test_a_damaged_checkpoint_and_a_foreign_one_are_named(trained, tmp_path):
    settings = trained / "config.yaml"
    document = yaml.safe_load(settings.read_text())
    document["network"]["reference_unet"]["arguments"]["block_out_channels"] = [16]
    settings.write_text(yaml.safe_dump(document))
    with pytest.raises(UserError, match="misshaped"):
        load_network(trained)
    checkpoint = trained / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_network(trained)
    checkpoint.write_bytes(b"")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_network(trained)
    torch.save({"weights": torch.zeros(1)}, checkpoint)
    with pytest.raises(UserError, match=r"not a checkpoint of train\.py"):
        load_network(trained)
    with pytest.raises(UserError, match=r"does not exist; expected a mimicbrush\.bin, a training run"):
        load_network(tmp_path / "nowhere")


def test_training_starts_from_released_weights(shards, tmp_path, monkeypatch):
    """Frozen parts that can be fetched again are not in the checkpoint, and are fetched again."""
    network_fields = {"depth": PartConfig(arguments=DEPTH), "weights": str(tmp_path / "mimicbrush.bin")}
    released = initialise(one_block_config(depth=PartConfig(arguments=DEPTH)), seed=5)
    save_release(released, tmp_path / "mimicbrush.bin")
    settings = config(shards, tmp_path / "run", network=one_block_config(**network_fields))
    fit(settings, tmp_path, monkeypatch)
    stored = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    parts = {name.split(".")[1] for name in stored}
    assert parts == {"imitative_unet", "image_projector", "shape_projector", "autoencoder", "shape_map"}
    trained = load_network(tmp_path / "run")
    for part in ("reference_unet", "image_encoder"):
        torch.testing.assert_close(
            getattr(trained, part).state_dict(), getattr(released, part).state_dict(), rtol=0, atol=0
        )
    next_run = initialise(one_block_config(**network_fields | {"weights": str(tmp_path / "run")}), seed=11)
    for part in ("reference_unet", "imitative_unet"):
        torch.testing.assert_close(
            getattr(next_run, part).state_dict(), getattr(trained, part).state_dict(), rtol=0, atol=0
        )
    before, after = (net.imitative_unet.conv_out.weight for net in (released, trained))
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, before, rtol=0, atol=0.1)


def test_a_run_starts_from_another_runs_averaged_weights(trained):
    first = load_network(trained)
    started = initialise(one_block_config(weights=str(trained)), seed=9)
    torch.testing.assert_close(started.state_dict(), first.state_dict(), rtol=0, atol=0)
