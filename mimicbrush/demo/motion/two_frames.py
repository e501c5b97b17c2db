"""Motion between two frames of a clip, or two pictures, that a visitor uploads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.demo.clips.clip_uploads import check_clip
from mimicbrush.demo.config import Limits
from mimicbrush.demo.uploads import named, read
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.pictures.conversion import to_channels
from mimicbrush.pictures.edit_inputs import as_source
from mimicbrush.pictures.geometry import resize, shrink_to
from mimicbrush.video.clip_reader import read_frames

SHORT_SIDE = 1080
"""Largest short side of a clip's frames, in pixels."""
DEFAULT_SECONDS = 0.5
"""Time between the two frames of a clip, unless another is chosen."""
SAME_SHAPE = 0.02
"""Largest difference of the aspect ratios of two pictures that count as of one shape."""


class TwoFrames(NamedTuple):
    """Two frames of equal size."""

    name: str
    first: Tensor
    """(3, H, W) in [0, 1]."""
    second: Tensor
    times: tuple[float, float] | None
    """The moments of a clip at which they are seen, in seconds; None for two pictures."""


class EstimatedMotion(NamedTuple):
    """The flow between two frames."""

    name: str
    flow: Tensor
    """(1, 2, h, w) in pixels of this size."""

    def fitted(self, width: int, height: int) -> Tensor:
        """The flow for a picture (1, 2, H, W), in its pixels; raises UserError if that has another shape."""
        found = self.flow.shape[3] / self.flow.shape[2]
        if abs(found * height / width - 1) > SAME_SHAPE:
            raise UserError(
                f"{self.name}: its frames are {found:.2f} times as wide as high, the picture {width / height:.2f}"
                " times; expected one shape; use the first frame as the picture"
            )
        scale = torch.tensor([width / self.flow.shape[3], height / self.flow.shape[2]])
        return resize(self.flow[0], height, width)[None] * scale[:, None, None]

    def flow_of(self, mask: Tensor) -> Tensor:
        """The flow of an object, zero outside its mask (1, 1, H, W)."""
        return torch.where(mask > 0.5, self.fitted(mask.shape[3], mask.shape[2]), 0)


def read_pair(paths: Sequence[Path], times: Sequence[float], limits: Limits) -> TwoFrames:
    """Read one clip at two times (by default its beginning and half a second later), or two pictures.

    Raises UserError if they cannot be used.
    """
    pictures = [path.suffix.lower() in PICTURE_SUFFIXES for path in paths]
    if len(paths) == 1 and not pictures[0]:
        with named(paths[0]):
            return _read_clip(paths[0], times, limits)
    if len(paths) != 2 or not all(pictures):
        raise UserError(
            f"{len(paths)} files were chosen, {sum(pictures)} of them pictures; choose a clip or two pictures"
        )
    frames = []
    for path in paths:
        with named(path):
            frames.append(as_source(read(path, limits), name="the frame").pixels)
    return _checked(TwoFrames(paths[0].name, *frames, None))


def estimate(pair: TwoFrames, estimator: FlowEstimator, *, side: int) -> EstimatedMotion:
    """Estimate the flow between the frames, scaled down to a longer side of at most `side` pixels."""
    frames = [shrink_to(frame, side)[None] for frame in (pair.first, pair.second)]
    with torch.inference_mode():
        flow = estimator(*frames)
    return EstimatedMotion(pair.name, flow.float().cpu().clone())


def _read_clip(path: Path, times: Sequence[float], limits: Limits) -> TwoFrames:
    info = check_clip(path, limits)
    try:
        first, second = times or (0.0, min(DEFAULT_SECONDS, info.duration * 0.9))
        if not 0 <= first < second <= info.duration:
            raise UserError(
                f"{path}: from {first:g} s to {second:g} s, expected two moments in turn within its"
                f" {info.duration:.2f} s"
            )
        clip = read_frames(path, [first, second], short_side=SHORT_SIDE, exact=True)
    except UnusableInput as error:
        raise UserError(f"{path}: cannot be read as a clip ({error})") from None
    if len(clip.frames) < 2:
        raise UserError(
            f"{path}: the same frame is seen at {first:g} s and at {second:g} s; choose moments further apart"
        )
    pixels = [to_channels(frame.image)[:3] for frame in clip.frames]
    return _checked(TwoFrames(path.name, *pixels, (first, second)))


def _checked(pair: TwoFrames) -> TwoFrames:
    first, second = ((frame.shape[2], frame.shape[1]) for frame in (pair.first, pair.second))
    if first != second:
        raise UserError(
            f"{pair.name}: {first[0]} x {first[1]} pixels, and the second frame {second[0]} x {second[1]}; expected two"
            " frames of one size"
        )
    return pair
