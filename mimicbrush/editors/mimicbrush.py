"""Imitative editing with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mimicbrush import imaging, released_imaging
from mimicbrush.errors import UserError
from mimicbrush.imaging import binarise
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import draw_noise, make_scheduler, sample, seeded_generators
from mimicbrush.model.weights import load_network
from mimicbrush.requests import Editor, ReferenceRequest

Geometry = Literal["exact", "released"]
"""How pictures come to the network's canvas and back: without a pixel's shift, or as in the released code."""

Precision = Literal["auto", "float32", "bfloat16", "float16"]

GEOMETRIES = {"exact": imaging, "released": released_imaging}

POSTERIOR_SEED = 0
"""Of the autoencoder's posteriors: equal pictures are encoded equally, whatever the edit's seed, so that samples of one
edit share everything but their noise."""


class Prepared(NamedTuple):
    """One frame on the network's square canvas."""

    source: Tensor
    mask: Tensor
    reference: Tensor


class MimicBrushEditor(Editor):
    """Repaints the masked region after the reference, and pastes it back at the source's own size.

    checkpoint: a training run, an exported folder or hub repository, a released mimicbrush.bin, or a network in
    memory. use_ema: a run's averaged weights; keep_shape: follow the source's shape map or do not, whatever the request
    says; device: `auto` takes a GPU where there is one, a network in memory stays where it is; precision: `auto` is
    float16 on a GPU, as in the release, and float32 elsewhere; scheduler: a sampler of diffusers; geometry: `released`
    scales, pads and pastes as the released code does.
    Raises UserError where the weights are missing or do not fit.
    """

    def __init__(
        self,
        checkpoint: str | Path | MimicBrushNetwork,
        *,
        num_inference_steps: int = 50,
        guidance_scale: float = 5.0,
        scheduler: str = "DDIMScheduler",
        geometry: Geometry = "exact",
        use_ema: bool = True,
        keep_shape: bool | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if isinstance(checkpoint, MimicBrushNetwork):
            self.network = checkpoint
        else:
            place = choose_device(device)
            self.network = (
                load_network(checkpoint, use_ema=use_ema).to(place).to_precision(choose_dtype(precision, place))
            )
        limit = make_scheduler(name=scheduler).config.num_train_timesteps
        if not 1 <= num_inference_steps <= limit:
            raise UserError(f"num_inference_steps is {num_inference_steps}, expected 1 to {limit}")
        self.num_inference_steps = num_inference_steps
        self.guidance_scale = guidance_scale
        self.scheduler = scheduler
        self.keep_shape = keep_shape
        self.geometry = GEOMETRIES[geometry]

    def edit(self, request: ReferenceRequest) -> Tensor:
        return self.edit_batch([request])[0]

    def edit_batch(self, requests: list[ReferenceRequest]) -> list[Tensor]:
        return [samples[0] for samples in self.sample_batch(requests)]

    @torch.no_grad()
    def sample_batch(self, requests: list[ReferenceRequest], *, num_samples: int = 1) -> list[list[Tensor]]:
        """`num_samples` results of each request, with seeds seed, seed + 1, ...; all are denoised together.

        Each result equals what its seed alone would give.
        """
        frames = [(request, number) for request in requests for number in range(len(request.source))]
        prepared = [self._prepare(request, number) for request, number in frames]
        generators = seeded_generators([request.seed + k for request, _ in frames for k in range(num_samples)])
        latent = sample(
            self.network,
            self._condition(prepared, [self._keeps_shape(request) for request, _ in frames]),
            draw_noise(self.network, generators),
            scheduler=make_scheduler(self.network.options.prediction_type, self.scheduler),
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            generators=generators,
        )
        decoded = self.network.decode(latent).cpu().unflatten(0, (len(frames), num_samples))
        edited = [
            self._finish(canvases, request, number) for canvases, (request, number) in zip(decoded, frames, strict=True)
        ]
        return _per_request(edited, requests)

    def _keeps_shape(self, request: ReferenceRequest) -> bool:
        return request.keep_shape if self.keep_shape is None else self.keep_shape

    def _prepare(self, request: ReferenceRequest, number: int) -> Prepared:
        size, letterbox = self.network.size, self.geometry.letterbox
        source, _ = letterbox(request.source[number], size, fill=1.0)
        mask, _ = letterbox(request.mask[number], size, fill=0.0)
        reference, _ = letterbox(request.reference, size, fill=1.0)
        return Prepared(source, binarise(mask), reference)

    def _condition(self, prepared: list[Prepared], keep_shape: list[bool]) -> Conditions:
        device = self.network.device
        source, mask, reference = (
            torch.stack([getattr(frame, name) for frame in prepared]).to(device)
            for name in ("source", "mask", "reference")
        )
        generators = seeded_generators([POSTERIOR_SEED] * len(prepared))
        return self.network.condition(source, mask, reference, torch.tensor(keep_shape, device=device), generators)

    def _finish(self, canvases: Tensor, request: ReferenceRequest, number: int) -> Tensor:
        """(N, 3, size, size) -> (N, 3, H, W), pasted into frame `number` of the source."""
        source, mask = request.source[number : number + 1], request.mask[number : number + 1]
        edited = self.geometry.unletterbox(canvases, *source.shape[-2:])
        return self.geometry.paste_back(edited.to(source), source, mask)


def _per_request(frames: list[Tensor], requests: list[ReferenceRequest]) -> list[list[Tensor]]:
    """Samples (N, 3, H, W) of each frame in order -> for each request, N times (T, 3, H, W)."""
    remaining = iter(frames)
    return [list(torch.stack([next(remaining) for _ in request.source], dim=1)) for request in requests]


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """`auto` is float16 on a GPU, as in the release, and float32 elsewhere."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return getattr(torch, precision)


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU where there is one; raises UserError where the device is not there."""
    if name != "auto":
        try:
            return torch.zeros((), device=name).device
        except (RuntimeError, AssertionError):  # torch raises either, by its build
            raise UserError(f"device {name} is not there; choose auto or cpu") from None
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
