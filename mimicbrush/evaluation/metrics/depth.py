"""Depth maps of pictures by Depth Anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DepthAnythingForDepthEstimation
from transformers.modeling_outputs import DepthEstimatorOutput

from mimicbrush.evaluation.metrics.network_helpers import ResultCache, exactly, load_processor
from mimicbrush.hub.local_networks import load_weights
from mimicbrush.pictures.conversion import to_pil

CACHE_SIZE = 128
"""Number of depth maps in the cache, about 1 MiB each."""


class DepthEstimator:
    """Depth Anything with its own preprocessing; pictures are processed one by one, as each keeps its proportions."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.network = load_weights(DepthAnythingForDepthEstimation, folder).to(device)
        self.processor = load_processor(folder)
        self.cache: ResultCache[Tensor] = ResultCache(CACHE_SIZE)

    def estimate(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Estimate inverse depth up to scale and shift: (H, W, 3) -> (H, W)."""
        (depth,) = self.cache.look_up([picture], lambda unknown: [self._predict(*unknown)])
        resized = self.processor.post_process_depth_estimation(
            DepthEstimatorOutput(predicted_depth=depth), [picture.shape[:2]]
        )
        return resized[0]["predicted_depth"].double().numpy()

    @exactly()
    def _predict(self, picture: NDArray[np.uint8]) -> Tensor:
        inputs = self.processor(images=to_pil(picture), return_tensors="pt").to(self.network.device)
        return self.network(**inputs).predicted_depth.cpu()
