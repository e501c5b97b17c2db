"""Train the judge and write it with its card."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.evaluation.metrics.judge_network import Judge, load_judge, save_judge
from mimicbrush.files import write_json
from mimicbrush.folder_lock import held
from mimicbrush.run_folder import claim
from mimicbrush.seeds import seed_of
from mimicbrush.statistics import bootstrap_share
from mimicbrush.training.step_loop import train_steps
from mimicbrush.world.judge.config import JudgeConfig
from mimicbrush.world.judge.labelled_crops import (
    MATERIAL_NAMES,
    OBJECTS,
    LabelledCrops,
    is_turned,
    render_crops,
    size_place,
)

STATE = "state.pt"
CARD = "card.json"
BLUR_SIGMA = 1.0
"""Largest standard deviation of the blur, in pixels of the crop."""
NOISE = 0.04
"""Largest standard deviation of the noise, as a share of the range of pixels."""


def train_judge(config: JudgeConfig) -> str:
    """Render, train, measure on held-out renders, and write the judge with its card."""
    with held(config.output):
        claim(config.output, config)
        arguments = {"sizes": config.picture_sizes, "seed": config.seed}
        crops = render_crops(config.output / "renders", config.num_samples, is_held_out=False, **arguments)
        heldout = render_crops(config.output / "renders", config.num_heldout, is_held_out=True, **arguments)
        judge, seconds = train(crops, config)
        save_judge(judge, config.output)
        card = {"cpu_seconds_of_training": round(seconds), **measure(load_judge(config.output), heldout, config)}
        write_json(card, config.output / CARD)
    figures = ", ".join(f"{name} {card[name]['all']['accuracy']:.1%}" for name in ("object", "material"))
    return f"right on {config.num_heldout} held-out renders: {figures}; judge and card -> {config.output}"


def train(crops: LabelledCrops, config: JudgeConfig) -> tuple[Judge, float]:
    """Train from random weights, or from the state of an interrupted run; return the CPU seconds of all calls, too."""
    torch.manual_seed(config.seed)
    judge = Judge(OBJECTS, MATERIAL_NAMES).to(memory_format=torch.channels_last)
    seconds = train_steps(
        judge,
        lambda step: _loss(judge, crops, step, config),
        num_steps=config.max_steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        state=config.output / STATE,
        save_every=config.checkpoint_every,
    )
    return judge, seconds


def _loss(judge: Judge, crops: LabelledCrops, step: int, config: JudgeConfig) -> Tensor:
    """Cross-entropy of both heads on the batch of a step, which follows from seed and step alone."""
    generator = torch.Generator().manual_seed(seed_of(config.seed, "judge step", step))
    chosen = torch.randint(len(crops.pixels), (config.batch_size,), generator=generator)
    pixels = augment(crops.pixels[chosen].float() / 255, generator).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        objects, materials = judge(pixels)
    return sum(
        F.cross_entropy(logits.float(), labels[chosen], label_smoothing=0.05)
        for logits, labels in ((objects, crops.objects), (materials, crops.materials))
    )


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, change the brightness, blur and add noise at random, as edited pictures are less sharp than renders."""
    batch = len(pixels)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, 1, 1, generator=generator)

    pixels = torch.where(draw(0, 1) < 0.5, pixels.flip(-1), pixels) * draw(0.92, 1.08)
    sigma = BLUR_SIGMA * torch.rand(1, generator=generator).item()
    is_visible = sigma > 0.2
    blurred = gaussian_blur2d(pixels, 7, (sigma, sigma), border_type="replicate") if is_visible else pixels
    pixels = torch.where(draw(0, 1) < 0.5, blurred, pixels)
    noise = torch.randn(pixels.shape, generator=generator) * draw(0, NOISE) * (draw(0, 1) < 0.5)
    return (pixels + noise).clamp(0, 1)


def measure(judge: Judge, heldout: LabelledCrops, config: JudgeConfig) -> dict:
    """Accuracy of both heads with 95 % intervals, over all held-out renders and over parts of them."""
    right = {"object": [], "material": []}
    for first in range(0, len(heldout.pixels), 256):
        part = slice(first, first + 256)
        with torch.no_grad():
            logits = judge(heldout.pixels[part].float() / 255)
        for name, found, labels in zip(right, logits, (heldout.objects, heldout.materials), strict=True):
            right[name] += (found.argmax(dim=1) == labels[part]).tolist()
    numbers = np.arange(len(heldout.pixels))
    chosen = {"all": numbers >= 0, "as drawn": ~is_turned(numbers), "turned and smaller": is_turned(numbers)}
    sizes = config.picture_sizes
    chosen |= {f"{size} pixels": size_place(numbers, sizes) == at for at, size in enumerate(sizes)}
    return {
        name: {label: _figures(np.asarray(values)[which]) for label, which in chosen.items() if which.any()}
        for name, values in right.items()
    }


def _figures(values: NDArray[np.bool_]) -> dict:
    interval = bootstrap_share(values.astype(float).tolist())
    return {"accuracy": interval.mean, "interval": [interval.low, interval.high], "pictures": interval.count}
