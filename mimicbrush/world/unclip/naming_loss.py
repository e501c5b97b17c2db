"""An auxiliary loss: classify the object, colour and pattern at every place from the U-Net's features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from mimicbrush.world.clip.captioned_renders import ATTRIBUTES


class NamingHead(nn.Module):
    """Linear classifiers of the features after the second-to-last up block, used in training only.

    The velocity loss says little about outlines, because most of its error is texture that cannot be predicted. The
    classes of a render are known exactly, and features that predict them at every place contain the object's outline.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        channels = unet.config.block_out_channels[1]
        self.classifiers = nn.ModuleDict(
            {name: nn.Conv2d(channels, 1 + len(classes), 1) for name, classes in ATTRIBUTES.items()}
        )

    def forward(self, features: Tensor, masks: Tensor, attributes: Tensor) -> Tensor:
        """Compute the mean cross-entropy over places and attributes.

        features: (B, C, h, w); masks: (B, h, w), true on the object; attributes: (B, 3), its class of each attribute.
        """
        losses = []
        for classifier, numbers in zip(self.classifiers.values(), attributes.T, strict=True):
            # Class 0 is the background.
            classes = (1 + numbers[:, None, None]) * masks
            losses.append(F.cross_entropy(classifier(features), classes))
        return sum(losses) / len(losses)


@contextmanager
def tapped_features(unet: UNet2DConditionModel) -> Iterator[list[Tensor]]:
    """Yield a list that holds, after each call of the U-Net, the features (B, C, h, w) that the head reads."""
    found: list[Tensor] = []

    def keep(block: nn.Module, inputs: tuple, features: Tensor) -> None:
        found[:] = [features]

    handle = unet.up_blocks[-2].register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
