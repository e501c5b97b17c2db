"""Masks of a clip: one for each frame, that of a single frame, or one painted over an atlas."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.atlas.layered_atlas import ClipShape, Layer
from mimicbrush.atlas.rendered_atlas import map_to_frames, native_resolution, render_atlas
from mimicbrush.atlas.stored_atlas import open_atlas
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import mask_levels, to_channels
from mimicbrush.pictures.decoding import decode_frames
from mimicbrush.pictures.edit_inputs import refuse_photograph
from mimicbrush.video.frame_folder import decode_frame_folder, list_frames


def read_clip_masks(path: Path, source: Tensor, *, name: str, of: str, frame: int | None = None) -> Tensor:
    """Read the masks of a clip (T, 3, H, W) from an animated PNG or a folder with as many: (T, 1, H, W), 0 or 1.

    frame: index of the frame that a still marks, the masks of others are then empty; None: stills are refused. name,
    of: names of mask and clip in messages. Raises UserError where the masks do not fit, are photographs or empty.
    """
    masks = _read_levels(path, name)
    num_masks = len(masks)
    if num_masks not in ((len(source),) if frame is None else (1, len(source))):
        still = "" if frame is None else ", or that of one frame"
        frames = "frame" if num_masks == 1 else "frames"
        raise UserError(
            f"{name} has {num_masks} {frames}, and {of} has {len(source)}; give one mask for each frame{still}"
        )
    height, width = source.shape[2:]
    for mask in masks:
        if mask.shape[1:] != source.shape[2:]:
            raise UserError(
                f"{name} is {mask.shape[2]} x {mask.shape[1]} pixels and {of} {width} x {height}; export both at one"
                " size"
            )
    painted = _threshold(masks, name)
    if len(painted) == len(source):
        return painted
    if frame >= len(source):
        raise UserError(f"{name} is that of frame {frame + 1}, and {of} has {len(source)}; choose one of them")
    all_frames = torch.zeros(len(source), 1, height, width)
    all_frames[frame] = painted[0]
    return all_frames


def read_atlas_mask(path: Path, source: Tensor, atlas: Path, layer: Layer, *, name: str) -> Tensor:
    """Map a mask that was painted over an atlas's picture, such as foreground.png, to a clip (T, 3, H, W).

    Returns (T, 1, H, W), 0 or 1, where a frame shows a masked point of the layer. Raises UserError where mask or atlas
    do not fit.
    """
    shape = ClipShape(len(source), *source.shape[2:])
    network = open_atlas(atlas).network_for(shape)
    rendered = render_atlas(network, shape, resolution=native_resolution(network, shape))
    shown = rendered.layers[layer]
    masks = _read_levels(path, name)
    (height, width), found = shown.size, masks[0].shape
    if len(masks) != 1:
        raise UserError(f"{name} has {len(masks)} frames; paint a single mask over {layer}.png in the atlas's folder")
    if found[1:] != shown.size:
        raise UserError(
            f"{name} is {found[2]} x {found[1]} pixels, and the {layer} of the atlas {width} x {height}; paint it over"
            f" {layer}.png in the atlas's folder"
        )
    mapped = map_to_frames(_threshold(masks, name), shown.grid) > 0.5
    opacity = rendered.opacity if layer == "foreground" else 1 - rendered.opacity
    seen = mapped & (opacity > 0.5)
    if not seen.any():
        raise UserError(f"{name} marks nothing that a frame shows; paint it over {layer}.png in the atlas's folder")
    return seen.float()


def _read_levels(path: Path, name: str) -> list[Tensor]:
    """Levels (1, H, W) in [0, 1] of each frame of a mask; raises UserError for photographs."""
    decoded = decode_frame_folder(path, list_frames(path)) if path.is_dir() else decode_frames(path)
    masks = [mask_levels(to_channels(levels)) for levels in decoded]
    for mask in masks:
        refuse_photograph(mask, name)
    return masks


def _threshold(masks: list[Tensor], name: str) -> Tensor:
    painted = (torch.stack(masks) > 127.5 / 255).float()
    if not painted.any():
        raise UserError(f"{name} is empty; paint the region to use white")
    return painted
