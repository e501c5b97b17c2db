"""Configuration of the small world's files."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from mimicbrush.errors import Faults

MIN_SIZE = 32
"""Smallest side of a picture in pixels that shows three periods of a pattern on an object."""


@dataclass(frozen=True, kw_only=True)
class SetSizes:
    """Numbers of edits with seen words, to which a quarter as many with unseen words, rounded up, are added."""

    reference: int = 40
    """Sources edited by a reference; each gives two edits, with a reference of the same and of another object."""
    parts: int = 24
    """Parts of objects edited by a reference."""
    text: int = 40
    """Pictures edited by a sentence."""
    motion: int = 24
    """Pictures in which an object is moved by a flow."""
    video: int = 12
    """Clips edited by a target image."""
    surface: int = 8
    """Clips in which the object takes the material of a reference."""


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """Numbers of pairs for training MimicBrush, by kind, from easy to hard; 0 writes none."""

    moved: int = 0
    """The same scene, moved by a few pixels."""
    small_poses: int = 0
    """The same object, moved, turned and resized a little."""
    large_poses: int = 0
    """The same object anywhere in another scene."""
    other_objects: int = 0
    """Another object in the same material in another scene."""
    heldout: int = 0
    """The last two in turn, of combinations that training never shows."""


@dataclass(frozen=True, kw_only=True)
class RenderWorldConfig:
    """Render captioned stills and clips of the small world, and edits of which the true result is known."""

    output: Path = Path("runs/world")
    """Folder for stills/, clips/, sets/, shards/ and sheets/."""
    size: int = 64
    """Side of every picture in pixels; an even number, which H.264 needs, of at least 32."""
    stills: int = 2000
    """Number of captioned stills, for training."""
    clips: int = 100
    """Number of captioned clips, for training."""
    frames: int = 24
    """Number of frames of each of these clips."""
    textures: Path | None = None
    """Folder of pictures of surfaces, in which stills and clips show objects as well; the sets do not change."""
    sets: SetSizes = field(default_factory=SetSizes)
    """Numbers of edits with seen words; each set has a quarter as many more, rounded up, with unseen words."""
    pairs: PairCounts = field(default_factory=PairCounts)
    """Numbers of pairs for train.py, which are written as shards."""
    seed: int = 0
    """Seed for drawing scenes."""
    workers: int = 0
    """Number of worker processes; 0: one for each usable CPU core. It does not change the result."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.size < MIN_SIZE or self.size % 2:
            faults.add(f"size is {self.size}; expected an even number of {MIN_SIZE} or more")
        if self.frames < 2:
            faults.add(f"frames is {self.frames}; expected 2 or more")
        counts = {name: getattr(self, name) for name in ("stills", "clips", "workers")}
        counts |= {f"sets.{each.name}": getattr(self.sets, each.name) for each in fields(self.sets)}
        counts |= {f"pairs.{each.name}": getattr(self.pairs, each.name) for each in fields(self.pairs)}
        for name, count in counts.items():
            if count < 0:
                faults.add(f"{name} is {count}; expected 0 or more")
        faults.refuse()
