"""Conditions of the U-Nets beside the latents: image tokens of the reference, shape map of the source.

Every encoder here is frozen and takes pictures in [0, 1]; the small projections behind them are trained.
"""

from __future__ import annotations

from itertools import pairwise

import kornia
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation

from mimicbrush.device import send
from mimicbrush.model.config import DepthInput
from mimicbrush.model.offload import execution_device

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageEncoder(nn.Module):
    """CLIP's penultimate hidden states of a picture: (B, 3, H, W) -> (B, 1 + patches, hidden size).

    For the paper's ViT-H/14: (B, 257, 1280).
    """

    def __init__(self, clip: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("absent_states", None, persistent=False)
        # On the model itself: as a component of a pipeline it may be loaded without this wrapper.
        clip.register_load_state_dict_post_hook(self._forget_absent)

    def forward(self, image: Tensor) -> Tensor:
        return self.encode_pixels(self._normalise(image))

    def absent(self) -> Tensor:
        """Return the states that mean "no picture": of an all-zero *normalised* input, as in the release, (1, N, C).

        They are computed once for the model's weights, device and precision.
        """
        device = execution_device(self.clip)
        if not _is_at(self.absent_states, device, self.clip.dtype):
            size = self.clip.config.image_size
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                self.absent_states = self.encode_pixels(torch.zeros(1, 3, size, size, device=device))
        return self.absent_states

    def _forget_absent(self, *_: object) -> None:
        """New weights invalidate the cached states."""
        self.absent_states = None

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Encode pixels that are normalised and at CLIP's own size."""
        return self.clip(pixels.to(self.clip.dtype), output_hidden_states=True).hidden_states[-2]

    def _normalise(self, image: Tensor) -> Tensor:
        size = self.clip.config.image_size
        image = F.interpolate(image, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
        return (image - _channels(CLIP_MEAN, image)) / _channels(CLIP_STD, image)


class EdgeShape(nn.Module):
    """Shape map without weights: the strength of the source's edges (Sobel on luma), (B, 1, H, W) in [0, 1]."""

    def forward(self, source: Tensor, keep: Tensor) -> Tensor:
        """Compute shape maps. source: (B, 3, H, W); keep: (B,), false for an ignored shape, whose map is zero."""
        luma = kornia.color.rgb_to_grayscale(source)
        edges = kornia.filters.sobel(luma).clamp(0, 1)
        return edges * send(keep, edges.device)[:, None, None, None]


class DepthShape(nn.Module):
    """Depth Anything's relative inverse depth of the unmasked source, (B, 1, S, S); its own size S is 518.

    input_normalisation: `released` repeats the release's quirk, which its weights need: ImageNet mean and standard
    deviation are applied to 0..255 values, and the result is divided by 255. `standard` is what the depth model
    expects.
    """

    def __init__(self, depth_model: DepthAnythingForDepthEstimation, input_normalisation: DepthInput) -> None:
        super().__init__()
        self.depth_model = depth_model
        self.input_normalisation = input_normalisation
        self.register_buffer("absent_map", None, persistent=False)
        depth_model.register_load_state_dict_post_hook(self._forget_absent)

    @property
    def size(self) -> int:
        """Side of the square pictures that the depth model was made for, in pixels."""
        return self.depth_model.config.backbone_config.image_size

    def forward(self, source: Tensor, keep: Tensor) -> Tensor:
        """Compute shape maps. source: (B, 3, H, W); keep: (B,), false for an ignored shape."""
        maps = self.absent().repeat(len(source), 1, 1, 1)
        # Training draws `keep` on the CPU; looking at it there does not make the host wait for the device.
        rows = send(keep.nonzero().flatten(), source.device)
        return maps.index_copy(0, rows, self.estimate(source[rows])) if len(rows) else maps

    def estimate(self, source: Tensor) -> Tensor:
        """Estimate the shape map of every picture: (B, 3, H, W) -> (B, 1, S, S)."""
        return self._estimate(self.normalise(source))

    def absent(self) -> Tensor:
        """Return the map that means "no shape", (1, 1, S, S): the model's output for an all-zero input.

        It is computed once for the model's weights, device and precision.
        Depth is zeroed at the depth model's input, not after it: the released weights saw that.
        """
        device = execution_device(self.depth_model)
        if not _is_at(self.absent_map, device, self.depth_model.dtype):
            self.absent_map = self._estimate(torch.zeros(1, 3, self.size, self.size, device=device))
        return self.absent_map

    def normalise(self, source: Tensor) -> Tensor:
        """Convert pictures (B, 3, H, W) in [0, 1] to the depth model's input, (B, 3, S, S)."""
        image = F.interpolate(source, (self.size, self.size), mode="bicubic", align_corners=False).clamp(0, 1)
        mean = _channels(IMAGENET_MEAN, image)
        if self.input_normalisation == "released":
            mean = mean / 255
        return (image - mean) / _channels(IMAGENET_STD, image)

    def _forget_absent(self, *_: object) -> None:
        """New weights invalidate the cached map."""
        self.absent_map = None

    def _estimate(self, pixels: Tensor) -> Tensor:
        # In the precision of the weights, as in the release, where everything else runs in half precision.
        with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
            return self.depth_model(pixels.to(self.depth_model.dtype)).predicted_depth[:, None]


class ShapeProjector(ModelMixin, ConfigMixin):
    """Converts a shape map to a shape latent, at 1 / 2^(len(channels) - 1) of `size` (the release's depth guider).

    size: pixels to which the map is scaled first; channels: widths, the release's are (16, 32, 64, 128) for stride 8;
    in_channels: 1 (release) or 3 (paper).
    """

    @register_to_config
    def __init__(self, size: int, channels: tuple[int, ...], *, in_channels: int = 1, latent_channels: int = 4) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for width, next_width in pairwise(channels):
            self.blocks.append(nn.Conv2d(width, width, 3, padding=1))
            self.blocks.append(nn.Conv2d(width, next_width, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(channels[-1], latent_channels, 3, padding=1)

    def forward(self, shape_map: Tensor) -> Tensor:
        """(B, 1, h, w) of any size -> (B, latent_channels, size / stride, size / stride)."""
        shape_map = shape_map.expand(-1, self.conv_in.in_channels, -1, -1)
        size = self.config.size
        states = F.interpolate(shape_map, (size, size), mode="bilinear", align_corners=True)
        states = F.silu(self.conv_in(states))
        for block in self.blocks:
            states = F.silu(block(states))
        return self.conv_out(states)


class ImageProjector(ModelMixin, ConfigMixin):
    """Linear layer from image-encoder states to cross-attention tokens (release: 1280 -> 768)."""

    @register_to_config
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.projector = nn.Linear(in_features, out_features)

    def forward(self, states: Tensor) -> Tensor:
        """(B, N, in_features) -> (B, N, out_features)."""
        return self.projector(states)


def _is_at(computed: Tensor | None, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a cached tensor exists on that device and in that precision."""
    if computed is None or computed.dtype != dtype:
        return False
    return computed.device.type == device.type and device.index in (None, computed.device.index)


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return send(torch.tensor(values, dtype=like.dtype), like.device)[:, None, None]
