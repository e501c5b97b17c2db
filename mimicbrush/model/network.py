"""The whole network: two U-Nets, the autoencoder and the encoders of their conditions (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn

from mimicbrush.device import send
from mimicbrush.errors import UserError
from mimicbrush.model.conditioning import DepthShape, EdgeShape, ImageEncoder, ImageProjector, ShapeProjector
from mimicbrush.model.config import NetworkOptions
from mimicbrush.model.offload import execution_device, fetch_weights
from mimicbrush.model.reference_attention import AttentionContext, CapturedStates, ReferenceFeatures, project_states
from mimicbrush.pictures.geometry import blacken

Generators = torch.Generator | list[torch.Generator] | None


PIXELS_AT_ONCE = 4 * 512 * 512
"""Pixels that the autoencoder encodes or decodes in one pass. A whole batch at once would take more memory than
anything else in an edit, or in a training step with gradient checkpointing."""


class Conditions(NamedTuple):
    """Conditions of the imitative U-Net for B edits, each computed once per edit.

    For `sample` there may be fewer references: each then belongs to several edits, side by side.
    """

    mask: Tensor
    """(B, 1, h, w), 1 where the edit happens, at latent size."""
    background_latent: Tensor
    """(B, 4, h, w), latent of the source blackened under the mask."""
    shape_latent: Tensor
    """(B, 4, h, w), from the source's shape map, or from the map of an ignored shape."""
    image_tokens: Tensor
    """(B, N, C), CLIP tokens of the reference."""
    reference_latent: Tensor
    """(B, 4, h, w), latent of the reference, without noise."""


class MimicBrushNetwork(nn.Module):
    """Predicts the noise of a partly masked latent, imitating a reference."""

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
        options: NetworkOptions,
    ) -> None:
        super().__init__()
        self.imitative_unet = imitative_unet
        self.reference_unet = reference_unet
        self.autoencoder = autoencoder
        self.image_encoder = image_encoder
        self.image_projector = image_projector
        self.shape_map = shape_map
        self.shape_projector = shape_projector
        self.options = options

    @property
    def size(self) -> int:
        """Side of the square pictures it works on, in pixels."""
        return self.options.size

    @property
    def stride(self) -> int:
        """Pixels per latent position."""
        return 2 ** (len(self.autoencoder.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        """Device on which it computes, even while its weights are offloaded."""
        return execution_device(self.imitative_unet)

    def to_precision(
        self, dtype: torch.dtype, precisions: Mapping[str, torch.dtype] = MappingProxyType({})
    ) -> MimicBrushNetwork:
        """Convert all parts but the depth model to this precision, in place; latents are always in float32.

        precisions: part -> another dtype for this part.
        """
        for name, part in self.named_children():
            # diffusers' own `to` would warn about modules that must stay in float32; there are none here.
            nn.Module.to(part, torch.float32 if name == "shape_map" else precisions.get(name, dtype))
        return self

    @torch.no_grad()
    def encode(self, image: Tensor, generator: Generators = None) -> Tensor:
        """Encode pixels (B, 3, H, W) in [0, 1] as latents (B, 4, H / stride, W / stride) drawn from the posterior."""
        pixels = (image * 2 - 1).to(self.autoencoder.dtype)
        chunks = pixels.split(max(1, PIXELS_AT_ONCE // image[0, 0].numel()))
        parameters = torch.cat([self.autoencoder.encode(pictures).latent_dist.parameters for pictures in chunks])
        # In float32: a seed then draws the same noise in every precision of the autoencoder.
        posterior = DiagonalGaussianDistribution(parameters.float())
        # The posterior's own `sample` would wait for the device if the generator is on the CPU.
        sampled = posterior.mean + posterior.std * _draw_noise_like(posterior.mean, generator)
        return sampled * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Decode a latent (B, 4, h, w) to pixels (B, 3, H, W) in [0, 1]."""
        scaled = (latent / self.autoencoder.config.scaling_factor).to(self.autoencoder.dtype)
        chunks = scaled.split(max(1, PIXELS_AT_ONCE // (latent[0, 0].numel() * self.stride**2)))
        pixels = torch.cat([self.autoencoder.decode(latents).sample.float() for latents in chunks])
        return (pixels / 2 + 0.5).clamp(0, 1)

    def condition(
        self,
        source: Tensor,
        mask: Tensor,
        reference: Tensor,
        keep_shape: Tensor,
        generator: Generators = None,
    ) -> Conditions:
        """Compute the conditions of B edits; raises UserError where sizes do not fit.

        source, reference: (B, 3, size, size) in [0, 1]; mask: (B, 1, size, size); keep_shape: (B,) bool.
        generator: for the posteriors, one for all rows or one per row.
        """
        self._check_sizes(source, mask, reference)
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
        """Shrink a mask to latent size, (B, 1, H, W) -> (B, 1, h, w), 0 or 1; nearest pixel, as in the release."""
        height, width = (side // self.stride for side in mask.shape[-2:])
        return F.interpolate((mask >= 0.5).to(mask.dtype), (height, width), mode="nearest")

    def image_tokens(self, reference: Tensor) -> Tensor:
        """Compute the cross-attention tokens of references: (B, 3, H, W) -> (B, N, C)."""
        if not self.options.use_image_tokens:
            return self.absent_tokens().expand(len(reference), -1, -1)
        with torch.no_grad():
            states = self.image_encoder(reference)
        return self.image_projector(states.to(self.image_projector.dtype))

    def absent_tokens(self) -> Tensor:
        """Return the tokens that mean "no reference", (1, N, C); unconditional rows see them."""
        with torch.no_grad():
            states = self.image_encoder.absent()
        return self.image_projector(states.to(self.image_projector.dtype))

    def shape_latent(self, source: Tensor, keep_shape: Tensor) -> Tensor:
        """Compute the shape latent: source (B, 3, H, W), keep_shape (B,) bool -> (B, 4, h, w)."""
        with torch.no_grad():
            shape_map = self.shape_map(source, keep_shape)
        return self.shape_projector(shape_map.to(self.shape_projector.dtype)).float()

    def reference_features(self, reference_latent: Tensor, timestep: Tensor, image_tokens: Tensor) -> ReferenceFeatures:
        """Compute keys and values of R references: latents (R, 4, h, w), timestep (R,) or scalar, tokens (R, N, C).

        Gradients flow to the image tokens as well, through the cross-attention of the reference U-Net, frozen or not.
        Detached tokens omit this path; a frozen reference U-Net then records nothing for a backward pass.
        """
        captured = CapturedStates()
        timestep = torch.zeros_like(timestep) if self.options.reference_timestep == "zero" else timestep
        latent, tokens = (tensor.to(self.reference_unet.dtype) for tensor in (reference_latent, image_tokens))
        kwargs = {"context": AttentionContext(captured=captured)}
        is_differentiable = tokens.requires_grad or any(
            weight.requires_grad for weight in self.reference_unet.parameters()
        )
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_differentiable):
            self.reference_unet(latent, timestep, tokens, cross_attention_kwargs=kwargs, return_dict=False)
        by_reference = self.options.reference_projections == "reference"
        projecting = self.reference_unet if by_reference else self.imitative_unet
        fetch_weights(projecting)
        return project_states(captured.states, projecting)

    def predict(
        self,
        noisy_latent: Tensor,
        timestep: Tensor,
        conditions: Conditions,
        reference: ReferenceFeatures | None,
        *,
        keep_reference: Tensor | None = None,
        twins: bool = False,
        queries: CapturedStates | None = None,
    ) -> Tensor:
        """Predict the noise or velocity (see `NetworkOptions`) of a noisy latent, (B, 4, h, w).

        reference: features for the first R <= B rows; the other rows have none.
        keep_reference: (R,) bool, false for rows that ignore their reference; the caller replaces their image tokens.
        twins: the second half of the rows differs from the first in its image tokens and reference alone.
        queries: receives the queries of the layers that see the reference.
        """
        context = AttentionContext(queries=queries, reference=reference, keep_reference=keep_reference, twins=twins)
        latents = (noisy_latent, conditions.mask, conditions.background_latent, conditions.shape_latent)
        predicted = self.imitative_unet(
            torch.cat(latents, dim=1).to(self.imitative_unet.dtype),
            timestep,
            conditions.image_tokens,
            cross_attention_kwargs={"context": context},
            return_dict=False,
        )[0]
        return predicted.to(noisy_latent.dtype)

    def _check_sizes(self, source: Tensor, mask: Tensor, reference: Tensor) -> None:
        expected = (len(source), 3, self.size, self.size)
        for name, picture in (("source", source), ("reference", reference), ("mask", mask)):
            found, wanted = tuple(picture.shape), expected if name != "mask" else (len(source), 1, *expected[2:])
            if found != wanted:
                raise UserError(f"{name} is {found}, this network needs {wanted}; letterbox pictures to {self.size}")


def _draw_noise_like(values: Tensor, generator: Generators) -> Tensor:
    """Draw noise on the generators' device, from one generator for all rows or one per row."""
    first = generator[0] if isinstance(generator, list) else generator
    drawn_on = values.device if first is None else first.device
    noise = randn_tensor(values.shape, generator=generator, device=drawn_on, dtype=values.dtype)
    return send(noise, values.device)
