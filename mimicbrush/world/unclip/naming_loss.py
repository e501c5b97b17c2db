"""A loss that lets the U-Net's features say, at every place of the picture, which object is there in what material."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from mimicbrush.world.clip.captioned_renders import ATTRIBUTES


class NamingHead(nn.Module):
    """Linear classifiers of the features behind the last but one up block, for the training alone.

    Velocities say little about outlines: most of their error is texture that nobody can predict. The names of what a
    render shows are known exactly, and features from which they can be read know the object's outline.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        channels = unet.config.block_out_channels[1]
        self.classifiers = nn.ModuleDict(
            {name: nn.Conv2d(channels, 1 + len(classes), 1) for name, classes in ATTRIBUTES.items()}
        )

    def forward(self, features: Tensor, masks: Tensor, attributes: Tensor) -> Tensor:
        """Mean cross-entropy of the names.

        features: (B, C, h, w); masks: (B, h, w), true on the object; attributes: (B, 3), numbers of its classes.
        """
        losses = []
        for classifier, numbers in zip(self.classifiers.values(), attributes.T, strict=True):
            # Class 0 is the background.
            classes = (1 + numbers[:, None, None]) * masks
            losses.append(F.cross_entropy(classifier(features), classes))
        return sum(losses) / len(losses)


@contextmanager
def tapped_features(unet: UNet2DConditionModel) -> Iterator[list[Tensor]]:
    """Within the block, the list holds the features (B, C, h, w) that the head reads, of the U-Net's latest call."""
    found: list[Tensor] = []

    def keep(block: nn.Module, inputs: tuple, features: Tensor) -> None:
        found[:] = [features]

    handle = unet.up_blocks[-2].register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
