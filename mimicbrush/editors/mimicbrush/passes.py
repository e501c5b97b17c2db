"""A request divided into regions, the passes in which these are edited, and the rows of the network's batch."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, zip_longest
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.pictures.crop_regions import Region
from mimicbrush.requests import ReferenceRequest


class FrameRegion(NamedTuple):
    """One region of one frame of a request."""

    request: ReferenceRequest
    frame: int
    crop: Region

    def view_of(self, pictures: Tensor) -> Tensor:
        """Return the pixels (..., C, h, w) of this region in pictures (..., T, C, H, W), without copying them."""
        return pictures[..., self.frame, :, self.crop.rows, self.crop.columns]


class Row(NamedTuple):
    """A region to repaint, once with the noise of each generator."""

    region: FrameRegion
    generators: list[torch.Generator]


class Pass(NamedTuple):
    """One sampling run of an edit: its regions are denoised from noise together, and later passes see the results."""

    number: int
    total: int

    def finished_share(self, share: float) -> float:
        """Share of the whole edit that is finished when `share` of this pass is."""
        return (self.number + share) / self.total


def passes_of(regions: list[FrameRegion]) -> list[list[FrameRegion]]:
    """Divide the regions of a request into passes: the first region of each frame, then the second of each, ..."""
    frames: dict[int, list[FrameRegion]] = {}
    for region in regions:
        frames.setdefault(region.frame, []).append(region)
    return [[region for region in taken if region is not None] for taken in zip_longest(*frames.values())]


def next_pass(source: Tensor, passes: list[list[FrameRegion]]) -> list[FrameRegion]:
    """Return the first of the remaining passes, on the pictures edited so far; regions of later passes stay masked."""
    mask = torch.zeros_like(passes[0][0].request.mask)
    for region in chain.from_iterable(passes):
        region.view_of(mask).add_(region.crop.mask)
    return [region._replace(request=replace(region.request, source=source, mask=mask)) for region in passes[0]]
