"""Edit a clip by a target picture: read it, ask the editor, and write the edited clip with its layers."""

from __future__ import annotations

from mimicbrush.edit.clip_masks import read_clip_masks
from mimicbrush.edit.clip_results import as_tensor, write_clip_result
from mimicbrush.edit.editing import find_editor
from mimicbrush.edit.kinds.video_edit import VideoEditConfig
from mimicbrush.pictures.conversion import on_white
from mimicbrush.pictures.headers import read_header, refuse_animation
from mimicbrush.pictures.reading import read_channels, read_mask
from mimicbrush.progress import step_bar
from mimicbrush.requests import VideoRequest, check_answers
from mimicbrush.video.whole_clip import WholeClip, check_sound, read_whole_clip


def edit_clip(config: VideoEditConfig) -> str:
    """Make the edit; returns the line to print."""
    clip = read_whole_clip(config.source, max_frames=config.max_frames)
    check_sound(config.source, config.output)
    request = video_request(config, clip)
    editor = find_editor(config.editor, config.init_args, type(config))
    with step_bar(desc="editing") as on_progress:
        (edited,) = check_answers(editor, [editor.edit(request, on_progress=on_progress)], [request])
    write_clip_result(edited, config.output, clip, source=config.source, force=config.force)
    return f"edited {len(edited.frames)} frames -> {config.output}"


def video_request(config: VideoEditConfig, clip: WholeClip) -> VideoRequest:
    """Read the pictures of an edit; raises UserError where they do not fit."""
    source = as_tensor(clip)
    for path in (config.target_image, config.target_mask):
        if path is not None:
            refuse_animation(path, read_header(path).num_frames)
    picture = read_channels(config.target_image)
    target_mask = None
    if config.target_mask is not None:
        target_mask = read_mask(config.target_mask)
    elif len(picture) == 4 and (picture[3] <= 0.5).any():
        target_mask = picture[3:]
    mask = None
    if config.mask is not None:
        mask = read_clip_masks(config.mask, source, name=f"mask {config.mask}", of=f"source {config.source}")
    return VideoRequest(
        source=source,
        source_prompt=config.source_prompt,
        target_prompt=config.target_prompt,
        target_image=on_white(picture),
        target_mask=target_mask,
        mask=mask,
        fps=clip.fps,
        seed=config.seed,
    )
