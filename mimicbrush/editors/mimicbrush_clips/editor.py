"""Repaints the masked part of a clip after a target picture, with MimicBrush's network and no tuning."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype, send
from mimicbrush.diffusion.config import ScheduleConfig, check_sampling
from mimicbrush.diffusion.ddim import ddim_steps, invert, signal_shares
from mimicbrush.diffusion.frame_sampling import (
    CorrectionRules,
    OnSampledStep,
    SourceLatents,
    mix_noise,
    sample_frames,
)
from mimicbrush.diffusion.latents import encode_mean
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.editors.mimicbrush_clips.imitated_frames import ImitatedFrames
from mimicbrush.editors.mimicbrush_clips.settings import MimicBrushClipsSettings
from mimicbrush.errors import UserError
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.sampling import draw_noise
from mimicbrush.model.weights.build import load_network
from mimicbrush.pictures.geometry import binarise, letterbox, paste_back, unletterbox
from mimicbrush.requests import Edited, Editor, OnProgress, Precision, VideoRequest

POSTERIOR_SEED = 0
"""Seed for drawing the conditions' latents from the autoencoder's posteriors."""


class ClipCanvas(NamedTuple):
    """A clip on the network's square canvas."""

    source: Tensor
    """(T, 3, size, size) in [0, 1]."""
    mask: Tensor
    """(T, 1, size, size) of 0 and 1."""
    reference: Tensor
    """(1, 3, size, size) in [0, 1], the target picture."""


class MimicBrushClipsEditor(Editor):
    """Repaints the clip's mask so that every frame imitates the target picture.

    The frames start from one noise, into which the settings can mix the source's inverted latents, and the first steps
    blend each frame with its neighbours along the network's own features, as in GenVideo; nothing is tuned. The
    inverted latents also keep the background. The request needs a mask; its prompts, which the network cannot read, are
    ignored.
    checkpoint: a training run, an exported folder or hub repository, a released mimicbrush.bin, or a network in memory;
    use_ema: use a run's averaged weights; precision: `auto` is float16 on a GPU and float32 elsewhere.
    Raises UserError if the weights are missing or do not fit.
    """

    request_class = VideoRequest

    def __init__(
        self,
        checkpoint: str | Path | MimicBrushNetwork,
        *,
        settings: MimicBrushClipsSettings | None = None,
        use_ema: bool = True,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if isinstance(checkpoint, MimicBrushNetwork):
            self.network = checkpoint
        else:
            place = choose_device(device)
            dtype = choose_dtype(precision, place)
            self.network = load_network(checkpoint, use_ema=use_ema, dtype=dtype).to(place)
        options = self.network.options
        self.settings = (settings or MimicBrushClipsSettings()).resolved(options.recommended)
        check_sampling(
            num_inference_steps=self.settings.num_inference_steps, guidance_scale=self.settings.guidance_scale
        )
        num_blocks = len(self.network.imitative_unet.up_blocks)
        if self.settings.feature_block >= num_blocks:
            raise UserError(
                f"feature_block is {self.settings.feature_block}, and the imitative U-Net has up blocks 0 to"
                f" {num_blocks - 1}"
            )
        self.schedule = ScheduleConfig(prediction_type=options.prediction_type)
        self.steps = ddim_steps(self.schedule, self.settings.num_inference_steps)

    @torch.no_grad()
    def edit(self, request: VideoRequest, *, on_progress: OnProgress | None = None) -> Edited:
        if request.mask is None:
            raise UserError("MimicBrush for clips needs the clip's mask; give one, such as one that GenVideo proposes")
        canvas = self._to_canvas(request)
        source, done = SourceLatents(*self._invert(canvas, request, on_progress)), len(self.steps)

        def finish(latents: Tensor) -> Edited:
            frames = unletterbox(self.network.decode(latents).cpu(), *request.source.shape[2:]).to(request.source)
            return Edited(paste_back(frames.clamp(0, 1), request.source, request.mask))

        def on_step(original: Tensor) -> None:
            nonlocal done
            done += 1
            # The last share is reported with the result.
            if on_progress is not None and done < 2 * len(self.steps):
                on_progress(done / (2 * len(self.steps)), lambda: finish(original))

        edited = finish(self._sample(canvas, source, request.seed, on_step))
        if on_progress is not None:
            on_progress(1.0, lambda: edited)
        return edited

    def _to_canvas(self, request: VideoRequest) -> ClipCanvas:
        size, device = self.network.size, self.network.device
        pictures = (
            letterbox(request.source.float(), size, fill=1.0)[0],
            binarise(letterbox(request.mask.float(), size, fill=0.0)[0]),
            letterbox(request.target_image.float()[None], size, fill=1.0)[0],
        )
        return ClipCanvas(*(send(each, device) for each in pictures))

    def _frames(self, canvas: ClipCanvas, reference: Tensor, *, guidance_scale: float) -> ImitatedFrames:
        """The network, conditioned on the clip's unmasked part and on references (1 or T, 3, size, size)."""
        num, settings = len(canvas.source), self.settings
        keep_shape = torch.zeros(num, dtype=torch.bool, device=self.network.device)
        conditions = self.network.condition(
            canvas.source,
            canvas.mask,
            reference.expand(num, -1, -1, -1),
            keep_shape,
            seeded_generators([POSTERIOR_SEED] * num),
        )
        if len(reference) == 1:  # its features are computed once
            conditions = conditions._replace(
                image_tokens=conditions.image_tokens[:1], reference_latent=conditions.reference_latent[:1]
            )
        return ImitatedFrames(
            self.network,
            conditions,
            signal_shares(self.schedule),
            guidance_scale=guidance_scale,
            block=settings.feature_block,
            frames_at_once=settings.frames_at_once,
        )

    def _invert(
        self, canvas: ClipCanvas, request: VideoRequest, on_progress: OnProgress | None
    ) -> tuple[Tensor, Tensor]:
        """Latents (T, C, h, w) and their inversion (N, T, C, h, w), with each frame as its own reference."""
        latents = torch.cat([encode_mean(self.network.autoencoder, frame[None]) for frame in canvas.source])
        frames, done = self._frames(canvas, canvas.source, guidance_scale=1.0), 0

        def predict_noise(noisy: Tensor, timestep: int) -> Tensor:
            nonlocal done
            done += 1
            noise = frames.predict(noisy, timestep, False).noise
            if on_progress is not None:
                on_progress(done / (2 * len(self.steps)), lambda: Edited(request.source))
            return noise

        return latents, invert(latents, predict_noise, self.steps)

    def _sample(self, canvas: ClipCanvas, source: SourceLatents, seed: int, on_step: OnSampledStep) -> Tensor:
        settings = self.settings
        frames = self._frames(canvas, canvas.reference, guidance_scale=settings.guidance_scale)
        noise = draw_noise(self.network, seeded_generators([seed]))
        return sample_frames(
            mix_noise(source.trajectory[0], noise, inverted_share=settings.inverted_share),
            source,
            self.steps,
            self.network.shrink_mask(canvas.mask),
            frames.predict,
            rules=CorrectionRules(settings.correction_steps, settings.correction_weights, settings.correction_chunk),
            background=settings.background,
            on_step=on_step,
        )
