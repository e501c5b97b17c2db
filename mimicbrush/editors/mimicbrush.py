"""Imitative editing with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.imaging import letterbox, paste_back, unletterbox
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import make_scheduler, sample, seeded_noise
from mimicbrush.model.weights import load_network
from mimicbrush.requests import Editor, ReferenceRequest


class Prepared(NamedTuple):
    """One frame on the network's square canvas."""

    source: Tensor
    mask: Tensor
    reference: Tensor


class MimicBrushEditor(Editor):
    """Repaints the masked region after the reference, and pastes it back at the source's own size.

    checkpoint: a training run's folder; use_ema: its averaged weights; device: `auto` takes a GPU where there is one.
    Raises UserError where the checkpoint is missing or does not fit.
    """

    def __init__(
        self,
        checkpoint: Path,
        *,
        num_inference_steps: int = 50,
        guidance_scale: float = 5.0,
        use_ema: bool = True,
        device: str = "auto",
    ) -> None:
        network = load_network(Path(checkpoint), use_ema=use_ema).to(_device(device))
        self._set_up(network, num_inference_steps, guidance_scale)

    @classmethod
    def of_network(
        cls, network: MimicBrushNetwork, *, num_inference_steps: int = 50, guidance_scale: float = 5.0
    ) -> MimicBrushEditor:
        """An editor around a network in memory, as previews during training need it."""
        editor = cls.__new__(cls)
        editor._set_up(network, num_inference_steps, guidance_scale)
        return editor

    def _set_up(self, network: MimicBrushNetwork, num_inference_steps: int, guidance_scale: float) -> None:
        limit = make_scheduler().config.num_train_timesteps
        if not 1 <= num_inference_steps <= limit:
            raise UserError(f"num_inference_steps is {num_inference_steps}, expected 1 to {limit}")
        self.network = network
        self.num_inference_steps = num_inference_steps
        self.guidance_scale = guidance_scale

    def edit(self, request: ReferenceRequest) -> Tensor:
        return self.edit_batch([request])[0]

    @torch.no_grad()
    def edit_batch(self, requests: list[ReferenceRequest]) -> list[Tensor]:
        """All frames of all requests are denoised together; each has its request's seed."""
        frames = [(request, number) for request in requests for number in range(len(request.source))]
        prepared = [self._prepare(request, number) for request, number in frames]
        seeds = [request.seed for request, _ in frames]
        conditions = self._condition(prepared, [request.keep_shape for request, _ in frames], seeds)
        latent = sample(
            self.network,
            conditions,
            seeded_noise(self.network, seeds),
            scheduler=make_scheduler(self.network.prediction_type),
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
        )
        decoded = self.network.decode(latent).cpu()
        edited = [
            self._finish(canvas, request, number) for canvas, (request, number) in zip(decoded, frames, strict=True)
        ]
        return _per_request(edited, requests)

    def _prepare(self, request: ReferenceRequest, number: int) -> Prepared:
        size = self.network.size
        source, _ = letterbox(request.source[number], size, fill=1.0)
        mask, _ = letterbox(request.mask[number], size, fill=0.0)
        reference, _ = letterbox(request.reference, size, fill=1.0)
        return Prepared(source, (mask > 128 / 255).to(mask.dtype), reference)

    def _condition(self, prepared: list[Prepared], keep_shape: list[bool], seeds: list[int]) -> Conditions:
        device = self.network.device
        source, mask, reference = (
            torch.stack([getattr(frame, name) for frame in prepared]).to(device)
            for name in ("source", "mask", "reference")
        )
        # One generator per edit, for the autoencoder's posteriors: a batch gives what single edits give.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return self.network.condition(source, mask, reference, torch.tensor(keep_shape, device=device), generators)

    def _finish(self, canvas: Tensor, request: ReferenceRequest, number: int) -> Tensor:
        source, mask = request.source[number : number + 1], request.mask[number : number + 1]
        edited = unletterbox(canvas[None], *source.shape[-2:])
        return paste_back(edited.to(source), source, mask)


def _per_request(frames: list[Tensor], requests: list[ReferenceRequest]) -> list[Tensor]:
    """Frames (1, 3, H, W) in order -> (T, 3, H, W) for each request."""
    remaining = iter(frames)
    return [torch.cat([next(remaining) for _ in request.source]) for request in requests]


def _device(name: str) -> torch.device:
    if name != "auto":
        try:
            return torch.zeros((), device=name).device
        except (RuntimeError, AssertionError):  # torch raises either, by its build
            raise UserError(f"device {name} is not there; choose auto or cpu") from None
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
