"""Materials: colours in a pattern, or a photographed surface, as a function of an object's own coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.bilinear_sampling import Coordinates
from mimicbrush.world.renderer.named_colours import COLOURS, PARTNERS, WALL_COLOURS, rgb_of
from mimicbrush.world.renderer.patterns import PATTERNS
from mimicbrush.world.renderer.textures import BACKGROUND_PHOTOGRAPHS, TEXTURES, is_held_out, sample_texture


@dataclass(frozen=True)
class Material:
    """The surface of an object or a background, determined at every point of its own coordinates."""

    pattern: str
    """A name in `PATTERNS` or `TEXTURES`; for backgrounds also one in `BACKGROUND_PHOTOGRAPHS`."""
    colours: tuple[str, ...] = ()
    """As many names in `COLOURS` as the pattern has; none for textures and photographs."""
    seed: int = 0
    """Which veins of a marble and which place of a texture are shown; without effect if not `is_stochastic`."""
    file: Path | None = None
    """Picture of a surface; the pattern is then the name that a user gives it."""

    def __post_init__(self) -> None:
        if self.file is None:
            check_name("pattern", self.pattern, (*PATTERNS, *TEXTURES, *BACKGROUND_PHOTOGRAPHS))
        for colour in self.colours:
            check_name("colour", colour, (*COLOURS, *WALL_COLOURS))
        expected = PATTERNS[self.pattern].num_colours if self.is_pattern else 0
        if len(self.colours) != expected:
            raise UserError(
                f"material {self.pattern}: it has {expected} colours, not {len(self.colours)}"
                f" ({', '.join(self.colours) or 'none given'}); give as many as the pattern has"
            )

    @property
    def is_pattern(self) -> bool:
        """Whether it is made of colours."""
        return self.file is None and self.pattern in PATTERNS

    @property
    def is_stochastic(self) -> bool:
        """Whether its words describe it only up to a seed, so that no true picture is determined by them."""
        return not self.is_pattern or PATTERNS[self.pattern].is_stochastic

    @property
    def name(self) -> str:
        """The words of a caption, without the seed: `red`, `red striped`, `red and blue striped`, `brick`."""
        if self.pattern == "plain":
            return self.colours[0]
        if not self.colours:
            return self.pattern
        first, second = self.colours
        return f"{first} {self.pattern}" if PARTNERS.get(first) == second else f"{first} and {second} {self.pattern}"

    @property
    def is_held_out(self) -> bool:
        """Whether it shows a photograph that no training may see."""
        return not self.is_pattern and self.file is None and is_held_out(self.pattern)

    def colours_at(self, x: Coordinates, y: Coordinates, *, step: float) -> NDArray[np.float32]:
        """Red, green and blue (*shape, 3) in [0, 1] at points; step: distance of neighbouring points."""
        if not self.is_pattern:
            return sample_texture(self.pattern, x, y, step=step, seed=self.seed, file=self.file)
        first = rgb_of(self.colours[0])
        if self.pattern == "plain":
            return np.broadcast_to(first, (*x.shape, 3))
        shift = np.random.default_rng(self.seed).uniform(-8, 8, 2) if self.is_stochastic else (0, 0)
        share = PATTERNS[self.pattern].share(x + shift[0], y + shift[1]).astype(np.float32)[..., None]
        return first + share * (rgb_of(self.colours[1]) - first)


def material_named(name: str, *, seed: int = 0) -> Material:
    """Read a material's name as `Material.name` writes it; raises UserError for unknown words."""
    words = name.split()
    if len(words) == 1:
        is_colour = words[0] in COLOURS or words[0] in WALL_COLOURS
        return Material("plain", (words[0],)) if is_colour else Material(words[0], seed=seed)
    if len(words) == 2:
        check_name("colour", words[0], tuple(COLOURS))
        return Material(words[1], (words[0], PARTNERS[words[0]]), seed=seed)
    if len(words) == 4 and words[1] == "and":
        return Material(words[3], (words[0], words[2]), seed=seed)
    raise UserError(f"{name!r}: not a material; write `red`, `red striped`, `red and blue striped` or `brick`")


def check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    """Raise UserError for a name that is not known, with the known ones."""
    if name not in known:
        raise UserError(f"{name}: no such {kind}; known are {', '.join(known)}")
