"""Training data of an atlas: the frames of a clip, their masks, and the optical flow between them."""

from __future__ import annotations

import logging
import math
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mimicbrush.atlas.config import AtlasConfig, Box
from mimicbrush.atlas.layered_atlas import ClipShape
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.warping import points_inside, warp_backward
from mimicbrush.pictures.conversion import is_masked, mask_bytes, on_white, to_channels, to_pil
from mimicbrush.pictures.decoding import decode_frames
from mimicbrush.pictures.edit_inputs import refuse_photograph
from mimicbrush.pictures.geometry import resize
from mimicbrush.progress import progress_bar
from mimicbrush.segmentation.grabcut import segment_grabcut
from mimicbrush.segmentation.prompt import Mask, SegmentationPrompt
from mimicbrush.video.clip_reader import open_clip, probe
from mimicbrush.video.decoded_clip import fit_size
from mimicbrush.video.frame_folder import decode_frame_folder, list_frames, warn_of_transparency

if TYPE_CHECKING:
    from mimicbrush.segmentation.segment_anything import SegmentAnything

MAX_FLOW_ERROR = 1.0
"""Largest distance in pixels by which the flow there and back may miss its start."""
BOX_MARGIN = 0.15
"""The next frame's box is that of the moved mask, enlarged by this share of its sides at each side."""
GRABCUT_ROUNDS = 5
FAST_SHARE = 0.08
"""Median motion between two frames, as a share of the longer side, above which a camera is called fast."""
CUT_SHARE = 0.4
"""Share of pixels with reliable flow below which two frames are taken for different shots."""
MANY_FRAMES = 70

log = logging.getLogger(__name__)


class TrainingClip(NamedTuple):
    """A clip with masks and flow, on one device."""

    frames: Tensor
    """(T, 3, H, W) in [0, 1]."""
    masks: Tensor
    """(T, 1, H, W), 1 on the foreground."""
    flow: Tensor
    """(T - 1, 2, H, W) in pixels, from each frame to the next."""
    reliable: Tensor
    """(T - 1, 1, H, W) of bool: where the flow there and back meets."""

    @property
    def shape(self) -> ClipShape:
        num_frames, _, height, width = self.frames.shape
        return ClipShape(num_frames, height, width)


def read_clip(path: Path, *, num_frames: int, short_side: int) -> Tensor:
    """Read the first frames (T, 3, H, W) of a clip, an animated PNG, or a folder of frames.

    Raises UserError if there are fewer than two, they differ in size, or their numbers have a gap.
    """
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        pictures = _read_pictures(path, num_frames + 1)
        warn_of_transparency(path, pictures)
        clip = [on_white(to_channels(levels)) for levels in pictures]
    else:
        clip = _decode(path, num_frames + 1, short_side)
    if len(clip) > num_frames:
        log.warning("%s: only the first %d frames are used; num_frames takes more", path, num_frames)
        clip = clip[:num_frames]
    if len(clip) < 2:
        found = "a single frame" if len(clip) else "no frames"
        raise UserError(f"{path}: holds {found}, expected at least 2; an atlas is made of a clip that moves")
    sizes = {frame.shape for frame in clip}
    if len(sizes) > 1:
        raise UserError(f"{path}: its frames have {len(sizes)} different sizes; export all at one size")
    width, height = fit_size(clip[0].shape[:-3:-1], short_side)
    given_width, given_height = _given_size(path)
    if min(given_width, given_height) > short_side:
        log.warning(
            "%s: its frames are made smaller, %d x %d instead of %d x %d pixels, and the atlas is for clips of that"
            " size; short_side takes larger ones",
            path,
            width,
            height,
            given_width,
            given_height,
        )
    return torch.stack([resize(frame, height, width) for frame in clip])


def read_masks(path: Path, clip: Tensor, *, num_frames: int, short_side: int) -> Tensor:
    """Read the first masks (T, 1, H, W) of a clip that was read with the same limits, and scale them like its frames.

    Raises UserError if their number or size is another, if one is a photograph, or if they show no object or no
    background.
    """
    levels = [torch.from_numpy(mask_bytes(each))[None] for each in _read_pictures(path, num_frames)]
    if len(levels) != len(clip):
        raise UserError(
            f"{path}: number of masks is {len(levels)}, expected {len(clip)}; give one for each frame that is used"
        )
    height, width = clip.shape[-2:]
    for number, each in enumerate(levels):
        refuse_photograph(each / 255, f"{path}: mask {number + 1}")
        if fit_size(each.shape[:-3:-1], short_side) != (width, height):
            raise UserError(
                f"{path}: mask {number + 1} is {each.shape[-1]} x {each.shape[-2]} pixels, which does not fit frames"
                f" of {width} x {height}; export both at one size"
            )
    scaled = torch.stack([resize(is_masked(each).float(), height, width) for each in levels])
    if not scaled.any() or scaled.all():
        found = "white" if scaled.any() else "black"
        raise UserError(f"{path}: all masks are entirely {found}; paint the object white and the background black")
    return scaled


def estimate_flow(estimator: FlowEstimator, clip: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the flow (T - 1, 2, H, W) from each frame to the next, and where it can be relied upon."""
    flows, reliable = [], []
    for first, second in progress_bar(list(pairwise(clip)), desc="flow", unit="pair"):
        both = torch.stack([first, second])
        with torch.no_grad():
            forward, backward = estimator(both, both.flip(0)).split(1)
        error = (forward + warp_backward(backward, forward)).norm(dim=1, keepdim=True)
        flows.append(forward)
        reliable.append((error < MAX_FLOW_ERROR) & points_inside(forward))
    return torch.cat(flows), torch.cat(reliable)


def scaled_box(box: Box, path: Path, clip: Tensor) -> Box:
    """Scale a box, in pixels of the frames at a path, to the frames (T, 3, H, W) that were read from there.

    Raises UserError unless it lies inside the frames.
    """
    width, height = _given_size(path)
    if box[2] > width or box[3] > height:
        raise UserError(f"box is {list(box)}, and the frames are {width} x {height} pixels; give a box inside them")
    x0, x1 = _scaled_side(box[0], box[2], width, clip.shape[-1])
    y0, y1 = _scaled_side(box[1], box[3], height, clip.shape[-2])
    return x0, y0, x1, y1


def masks_of_box(
    clip: Tensor, flow: Tensor, box: Box, *, segmenter: SegmentAnything | None = None, seed: int
) -> Tensor:
    """Segment the object in a box of the first frame, and follow it by its flow: masks (T, 1, H, W).

    segmenter: None for GrabCut.
    """
    masks: list[Tensor] = []
    for number, frame in enumerate(progress_bar(clip, desc="masks", unit="frame")):
        try:
            mask = _segment(to_pil(frame), box, segmenter, seed)
        except UnusableInput as error:
            raise UserError(f"frame {number + 1}: no object in its box ({error}); give masks") from None
        if not mask.any():
            raise UserError(f"frame {number + 1}: no object in its box; give masks")
        masks.append(torch.from_numpy(mask)[None].float())
        if number < len(flow):
            box = _next_box(mask, flow[number].cpu().numpy())
    return torch.stack(masks).to(clip)


def find_difficulties(training_clip: TrainingClip) -> list[str]:
    """Sentences about what makes an atlas of this clip fail or take long."""
    found = []
    num_frames, height, width = training_clip.shape
    moved = training_clip.flow.norm(dim=1).flatten(1).median(dim=1).values
    fast = [number + 1 for number, each in enumerate(moved.tolist()) if each > FAST_SHARE * max(height, width)]
    if fast:
        found.append(
            f"the camera moves by {moved.max():.0f} pixels from frame {moved.argmax() + 1} to the next; give fewer"
            " frames, or more frames a second"
        )
    cuts = [number + 1 for number, each in enumerate(training_clip.reliable) if each.float().mean() < CUT_SHARE]
    if cuts:
        found.append(f"the flow fails after frame {cuts[0]}, as at a cut; an atlas needs a single shot")
    if num_frames > MANY_FRAMES:
        found.append(f"{num_frames} frames are many for one atlas; the published ones have at most {MANY_FRAMES}")
    return found


def load_training_clip(
    config: AtlasConfig, clip: Tensor, masks: Tensor | None, estimator: FlowEstimator
) -> TrainingClip:
    """Estimate the flow of a clip (T, 3, H, W), and make masks of the config's box unless there are masks."""
    segmenter = None
    box = scaled_box(config.box, config.clip, clip) if masks is None else None
    if config.sam is not None:
        from mimicbrush.segmentation.segment_anything import SegmentAnything

        segmenter = SegmentAnything(config.sam)
    # Everything that may be mistaken comes before the flow, which takes minutes.
    flow, reliable = estimate_flow(estimator, clip)
    if masks is None:
        masks = masks_of_box(clip, flow, box, segmenter=segmenter, seed=config.seed)
    return TrainingClip(clip, masks.to(clip), flow, reliable)


def _given_size(path: Path) -> tuple[int, int]:
    """Width and height of a clip's first frame, upright, before it is scaled."""
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        height, width = _read_pictures(path, 1)[0].shape[:2]
        return width, height
    info = probe(path)
    return info.width, info.height


def _scaled_side(first: int, last: int, length: int, scaled_length: int) -> tuple[int, int]:
    """First pixel and the one after the last, of those that a side of a box still touches once it is scaled."""
    scale = scaled_length / length
    start = min(int(first * scale), scaled_length - 1)
    return start, min(max(math.ceil(last * scale), start + 1), scaled_length)


def _read_pictures(path: Path, num_frames: int) -> list[NDArray]:
    """Levels (H, W, C) of the first frames of a folder, or of an animated PNG."""
    if not path.is_dir():
        return decode_frames(path)[:num_frames]
    return decode_frame_folder(path, list_frames(path)[:num_frames])


def _decode(path: Path, num_frames: int, short_side: int) -> list[Tensor]:
    """The first frames (3, H, W) of a video file, which is decoded to its end."""
    seen = count()
    try:
        with open_clip(path, short_side=short_side, exact=True) as reader:
            # One pass: between several, the reader would seek past frames.
            every = reader.read([0.0, float("inf")], keep=lambda _: next(seen) < num_frames, skip=False).frames
    except UnusableInput as error:
        raise UserError(f"{path}: {error}") from None
    return [to_channels(frame.image) for frame in every[:num_frames]]


def _segment(picture: Image.Image, box: Box, segmenter: SegmentAnything | None, seed: int) -> Mask:
    if segmenter is None:
        return segment_grabcut(picture, box, iterations=GRABCUT_ROUNDS, seed=seed)
    return segmenter.segment(picture, SegmentationPrompt(box=box))


def _next_box(mask: Mask, flow: np.ndarray) -> Box:
    """The box around a mask after its motion, a little enlarged and inside the frame."""
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    edges = []
    for places, motion, length in ((columns, flow[0], width), (rows, flow[1], height)):
        moved = places + motion[rows, columns]
        margin = BOX_MARGIN * (moved.max() - moved.min() + 1)
        low, high = int(moved.min() - margin), int(moved.max() + 1 + margin)
        edges.append((max(0, min(low, length - 2)), min(length, max(high, 2))))
    (x0, x1), (y0, y1) = edges
    return x0, y0, x1, y1
