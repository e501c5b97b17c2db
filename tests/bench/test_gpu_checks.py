"""The GPU checks run on the CPU with the smallest network, except for the parts that need a GPU."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mimicbrush.bench import gpu_checks
from mimicbrush.bench.config import GpuCheckConfig
from mimicbrush.bench.gpu_check_types import CheckResult, CheckSetup, SkippedCheck, is_as_counted
from mimicbrush.bench.gpu_checks import CHECKS, Check, check_gpu
from mimicbrush.bench.gpu_training_checks import check_ranks, check_resume, check_steps
from mimicbrush.config import dump_config
from mimicbrush.data.config import DataConfig, SourceConfig
from mimicbrush.errors import UserError
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.training.config import RunConfig, TrainConfig
from tests.conftest import network_config

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def preset(without_charts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the tiny preset by a smaller one, with settings that a check must ignore, and few steps."""
    monkeypatch.setattr("mimicbrush.bench.gpu_training_checks.NUM_TIMED", 1)
    monkeypatch.setattr("mimicbrush.bench.training_speed.NUM_WARM_UPS", 1)
    monkeypatch.setattr("mimicbrush.bench.gpu_edit_checks.NUM_EDIT_STEPS", 2)
    config = TrainConfig(
        output=tmp_path / "never",
        network=network_config(),
        data=DataConfig(
            sources=[SourceConfig(shards=tmp_path / "none", weight=1.0)], heldout=tmp_path / "none", num_workers=0
        ),
        run=RunConfig(precision="32-true", accelerator="cpu", devices=1, samples_per_step=16, patience=3),
    )
    path = tmp_path / "preset.yaml"
    path.write_text(dump_config(config))
    monkeypatch.setattr(gpu_checks, "TINY_PRESET", path)
    return path


def make_config(tmp_path: Path, *checks: str, **fields) -> GpuCheckConfig:
    sizes = {"network": "tiny", "batch_size": 2, "device": "cpu"}
    return GpuCheckConfig(checks=checks, output=tmp_path / "check", **sizes | fields)


def table(tmp_path: Path) -> dict[str, dict[str, str]]:
    with (tmp_path / "check" / "results.csv").open(newline="") as file:
        return {line["check"]: line for line in csv.DictReader(file)}


def test_an_output_named_like_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"x\.json would become a folder"):
        check_gpu(replace(make_config(tmp_path, "waits"), output=tmp_path / "x.json"))
    assert not (tmp_path / "x.json").exists()


@pytest.mark.slow
def test_all_checks_that_need_no_gpu_run(tmp_path, capsys):
    done, needing = ("float32", "lora", "edit"), ("waits", "offload_model", "compile")
    check_gpu(make_config(tmp_path, *done, *needing))
    lines = table(tmp_path)
    assert {name: line["verdict"] for name, line in lines.items()} == (
        dict.fromkeys(done, "ok") | dict.fromkeys(needing, "skipped")
    )
    assert all("needs a GPU" in lines[name]["measured"] for name in needing)
    # With the same weights, batch and noise, options differ only by rounding.
    assert lines["lora"]["expected"].startswith("first loss ")
    assert "| step, LoRA of rank 64 |" in (tmp_path / "check" / "results.md").read_text()
    assert "3 ok, 0 failed, 3 skipped" in capsys.readouterr().out


def test_a_run_that_does_not_resume_exactly_fails(tmp_path, preset, monkeypatch):
    def restore_weights_only(trainer, module, data, checkpoint) -> None:
        assert trainer.accumulate_grad_batches == 1
        if checkpoint:
            module.load_state_dict(read_checkpoint(checkpoint)["state_dict"], strict=False)
        trainer.fit(module, data)

    for folder in ("exact", "inexact"):
        (tmp_path / folder).mkdir()
    facts = check_resume(CheckSetup("tiny", 2, CPU, tmp_path / "exact", preset))
    assert facts.is_ok and facts.measured == "0.0e+00"
    monkeypatch.setattr("mimicbrush.bench.gpu_training_checks.fit", restore_weights_only)
    assert not check_resume(CheckSetup("tiny", 2, CPU, tmp_path / "inexact", preset)).is_ok


def test_a_different_first_loss_is_a_failure(tmp_path, preset):
    assert not check_steps(CheckSetup("tiny", 2, CPU, tmp_path, preset, first_loss=100.0), run={}).is_ok


def test_a_failing_check_is_reported_and_the_others_run(tmp_path, monkeypatch, capsys):
    def fail(setup: CheckSetup) -> None:
        raise RuntimeError("device-side assert\nand more")

    monkeypatch.setitem(CHECKS, "float32", CHECKS["float32"]._replace(run=fail))
    monkeypatch.setitem(CHECKS, "lora", CHECKS["lora"]._replace(run=lambda setup: check_ranks(setup)))
    monkeypatch.setattr("mimicbrush.bench.gpu_training_checks.usable_cores", lambda: 1)
    with pytest.raises(SystemExit) as status:
        check_gpu(make_config(tmp_path, "float32", "lora", "edit"))
    assert status.value.code == 1
    lines = table(tmp_path)
    assert [line["verdict"] for line in lines.values()] == ["fail", "skipped", "ok"]
    assert lines["float32"]["measured"] == "RuntimeError: device-side assert"
    assert lines["lora"]["measured"] == "needs 2 CPU cores, found 1"
    assert "failed: float32\nskipped: lora" in capsys.readouterr().out


def test_passed_checks_are_kept_and_those_skipped_for_time_run_later(tmp_path, monkeypatch):
    runs = []

    def note(name: str, seconds: int) -> None:
        def run(setup: CheckSetup) -> CheckResult:
            runs.append(name)
            return CheckResult("1", "1", is_ok=True)

        monkeypatch.setitem(CHECKS, name, Check(name, seconds, run))

    def verdicts(**fields) -> list[str]:
        check_gpu(make_config(tmp_path, "edit", "sampling", **fields))
        return [line["verdict"] for line in table(tmp_path).values()]

    note("edit", 1)
    note("sampling", 601)
    assert verdicts() == ["ok", "skipped"]
    assert "about 601 s, more than the time left" in table(tmp_path)["sampling"]["measured"]
    assert verdicts(minutes=11) == ["ok", "ok"]
    assert runs == ["edit", "sampling"]
    # Results with other sizes are not reused.
    assert verdicts(minutes=11, batch_size=3) == ["ok", "ok"]
    assert len(runs) == 4
    # Running one check keeps the results of the others.
    check_gpu(make_config(tmp_path, "sampling", minutes=11, batch_size=3))
    assert table(tmp_path).keys() == {"sampling", "edit"}
    assert verdicts(minutes=11, batch_size=3) == ["ok", "ok"]
    assert len(runs) == 4


def test_a_peak_is_compared_with_the_counted_one():
    assert is_as_counted(26.0, 24.0) and is_as_counted(20.0, 24.0)
    assert not is_as_counted(30.0, 24.0)
    assert not is_as_counted(10.0, 24.0)
    assert is_as_counted(10.0, 24.0, least=0)


def test_without_a_gpu_the_message_shows_the_command_for_a_cpu(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=r"no CUDA GPU found; .* --device cpu --network tiny"):
        check_gpu(GpuCheckConfig(output=tmp_path))
    with pytest.raises(ValueError, match="add --network tiny"):
        GpuCheckConfig(device="cpu")
    with pytest.raises(SkippedCheck, match="needs a GPU"):
        CHECKS["offload_sequential"].run(CheckSetup("tiny", 1, CPU, tmp_path))
