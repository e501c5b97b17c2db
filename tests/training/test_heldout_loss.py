"""The held-out loss: fixed draws, the best checkpoint, and early stopping."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.model.network import Conditions
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.run_checkpoint import read_checkpoint
from mimicbrush.seeds import seed_of
from mimicbrush.training import heldout_loss
from mimicbrush.training.config import RunConfig
from mimicbrush.training.early_stop import HeldoutProgress, progress_in
from mimicbrush.training.heldout_loss import HeldoutLoss, PairLosses, heldout_losses, stratified_timesteps
from mimicbrush.training.records import read_records
from tests.conftest import SIZE
from tests.training.test_training import config, fit

NOISE_ALONE = SimpleNamespace(prediction_type="epsilon")


def network_of_zeros() -> SimpleNamespace:
    """Predicts no noise at all, so that its error is the noise itself."""
    return SimpleNamespace(
        device=torch.device("cpu"),
        options=NOISE_ALONE,
        encode=lambda source, generator: torch.zeros(len(source), 4, 8, 8),
        condition=lambda source, mask, *_: Conditions(mask[..., ::4, ::4], *[torch.zeros(1)] * 4),
        reference_features=lambda *_: None,
        predict=lambda noisy, *_: torch.zeros_like(noisy),
    )


def test_timesteps_cover_the_schedule_evenly():
    timesteps = stratified_timesteps(25, SimpleNamespace(options=NOISE_ALONE), seed=0)
    assert sorted(timesteps.flatten().tolist()) == list(range(5, 1000, 10))
    assert (timesteps.sort(dim=1).values // 250 == torch.arange(4)).all()
    assert (timesteps == stratified_timesteps(25, SimpleNamespace(options=NOISE_ALONE), seed=0)).all()


def test_the_loss_is_the_mean_squared_error_over_fixed_noise(shards):
    batches = heldout_batches(shards["heldout"], SIZE, 6, 0, batch_size=4)
    random_state = torch.random.get_rng_state()
    losses = heldout_losses(network_of_zeros(), batches, seed=3)
    assert (random_state == torch.random.get_rng_state()).all()
    expected = []
    for number, num in enumerate((4, 2)):
        generator = torch.Generator().manual_seed(seed_of(3, "held-out loss", number))
        noises = [torch.randn(num, 4, 8, 8, generator=generator) for _ in range(4)]
        expected.append(torch.stack(noises).pow(2).flatten(2).mean(dim=2).mean(dim=0))
    torch.testing.assert_close(losses.whole, torch.cat(expected))


def test_a_loss_that_is_not_finite_is_no_best_one():
    progress = HeldoutProgress().after(0.5, 10).after(float("nan"), 20).after(0.6, 30)
    assert progress == HeldoutProgress(best=0.5, best_step=10, num_since_best=2)
    assert progress.is_over(2)
    assert not progress.is_over(3)
    assert not progress.is_over(None)


def test_training_whose_loss_was_never_finite_says_so():
    progress = HeldoutProgress().after(float("nan"), 10).after(float("inf"), 20)
    assert progress.is_over(2)
    assert progress.describe() == (
        "the held-out loss was not finite in any of 2 evaluations; lower recipe.learning_rate"
    )


def test_another_number_of_pairs_restarts_the_search_for_the_lowest_loss(capsys):
    module, checkpoint = SimpleNamespace(print=print), {}
    settings = {"every": 1, "patience": 1, "seed": 0}
    before = HeldoutLoss([], None, num_pairs=4, **settings)
    before.progress = before.progress.after(0.5, 1).after(0.6, 2)
    before.on_save_checkpoint(None, None, checkpoint)
    for num_pairs, is_over in ((4, True), (8, False)):
        after = HeldoutLoss([], None, num_pairs=num_pairs, **settings)
        after.on_load_checkpoint(None, module, checkpoint)
        assert after.is_over == progress_in(checkpoint).on_pairs(num_pairs).is_over(1) == is_over
    assert after.progress == HeldoutProgress(num_pairs=8)
    assert capsys.readouterr().out.startswith("run.num_heldout_loss_pairs was 4, is 8: ")
    # Earlier versions did not store the number.
    del checkpoint["heldout_loss"]["num_pairs"]
    after.on_load_checkpoint(None, module, checkpoint)
    assert after.progress == HeldoutProgress(best=0.5, best_step=1, num_since_best=1, num_pairs=8)
    assert capsys.readouterr().out == ""


def test_it_is_recorded_and_the_best_checkpoint_stays_and_training_is_as_without(shards, tmp_path, monkeypatch):
    judged, plain = tmp_path / "judged", tmp_path / "plain"
    fit(config(shards, judged, max_steps=3, heldout_loss_every=2, record_every=3), tmp_path, monkeypatch)
    fit(config(shards, plain, max_steps=3, heldout_loss_every=0), tmp_path, monkeypatch)
    rows = read_records(judged / "metrics.csv")
    assert [(row["step"], row["heldout_loss"] > row["heldout_loss_error"] > 0) for row in rows] == [
        (2, True),
        (3, False),
    ]
    assert rows[0]["heldout_loss_inside"] > 0
    best, last, other = (
        read_checkpoint(run / "checkpoints" / name)
        for run, name in ((judged, "best.ckpt"), (judged, "last.ckpt"), (plain, "last.ckpt"))
    )
    assert best["global_step"] == 2
    torch.testing.assert_close(last["ema"], other["ema"], rtol=0, atol=0)
    loaded = dict(load_network(judged / "checkpoints" / "best.ckpt").named_parameters())
    for name, value in best["ema"].items():
        torch.testing.assert_close(loaded[name.removeprefix("network.")], value, rtol=0, atol=0)


def test_training_stops_early_says_so_and_resumes_its_count(shards, tmp_path, monkeypatch, capsys):
    steps = iter((0.5, 0.4, 0.45, 0.41, 0.43))
    monkeypatch.setattr(
        heldout_loss, "heldout_losses", lambda *_, **__: PairLosses(*[next(steps) + torch.tensor([-0.1, 0.1])] * 2)
    )
    judged = config(shards, tmp_path / "run", max_steps=9, heldout_loss_every=1)
    # The run ended after its third step and resumes; one measurement has brought no gain so far.
    fit(judged, tmp_path, monkeypatch, "--run.max_steps=3", "--run.patience=2")
    fit(judged, tmp_path, monkeypatch, "--run.patience=2")
    text, progress = capsys.readouterr()
    assert "step 2: measuring the loss on 16 held-out pairs\n" in progress
    assert "step 2: held-out loss 0.4000 ± 0.1000 (the lowest)" in text
    assert "stopped early: the held-out loss has not fallen for 2 evaluations; it was lowest, 0.4000, at step 2" in text
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 4
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")["global_step"] == 2

    fit(judged, tmp_path, monkeypatch, "--run.patience=2")
    assert "already stopped early, after step 4" in capsys.readouterr().out
    fit(judged, tmp_path, monkeypatch, "--run.patience=3")
    assert "trained steps 5 to 5" in capsys.readouterr().out


def test_patience_needs_something_to_count(shards, tmp_path):
    with pytest.raises(ValueError, match="patience counts measurements of the held-out loss"):
        RunConfig(patience=3, heldout_loss_every=0)
    with pytest.raises(ValueError, match="patience counts measurements"):
        RunConfig(patience=0)
