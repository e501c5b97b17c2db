"""Where the time of training steps goes: at any moment one part is under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from typing import TypeVar

import torch
from lightning import Callback, LightningModule, Trainer

from mimicbrush.machine import GIBIBYTE, peak_memory, reset_peak_memory
from mimicbrush.training.clock import now

T = TypeVar("T")

DATA, BACKWARD, OPTIMISER, REST = "data", "backward", "optimiser", "rest"
NETWORK_METHODS = {
    "encode": "VAE",
    "image_tokens": "CLIP",
    "absent_tokens": "CLIP",
    "shape_latent": "shape",
    "reference_features": "reference",
    "predict": "imitative",
}
"""Methods of the network -> the part of the step that they are."""
PARTS = (DATA, "augment", *dict.fromkeys(NETWORK_METHODS.values()), BACKWARD, OPTIMISER, REST)
"""In order; `optimiser` is everything from the backward pass to the next batch: clipping, averaging, records."""


class Timeline:
    """Seconds by part. On a GPU its own clock stands at the borders, so that timing makes nothing wait."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stamps: list[tuple[str, float | torch.cuda.Event]] = []
        self.current = REST

    def enter(self, part: str) -> None:
        """From here on, until another begins."""
        self.current = part
        self.stamps.append((part, self._stamp()))

    def timed(self, function: Callable[..., T], part: str) -> Callable[..., T]:
        """The function, during which this part is under way."""

        @wraps(function)
        def call(*args, **kwargs) -> T:
            with self._within(part):
                return function(*args, **kwargs)

        return call

    def seconds(self) -> dict[str, float]:
        """By part, from the first stamp to the last."""
        totals: dict[str, float] = {}
        for (part, begin), (_, end) in pairwise(self.stamps):
            totals[part] = totals.get(part, 0.0) + _between(begin, end)
        return totals

    @contextmanager
    def _within(self, part: str) -> Iterator[None]:
        outer = self.current
        self.enter(part)
        try:
            yield
        finally:
            self.enter(outer)

    def _stamp(self) -> float | torch.cuda.Event:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class StepTimer(Callback):
    """Times the steps after the first ones, from the outside; to be the last of a trainer's callbacks.

    num_warm_ups: steps that are not timed.
    """

    def __init__(self, num_warm_ups: int) -> None:
        self.num_warm_ups = num_warm_ups
        self.num_steps = 0
        self.seconds: Mapping[str, float] = {}
        """By part, of all timed steps."""
        self.wall = float("nan")
        """Seconds of all timed steps."""
        self.peak = float("nan")
        """GiB of the timed steps; NaN where the system does not tell."""
        self.losses: list[torch.Tensor] = []
        """Loss of every step, including the untimed first ones."""

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.timeline = Timeline(module.device)
        module.draw_batch = self.timeline.timed(module.draw_batch, "augment")
        for name, part in NETWORK_METHODS.items():
            setattr(module.network, name, self.timeline.timed(getattr(module.network, name), part))

    def on_train_batch_start(self, *args) -> None:
        self.timeline.enter(REST)

    def on_before_backward(self, *args) -> None:
        self.timeline.enter(BACKWARD)

    def on_after_backward(self, *args) -> None:
        self.timeline.enter(OPTIMISER)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Mapping, *args) -> None:
        self.losses.append(outputs["loss"].detach())
        self.timeline.enter(DATA)
        if trainer.global_step == self.num_warm_ups:
            self._start(module.device)
        if trainer.global_step == trainer.max_steps:
            self._stop(trainer, module.device)

    def _start(self, device: torch.device) -> None:
        self.peak_is_known = reset_peak_memory(device)
        self.wall = now()
        self.timeline.stamps.clear()
        self.timeline.enter(DATA)

    def _stop(self, trainer: Trainer, device: torch.device) -> None:
        self.wall = now() - self.wall
        self.num_steps = trainer.max_steps - self.num_warm_ups
        self.seconds = self.timeline.seconds()
        if self.peak_is_known:
            self.peak = peak_memory(device) / GIBIBYTE


def _between(begin: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    return end - begin if isinstance(begin, float) else begin.elapsed_time(end) / 1e3
