"""The whole network: two U-Nets, the autoencoder, and what conditions them (paper, section 3.2)."""

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
"""Of pictures that the autoencoder encodes or decodes in one pass: all of a batch at once would take more memory than
anything else in an edit, or in a training step that checkpoints its activations."""


class Conditions(NamedTuple):
    """Everything the imitative U-Net is told about B edits; each computed once per edit.

    For `sample`, references may be fewer: each is then for as many edits, side by side.
    """

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
        """Pixels of the square pictures it works on."""
        return self.options.size

    @property
    def stride(self) -> int:
        """Pixels per latent position."""
        return 2 ** (len(self.autoencoder.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        """Where it computes, also while its weights wait elsewhere."""
        return execution_device(self.imitative_unet)

    def to_precision(
        self, dtype: torch.dtype, precisions: Mapping[str, torch.dtype] = MappingProxyType({})
    ) -> MimicBrushNetwork:
        """Compute in this precision, latents and the depth model always in float32; changes it in place.

        precisions: part -> another dtype for it.
        """
        for name, part in self.named_children():
            # Not by diffusers' own, which warns of modules that are to stay in float32: of these there are none.
            nn.Module.to(part, torch.float32 if name == "shape_map" else precisions.get(name, dtype))
        return self

    @torch.no_grad()
    def encode(self, image: Tensor, generator: Generators = None) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1] -> latent (B, 4, H / stride, W / stride), sampled from the posterior."""
        pixels = (image * 2 - 1).to(self.autoencoder.dtype)
        some = pixels.split(max(1, PIXELS_AT_ONCE // image[0, 0].numel()))
        parameters = torch.cat([self.autoencoder.encode(pictures).latent_dist.parameters for pictures in some])
        # In single precision, where a seed draws the same noise whatever the autoencoder computes in.
        posterior = DiagonalGaussianDistribution(parameters.float())
        # Not the posterior's own `sample`, which waits for the device where the generator is on the CPU.
        sampled = posterior.mean + posterior.std * _draw_noise_like(posterior.mean, generator)
        return sampled * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Latent (B, 4, h, w) -> pixels (B, 3, H, W) in [0, 1]."""
        scaled = (latent / self.autoencoder.config.scaling_factor).to(self.autoencoder.dtype)
        some = scaled.split(max(1, PIXELS_AT_ONCE // (latent[0, 0].numel() * self.stride**2)))
        pixels = torch.cat([self.autoencoder.decode(latents).sample.float() for latents in some])
        return (pixels / 2 + 0.5).clamp(0, 1)

    def condition(
        self,
        source: Tensor,
        mask: Tensor,
        reference: Tensor,
        keep_shape: Tensor,
        generator: Generators = None,
    ) -> Conditions:
        """source, reference: (B, 3, size, size) in [0, 1]; mask: (B, 1, size, size); keep_shape: (B,) bool.

        generator: for the posteriors, one for all or one per row. Raises UserError where sizes do not fit.
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
        """(B, 1, H, W) -> (B, 1, h, w), 0 or 1, by the nearest pixel, as in the release."""
        height, width = (side // self.stride for side in mask.shape[-2:])
        return F.interpolate((mask >= 0.5).to(mask.dtype), (height, width), mode="nearest")

    def image_tokens(self, reference: Tensor) -> Tensor:
        """(B, 3, H, W) -> cross-attention tokens (B, N, C)."""
        if not self.options.use_image_tokens:
            return self.absent_tokens().expand(len(reference), -1, -1)
        with torch.no_grad():
            states = self.image_encoder(reference)
        return self.image_projector(states.to(self.image_projector.dtype))

    def absent_tokens(self) -> Tensor:
        """Tokens of no reference, (1, N, C): what unconditional rows see."""
        with torch.no_grad():
            states = self.image_encoder.absent()
        return self.image_projector(states.to(self.image_projector.dtype))

    def shape_latent(self, source: Tensor, keep_shape: Tensor) -> Tensor:
        """(B, 3, H, W), (B,) bool -> (B, 4, h, w)."""
        with torch.no_grad():
            shape_map = self.shape_map(source, keep_shape)
        return self.shape_projector(shape_map.to(self.shape_projector.dtype)).float()

    def reference_features(self, reference_latent: Tensor, timestep: Tensor, image_tokens: Tensor) -> ReferenceFeatures:
        """Keys and values of R references: latents (R, 4, h, w), timestep (R,) or scalar, tokens (R, N, C).

        Gradients flow to the image tokens as well, through the cross-attention of the reference U-Net, frozen or not;
        detached tokens leave that path out, and a frozen reference U-Net then records nothing for a backward pass.
        """
        captured = CapturedStates()
        timestep = torch.zeros_like(timestep) if self.options.reference_timestep == "zero" else timestep
        latent, tokens = (given.to(self.reference_unet.dtype) for given in (reference_latent, image_tokens))
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
        """What the imitative U-Net makes of a noisy latent: (B, 4, h, w), noise or velocity, see `NetworkOptions`.

        reference: features for the first R <= B rows, the rest have none; keep_reference: (R,) bool, false for rows
        that are to ignore theirs. Their image tokens are the caller's to replace.
        twins: the second half of the rows differs from the first in its image tokens and reference alone.
        queries: takes those of the layers that see the reference.
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
    """Drawn where the generators are, by one for all or one per row."""
    first = generator[0] if isinstance(generator, list) else generator
    drawn_on = values.device if first is None else first.device
    noise = randn_tensor(values.shape, generator=generator, device=drawn_on, dtype=values.dtype)
    return send(noise, values.device)
