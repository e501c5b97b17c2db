"""Records of a run, and their CSV files after interruptions."""

import math
import random
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image

from mimicbrush.data.datamodule import PairDataset, heldout_batches
from mimicbrush.reports.contact_sheet import GAP, LABEL_HEIGHT, MIN_SIDE
from mimicbrush.training import records
from mimicbrush.training.averaging import AveragedWeights
from mimicbrush.training.curves import BANDS, LOSSES, draw_reference_use, draw_training, smoothed
from mimicbrush.training.module import MimicBrushModule
from mimicbrush.training.previews import COLUMNS, Previews
from mimicbrush.training.records import DamagedSamples, append_record, forget_after, read_records, write_records
from mimicbrush.training.run_setup import make_module
from mimicbrush.training.stop_signals import SIGNALS
from mimicbrush.training.timing import BatchClock
from tests.conftest import SIZE
from tests.training.test_training import config, fit


def outputs(whole: list[float], timestep: list[int]) -> dict[str, torch.Tensor]:
    losses = torch.tensor(whole)
    return {**dict.fromkeys(LOSSES.values(), losses), "timestep": torch.tensor(timestep)}


def test_losses_fall_into_quarters_of_the_timesteps():
    sums, counts, num = records._sums([outputs([1.0, 2.0], [0, 249]), outputs([4.0, 8.0], [250, 999])])
    assert num == 4
    assert sums[-4:].tolist() == [3, 4, 0, 8]
    assert counts[-4:].tolist() == [2, 1, 0, 1]


def test_losses_that_are_not_finite_are_left_out_of_the_mean():
    sums, counts, num = records._sums([outputs([1.0, math.nan, math.inf], [0, 0, 0])])
    assert (sums[0].item(), counts[0].item(), num) == (1, 1, 3)


def test_records_are_appended_and_empty_where_nothing_is_known(tmp_path):
    path = tmp_path / "metrics.csv"
    append_record({"step": 100000, "loss": 0.5, "mfu": math.nan}, path)
    inode = path.stat().st_ino
    append_record({"step": 100050, "loss": 0.25, "mfu": 0.4}, path)
    assert path.read_text() == "step,loss,mfu\n100000,0.5,\n100050,0.25,0.4\n"
    # A rewritten file would be another one.
    assert path.stat().st_ino == inode
    assert math.isnan(read_records(path)[0]["mfu"])


def test_a_csv_file_with_other_columns_is_continued(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,old\r\n1,0.5,7\r\n")
    append_record({"step": 2, "loss": 0.25, "new": 3.0}, path)
    append_record({"step": 3, "loss": 0.125, "new": 4.0}, path)
    assert path.read_text() == "step,loss,old,new\n1,0.5,7,\n2,0.25,,3\n3,0.125,,4\n"


def test_a_torn_last_line_is_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,0.")
    assert read_records(path) == [{"step": 1, "loss": 0.5}]
    forget_after(SimpleNamespace(is_global_zero=True, global_step=5), path)
    assert path.read_text() == "step,loss\n1,0.5\n"


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    write_records([{"step": step} for step in (1, 2, 3)], path)
    forget_after(SimpleNamespace(is_global_zero=True, global_step=2), path)
    assert [row["step"] for row in read_records(path)] == [1, 2]


def test_a_damaged_sample_is_named_once_also_by_a_later_call(tmp_path):
    path = tmp_path / "damaged.txt"
    assert DamagedSamples(path).note(["a: broken", "b:\nbroken", "a: broken"]) == ["a: broken", "b: broken"]
    later = DamagedSamples(path)
    assert later.note(["b: broken", "c: broken"]) == ["c: broken"]
    assert path.read_text().splitlines() == sorted(later.named)


def test_a_run_records_all_columns(shards, tmp_path, monkeypatch, capsys):
    original = PairDataset.__getitem__

    def skipping(self, position):
        sample = original(self, position)
        return sample._replace(skipped=["videos/1: no picture"]) if position in (1, 9) else sample

    monkeypatch.setattr(PairDataset, "__getitem__", skipping)
    run = tmp_path / "run"
    fit(config(shards, run, max_steps=3, record_every=2, accumulate=2), tmp_path, monkeypatch)
    first, last = read_records(run / "metrics.csv")
    assert (first["step"], last["step"]) == (2, 3)
    assert set(BANDS) | {"grad_norm", "images_per_second", "waiting_share", "memory_gib"} <= first.keys()
    assert first["learning_rate"] == 1e-3
    assert first["grad_norm"] > 0
    assert 0 < first["waiting_share"] < 1
    assert math.isnan(first["mfu"])
    assert (first["damaged_samples"], last["damaged_samples"], last["bad_steps"]) == (1, 1, 0)
    assert (run / "damaged.txt").read_text() == "videos/1: no picture\n"
    printed = capsys.readouterr()
    assert printed.out.count("videos/1: no picture") == 1
    assert printed.out.endswith(f"-> {run}; 1 damaged sample replaced, see {run / 'damaged.txt'}\n")
    # Without a terminal, each record has a plain line.
    lines = [line for line in printed.err.splitlines() if line.startswith("step ")]
    assert [line.split("  ")[0] for line in lines] == ["step 2/3", "step 3/3"]
    assert "\r" not in printed.err


def test_the_share_of_a_devices_operations(tmp_path):
    made = records.Records(tmp_path, 1, None, BatchClock())
    made.device_flops = 1e15
    assert made._used_share(SimpleNamespace(flops_per_image=2e12), 200.0) == pytest.approx(0.4)
    assert math.isnan(made._used_share(SimpleNamespace(flops_per_image=None), 200.0))


def test_waiting_is_timed_only_while_a_batch_is_asked_for(monkeypatch):
    times = iter([0.0, 10.0, 13.0, 20.0])
    monkeypatch.setattr("mimicbrush.training.timing.time.monotonic", lambda: next(times))
    clock = BatchClock()
    clock.start("[_TrainingEpochLoop].train_dataloader_next")
    clock.stop("[_TrainingEpochLoop].train_dataloader_next")
    with clock.profile("run_training_batch"):
        pass
    assert (clock.asked, clock.waited) == (10, 3)


def test_a_stopped_run_records_its_last_steps_and_draws_them(shards, tmp_path, monkeypatch, capsys):
    original = MimicBrushModule.training_step

    def step_and_signal(self, pairs, batch_idx):
        if pairs.position[0] == 8:
            signal.raise_signal(signal.SIGTERM)
        return original(self, pairs, batch_idx)

    monkeypatch.setattr(MimicBrushModule, "training_step", step_and_signal)
    run = tmp_path / "run"
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with pytest.raises(SystemExit):
            fit(config(shards, run, max_steps=50, record_every=2), tmp_path, monkeypatch, charts=True)
        printed = capsys.readouterr().out.splitlines()[-1]
        assert printed == f"stopped by SIGTERM after step 3 -> {run}; run the same command again to resume"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert [row["step"] for row in read_records(run / "metrics.csv")] == [2, 3]
    assert (run / "loss.png").is_file()


def test_pictures_are_drawn_of_one_line_of_gaps_and_of_older_columns(tmp_path):
    draw_training([{"step": 1, "loss": 0.5}], tmp_path / "one.png")
    rows = [{"step": step, "loss": math.nan, "loss_inside": 0.0, "bad_steps": step} for step in range(3)]
    draw_training(rows, tmp_path / "gaps.png")
    draw_reference_use([{"step": 1, "another / both": 0.5}], tmp_path / "use.png")
    assert Image.open(tmp_path / "one.png").size == Image.open(tmp_path / "gaps.png").size


def test_smoothing_keeps_constants_and_ignores_gaps():
    assert smoothed([2.0] * 300) == pytest.approx([2.0] * 300)
    values = np.where(np.arange(300) == 150, np.nan, 2.0)
    assert smoothed(values) == pytest.approx([2.0] * 300)
    assert smoothed([3.0]).tolist() == [3.0]


def test_previews_have_titled_columns_and_leave_all_random_states(shards, tmp_path):
    settings = config(shards, tmp_path / "run")
    module = make_module(settings)
    (batch,) = heldout_batches(shards["heldout"], SIZE, 2, 0, batch_size=2)
    averaged = AveragedWeights(0.9)
    averaged.on_fit_start(None, module)
    trainer = Trainer(max_steps=9, accelerator="cpu", logger=False, enable_checkpointing=False)
    module.trainer = trainer
    previews = Previews(tmp_path / "previews", batch, averaged, every=3, num_inference_steps=2)
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    previews.on_step(trainer, module, 3)
    previews.on_step(trainer, module, 6)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]
    first, second = (tmp_path / "previews" / f"step-000000{step}.png" for step in (3, 6))
    num = len(COLUMNS)
    assert Image.open(first).size == (num * MIN_SIDE + (num + 1) * GAP, LABEL_HEIGHT + 2 * MIN_SIDE + 3 * GAP)
    # The same weights: fixed pairs, masks and seeds.
    assert first.read_bytes() == second.read_bytes()
