"""The optical-flow network of metrics: RAFT, found on this machine and loaded, with the flow of recent pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.evaluation.metrics.network_helpers import ResultCache, exactly
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.raft_weights import find_raft, load_raft

CACHE_SIZE = 64
"""Number of fields in the cache, 8 bytes a pixel each; metrics measure fewer edits together."""


class PictureFlow:
    """Estimates the flow between pictures of 8 bits; several metrics ask for that from a source to its edit."""

    def __init__(self, estimate: FlowEstimator, device: torch.device | str = "cpu") -> None:
        self.estimate = estimate
        self.device = device
        self.cache: ResultCache[Tensor] = ResultCache(CACHE_SIZE)

    def between(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Tensor:
        """The flow (1, 2, H, W), on the CPU, from one picture (H, W, 3) to another of its size."""
        (flow,) = self.cache.look_up([np.stack([first, second])], self._compute)
        return flow

    @exactly()
    def _compute(self, pairs: list[NDArray[np.uint8]]) -> list[Tensor]:
        pictures = [torch.from_numpy(pair).permute(0, 3, 1, 2).float().div(255).to(self.device) for pair in pairs]
        return [self.estimate(*pair[:, None]).cpu() for pair in pictures]


def find_flow(source: str) -> Path:
    """Find the file of RAFT's weights; raises UserError where there is none."""
    return find_raft(source)[0]


def load_flow(path: Path, device: torch.device) -> PictureFlow:
    """Load RAFT from its file, by the sizes in the config beside it if there is one."""
    has_config = (path.parent / "config.json").is_file()
    return PictureFlow(load_raft(str(path.parent if has_config else path)).to(device), device)
