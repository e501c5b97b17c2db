"""Stable unCLIP for clips: latents of frames, conditions, and predictions for all frames together."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mimicbrush.diffusion.ddim import noise_of, signal_shares
from mimicbrush.diffusion.frame_sampling import FramePrediction, average_windows, captured_states, frame_windows
from mimicbrush.diffusion.kept_norms import decode_with_norms_of
from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.editors.genvideo.inflation import inflate
from mimicbrush.editors.genvideo.masked_injection import masked_embedding
from mimicbrush.editors.genvideo.settings import GenVideoSettings
from mimicbrush.errors import UserError, quoted
from mimicbrush.hub.unclip_parts import UnclipParts, embed_pictures, embed_prompts, image_condition
from mimicbrush.seeds import seed_of


class ClipCondition(NamedTuple):
    """Text and image embedding from which a clip is generated."""

    tokens: Tensor
    """(1, N, D), text tokens."""
    image: Tensor
    """(1, 2d), class labels of an image embedding; within the mask, where there is one."""
    outside_image: Tensor | None = None
    """(1, 2d), class labels outside the mask."""
    mask: Tensor | None = None
    """(T, 1, h, w) of 0 and 1, on the grid of latents."""

    def frames(self, window: range) -> ClipCondition:
        """The condition of a window's frames."""
        return self if self.mask is None else self._replace(mask=self.mask[window.start : window.stop])


class ClipDenoiser:
    """Stable unCLIP whose U-Net is inflated to clips; the U-Net of `parts` is changed in place.

    dtype: precision in which the networks compute; weights that are tuned stay in float32.
    """

    def __init__(self, parts: UnclipParts, settings: GenVideoSettings, *, dtype: torch.dtype) -> None:
        inflate(parts.unet, seed=seed_of(settings.tuning.seed, "attention over time"))
        self.parts = parts
        self.settings = settings
        self.dtype = dtype
        self.schedule = parts.schedule
        self.shares = signal_shares(self.schedule)
        self.null_tokens = embed_prompts(parts, [""])
        self.stride = 2 ** (len(parts.vae.config.block_out_channels) - 1)
        self.unit = self.stride * 2 ** (len(parts.unet.config.block_out_channels) - 1)
        """Number of pixels by which the sides of frames are divisible."""
        num_blocks = len(parts.unet.up_blocks)
        if settings.feature_block >= num_blocks:
            raise UserError(
                f"feature_block is {settings.feature_block}, and the U-Net has up blocks 0 to {num_blocks - 1}"
            )

    @property
    def unet(self) -> nn.Module:
        return self.parts.unet

    @property
    def device(self) -> torch.device:
        return self.parts.vae.device

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Encode frames (T, 3, H, W) in [0, 1], one after the other: latents (T, C, h, w) on the device."""
        vae = self.parts.vae
        return torch.cat([encode_mean(vae, frame[None].to(vae.device)) for frame in frames])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents (T, C, h, w) to frames (T, 3, H, W) in [0, 1] on the CPU, one after the other."""
        frames = [decode_unclamped(self.parts.vae, latent[None]).cpu() for latent in latents]
        return torch.cat(frames).clamp(0, 1)

    def decode_edit(self, latents: Tensor, source: Tensor) -> Tensor:
        """Decode edited latents likewise, with the source's group norms, so that its background stays as it is."""
        pairs = zip(latents, source, strict=True)
        frames = [decode_with_norms_of(self.parts.vae, edited[None], own[None]).cpu() for edited, own in pairs]
        return torch.cat(frames).clamp(0, 1)

    def embed_prompt(self, prompt: str, name: str) -> Tensor:
        """Text tokens (1, N, D); raises UserError, with the prompt's `name`, if it is too long or has unknown words."""
        tokenizer = self.parts.tokenizer
        found, most = len(tokenizer(prompt, verbose=False).input_ids), tokenizer.model_max_length
        if found > most:
            raise UserError(f"{name} has {found} tokens, and the text encoder reads {most}; shorten it")
        try:
            return embed_prompts(self.parts, [prompt])
        except UserError as error:
            raise UserError(f"{name} {quoted(prompt)}: {error}") from None

    def image_classes(self, pictures: Tensor, *, seed: int) -> Tensor:
        """Class labels (B, 2d) of pictures (B, 3, H, W) at the noise level of the settings."""
        generator = torch.Generator().manual_seed(seed)
        level = self.settings.noise_level
        return image_condition(
            self.parts, embed_pictures(self.parts, pictures), noise_level=level, generator=generator
        ).float()

    @torch.no_grad()
    def predict(
        self,
        latents: Tensor,
        timestep: int,
        condition: ClipCondition,
        *,
        guidance_scale: float = 1.0,
        with_features: bool = False,
    ) -> FramePrediction:
        """Predict the noise in latents (T, C, h, w), in overlapping windows where the clip is longer than one."""
        settings = self.settings
        windows = frame_windows(len(latents), settings.window, settings.window_overlap)
        parts = [
            self._predict_window(
                latents[window.start : window.stop],
                timestep,
                condition.frames(window),
                guidance_scale=guidance_scale,
                with_features=with_features,
            )
            for window in windows
        ]
        noise, features = (
            average_windows(list(zip(windows, each, strict=True)), len(latents)) if each[0] is not None else None
            for each in zip(*parts, strict=True)
        )
        return FramePrediction(noise, features)

    def run_unet(self, latents: Tensor, timestep: int, tokens: Tensor, classes: Tensor, num_frames: int) -> Tensor:
        """The U-Net's raw output (B, C, h, w) in float32, differentiable; tokens: (B, N, D), classes: (B, 2d)."""
        with self._precision():
            return self.unet(
                latents.to(self.dtype),
                timestep,
                encoder_hidden_states=tokens,
                class_labels=classes.to(self.dtype),
                cross_attention_kwargs={"num_frames": num_frames},
            ).sample.float()

    def _predict_window(
        self,
        latents: Tensor,
        timestep: int,
        condition: ClipCondition,
        *,
        guidance_scale: float,
        with_features: bool,
    ) -> FramePrediction:
        num_frames, is_guided = len(latents), guidance_scale > 1
        sample = torch.cat([latents] * (1 + is_guided))

        def rows(present: Tensor, absent: Tensor) -> Tensor:
            """Repeat a condition for each frame, after its absence where there is guidance."""
            return torch.cat([absent, present] if is_guided else [present]).repeat_interleave(num_frames, dim=0)

        tokens = rows(condition.tokens, self.null_tokens)
        classes = inside = rows(condition.image, torch.zeros_like(condition.image))
        with ExitStack() as stack:
            if condition.mask is not None:
                classes = rows(condition.outside_image, torch.zeros_like(condition.outside_image))
                stack.enter_context(self._precision())
                mask = torch.cat([condition.mask] * (1 + is_guided))
                pair = {"inside": inside.to(self.dtype), "outside": classes.to(self.dtype)}
                stack.enter_context(masked_embedding(self.unet, **pair, mask=mask))
            features = stack.enter_context(self._feature_capture()) if with_features else []
            prediction = self.run_unet(sample, timestep, tokens, classes, num_frames)
        noise = noise_of(prediction, sample, self.shares[timestep], self.schedule.prediction_type)
        if is_guided:
            absent, present = noise.chunk(2)
            noise = absent + guidance_scale * (present - absent)
        return FramePrediction(noise, features[-1][-num_frames:] if features else None)

    def _feature_capture(self) -> object:
        """Capture the features that lead the correction."""
        block = self.unet.up_blocks[self.settings.feature_block]
        if self.settings.feature_side == "before_upsampler" and block.upsamplers is not None:
            return captured_states(block.upsamplers[0], of_input=True)
        return captured_states(block)

    def _precision(self) -> object:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)
