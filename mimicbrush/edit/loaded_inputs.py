"""The pictures of an edit, once they are read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from mimicbrush.pictures.edit_inputs import Source, as_reference


class Inputs(NamedTuple):
    """The pictures of an edit, and facts about their files that its result records."""

    source: Source
    mask: Tensor | None
    """(1, H, W), 0 or 1; None where an edit has none."""
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

    def join_references(self, size: int) -> Tensor:
        """Join the references to one (3, h, w): several are placed side by side, in cells of `size` pixels."""
        return as_reference(self.references, size=size)
