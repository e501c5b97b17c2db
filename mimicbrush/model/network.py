"""The whole network: two U-Nets, the autoencoder, and what conditions them (paper, section 3.2)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from mimicbrush.imaging import blacken
from mimicbrush.model.conditioning import DepthShape, EdgeShape, ImageEncoder, ImageProjector, ShapeProjector
from mimicbrush.model.reference_attention import ReferenceFeatures

PredictionType = Literal["epsilon", "v_prediction"]

Generators = torch.Generator | list[torch.Generator] | None


class Conditions(NamedTuple):
    """Everything the imitative U-Net is told about B edits; each computed once per edit."""

    mask: Tensor
    """(B, 1, h, w), 1 where the edit happens, at latent size."""
    background_latent: Tensor
    """(B, 4, h, w), of the source blackened under the mask."""
    shape_latent: Tensor
    """(B, 4, h, w), of the source's shape map, or of an ignored one."""
    image_tokens: Tensor
    """(B, N, C), of the reference."""
    reference_latent: Tensor
    """(B, 4, h, w), clean."""


class MimicBrushNetwork(nn.Module):
    """Predicts the noise of a partly masked latent, imitating a reference.

    size: pixels of the square pictures it works on; its latents are size / stride.
    reference_at_zero: run the reference U-Net at timestep 0, so that its features serve all steps, instead of at the
    current timestep, as the release does.
    prediction_type: what `predict` returns, as diffusers' schedulers call it.
    """

    def __init__(
        self,
        *,
        imitative_unet: UNet2DConditionModel,
        reference_unet: UNet2DConditionModel,
        autoencoder: AutoencoderKL,
        image_encoder: ImageEncoder,
        image_projector: ImageProjector,
        shape_map: EdgeShape | DepthShape,
        shape_projector: ShapeProjector,
        size: int,
        reference_at_zero: bool = False,
        prediction_type: PredictionType = "epsilon",
    ) -> None:
        super().__init__()
        self.imitative_unet = imitative_unet
        self.reference_unet = reference_unet
        self.autoencoder = autoencoder
        self.image_encoder = image_encoder
        self.image_projector = image_projector
        self.shape_map = shape_map
        self.shape_projector = shape_projector
        self.size = size
        self.reference_at_zero = reference_at_zero
        self.prediction_type = prediction_type

    @property
    def stride(self) -> int:
        """Pixels per latent position."""
        return 2 ** (len(self.autoencoder.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        return self.imitative_unet.device

    @torch.no_grad()
    def encode(self, image: Tensor, generator: Generators = None) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1] -> latent (B, 4, H / stride, W / stride), sampled from the posterior."""
        posterior = self.autoencoder.encode(image * 2 - 1).latent_dist
        return posterior.sample(generator) * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Latent (B, 4, h, w) -> pixels (B, 3, H, W) in [0, 1]."""
        image = self.autoencoder.decode(latent / self.autoencoder.config.scaling_factor).sample
        return (image / 2 + 0.5).clamp(0, 1)

    def condition(
        self,
        source: Tensor,
        mask: Tensor,
        reference: Tensor,
        keep_shape: Tensor,
        generator: Generators = None,
    ) -> Conditions:
        """source, reference: (B, 3, size, size); mask: (B, 1, size, size); keep_shape: (B,) bool.

        generator: for the posteriors, one for all or one per row.
        """
        # One pass of the autoencoder for both pictures; the order of the noise follows the release (reference first).
        generators = generator * 2 if isinstance(generator, list) else generator
        latents = self.encode(torch.cat([reference, blacken(source, mask)]), generators)
        reference_latent, background_latent = latents.chunk(2)
        return Conditions(
            mask=self.shrink_mask(mask),
            background_latent=background_latent,
            shape_latent=self.shape_latent(source, keep_shape),
            image_tokens=self.image_tokens(reference),
            reference_latent=reference_latent,
        )

    def shrink_mask(self, mask: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, h, w), 0 or 1, by the nearest pixel, as in the release."""
        height, width = (side // self.stride for side in mask.shape[-2:])
        return F.interpolate((mask >= 0.5).to(mask.dtype), (height, width), mode="nearest")

    def image_tokens(self, reference: Tensor) -> Tensor:
        """(B, 3, H, W) -> cross-attention tokens (B, N, C)."""
        with torch.no_grad():
            states = self.image_encoder(reference)
        return self.image_projector(states)

    def absent_tokens(self) -> Tensor:
        """Tokens of no reference, (1, N, C): what unconditional rows see."""
        with torch.no_grad():
            states = self.image_encoder.absent()
        return self.image_projector(states)

    def shape_latent(self, source: Tensor, keep_shape: Tensor) -> Tensor:
        """(B, 3, H, W), (B,) bool -> (B, 4, h, w)."""
        with torch.no_grad():
            shape_map = self.shape_map(source, keep_shape)
        return self.shape_projector(shape_map)

    def reference_features(self, reference_latent: Tensor, timestep: Tensor, image_tokens: Tensor) -> ReferenceFeatures:
        """Features of R references: latents (R, 4, h, w), timestep (R,) or scalar, tokens (R, N, C)."""
        features: ReferenceFeatures = {}
        timestep = torch.zeros_like(timestep) if self.reference_at_zero else timestep
        self.reference_unet(
            reference_latent, timestep, image_tokens, cross_attention_kwargs={"captured": features}, return_dict=False
        )
        return features

    def predict(
        self,
        noisy_latent: Tensor,
        timestep: Tensor,
        conditions: Conditions,
        reference: ReferenceFeatures | None,
        keep_reference: Tensor | None = None,
    ) -> Tensor:
        """What the imitative U-Net makes of a noisy latent: (B, 4, h, w), noise or velocity, see `prediction_type`.

        reference: features for the first R <= B rows, the rest have none; keep_reference: (R,) bool, false for rows
        that are to ignore theirs. Their image tokens are the caller's to replace.
        """
        latents = (noisy_latent, conditions.mask, conditions.background_latent, conditions.shape_latent)
        return self.imitative_unet(
            torch.cat(latents, dim=1),
            timestep,
            conditions.image_tokens,
            cross_attention_kwargs={"reference": reference or {}, "keep_reference": keep_reference},
            return_dict=False,
        )[0]
