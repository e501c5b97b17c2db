"""The pictures of an edit, once they are read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from mimicbrush.pictures.edit_inputs import Source, as_reference
from mimicbrush.video.whole_clip import WholeClip, as_tensor


class Target(NamedTuple):
    """The picture of the object that replaces the one in a clip."""

    picture: Tensor
    """(3, h, w) in [0, 1], on white."""
    mask: Tensor | None
    """(1, h, w), 1 on the object; None where nothing says so."""


class Inputs(NamedTuple):
    """The pictures of an edit, and facts about their files that its result records."""

    source: Source | None
    """None for a clip."""
    mask: Tensor | None
    """(1, H, W), 0 or 1, of a clip (T, 1, H, W); None where an edit has none."""
    references: list[Tensor]
    """(3, h, w) each, cropped to the given box or mask; empty for an edit without references."""
    icc_profile: bytes | None
    """ICC profile of the source."""
    is_deep: bool
    """Whether the source has 16 bits a channel, and so the result gets them, too."""
    fingerprints: dict[str, list[str | None]]
    """SHA-256 of each option's files."""
    flow: Tensor | None = None
    """(1, 2, H, W) in pixels, zero outside the object that moves; None where nothing does."""
    edit_mask: Tensor | None = None
    """(1, H, W), 1 where a motion may change pixels; None: the editor proposes it."""

    clip: WholeClip | None = None
    """The clip to edit; None for a picture."""
    target: Target | None = None
    """The target picture of an edit that replaces an object in a clip."""

    @property
    def frames(self) -> Tensor:
        """(T, 3, H, W), as an editor receives them; a picture has T = 1."""
        return self.source.pixels[None] if self.clip is None else as_tensor(self.clip)

    @property
    def masks(self) -> Tensor | None:
        """(T, 1, H, W), 0 or 1; None where an edit has none."""
        return self.mask[None] if self.mask is not None and self.clip is None else self.mask

    def join_references(self, size: int) -> Tensor:
        """Join the references to one (3, h, w): several are placed side by side, in cells of `size` pixels."""
        return as_reference(self.references, size=size)
