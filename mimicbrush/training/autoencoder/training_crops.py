"""Random crops of the pictures of several sources; those of a step follow from the seed and the step alone."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from mimicbrush.data.decode import decode_image
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.pictures.geometry import resize
from mimicbrush.seeds import seed_of
from mimicbrush.training.autoencoder.config import AutoencoderConfig


class TrainingCrops:
    """All pictures of the sources, decoded once and kept as bytes, and crops of them."""

    def __init__(self, config: AutoencoderConfig) -> None:
        self.config = config
        self.pictures = [_read_pictures(str(source.shards)) for source in config.sources]

    def draw(self, step: int) -> Tensor:
        """Draw the batch (B, 3, crop, crop) of a step, in [0, 1]."""
        rng = random.Random(seed_of(self.config.seed, "crops", step))
        weights = [source.weight for source in self.config.sources]
        sources = rng.choices(self.pictures, weights, k=self.config.batch_size)
        return torch.stack([self._crop(rng.choice(pictures), rng) for pictures in sources])

    def _crop(self, picture: Tensor, rng: random.Random) -> Tensor:
        """Cut a square out, scale it to the side of a crop, and flip it at random: (3, H, W) -> (3, crop, crop)."""
        crop, (height, width) = self.config.crop, picture.shape[-2:]
        scale = max(rng.uniform(self.config.min_scale, 1.0), crop / min(height, width))
        side = min(round(crop / scale), height, width)
        top, left = rng.randint(0, height - side), rng.randint(0, width - side)
        square = resize(picture[:, top : top + side, left : left + side].float() / 255, crop, crop)
        return square.flip(-1) if rng.random() < 0.5 else square


def _read_pictures(folder: str) -> list[Tensor]:
    """Read each picture of a folder of shards once, (3, H, W) of 8 bits; frames are part of several pairs."""
    pairs = read_pairs(list_shards(folder))
    encoded = dict.fromkeys(image for pair in pairs for image in (pair.source, pair.reference) if image is not None)
    return [(255 * decode_image(image, "RGB")).round().to(torch.uint8) for image in encoded]
