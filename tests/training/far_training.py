"""Training on a distant device for `test_waiting.py`, in its own process: torch cannot unregister a device.

    python -m tests.training.far_training FOLDER

Prints a JSON object; FOLDER is for shards and runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy

from mimicbrush.data.batch import augment_and_mask
from mimicbrush.data.config import BatchConfig, MaskConfig
from mimicbrush.data.datamodule import PairData
from mimicbrush.device import send
from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.model.config import PartConfig
from mimicbrush.model.sampling import draw_noise, sample
from mimicbrush.model.weights.build import initialise
from mimicbrush.training import records
from mimicbrush.training import trainer as training
from mimicbrush.training.config import RecipeConfig, TrainConfig
from mimicbrush.training.run_setup import make_data, make_module
from mimicbrush.training.stop_signals import StopSignals
from tests.conftest import DEPTH, SIZE, make_shards, one_block_config
from tests.training.far_device import FarAccelerator, FarDevice
from tests.training.test_training import config

NUM_STEPS = 3
RECORDED = 2
"""Step for which a line of metrics.csv is written."""
SCHEDULERS = ("DDIMScheduler", "EulerAncestralDiscreteScheduler")
ALL_MASKS = BatchConfig(mask=MaskConfig(box_share=1, brush_share=1))


class StepWaits(Callback):
    """Collects the waits of each step, from its first batch to that of the next; the run stops after NUM_STEPS."""

    def __init__(self, far: FarDevice) -> None:
        self.far = far
        self.of_steps: list[list[tuple[str, str]]] = []

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: object, batch_idx: int) -> None:
        if self.of_steps:
            self.of_steps[-1] += self.far.waits
        # Earlier waits belong to the transfer of the network to the device.
        self.far.waits.clear()
        if trainer.global_step == len(self.of_steps):
            self.of_steps.append([])
        trainer.should_stop = trainer.global_step == NUM_STEPS


def make_config(folder: Path) -> TrainConfig:
    """Make a config with depth, all losses and masks, a trained reference U-Net and accumulated batches."""
    network = one_block_config(depth=PartConfig(arguments=DEPTH))
    run = {"max_steps": 1000, "record_every": RECORDED, "checkpoint_every": 1000, "accumulate": 2}
    made = config(make_shards(folder / "shards"), folder / "run", network=network, **run)
    recipe = replace(made.recipe, matching_weight=0.1, min_snr_gamma=5.0, train_reference=True)
    return replace(made, recipe=recipe, data=replace(made.data, batch=ALL_MASKS))


def train(config: TrainConfig, far: FarDevice, precision: MixedPrecision | None = None) -> dict[str, list]:
    """Train on the distant device; returns losses and waits of each step."""
    with far:
        strategy = SingleDeviceStrategy(far.device, accelerator=FarAccelerator(), precision_plugin=precision)
        training.Trainer = lambda **fields: Trainer(**fields | {"accelerator": "auto", "strategy": strategy})
        module, data = make_module(config), make_data(config)
        trainer, waits = training.make_trainer(config, StopSignals()), StepWaits(far)
        trainer.callbacks.insert(0, waits)
        data.train_dataloader = lambda: _pinning(data)
        training.fit(trainer, module, data, None)
    return {"waits": waits.of_steps[:NUM_STEPS], "losses": list(trainer.callbacks[1].losses)}


def _pinning(data: PairData) -> torch.utils.data.DataLoader:
    """Make the loader pin its memory, as on a machine with a GPU."""
    loader = PairData.train_dataloader(data)
    loader.pin_memory = True
    return loader


def train_here(config: TrainConfig) -> list[float]:
    """Train the same steps on the CPU; returns the losses."""
    training.Trainer = Trainer
    config = replace(config, run=replace(config.run, max_steps=NUM_STEPS))
    trainer = training.make_trainer(config, StopSignals())
    training.fit(trainer, make_module(config), make_data(config), None)
    return list(trainer.callbacks[0].losses)


def draw(config: TrainConfig, far: FarDevice) -> bool:
    """Whether a batch drawn on the distant device equals the one drawn on the CPU."""
    pairs = next(iter(make_data(config).loader()))
    here = augment_and_mask(pairs, config.data.batch, torch.Generator().manual_seed(0))
    with far:
        moved = move_data_to_device(pairs, far.device)
        there = augment_and_mask(moved, config.data.batch, torch.Generator().manual_seed(0))
    return torch.equal(there.mask.near, here.mask) and torch.allclose(there.source.near, here.source, atol=1e-6)


def sample_with(name: str, far: FarDevice) -> list[tuple[str, str]]:
    """Waits of a guided edit from the end of its first step to the end of its last."""
    network = initialise(one_block_config()).eval()
    with far, torch.no_grad():
        network.to(far.device)
        picture, keep = torch.rand(1, 3, SIZE, SIZE, device=far.device), torch.zeros(1, dtype=torch.bool)
        generators = seeded_generators([0])
        conditions = network.condition(picture, picture[:, :1].round(), picture, keep, generators)
        seen: list[tuple[str, str]] = []

        def on_step(step: int, latent: torch.Tensor, original: torch.Tensor) -> None:
            seen[:] = far.waits if step else []
            if not step:
                far.waits.clear()

        noise, scheduler = draw_noise(network, generators), make_scheduler(name=name)
        steps = {"num_inference_steps": 4, "guidance_scale": 5.0, "generators": generators, "on_step": on_step}
        sample(network, conditions, noise, scheduler=scheduler, **steps)
    return seen


def count_waits(far: FarDevice) -> dict[str, int]:
    """Count the waits of single operations with known results."""
    near = torch.arange(4.0)
    with far:
        there = send(near, far.device)
        mask = there > 1
        cases: dict[str, Callable[[], object]] = {
            "send": lambda: send(near, far.device),
            "arithmetic": lambda: (there + 1).sum() * 2,
            "backward": lambda: (there.detach().requires_grad_() * 2).sum().backward(),
            "pinned and non-blocking": lambda: near.pin_memory().to(far.device, non_blocking=True),
            "pageable and non-blocking": lambda: near.to(far.device, non_blocking=True),
            "pinned and blocking": lambda: near.pin_memory().to(far.device),
            "made there from a list": lambda: torch.tensor([1.0], device=far.device),
            "copied into": lambda: there.clone().copy_(near),
            "brought back": there.cpu,
            "a list": there.tolist,
            "a number": lambda: there[0].item(),
            "a condition": lambda: bool(there[0] > 0),
            "places": mask.nonzero,
            "a boolean index": lambda: there[mask],
            "an index of the CPU": lambda: there[torch.tensor([0, 1])],
            "an index of the device": lambda: there[send(torch.tensor([0, 1]), far.device)],
            "an inverse": lambda: torch.linalg.inv(there.view(2, 2)),
        }
        counts = {}
        for name, case in cases.items():
            far.waits.clear()
            case()
            counts[name] = len(far.waits)
    return counts


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    # A chart takes longer than such a run.
    records.draw_training = lambda rows, path: None
    far, settings = FarDevice(), make_config(folder)
    adapters = RecipeConfig(learning_rate=1e-3, warmup_steps=1, imitative_lora=2, reference_lora=2)
    half = MixedPrecision("16-mixed", far.device.type, torch.amp.GradScaler(far.device.type))
    results = {
        "counts": count_waits(far),
        "sampling": {name: sample_with(name, far) for name in SCHEDULERS},
        "same batch": draw(settings, far),
        "here": train_here(settings),
        "float32": train(settings, far),
        "float16": train(replace(settings, recipe=adapters, run=replace(settings.run, accumulate=1)), far, half),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
