"""A request divided into parts, the rounds in which these are edited, and the rows of the network's batch."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, zip_longest
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.pictures.crop_regions import Region
from mimicbrush.requests import ReferenceRequest


class Part(NamedTuple):
    """One region of one frame of a request."""

    request: ReferenceRequest
    frame: int
    region: Region

    def of(self, pictures: Tensor) -> Tensor:
        """Its pixels (..., C, h, w) of pictures (..., T, C, H, W), as a view."""
        return pictures[..., self.frame, :, self.region.rows, self.region.columns]


class Row(NamedTuple):
    """A part to repaint, once with the noise of each generator."""

    part: Part
    generators: list[torch.Generator]


class Round(NamedTuple):
    """One of the rounds of an edit, which follow each other; each is sampled from noise anew."""

    number: int
    total: int

    def finished_share(self, share: float) -> float:
        """Share of the whole edit that is finished when `share` of this round is."""
        return (self.number + share) / self.total


def rounds_of(parts: list[Part]) -> list[list[Part]]:
    """Divide the parts of a request into rounds: the first part of each frame, then the second of each, and so on."""
    frames: dict[int, list[Part]] = {}
    for part in parts:
        frames.setdefault(part.frame, []).append(part)
    return [[part for part in taken if part is not None] for taken in zip_longest(*frames.values())]


def next_round(source: Tensor, rounds: list[list[Part]]) -> list[Part]:
    """The first of the remaining rounds, on the pictures edited so far; parts of later rounds are still masked."""
    mask = torch.zeros_like(rounds[0][0].request.mask)
    for part in chain.from_iterable(rounds):
        part.of(mask).add_(part.region.mask)
    return [part._replace(request=replace(part.request, source=source, mask=mask)) for part in rounds[0]]
