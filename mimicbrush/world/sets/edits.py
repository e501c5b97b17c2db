"""Edits whose true result is known: source and truth are scenes, and the renderer gives every picture of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimicbrush.benchmark_layout import SampleFacts
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.world.renderer.exact_flow import exact_flow
from mimicbrush.world.renderer.render import Rendered, render
from mimicbrush.world.renderer.scene import Scene

MARGIN = 1
"""Pixels by which the region that an editor may change reaches beyond the pixels that the truth changes."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit; source and truth have one scene for each frame."""

    id: str
    group: str
    """Edits of one group are not independent."""
    facts: SampleFacts
    source: tuple[Scene, ...]
    truth: tuple[Scene, ...]
    reference: Scene | None = None
    part: str | None = None
    """Part of the subject that is edited; None: the subject as a whole."""
    flow: tuple[tuple[Scene, Scene], ...] = ()
    """Pairs of scenes between which the flow is given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedEdit:
    """All pictures of an edit: RGB of 8 bits (T, H, W, 3), masks (T, H, W); the reference is one frame."""

    source: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    """Region that an editor may change; it covers every pixel that the truth changes."""
    object_mask: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    truth_mask: NDArray[np.bool_]
    reference: NDArray[np.uint8] | None
    reference_mask: NDArray[np.bool_] | None
    flow: NDArray[np.float32] | None
    """(N, 2, H, W) in pixels."""
    visible: NDArray[np.bool_] | None
    """(N, 1, H, W), whether the point is seen in both scenes."""


def render_edit(edit: Edit, size: int) -> RenderedEdit:
    """Render the pictures of one sample."""
    source, truth = ([render(scene, size) for scene in scenes] for scenes in (edit.source, edit.truth))
    sources, truths = (np.stack([to_8_bits(each.picture) for each in frames]) for frames in (source, truth))
    coverage, true_coverage = (np.stack([_coverage(each, edit.part) for each in frames]) for frames in (source, truth))
    changed = (sources != truths).any(axis=-1) | (coverage > 0) | (true_coverage > 0)
    reference = render(edit.reference, size) if edit.reference else None
    flows = [exact_flow(first, second, size) for first, second in edit.flow]
    return RenderedEdit(
        source=sources,
        mask=np.stack([grow(frame, MARGIN) for frame in changed]),
        object_mask=coverage >= 0.5,
        truth=truths,
        truth_mask=true_coverage >= 0.5,
        reference=to_8_bits(reference.picture)[None] if reference else None,
        reference_mask=_coverage(reference, edit.part)[None] >= 0.5 if reference else None,
        flow=np.stack([each.flow for each in flows]) if flows else None,
        visible=np.stack([each.visible for each in flows])[:, None] if flows else None,
    )


def to_8_bits(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert [0, 1] to levels of 8 bits."""
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _coverage(rendered: Rendered, part: str | None) -> NDArray[np.float32]:
    return rendered.part_masks[part] if part else rendered.mask
