"""The pictures of an edit, once they are read."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.pictures.edit_inputs import Source, as_reference
from mimicbrush.pictures.geometry import resize
from mimicbrush.pictures.scaled_edits import fitting_size, put_back
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

    full_size: Source | None = None
    """The picture as it was given, where `source` and the masks are scaled down for the edit."""

    def scaled_down(self, max_pixels: float) -> Inputs:
        """The same edit of a picture with at most `max_pixels` pixels."""
        if self.source is None:
            return self
        height, width = self.source.pixels.shape[1:]
        size = fitting_size(height, width, max_pixels)
        if size == (height, width):
            return self
        mask, flow = _scaled_mask(self.mask, size), self.flow
        if flow is not None:
            scale = torch.tensor([size[1] / width, size[0] / height])[:, None, None]
            # Scaled down, it is mixed with the zeros around the object; divided by the object's share, it is not.
            moving = (flow != 0).any(dim=1).to(flow)
            share = resize(moving, *size).clamp(min=1e-6)
            flow = resize(flow, *size) / share * scale * _scaled_mask(moving, size)
        return self._replace(
            source=Source(resize(self.source.pixels, *size), None, self.source.icc_profile),
            mask=mask,
            edit_mask=_scaled_mask(self.edit_mask, size),
            flow=flow,
            full_size=self.source,
        )

    def restore(self, edited: Tensor) -> Tensor:
        """Give an edit (3, H, W) the size and the transparency of the picture that was given: (3 or 4, H, W)."""
        if self.full_size is None:
            return self.source.restore(edited)
        return self.full_size.restore(put_back(edited, self.source.pixels, self.full_size.pixels))

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


def _scaled_mask(mask: Tensor | None, size: tuple[int, int]) -> Tensor | None:
    """Scale a mask (1, H, W), of which something is left even if it is thin."""
    if mask is None:
        return None
    share = resize(mask, *size)
    return (share >= min(0.5, float(share.max()))).float()
