"""The pictures of an edit, read and checked before a network is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from mimicbrush.edit.clip_masks import read_atlas_mask, read_clip_masks
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.keep_masks import RELEASED_SUFFIX, as_inverted_mask, read_latent_mask
from mimicbrush.edit.kinds.motion_edit import MotionEditConfig
from mimicbrush.edit.kinds.video_edit import VideoEditConfig
from mimicbrush.edit.loaded_inputs import Inputs, Target
from mimicbrush.edit.motion_inputs import read_motion
from mimicbrush.errors import Faults, UserError
from mimicbrush.files import digest, list_pictures, sha256
from mimicbrush.pictures.conversion import on_white, to_channels
from mimicbrush.pictures.decoding import Decoded, decode_file
from mimicbrush.pictures.edit_inputs import Source, as_edit_mask, as_source, cut_reference
from mimicbrush.pictures.headers import read_header, refuse_animation
from mimicbrush.video.whole_clip import FOLDER_FPS, WholeClip, as_tensor, check_sound, read_whole_clip

log = logging.getLogger(__name__)


def read_inputs(config: EditConfig, *, portable: bool = False) -> Inputs:
    """Read the pictures of one edit; raises UserError, which names each unfit one by option and file.

    portable: the error names files without their folders, as visitors of the page should not see these.
    """
    called = (lambda path: path and path.name) if portable else (lambda path: path)
    source_name = f"source {called(config.source)}"
    if config.is_clip:
        return _read_clip_inputs(config, called)
    faults, source, masks, references, flow = Faults(), None, {}, [], None
    with faults.collect():
        picture = _decode("source", config.source)
        source = as_source(to_channels(picture.levels), name=source_name)
    for option in ("mask", "edit_mask", "keep_mask"):
        (path,) = config.pictures.get(option, [None])
        with faults.collect():
            masks[option] = path and _read_mask(option, path, source, name=f"{option} {called(path)}", of=source_name)
    for path, box, mask_path in zip(config.references, config.boxes, config.reference_masks, strict=True):
        references += _read_reference(path, box, mask_path, called, faults)
    if isinstance(config, MotionEditConfig) and not faults.found:
        with faults.collect():
            masks["edit_mask"] = masks["keep_mask"] if config.keep_mask else masks["edit_mask"]
            flow = read_motion(config, source, masks["mask"], masks["edit_mask"])
    faults.refuse()
    inputs = Inputs(
        source=source,
        mask=masks["mask"],
        references=references,
        icc_profile=picture.icc_profile,
        is_deep=picture.levels.dtype == np.uint16,
        fingerprints=fingerprints(config),
        flow=flow,
        edit_mask=masks["edit_mask"],
    )
    return inputs if config.max_megapixels is None else _scaled_down(inputs, config.max_megapixels, source_name)


def _scaled_down(inputs: Inputs, max_megapixels: float, name: str) -> Inputs:
    """Scale the pictures of an edit down if they are larger, and say so."""
    scaled = inputs.scaled_down(1e6 * max_megapixels)
    if scaled is not inputs:
        given, edited = (f"{each.shape[2]} x {each.shape[1]}" for each in (inputs.source.pixels, scaled.source.pixels))
        log.warning(
            "%s is %s pixels; it is edited in %s, and the result put back into the full size", name, given, edited
        )
    return scaled


def fingerprints(config: EditConfig) -> dict[str, list[str | None]]:
    """SHA-256 of the bytes of each option's files, or the digest of a folder's pictures; None if not given."""
    return {option: [path and _fingerprint(path) for path in paths] for option, paths in config.files.items()}


def _fingerprint(path: Path) -> str:
    return digest(list_pictures(path)) if path.is_dir() else sha256(path)


def changed_pictures(config: EditConfig, fingerprints: Mapping[str, Sequence[str | None]]) -> list[tuple[str, Path]]:
    """Option and path of each file whose fingerprint differs; missing files are left out."""
    return [
        (option, path)
        for option, paths in config.files.items()
        for path, fingerprint in zip(paths, fingerprints.get(option, []), strict=False)
        if path and path.exists() and _fingerprint(path) != fingerprint
    ]


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence warnings about pictures that are read again later."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _read_clip_inputs(config: EditConfig, called: Callable[[Path], object]) -> Inputs:
    """Read the clip of an edit, its masks and its references."""
    faults, clip, mask, references = Faults(), None, None, []
    with faults.collect(), _named(config.source, called):
        clip = _read_clip(config)
        check_sound(config.source, config.output)
    (path,) = config.pictures.get("mask", [None])
    if path is not None and clip is not None:
        with faults.collect():
            mask = _read_masks_of_clip(config, path, as_tensor(clip), called)
    for path, box, mask_path in zip(config.references, config.boxes, config.reference_masks, strict=True):
        references += _read_reference(path, box, mask_path, called, faults)
    with faults.collect():
        target = _read_target(config, called) if isinstance(config, VideoEditConfig) else None
    faults.refuse()
    return Inputs(
        source=None,
        mask=mask,
        references=references,
        icc_profile=None,
        is_deep=False,
        fingerprints=fingerprints(config),
        clip=clip,
        target=target,
    )


def _read_clip(config: EditConfig) -> WholeClip:
    if config.fps is not None and not config.source.is_dir():
        raise UserError(f"{config.source} is not a folder of frames and has its own frame rate; leave fps out")
    return read_whole_clip(config.source, max_frames=config.max_frames, folder_fps=config.fps or FOLDER_FPS)


@contextmanager
def _named(path: Path, called: Callable[[Path], object]) -> Iterator[None]:
    """Replace a path in errors by what it is called."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(path), str(called(path)))) from None


def _read_masks_of_clip(config: EditConfig, path: Path, frames: Tensor, called: Callable[[Path], object]) -> Tensor:
    """Read the masks (T, 1, H, W) of a clip, as its kind of edit takes them."""
    name, of = f"mask {called(path)}", f"source {called(config.source)}"
    if isinstance(config, VideoEditConfig):
        return read_clip_masks(path, frames, name=name, of=of)
    if config.mask_on_atlas:
        layer = "background" if config.edited_layer == "background" else "foreground"
        return read_atlas_mask(path, frames, config.atlas, layer, name=name)
    return read_clip_masks(path, frames, name=name, of=of, frame=(config.edited_frame or 1) - 1)


def _read_target(config: VideoEditConfig, called: Callable[[Path], object]) -> Target:
    """Read the target picture; its object is what the mask marks, or else what is opaque, if anything is not."""
    picture, mask = _channels("target_image", config.target_image), None
    if config.target_mask is not None:
        drawn = _channels("target_mask", config.target_mask)
        name, of = f"target_mask {called(config.target_mask)}", f"target_image {called(config.target_image)}"
        if not (drawn[:3].amax(dim=0) > 0.5).any():
            raise UserError(f"{name} is empty, so {of} shows no object; paint the object white")
        mask = as_edit_mask(drawn, picture[:3].expand(3, -1, -1), name=name, of=of)
    elif len(picture) == 4 and (picture[3] <= 0.5).any():
        mask = (picture[3:] > 0.5).float()
        if not mask.any():
            of = f"target_image {called(config.target_image)}"
            raise UserError(f"{of} is transparent everywhere, so it shows no object; give one whose object is opaque")
    return Target(on_white(picture), mask)


def _read_reference(
    path: Path, box: list[int] | None, mask_path: Path | None, called: Callable, faults: Faults
) -> list[Tensor]:
    """Read one reference into a list, which is empty if the reference has faults."""
    pictures = {}
    for option, given in (("reference", path), ("reference_mask", mask_path)):
        with faults.collect():
            pictures[option] = given and _channels(option, given)
    if len(pictures) < 2:
        return []
    with faults.collect():
        return [
            cut_reference(
                pictures["reference"],
                box=box,
                mask=pictures["reference_mask"],
                name=f"reference {called(path)}",
                box_name=f"reference_box of {called(path)}",
                mask_name=f"reference_mask {called(mask_path)}",
            )
        ]
    return []


def _read_mask(option: str, path: Path, source: Source | None, *, name: str, of: str) -> Tensor:
    """Read a mask (1, H, W) of the source's size, 1 where something may change, or on the object that moves."""
    is_inverted = option == "keep_mask"
    is_latent = is_inverted and path.suffix.lower() == RELEASED_SUFFIX
    drawn = read_latent_mask(path) if is_latent else _channels(option, path)
    # If the source is unfit, the mask is compared with itself, so that its other faults are found.
    pixels = drawn if source is None else source.pixels
    return (as_inverted_mask if is_inverted else as_edit_mask)(drawn, pixels, name=name, of=of)


def _channels(option: str, path: Path) -> Tensor:
    return to_channels(_decode(option, path).levels)


def _decode(option: str, path: Path) -> Decoded:
    try:
        refuse_animation(path, read_header(path).num_frames)
        return decode_file(path)
    except UserError as error:
        advice = "; save or download it again" if "not a readable picture" in str(error) else ""
        raise UserError(f"{option} {error}{advice}") from None
