"""Bad steps leave the weights unchanged and are reported."""

import json
import math
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from mimicbrush.errors import UserError
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.reports.contact_sheet import GAP, LABEL_HEIGHT, MIN_SIDE
from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.config import MIN_LOSSES, WatchConfig
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.stop_signals import SIGNALS, StopSignals
from tests.training.test_training import config, fit


def spoil_loss(monkeypatch, *positions: int) -> None:
    """Make the loss of the batches that begin at these positions NaN."""
    original = MimicBrushModule.training_step

    def spoilt(self, pairs, batch_idx) -> dict[str, torch.Tensor]:
        outputs = original(self, pairs, batch_idx)
        if pairs.position[0] in positions:
            outputs["loss"] = outputs["loss"] * math.nan
        return outputs

    monkeypatch.setattr(MimicBrushModule, "training_step", spoilt)


def last_checkpoint(run) -> dict:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def test_muon_changes_nothing_in_a_step_without_a_finite_loss(shards, tmp_path, monkeypatch):
    fit(config(shards, tmp_path / "one", max_steps=1), tmp_path, monkeypatch, "--recipe.optimizer", "muon")
    spoil_loss(monkeypatch, 4)
    fit(config(shards, tmp_path / "run", max_steps=2), tmp_path, monkeypatch, "--recipe.optimizer", "muon")
    before, after = last_checkpoint(tmp_path / "one"), last_checkpoint(tmp_path / "run")
    torch.testing.assert_close(after["state_dict"], before["state_dict"], rtol=0, atol=0)
    for part in ("adamw", "muon"):
        states = [checkpoint["optimizer_states"][0][part]["state"] for checkpoint in (before, after)]
        torch.testing.assert_close(states[1], states[0], rtol=0, atol=0)


def test_a_step_without_a_finite_loss_changes_nothing_and_training_continues(shards, tmp_path, monkeypatch, capsys):
    fit(config(shards, tmp_path / "one", max_steps=1), tmp_path, monkeypatch)
    spoil_loss(monkeypatch, 4)
    run = tmp_path / "run"
    fit(config(shards, run, max_steps=2), tmp_path, monkeypatch)
    before, after = last_checkpoint(tmp_path / "one"), last_checkpoint(run)
    for part in ("state_dict", "ema"):
        torch.testing.assert_close(after[part], before[part], rtol=0, atol=0)
    moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (before, after)]
    torch.testing.assert_close(moments[1], moments[0], rtol=0, atol=0)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("step 2: the loss is not finite") for line in lines)
    assert (
        lines[-1] == f"trained steps 1 to 2: checkpoint and records -> {run}; 1 step skipped, see {run / 'bad_steps'}"
    )

    fit(config(shards, run, max_steps=2), tmp_path, monkeypatch, "--run.max_steps", "3")
    # The last line counts skipped steps of the whole run, not of this call.
    assert "trained steps 3 to 3: " in (last := capsys.readouterr().out.splitlines()[-1])
    assert "; 1 step skipped" in last
    resumed = last_checkpoint(run)
    assert resumed["watch"]["num_bad"] == 1
    assert resumed["watch"]["losses"][0] == after["watch"]["losses"][0]
    assert len(resumed["watch"]["losses"]) == 2


def test_the_batch_of_a_bad_step_is_kept(shards, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, 12)
    run = tmp_path / "run"
    fit(config(shards, run, max_steps=2, accumulate=2), tmp_path, monkeypatch)
    kept = json.loads((run / "bad_steps" / "step-0000002-rank-0.json").read_text())
    assert (kept["fault"], kept["loss"]) == ("the loss is not finite", "nan")
    assert kept["positions"] == list(range(8, 16))
    assert len(kept["keys"]) == 8
    sheets = sorted((run / "bad_steps").glob("*.png"))
    assert [path.name for path in sheets] == ["step-0000002-rank-0-0.png", "step-0000002-rank-0-1.png"]
    assert Image.open(sheets[0]).size == (2 * MIN_SIDE + 3 * GAP, LABEL_HEIGHT + 4 * MIN_SIDE + 5 * GAP)


def test_bad_step_stop_ends_the_run(shards, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, 4)
    with pytest.raises(UserError, match=r"step 2: the loss is not finite.*run\.watch\.bad_step to skip"):
        fit(config(shards, tmp_path / "run"), tmp_path, monkeypatch, "--run.watch.bad_step", "stop", charts=True)
    # The chart shows the steps before.
    assert (tmp_path / "run" / "loss.png").is_file()


class Line(LightningModule):
    """Learns one number; a batch (1, 2) holds the factor and the offset of the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.lines: list[str] = []
        self.norms: list[float] = []

    def training_step(self, batch, batch_idx):
        return (self.weight * batch[0, 0] + batch[0, 1]).sum()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.1, weight_decay=0.0, fused=True)

    def print(self, *words) -> None:
        self.lines += words


class KeylessBadStepGuard(BadStepGuard):
    """A guard for batches that are no pairs: it writes no record."""

    def _keep(self, trainer, module, loss, fault, step):
        return self.folder / str(step)


def train_line(tmp_path, batches: list[tuple[float, float]], plugins=(), **changes) -> tuple[Line, BadStepGuard]:
    line, guard = Line(), KeylessBadStepGuard(WatchConfig(**changes), tmp_path, StopSignals())
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[guard],
        plugins=list(plugins),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(line, DataLoader([torch.tensor([batch]) for batch in batches], batch_size=None))
    return line, guard


def test_a_spike_is_a_bad_step(tmp_path):
    usual, spike = [(0.0, 1.0)] * MIN_LOSSES, (1.0, 20.0)
    line, guard = train_line(tmp_path, [*usual, spike])
    assert (guard.num_bad, guard.skipped) == (1, True)
    assert line.weight.item() == 1
    assert "more than 10 times the usual 1;" in line.lines[0]
    line, guard = train_line(tmp_path, [*usual, spike], spike_factor=0.0)
    assert guard.num_bad == 0
    assert line.weight.item() < 1


def test_early_losses_are_no_spikes(tmp_path):
    _, guard = train_line(tmp_path, [(0.0, 1.0)] * (MIN_LOSSES - 1) + [(0.0, 20.0)])
    assert guard.num_bad == 0


def test_an_infinite_gradient_of_a_finite_loss_is_a_bad_step(tmp_path, monkeypatch):
    monkeypatch.setattr(Line, "on_after_backward", lambda self: self.weight.grad.fill_(math.inf))
    line, guard = train_line(tmp_path, [(1.0, 0.0)])
    assert guard.num_bad == 1
    assert line.weight.item() == 1


def test_many_bad_steps_in_a_row_end_the_run_and_others_do_not(tmp_path):
    good, bad = (1.0, 0.0), (math.nan, 0.0)
    _, guard = train_line(tmp_path, [*[bad] * 9, good, *[bad] * 9])
    assert guard.num_bad == 18
    with pytest.raises(UserError, match=r"bad step 10 in a row: start a new run with --network\.weights RUN"):
        train_line(tmp_path, [bad] * 10)


def test_ranks_exchange_once_a_step_and_stop_together(tmp_path, monkeypatch):
    """The other rank has a loss of 3, a norm of 5 and a stop signal from Slurm; this one has no signal."""
    guard, exchanged = KeylessBadStepGuard(WatchConfig(), tmp_path, StopSignals()), []

    def all_reduce(values):
        exchanged.append(values.tolist())
        values += torch.tensor([3.0, 5.0, *(float(number == signal.SIGUSR1) for number in SIGNALS)])

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    agreed = guard._agree(SimpleNamespace(world_size=2), torch.tensor(1.0), torch.tensor(3.0))
    assert agreed == [2.0, 4.0]
    assert exchanged == [[1.0, 3.0, 0.0, 0.0, 0.0]]
    assert (guard.stop.agreed, guard.stop.received) == (signal.SIGUSR1, None)


def test_one_rank_agrees_with_itself(tmp_path):
    guard = KeylessBadStepGuard(WatchConfig(), tmp_path, StopSignals())
    guard._agree(SimpleNamespace(world_size=1), torch.tensor(1.0))
    assert guard.stop.agreed is None
    guard.stop._note(signal.SIGTERM, None)
    assert guard._agree(SimpleNamespace(world_size=1), torch.tensor(1.0)) == [1.0]
    assert guard.stop.agreed is signal.SIGTERM


def test_gradients_are_clipped(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Line, "on_before_optimizer_step", lambda self, _: seen.append(self.weight.grad.item()))
    _, guard = train_line(tmp_path, [(4.0, 0.0)], gradient_clip=0.5)
    assert guard.grad_norm == 4
    assert seen == [pytest.approx(0.5)]


def float16() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))


def test_under_float16_loss_and_gradient_are_those_without_its_scale(tmp_path):
    _, guard = train_line(tmp_path, [(3.0, 2.0)], [float16()])
    assert (list(guard.losses), guard.grad_norm) == ([5.0], 3.0)


def test_under_float16_an_overflow_is_no_bad_step_but_leaves_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(Line, "on_after_backward", lambda self: self.weight.grad.fill_(math.inf))
    line, guard = train_line(tmp_path, [(1.0, 0.0)], [float16()])
    assert (guard.num_bad, guard.skipped) == (0, True)
    assert line.weight.item() == 1


def test_under_float16_overflows_count_once_the_scale_cannot_help(tmp_path, monkeypatch):
    monkeypatch.setattr(Line, "on_after_backward", lambda self: self.weight.grad.fill_(math.inf))
    with pytest.raises(UserError, match="the gradient is not finite"):
        train_line(tmp_path, [(1.0, 0.0)] * 30, [float16()])
