"""Captioned renders with the attributes that their captions name, each drawn by its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from numpy.typing import ArrayLike
from torch import Tensor

from mimicbrush.world.render_parts import render_parts
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.sets import edits
from mimicbrush.world.sets.draws import DrawnStill, draw_still
from mimicbrush.world.sets.splits import MATERIALS, Combination

COLOUR_NAMES = tuple(
    sorted({material.colours[0] if material.colours else name for name, material in MATERIALS.items()})
)
PATTERN_NAMES = tuple(sorted({material.pattern for material in MATERIALS.values()}))
"""Classes of the attributes; a texture has a colour and a pattern of its own."""
ATTRIBUTES = {"object": tuple(SILHOUETTES), "colour": COLOUR_NAMES, "pattern": PATTERN_NAMES}
"""Names of the classes of each attribute that a caption names."""


class Captioned(NamedTuple):
    """Pictures with their captions and attributes."""

    pixels: Tensor
    """(N, 3, H, W), 8 bits."""
    masks: Tensor
    """(N, H, W), true on the object."""
    attributes: Tensor
    """(N, 3), numbers of the classes of `ATTRIBUTES`."""
    captions: list[str]
    combinations: list[Combination]


def render_captioned(
    folder: Path, num: int, *, size: int, seed: int, purpose: str, combinations: Sequence[Combination]
) -> Captioned:
    """Render captioned stills, or read those that an earlier call with the same arguments left in the folder.

    purpose: name of the stream of draws, and of the files.
    """

    def draw(number: int) -> DrawnStill:
        return draw_still(number, seed=seed, purpose=purpose, combinations=combinations)

    def render_sample(number: int) -> dict[str, ArrayLike]:
        still = draw(number)
        rendered = render(still.scene, size)
        return {
            "pixels": edits.to_8_bits(rendered.picture).transpose(2, 0, 1),
            "masks": rendered.mask > 0.5,
            "attributes": attributes_of(Combination(still.description.object, still.description.material)),
        }

    fields = render_parts(folder, purpose.replace(" ", "_"), num, render_sample)
    stills = [draw(number) for number in range(num)]
    return Captioned(
        **fields,
        captions=[still.caption for still in stills],
        combinations=[Combination(still.description.object, still.description.material) for still in stills],
    )


def attributes_of(combination: Combination) -> list[int]:
    """Numbers of the classes of an object in a material."""
    material = MATERIALS[combination.material]
    colour = material.colours[0] if material.colours else combination.material
    names = (combination.object, colour, material.pattern)
    return [known.index(name) for name, known in zip(names, ATTRIBUTES.values(), strict=True)]
