"""OpenCV's inpainting, which continues the surroundings of a hole into it."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from mimicbrush.pictures.conversion import to_channels, to_levels

InpaintingMethod = Literal["telea", "navier_stokes"]
"""Telea's fast marching, or Navier-Stokes."""
FLAGS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}
RADIUS = 5.0
"""Pixels around a point that are looked at."""


def fill_hole(picture: Tensor, hole: Tensor, *, method: InpaintingMethod = "telea", radius: float = RADIUS) -> Tensor:
    """Continue a picture (3, H, W) into a hole (H, W) of bool; other pixels keep their exact values."""
    filled = cv2.inpaint(to_levels(picture), hole.cpu().numpy().astype(np.uint8), radius, FLAGS[method])
    return torch.where(hole, to_channels(filled).to(picture), picture)
