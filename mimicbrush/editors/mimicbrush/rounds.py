"""A request in parts, and the rounds in which these are edited one after the other."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, zip_longest
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.pictures.crop_regions import Region
from mimicbrush.requests import ReferenceRequest


class Part(NamedTuple):
    """One region of one frame of a request: what one row of the network's batch repaints."""

    request: ReferenceRequest
    number: int
    region: Region

    def of(self, pictures: Tensor) -> Tensor:
        """Its pixels (C, h, w) of the request's pictures (T, C, H, W)."""
        return pictures[self.number, :, self.region.rows, self.region.columns]


def rounds_of(parts: list[Part]) -> list[list[Part]]:
    """Parts of a request by the round in which they are edited: one of each frame that has so many."""
    frames: dict[int, list[Part]] = {}
    for part in parts:
        frames.setdefault(part.number, []).append(part)
    return [[part for part in taken if part is not None] for taken in zip_longest(*frames.values())]


def next_round(source: Tensor, rounds: list[list[Part]]) -> list[Part]:
    """The first of the remaining rounds, on the pictures edited so far; parts of later rounds are still hidden."""
    mask = torch.zeros_like(rounds[0][0].request.mask)
    for part in chain.from_iterable(rounds):
        part.of(mask).add_(part.region.mask)
    return [part._replace(request=replace(part.request, source=source, mask=mask)) for part in rounds[0]]
