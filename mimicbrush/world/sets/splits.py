"""The named materials of the small world, and which objects, materials and combinations networks are trained on.

A combination is an object in a material. Networks that are conditioned on words train on `TRAINING` alone and are
judged on `HELD_OUT`, whose words they have all seen. `UNSEEN` names an object, colour, pattern or photograph that no
training caption names. Only the judge trains on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from mimicbrush.seeds import stable_hash
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.named_colours import COLOURS, PARTNERS
from mimicbrush.world.renderer.patterns import PATTERNS
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.renderer.textures import TEXTURES

Split = Literal["training", "held_out", "unseen"]

UNSEEN_OBJECTS = frozenset({"cloud", "crown", "key"})
"""Silhouettes that no training picture shows."""
UNSEEN_COLOUR = "purple"
"""A colour whose name no training caption has; training shows it only as the second colour of a pattern."""
UNSEEN_PATTERN = "zigzag"
"""A pattern that no training picture shows."""
HELD_OUT_FRACTION = 4
"""One of so many combinations of a seen object and a seen material is held out."""


def _material_of(colour: str, pattern: str) -> Material:
    return Material(pattern, (colour, PARTNERS[colour])[: PATTERNS[pattern].num_colours])


MATERIALS = {
    material.name: material
    for material in (
        *(_material_of(colour, pattern) for pattern in PATTERNS for colour in COLOURS),
        *map(Material, TEXTURES),
    )
}
"""Every colour in every pattern, and every texture, by name: `red`, `red striped`, `brick`. Stochastic ones have the
seed 0 here."""


def is_unseen_material(name: str) -> bool:
    """Whether a material of an object is named by the unseen colour or pattern, or shows a held-out photograph.

    Materials of a user's pictures, which have no entry in `MATERIALS`, are for training.
    """
    material = MATERIALS.get(name)
    return material is not None and (
        UNSEEN_COLOUR in material.colours[:1] or material.pattern == UNSEEN_PATTERN or material.is_held_out
    )


class Combination(NamedTuple):
    """An object in a material, both by name."""

    object: str
    material: str

    @property
    def split(self) -> Split:
        """The split; it depends on the two names alone, so that a new name moves no other combination."""
        if self.object in UNSEEN_OBJECTS or is_unseen_material(self.material):
            return "unseen"
        is_trained = stable_hash(f"{self.object} in {self.material}") % HELD_OUT_FRACTION
        return "training" if is_trained else "held_out"


ALL = tuple(Combination(name, material) for name in SILHOUETTES for material in MATERIALS)
TRAINING = tuple(each for each in ALL if each.split == "training")
HELD_OUT = tuple(each for each in ALL if each.split == "held_out")
UNSEEN = tuple(each for each in ALL if each.split == "unseen")


SEEN_OBJECTS = tuple(name for name in SILHOUETTES if name not in UNSEEN_OBJECTS)
SEEN_MATERIALS = tuple(name for name in MATERIALS if not is_unseen_material(name))
SEEN_BACKGROUNDS = tuple(name for name, material in BACKGROUNDS.items() if not material.is_held_out)
"""Names that occur in training."""
UNSEEN_BACKGROUNDS = tuple(name for name in BACKGROUNDS if name not in SEEN_BACKGROUNDS)
"""Backgrounds by which networks are judged, as no training picture shows them."""


def training_with(names: Iterable[str]) -> tuple[Combination, ...]:
    """Combinations to train on, with those of further materials, by name."""
    further = (Combination(name, material) for material in names for name in SEEN_OBJECTS)
    return (*TRAINING, *(each for each in further if each.split == "training"))
