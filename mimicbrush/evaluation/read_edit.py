"""Read an edit from disk with all that metrics compare it with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample, material_of_reference, read_masks
from mimicbrush.evaluation.metrics.score import EditedPicture, FollowingFrame
from mimicbrush.evaluation.picture_faults import format_size
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.reading import read_frames, read_image, read_mask

AGAIN = "delete it, and the same command makes it again"


def read_edit(
    sample: Sample, path: Path, *, proposed_mask: Path | None = None, given_reference: Path | None = None
) -> list[EditedPicture]:
    """Read the frames of an edit with all that they are compared with; raises UserError where it is damaged.

    proposed_mask: path of the mask that the editor proposed, if such a file exists; given_reference: that of another
    sample, if the editor received it in place of the own one.
    """
    source, mask = sample.frames()
    edited = _read_written(path)
    if edited.shape != source.shape:
        raise UserError(f"{path} is {format_size(edited)}, its source {format_size(source)}; {AGAIN}")
    reference = to_levels(read_image(sample.reference)) if sample.reference else None
    reference_mask = read_mask(sample.reference_mask)[0].numpy() > 0.5 if sample.reference_mask else None
    frames = [
        EditedPicture(
            source=to_levels(before),
            mask=hidden[0].numpy() > 0.5,
            edited=to_levels(after),
            reference=reference,
            reference_mask=reference_mask,
            prompt=sample.prompt,
        )
        for before, hidden, after in zip(source, mask, edited, strict=True)
    ]
    following = _read_following(sample, frames)
    frames = [frame._replace(following=after) for frame, after in zip(frames, following, strict=True)]
    if sample.track != "truth":
        return frames
    frames = _with_truth(sample, frames, proposed_mask if proposed_mask and proposed_mask.is_file() else None)
    given = material_of_reference(given_reference) if given_reference else None
    return [frame._replace(given_material=given) for frame in frames]


def _with_truth(sample: Sample, frames: list[EditedPicture], proposed_mask: Path | None) -> list[EditedPicture]:
    """Complete the frames of an edit with the truth of their sample."""
    count = len(frames)
    truth, true_object = read_frames(sample.truth), _read_objects(sample.truth_mask, count)
    in_source = _read_objects(sample.object_mask, count) if sample.object_mask else [None] * count
    # Its three channels are alike.
    proposed = _read_written(proposed_mask)[:, 0].numpy() if proposed_mask else [None] * count
    asked_flow = read_flow(sample.flow).flow[0] if sample.task == "motion" else None
    return [
        frame._replace(
            truth=to_levels(truth[number]),
            truth_mask=true_object[number],
            object_mask=in_source[number],
            proposed_mask=proposed[number],
            asked_flow=asked_flow,
            facts=sample.facts,
        )
        for number, frame in enumerate(frames)
    ]


def _read_following(sample: Sample, frames: list[EditedPicture]) -> list[FollowingFrame | None]:
    """The frame after each one of a video sample's edit; None in other tasks, and after the last frame."""
    if sample.task != "video":
        return [None] * len(frames)
    if sample.flow is None:
        return [*(FollowingFrame(frame.edited) for frame in frames[1:]), None]
    stored = read_flow(sample.flow)
    following = [
        FollowingFrame(edited=frame.edited, flow=flow, visible=visible[0])
        for frame, flow, visible in zip(frames[1:], stored.flow, stored.visible, strict=True)
    ]
    return [*following, None]


def _read_objects(path: Path, num_frames: int) -> NDArray[np.bool_]:
    """Read an object's mask as (T, H, W)."""
    return read_masks(path, num_frames)[:, 0].numpy() > 0.5


def _read_written(path: Path) -> Tensor:
    """Read frames that this evaluation wrote, (T, 3, H, W)."""
    try:
        return read_frames(path)
    except UserError as error:
        raise UserError(f"{error}; {AGAIN}") from None
