"""Edit a clip: read it, ask the editor, and write the edited clip with its layers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mimicbrush.edit.editing import find_editor
from mimicbrush.edit.kinds.video_edit import VideoEditConfig
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import on_white, to_levels
from mimicbrush.pictures.headers import read_header, refuse_animation
from mimicbrush.pictures.reading import read_channels, read_mask, read_mask_frames
from mimicbrush.pictures.writing import write_frames
from mimicbrush.progress import step_bar
from mimicbrush.requests import VideoRequest, check_answers
from mimicbrush.video.whole_clip import WholeClip, check_sound, read_whole_clip, write_edited_clip


def edit_clip(config: VideoEditConfig) -> str:
    """Make the edit; returns the line to print."""
    clip = read_whole_clip(config.source, max_frames=config.max_frames)
    check_sound(config.source, config.output)
    request = video_request(config, clip)
    editor = find_editor(config.editor, config.init_args, type(config))
    with step_bar(desc="editing") as on_progress:
        (edited,) = check_answers(editor, [editor.edit(request, on_progress=on_progress)], [request])
    frames = np.stack([to_levels(frame) for frame in edited.frames.float()])
    write_edited_clip(config.output, frames, clip, source=config.source)
    for name, layer in edited.layers.items():
        path = config.output.with_name(f"{config.output.stem}-{name}.png")
        if path.exists() and not config.force:
            tqdm.write(f"{path} exists and is kept; --force overwrites it")
        else:
            write_frames(layer, path)
            tqdm.write(f"layer {name} -> {path}")
    return f"edited {len(frames)} frames -> {config.output}"


def video_request(config: VideoEditConfig, clip: WholeClip) -> VideoRequest:
    """Read the pictures of an edit; raises UserError where they do not fit."""
    source = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    for path in (config.target_image, config.target_mask):
        if path is not None:
            refuse_animation(path, read_header(path).num_frames)
    picture = read_channels(config.target_image)
    target_mask = None
    if config.target_mask is not None:
        target_mask = read_mask(config.target_mask)
    elif len(picture) == 4 and (picture[3] <= 0.5).any():
        target_mask = picture[3:]
    return VideoRequest(
        source=source,
        source_prompt=config.source_prompt,
        target_prompt=config.target_prompt,
        target_image=on_white(picture),
        target_mask=target_mask,
        mask=None if config.mask is None else _read_masks(config, source),
        fps=clip.fps,
        seed=config.seed,
    )


def _read_masks(config: VideoEditConfig, source: Tensor) -> Tensor:
    masks = read_mask_frames(config.mask)
    if len(masks) != len(source):
        raise UserError(
            f"mask {config.mask} has {len(masks)} frames, and source {config.source} has {len(source)}; give one mask"
            " for each frame"
        )
    return masks
