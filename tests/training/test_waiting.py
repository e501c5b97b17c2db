"""In a training step the host waits for the device at one intended place only."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from lightning import Callback

from mimicbrush.training import trainer as training
from mimicbrush.training.bad_steps import BadStepGuard
from mimicbrush.training.records import Records
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.stop_signals import StopSignals
from tests.conftest import REPOSITORY
from tests.training.far_training import NUM_STEPS, RECORDED, make_config
from tests.training.test_resume import ENVIRONMENT

pytestmark = pytest.mark.slow

IN_EACH_STEP = {"bad_steps.py:BadStepGuard._agree": "whether the step harms the weights decides whether it is taken"}
IN_THE_FIRST = {
    "scheduling_ddim.py:DDIMScheduler.add_noise < module.py:MimicBrushModule.training_step": "the noise schedule moves"
}
WHERE_RECORDED = {"records.py:Records._measure": "a line of metrics.csv"}


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Counts that the distant device recorded."""
    command = [sys.executable, "-m", "tests.training.far_training", str(tmp_path_factory.mktemp("far"))]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_kind_of_wait_is_seen_and_nothing_else(far):
    waiting = {name for name, count in far["counts"].items() if count}
    assert set(far["counts"].values()) == {0, 1}
    assert far["counts"].keys() - waiting == {
        "send",
        "arithmetic",
        "backward",
        "pinned and non-blocking",
        "an index of the device",
    }


def test_a_batch_drawn_on_the_device_is_the_one_drawn_here(far):
    assert far["same batch"]


def test_steps_on_the_device_have_the_losses_of_steps_here(far):
    assert len(far["here"]) == NUM_STEPS
    assert far["float32"]["losses"] == pytest.approx(far["here"], rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_host_waits_once_a_step(far, precision):
    for step, waits in enumerate(far[precision]["waits"], start=1):
        places = [where for _, where in waits]
        assert places.count(*IN_EACH_STEP) == 1, f"step {step}"
        intended = IN_EACH_STEP | (IN_THE_FIRST if step == 1 else {}) | (WHERE_RECORDED if step == RECORDED else {})
        assert set(places) == intended.keys(), f"step {step}"


def test_a_sampling_step_waits_for_nothing_but_noise_that_a_scheduler_draws_on_the_cpu(far):
    for name, waits in far["sampling"].items():
        expected = (
            []
            if name == "DDIMScheduler"
            else [["aten._to_copy", "torch_utils.py:randn_tensor < sampling.py:sample"]] * 3
        )
        assert waits == expected, name


class Strict(Callback):
    """Makes unintended waits raise RuntimeError, from the second step on."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx) -> None:
        torch.cuda.set_sync_debug_mode("error" if trainer.global_step else "default")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if trainer.global_step == trainer.max_steps:
            # The last step writes a checkpoint.
            torch.cuda.set_sync_debug_mode("default")


def allow_waits(monkeypatch, owner: type, name: str) -> None:
    method = getattr(owner, name)

    def allowed(self, *args):
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")
        try:
            return method(self, *args)
        finally:
            torch.cuda.set_sync_debug_mode(before)

    monkeypatch.setattr(owner, name, allowed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_is_waited_for_at_intended_places_only(tmp_path, monkeypatch, precision):
    allow_waits(monkeypatch, BadStepGuard, "_agree")
    allow_waits(monkeypatch, Records, "_measure")
    config = make_config(tmp_path)
    run = replace(config.run, accelerator="cuda", precision=precision, max_steps=RECORDED + 3)
    config = replace(config, run=run)
    trainer = training.make_trainer(config, StopSignals())
    trainer.callbacks.insert(0, Strict())
    try:
        training.fit(trainer, make_module(config), make_data(config), None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.global_step == RECORDED + 3
