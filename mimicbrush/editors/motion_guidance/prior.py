"""The diffusion model that motion guidance steers: its protocol, and latent diffusion networks of diffusers."""

from __future__ import annotations

from typing import Protocol

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.diffusion.ddim import PredictNoise, noise_of, signal_shares
from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas
from mimicbrush.errors import UserError, quoted
from mimicbrush.hub.known_words import require_known_words

PROMPT_GUIDANCE = 7.5
"""Scale of guidance by a prompt, as in the release."""


class Prior(Protocol):
    """A diffusion model of pictures; a network, or anything whose noise can be computed and differentiated.

    Pictures are (1, 3, canvas_size, canvas_size) in [0, 1], latents (1, C, h, w) with `stride` pixels per position.
    """

    schedule: ScheduleConfig
    canvas_size: int
    stride: int
    guidance_scale: float
    """Recommended strength of classifier-free guidance; 1 or less: none."""

    @property
    def device(self) -> torch.device: ...

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures as latents, without randomness."""

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents to pictures, unclamped and differentiable."""

    def condition(self, canvas: MotionCanvas, prompt: str, *, guidance_scale: float) -> PredictNoise:
        """Return the noise prediction for a request; it is differentiable. Raises UserError for unusable prompts."""


def latent_side(unet: UNet2DConditionModel) -> int:
    """Side of the square latents for which a U-Net was trained; its config gives one number, or two."""
    given = unet.config.sample_size
    sides = set(given if isinstance(given, list | tuple) else [given])
    if len(sides) != 1 or None in sides:
        raise UserError(
            f"the U-Net's sample_size is {given}, expected one side, of square latents; set it in its config"
        )
    return sides.pop()


def cross_attention_width(unet: UNet2DConditionModel) -> int:
    """Numbers of each text token that a U-Net reads; its config gives one number, or one for each block."""
    width = unet.config.cross_attention_dim
    return width if isinstance(width, int) else width[0]


class LatentPrior:
    """A U-Net and an autoencoder of diffusers, with a CLIP text encoder or without text.

    The U-Net predicts noise or velocity, and may have class embeddings, which receive zeros. Without a text encoder it
    receives zeros as text and no guidance.
    """

    guidance_scale = PROMPT_GUIDANCE

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        *,
        text_encoder: CLIPTextModel | None = None,
        tokenizer: CLIPTokenizer | None = None,
        schedule: ScheduleConfig | None = None,
    ) -> None:
        channels = (unet.config.in_channels, unet.config.out_channels)
        if channels != (vae.config.latent_channels,) * 2:
            raise UserError(
                f"the U-Net has {channels[0]} input and {channels[1]} output channels, expected"
                f" {vae.config.latent_channels} each, like the autoencoder; give one that is not made for inpainting"
            )
        width = cross_attention_width(unet)
        given = width if text_encoder is None else text_encoder.config.hidden_size
        if given != width:
            raise UserError(
                f"the text encoder's tokens have {given} numbers, and the U-Net reads {width}; give the text encoder"
                " that it was trained with"
            )
        self.unet = unet.eval().requires_grad_(False)
        self.vae = vae.eval().requires_grad_(False)
        self.text_encoder = None if text_encoder is None else text_encoder.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.schedule = schedule or ScheduleConfig()
        self.shares = signal_shares(self.schedule)
        self.stride = 2 ** (len(vae.config.block_out_channels) - 1)
        self.canvas_size = latent_side(unet) * self.stride

    @property
    def device(self) -> torch.device:
        return self.unet.device

    def to(self, device: torch.device) -> LatentPrior:
        for part in (self.unet, self.vae, self.text_encoder):
            if part is not None:
                part.to(device)
        return self

    def enable_gradient_checkpointing(self) -> None:
        """Compute activations again in the backward pass, block by block."""
        self.unet.enable_gradient_checkpointing()
        self.vae.enable_gradient_checkpointing()

    def encode(self, pictures: Tensor) -> Tensor:
        return encode_mean(self.vae, pictures)

    def decode(self, latents: Tensor) -> Tensor:
        return decode_unclamped(self.vae, latents)

    def condition(self, canvas: MotionCanvas, prompt: str, *, guidance_scale: float) -> PredictNoise:
        return self.guided(self.embed_prompts([prompt]), None, guidance_scale=guidance_scale if prompt else 1.0)

    def guided(self, tokens: Tensor, classes: Tensor | None, *, guidance_scale: float) -> PredictNoise:
        """Guide away from the empty prompt and from classes of zeros, unless the scale is 1 or less.

        tokens: (1, N, D), the prompt's; classes: (1, D), class labels; None: those that mean nothing.
        """
        if guidance_scale <= 1:
            return lambda latent, timestep: self.predict_noise(latent, timestep, tokens, classes)
        both = torch.cat([self.embed_prompts([""]), tokens])
        both_classes = None if classes is None else torch.cat([torch.zeros_like(classes), classes])

        def predict(latent: Tensor, timestep: int) -> Tensor:
            latents = torch.cat([latent, latent])
            absent, present = self.predict_noise(latents, timestep, both, both_classes).chunk(2)
            return absent + guidance_scale * (present - absent)

        return predict

    def predict_noise(self, latents: Tensor, timestep: int, tokens: Tensor, classes: Tensor | None = None) -> Tensor:
        """Predict the noise of rows (B, C, h, w) with text tokens (B, N, D) and class labels (B, D)."""
        classes = self._absent_classes(len(latents)) if classes is None else classes
        rows = {"encoder_hidden_states": tokens, "class_labels": classes}
        prediction = self.unet(latents.to(self.unet.dtype), timestep, **rows).sample.to(latents.dtype)
        return noise_of(prediction, latents, self.shares[timestep], self.schedule.prediction_type)

    @torch.no_grad()
    def embed_prompts(self, prompts: list[str]) -> Tensor:
        """Text tokens (B, N, D) of prompts; without a text encoder, zeros for empty ones.

        Raises UserError for words that the text encoder was never trained on.
        """
        if self.text_encoder is None:
            if any(prompts):
                raise UserError(f"prompt is {quoted(prompts[0])}, but the weights have no text encoder; leave it empty")
            width = cross_attention_width(self.unet)
            return torch.zeros(len(prompts), 1, width, dtype=self.unet.dtype, device=self.device)
        require_known_words(self.tokenizer, prompts, reader="the text encoder")
        options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
        return self.embed_tokens(self.tokenizer(prompts, **options).input_ids)

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """Text tokens (B, N, D) of token ids (B, N)."""
        return self.text_encoder(token_ids.to(self.device))[0].to(self.unet.dtype)

    def _absent_classes(self, num_rows: int) -> Tensor | None:
        """Class labels that mean nothing in particular; None for a U-Net without class embeddings."""
        config = self.unet.config
        if self.unet.class_embedding is None:
            return None
        if config.class_embed_type in ("projection", "simple_projection"):
            shape = (num_rows, config.projection_class_embeddings_input_dim)
            return torch.zeros(shape, dtype=self.unet.dtype, device=self.device)
        if config.class_embed_type == "identity":
            shape = (num_rows, config.time_embedding_dim or 4 * config.block_out_channels[0])
            return torch.zeros(shape, dtype=self.unet.dtype, device=self.device)
        return torch.zeros(num_rows, dtype=torch.long, device=self.device)
