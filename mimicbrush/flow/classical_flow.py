"""Optical flow without weights: DIS and TV-L1, which estimators that are trained are compared with."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.registration import optical_flow_tvl1
from torch import Tensor

from mimicbrush.flow.estimator import check_pictures
from mimicbrush.pictures.conversion import mask_levels, to_levels

GreyFlow = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.floating]]
"""Estimates the flow (2, H, W), x then y, between two grey pictures (H, W)."""


class ClassicalFlow:
    """A `FlowEstimator` made of a function that estimates flow between two grey pictures, on the CPU."""

    def __init__(self, estimate: GreyFlow) -> None:
        self.estimate = estimate

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """See `FlowEstimator`."""
        check_pictures(first, second)
        flows = [self.estimate(*map(_grey, pair)) for pair in zip(first, second, strict=True)]
        return torch.from_numpy(np.stack(flows)).to(first.device, torch.float32)


def dis_flow() -> ClassicalFlow:
    """Dense inverse search (Kroeger et al. 2016) by OpenCV, with its preset of medium quality."""
    searcher = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return ClassicalFlow(lambda first, second: searcher.calc(first, second, None).transpose(2, 0, 1))


def tvl1_flow() -> ClassicalFlow:
    """TV-L1 (Zach et al. 2007) by scikit-image, with its default settings."""
    return ClassicalFlow(lambda first, second: np.flip(optical_flow_tvl1(first, second), axis=0).copy())


def _grey(picture: Tensor) -> NDArray[np.uint8]:
    return to_levels(mask_levels(picture))[..., 0]
