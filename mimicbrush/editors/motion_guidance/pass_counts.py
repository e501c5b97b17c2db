"""Passes of the networks in an edit: counted, and computed beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mimicbrush.diffusion.ddim import DdimStep
from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings


class Passes(NamedTuple):
    """Calls of each network; both rows of classifier-free guidance are one call, and a backward pass is none."""

    unet: int
    decoder: int
    flow_network: int


@dataclass
class PassCounter:
    """Counts calls of the networks."""

    unet: int = 0
    decoder: int = 0
    flow_network: int = 0

    def counting(self, name: str, call: Callable) -> Callable:
        """Wrap a call, so that it is counted under this name."""

        def counted(*arguments: object) -> object:
            setattr(self, name, getattr(self, name) + 1)
            return call(*arguments)

        return counted

    @property
    def passes(self) -> Passes:
        return Passes(self.unet, self.decoder, self.flow_network)


def count_passes(
    settings: MotionGuidanceSettings, all_steps: list[DdimStep], *, has_trajectory: bool = False
) -> Passes:
    """Passes of an edit; all_steps: those of the whole schedule, noisiest first.

    has_trajectory: the source's inversion is stored. Decoding the result is one pass; previews are not counted.
    """
    factors, first = settings.factors(len(all_steps)), settings.first_step(len(all_steps))
    guided = sum(factor > 0 for factor in factors[first:]) if settings.is_guided else 0
    others = len(all_steps) - first - guided
    inverted = len(all_steps) if settings.needs_inversion and not has_trajectory else 0
    recursions = guided * settings.num_recursions
    return Passes(
        unet=inverted + recursions + others * settings.num_unguided_recursions,
        decoder=recursions + 1,
        flow_network=recursions if settings.needs_flow_network else 0,
    )
