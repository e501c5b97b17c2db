"""The doctor reports all faults before the first step, and leaves the run unchanged."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import train
from mimicbrush.command import call_command
from mimicbrush.config import dump_config, load_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.data.decode import PairBatch, collate
from mimicbrush.errors import UserError
from mimicbrush.model import network as network_module
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.pictures.geometry import blacken
from mimicbrush.pictures.reading import read_image
from mimicbrush.reports.contact_sheet import GAP, MIN_SIDE
from mimicbrush.training import command
from mimicbrush.training.config import RecipeConfig, RunConfig, TrainConfig
from mimicbrush.training.doctor import setup_checks
from mimicbrush.training.doctor.all_checks import check_before_run
from mimicbrush.training.doctor.findings import Finding, collect, describe
from mimicbrush.training.doctor.first_batch import check_gradients, check_mask, check_round_trip, run_batch
from mimicbrush.training.doctor.setup_checks import check_cores, check_disk, check_step, check_weights
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.ranks import CoreCheck, RankCores
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.stop_signals import StopSignals
from mimicbrush.training.trainer import make_trainer
from tests.conftest import REPOSITORY, SIZE, one_block_config

pytestmark = pytest.mark.usefixtures("without_charts")

TRAINED_AUTOENCODER = PartConfig(pretrained="asset:autoencoder_stride4", subfolder=None)


@pytest.fixture
def config(shards: dict[str, Path], tmp_path: Path) -> TrainConfig:
    sources = [SourceConfig(shards=shards["videos"], weight=0.7), SourceConfig(shards=shards["stills"], weight=0.3)]
    run = {"precision": "32-true", "accelerator": "cpu", "devices": 1, "preview_every": 0, "reference_use_every": 0}
    return TrainConfig(
        output=tmp_path / "run",
        network=one_block_config(),
        data=DataConfig(sources=sources, batch_size=4, num_workers=0),
        recipe=RecipeConfig(learning_rate=1e-3, warmup_steps=1),
        run=RunConfig(max_steps=2, checkpoint_every=2, record_every=1, **run),
    )


@pytest.fixture
def module(config) -> MimicBrushModule:
    return make_module(config)


def pairs_of(config: TrainConfig) -> PairBatch:
    dataset = make_data(config).dataset
    return collate([dataset[position] for position in range(config.data.batch_size)])


def verdicts(findings) -> dict[str, str]:
    return {finding.verdict: finding.message for finding in findings}


def fit(config: TrainConfig, monkeypatch, *overrides: str) -> None:
    path = config.output.with_suffix(".yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump_config(config))
    call_command(train.COMMAND, ["--config", str(path), *overrides])


def first_batch(config: TrainConfig, module: MimicBrushModule):
    batch = module.draw_batch(pairs_of(config))
    # Smooth colours, which an autoencoder for photographs reproduces.
    smooth = batch.source.mean((2, 3), keepdim=True) * torch.linspace(0, 1, SIZE).expand(SIZE, SIZE)
    return run_batch(module.network, batch._replace(source=smooth), torch.Generator().manual_seed(0))


# --- The network on its first batch --------------------------------------------------------------------------------


def test_the_mask_of_the_real_path_is_right(config, module):
    assert verdicts(check_mask(first_batch(config, module))).keys() == {"ok"}


def test_a_source_blackened_outside_the_mask_is_found(config, module, monkeypatch):
    monkeypatch.setattr(network_module, "blacken", lambda source, mask: blacken(source, 1 - mask))
    assert "it is black outside instead" in verdicts(check_mask(first_batch(config, module)))["fault"]


def test_an_inverted_mask_channel_is_found(config, module, monkeypatch):
    right = module.network.shrink_mask
    monkeypatch.setattr(module.network, "shrink_mask", lambda mask: 1 - right(mask))
    assert "the mask channel must be 1" in verdicts(check_mask(first_batch(config, module)))["fault"]


def test_a_damaged_autoencoder_is_found(config):
    module = make_module(replace(config, network=one_block_config(autoencoder=TRAINED_AUTOENCODER)))
    autoencoder = module.network.autoencoder
    assert verdicts(check_round_trip(first_batch(config, module))).keys() == {"ok"}
    right = autoencoder.config.scaling_factor
    autoencoder.register_to_config(scaling_factor=10 * right)
    assert "correct scaling_factor" in verdicts(check_round_trip(first_batch(config, module)))["warning"]
    autoencoder.register_to_config(scaling_factor=right)
    torch.nn.init.normal_(autoencoder.decoder.conv_out.weight)
    assert "expected 20 dB or more" in verdicts(check_round_trip(first_batch(config, module)))["warning"]
    autoencoder.encoder.conv_in.weight.data[0] = float("nan")
    assert "copy the autoencoder's weights again" in verdicts(check_round_trip(first_batch(config, module)))["fault"]


def test_every_trained_parameter_gets_a_gradient(config, module):
    found = verdicts(check_gradients(module, pairs_of(config), torch.enable_grad()))
    assert found.keys() == {"ok"}
    assert all(parameter.grad is None for parameter in module.parameters())


def test_an_unused_parameter_is_named(config, module):
    module.network.imitative_unet.forgotten = torch.nn.Parameter(torch.zeros(3))
    found = verdicts(check_gradients(module, pairs_of(config), torch.enable_grad()))
    assert "1 trained parameters get none, first imitative_unet.forgotten" in found["fault"]


def test_a_part_without_effect_is_named(config, module):
    projector = module.network.image_projector
    projector.register_forward_hook(lambda part, inputs, tokens: 0 * tokens)
    found = verdicts(check_gradients(module, pairs_of(config), torch.enable_grad()))
    assert "all gradients of image_projector are zero" in found["warning"]


def test_broken_weights_are_found(config, module):
    module.network.imitative_unet.conv_out.weight.data[0] = float("inf")
    assert "not finite" in verdicts(check_gradients(module, pairs_of(config), torch.enable_grad()))["fault"]


# --- The run and its machine ---------------------------------------------------------------------------------------


def of_cores(config: TrainConfig, monkeypatch, num_cores: int, *, num_workers: int, devices: int) -> dict[str, str]:
    own = RankCores("node", frozenset(range(num_cores)), num_cores)
    monkeypatch.setattr(setup_checks, "own_cores", lambda: own)
    run, data = replace(config.run, devices=devices), replace(config.data, num_workers=num_workers)
    config = replace(config, run=run, data=data)
    return verdicts(collect("workers", check_cores, config, make_trainer(config, StopSignals())))


def test_ranks_that_lightning_starts_share_the_cores(config, monkeypatch):
    found = of_cores(config, monkeypatch, 4, num_workers=1, devices=2)
    assert found == {"ok": "2 ranks with 1 loader worker each on 4 cores of node"}
    assert "lower data.num_workers to 1" in of_cores(config, monkeypatch, 4, num_workers=2, devices=2)["warning"]
    assert "3 ranks share 2 cores of node" in of_cores(config, monkeypatch, 2, num_workers=0, devices=3)["fault"]


def test_tasks_of_a_slurm_step_have_cores_of_their_own(config, monkeypatch):
    """With the numbers of slurm/train.sh, and with each task bound to a single core."""
    numbers = {"STEP_NUM_TASKS": 8, "STEP_NUM_NODES": 1, "NTASKS": 8, "NTASKS_PER_NODE": 8, "NNODES": 1}
    step = {f"SLURM_{name}": str(number) for name, number in numbers.items()}
    step |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_NAME": "train"}
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    for num_cores, num_workers in ((8, 7), (1, 0)):
        found = of_cores(config, monkeypatch, num_cores, num_workers=num_workers, devices=1)
        assert "compared when all have connected" in found["ok"]
    assert (
        "1 rank with 8 loader workers on 8 cores"
        in of_cores(config, monkeypatch, 8, num_workers=8, devices=1)["warning"]
    )
    callbacks = make_trainer(config, StopSignals()).callbacks
    assert [type(one) for one in callbacks].count(CoreCheck) == 1


def test_the_presets_workers_fit_the_cores_that_slurm_gives_a_rank():
    head = (REPOSITORY / "slurm" / "train.sh").read_text()
    cores = int(re.search(r"--cpus-per-task=(\d+)", head).group(1))
    presets = sorted((REPOSITORY / "configs" / "train").glob("mimicbrush*.yaml"))
    workers = {path.name: load_config(TrainConfig, path).data.num_workers for path in presets}
    assert len(workers) == 5 and max(workers.values()) + 1 <= cores, workers


def test_devices_that_are_not_there_end_in_one_line(config):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=r"choose other run\.accelerator"):
        make_trainer(replace(config, run=replace(config.run, accelerator="gpu")), StopSignals())


def test_a_full_disk_is_a_fault(config, module, monkeypatch):
    assert verdicts(check_disk(module, config)).keys() == {"ok"}
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    assert "the last two and the one being written do not fit" in verdicts(check_disk(module, config))["fault"]


def test_random_weights_of_a_big_network_are_a_warning(config, module, monkeypatch):
    assert verdicts(check_weights(config.network, module.network)).keys() == {"ok"}
    monkeypatch.setattr("mimicbrush.training.doctor.setup_checks.LARGE_PART", 1000)
    assert "imitative_unet" in verdicts(check_weights(config.network, module.network))["warning"]


def test_a_summary_lists_only_what_is_not_ok():
    findings = [Finding("a", "ok", "fine"), Finding("b", "warning", "odd"), Finding("c", "fault", "wrong")]
    short, full = (describe(findings, in_full=in_full) for in_full in (False, True))
    assert "fine" not in short
    assert all(message in short for message in ("odd", "wrong"))
    assert full.splitlines()[-1] == "1 ok, 1 warning, 1 fault"


# --- The command ---------------------------------------------------------------------------------------------------


def test_the_doctor_leaves_the_weights_of_the_run_unchanged(config, monkeypatch):
    states = []
    for name, check in {"with": check_before_run, "without": lambda *_: None}.items():
        monkeypatch.setattr(command, "check_before_run", check)
        fit(replace(config, output=config.output / name), monkeypatch)
        states.append(read_checkpoint(config.output / name / "checkpoints" / "last.ckpt")["state_dict"])
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_check_trains_nothing_and_writes_into_its_own_folder(config, shards, monkeypatch, capsys):
    # Patience needs held-out pairs, which are checked separately.
    config = replace(config, data=replace(config.data, heldout=shards["heldout"]), run=replace(config.run, patience=3))
    with pytest.raises(SystemExit) as status:
        fit(config, monkeypatch, "--check")
    assert status.value.code == 0
    written = {path.relative_to(config.output).as_posix() for path in config.output.rglob("*") if path.is_file()}
    assert written == {"check/batch.png", "check/round_trip.png"}
    _, height, width = read_image(config.output / "check" / "batch.png").shape
    assert height > 4 * MIN_SIDE + 5 * GAP
    assert width == 5 * MIN_SIDE + 6 * GAP
    assert "0 faults" in capsys.readouterr().out
    fit(config, monkeypatch)
    with pytest.raises(SystemExit):
        fit(config, monkeypatch, "--check", "--run.max_steps", "4")
    # Lines are wrapped at a place that depends on the folder's name.
    printed = " ".join(capsys.readouterr().out.split())
    assert "resumes from step 2 of 4" in printed
    assert "last.ckpt fits the network and the shards" in printed


def test_check_names_every_fault(config, monkeypatch, capsys, tmp_path):
    sources = [SourceConfig(shards=tmp_path / name, weight=1) for name in ("nowhere", "nothing")]
    network = one_block_config(shape_channels=(4, 4))
    with pytest.raises(SystemExit) as status:
        fit(replace(config, network=network, data=replace(config.data, sources=sources)), monkeypatch, "--check")
    assert status.value.code == 2
    printed = " ".join(capsys.readouterr().out.split())
    for fault in ("nowhere: no such folder", "nothing: no such folder", "shape_channels has 2 widths", "3 faults"):
        assert fault in printed


def test_check_names_every_missing_part(config, monkeypatch, capsys, tmp_path):
    missing = {name: PartConfig(pretrained=str(tmp_path / name)) for name in ("autoencoder", "image_encoder")}
    with pytest.raises(SystemExit) as status:
        fit(replace(config, network=one_block_config(**missing)), monkeypatch, "--check")
    assert status.value.code == 2
    printed = " ".join(capsys.readouterr().out.split())
    for name in missing:
        assert f"network {name}: {tmp_path / name} does not exist" in printed
    assert "2 faults" in printed


def test_a_fault_ends_the_run_before_it_begins(config, monkeypatch):
    monkeypatch.setattr(network_module, "blacken", lambda source, mask: blacken(source, 1 - mask))
    with pytest.raises(UserError, match=r"fix what the doctor found \(mask\)"):
        fit(config, monkeypatch)
    assert not config.output.exists()


def test_overfit_reports_whether_the_batch_was_learned(config, monkeypatch, capsys):
    fit(config, monkeypatch, "--overfit", "--run.preview_steps", "2")
    assert "not learned by heart" in capsys.readouterr().out
    _, height, width = read_image(config.output / "overfit.png").shape
    assert height > 4 * MIN_SIDE + 5 * GAP
    assert width == 5 * MIN_SIDE + 6 * GAP


def test_small_batches_are_a_warning(config):
    config = replace(config, data=replace(config.data, batch_size=4), run=replace(config.run, samples_per_step=7))
    (finding,) = check_step(config, 1)
    assert finding.verdict == "warning"
    assert finding.message.startswith("7 samples: 1 rank x 7 batches of 1, ")
    assert finding.message.endswith("make run.samples_per_step a multiple of 4")
    (finding,) = check_step(replace(config, run=replace(config.run, samples_per_step=6)), 2)
    assert finding == Finding("step", "ok", "6 samples: 2 ranks x 1 batch of 3")
