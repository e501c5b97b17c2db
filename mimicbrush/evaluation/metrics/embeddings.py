"""Embeddings of pictures and texts as unit vectors: DINO, DINOv2, CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoTokenizer, CLIPModel, Dinov2Model, PreTrainedModel, ViTModel

from mimicbrush.evaluation.metrics.network_helpers import ResultCache, exactly, load_processor
from mimicbrush.hub.local_networks import load_weights
from mimicbrush.pictures.conversion import to_pil

BATCH_SIZE = 16
"""Number of pictures in a batch; the preprocessing makes all the same size."""
CACHE_SIZE = 4096
"""Number of vectors in the cache, a few KiB each."""


class ImageEmbedder:
    """A network of transformers with its own preprocessing.

    features: computes one vector for each picture from the network and the preprocessed pixels.
    """

    def __init__(
        self, network: PreTrainedModel, folder: Path, features: Callable[[PreTrainedModel, Tensor], Tensor]
    ) -> None:
        self.network = network
        self.features = features
        self.processor = load_processor(folder)
        self.cache: ResultCache[Tensor] = ResultCache(CACHE_SIZE)

    def embed(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Embed N pictures (h, w, 3) of any sizes as (N, D) in float64, each row of length 1."""
        return torch.stack(self.cache.look_up(pictures, self._embed))

    @exactly()
    def _embed(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        vectors = []
        for first in range(0, len(pictures), BATCH_SIZE):
            batch = [to_pil(picture) for picture in pictures[first : first + BATCH_SIZE]]
            pixels = self.processor(images=batch, return_tensors="pt").pixel_values
            vectors += unit(self.features(self.network, pixels.to(self.network.device)))
        return vectors


class ClipEmbedder(ImageEmbedder):
    """CLIP, which embeds pictures and texts in one space."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        network = load_weights(CLIPModel, folder).to(device)
        super().__init__(network, folder, lambda clip, pixels: clip.get_image_features(pixels).pooler_output)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.text_cache: ResultCache[Tensor] = ResultCache(CACHE_SIZE)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed N texts as (N, D) in float64, each row of length 1; texts are cut off after CLIP's 77 tokens."""
        return torch.stack(self.text_cache.look_up(texts, self._embed_texts))

    @exactly()
    def _embed_texts(self, texts: Sequence[str]) -> list[Tensor]:
        length = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
        return unit(self.network.get_text_features(**tokens.to(self.network.device)).pooler_output)


def load_dino(folder: Path, device: torch.device) -> ImageEmbedder:
    """Load DINO, which embeds by the class token."""
    return ImageEmbedder(load_weights(ViTModel, folder, add_pooling_layer=False).to(device), folder, _class_token)


def load_dinov2(folder: Path, device: torch.device) -> ImageEmbedder:
    """Load DINOv2, which embeds by the class token."""
    return ImageEmbedder(load_weights(Dinov2Model, folder).to(device), folder, _class_token)


def unit(vectors: Tensor) -> list[Tensor]:
    """Normalise the rows of (N, D) to length 1, in float64 on the CPU."""
    return list(normalize(vectors.double().cpu(), dim=1))


def _class_token(network: PreTrainedModel, pixels: Tensor) -> Tensor:
    return network(pixels).last_hidden_state[:, 0]
