"""Image embeddings that act within a mask alone, in the residual blocks of a U-Net."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


@contextmanager
def masked_embedding(unet: UNet2DConditionModel, *, inside: Tensor, outside: Tensor, mask: Tensor) -> Iterator[None]:
    """Within the block, calls of the U-Net with class `outside` act as with class `inside` where the mask is 1.

    inside, outside: (B, D), classes; mask: (B, 1, h, w) of 0 and 1, which is resized to each residual block by its
    nearest positions. Each of these blocks adds proj(inner embedding) m + proj(outer embedding) (1 - m) to its
    features, where the embeddings are those of time and class together.
    """
    difference = unet.class_embedding(inside) - unet.class_embedding(outside)
    handles: list[RemovableHandle] = []
    try:
        for block in unet.modules():
            if isinstance(block, ResnetBlock2D):
                handles += _inject(block, difference, mask)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _inject(block: ResnetBlock2D, difference: Tensor, mask: Tensor) -> list[RemovableHandle]:
    """Let a block, which itself adds the projection of the outer embedding, add the rest after its first convolution.

    difference: (B, D), the inner embedding without the outer one.
    """
    received: list[Tensor] = []

    def project(embedding: Tensor) -> Tensor:
        return block.time_emb_proj(embedding if block.skip_time_act else block.nonlinearity(embedding))

    def receive(block: nn.Module, inputs: tuple) -> None:
        received[:] = [inputs[1]]

    def add(convolution: nn.Module, inputs: tuple, features: Tensor) -> Tensor:
        outer = received.pop()
        change = (project(outer + difference.to(outer)) - project(outer))[:, :, None, None]
        return features + change * F.interpolate(mask.to(features), features.shape[-2:], mode="nearest")

    return [block.register_forward_pre_hook(receive), block.conv1.register_forward_hook(add)]
