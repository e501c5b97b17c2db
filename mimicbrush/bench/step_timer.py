"""Time of training steps by part: at any moment exactly one part is running."""

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
from mimicbrush.training.timing import now

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
"""Part of the step to which each method of the network belongs."""
PARTS = (DATA, "augment", *dict.fromkeys(NETWORK_METHODS.values()), BACKWARD, OPTIMISER, REST)
"""All parts in order; `optimiser` is all work between the backward pass and the next batch, such as clipping."""


class StepTimeline:
    """Measures seconds by part. On a GPU, CUDA events mark the times, so that measuring does not synchronise."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stamps: list[tuple[str, float | torch.cuda.Event]] = []
        self.current = REST

    def enter(self, part: str) -> None:
        """Begin a part, which ends when another one begins."""
        self.current = part
        self.stamps.append((part, self._stamp()))

    def timed(self, function: Callable[..., T], part: str) -> Callable[..., T]:
        """Wrap a function so that its time counts for a part."""

        @wraps(function)
        def call(*args, **kwargs) -> T:
            with self._within(part):
                return function(*args, **kwargs)

        return call

    def seconds(self) -> dict[str, float]:
        """Seconds by part, from the first stamp to the last."""
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
    """Times training steps after a warm-up; it must be the last of the trainer's callbacks.

    num_warm_ups: number of first steps that are not timed.
    """

    def __init__(self, num_warm_ups: int) -> None:
        self.num_warm_ups = num_warm_ups
        self.num_steps = 0
        self.seconds: Mapping[str, float] = {}
        """Seconds of all timed steps, by part."""
        self.wall = float("nan")
        """Elapsed seconds of all timed steps."""
        self.peak = float("nan")
        """Peak GiB of the timed steps; NaN if the system does not report it."""
        self.losses: list[torch.Tensor] = []
        """Loss of every step, including the warm-up."""

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.timeline = StepTimeline(module.device)
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
