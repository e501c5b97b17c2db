"""Uploaded pictures: checked, refused in one sentence, and scaled down for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mimicbrush.demo.config import Limits
from mimicbrush.demo.live_preview import changed_part
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import rgb_bytes, to_channels
from mimicbrush.pictures.decoding import decode_file, upright_size
from mimicbrush.pictures.edit_inputs import as_edit_mask, as_source, cut_reference
from mimicbrush.pictures.geometry import resize, shrink_to
from mimicbrush.pictures.headers import read_header, refuse_animation, refuse_large
from mimicbrush.pictures.reading import read_channels, read_rgb
from mimicbrush.pictures.screen_copies import QUALITY, ScreenCopy, read_screen_copy, shrink_levels
from mimicbrush.pictures.writing import write_image

PREVIEW_SIDE = 1280
"""Longer side of pictures in the browser, in pixels."""
PART_SIDE = 1024
"""Longest side of the changed part of a result, in pixels."""
MAX_ASPECT = 24
"""Largest ratio of the longer to the shorter side, which is then a dozen pixels on a phone."""

SAME_SHAPE = 0.02
"""Largest relative difference between two ratios of width to height that count as equal: those of rounded sizes."""

PICTURE, MASK, REFERENCE = "the picture", "the mask", "the reference"
"""Names in messages: a visitor sees no names of parameters."""


def accept(painting: PaintedPicture, limits: Limits, folder: Path, *, is_reference: bool = False) -> PaintedPicture:
    """Check an upload; add its size, and previews in `folder`. Raises UserError if it cannot be used for an edit."""
    with named(painting.picture):
        check_header(painting.picture, limits)
        width, height = upright_size(painting.picture)
        copy = read_screen_copy(painting.picture, PREVIEW_SIDE)
        image = to_channels(copy.levels)
        as_source(image, name=REFERENCE if is_reference else PICTURE)
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise UserError(
                f"{width} x {height} pixels, too narrow to be painted on; expected a longer side of at most"
                f" {MAX_ASPECT} times the shorter; cut out the part that matters"
            )
        if is_reference:
            cut_reference(image, box=None, mask=None, name=REFERENCE)
    accepted = replace(painting, size=(width, height), previews={"picture": copy.write(folder / "picture.webp")})
    if painting.mask is None:
        return accepted
    with named(painting.mask):
        given = read(painting.mask, limits)
        fitted = _scaled_mask(given, width, height)
        mask = as_edit_mask(fitted, without_pixels(width, height), name=MASK, of=PICTURE)
    if fitted is not given:
        accepted = replace(accepted, mask=_write(mask, folder / f"{painting.mask.stem}-scaled.png"))
    previews = accepted.previews | {"mask": write_mask_preview(mask, folder)}
    return replace(accepted, previews=previews)


def write_mask_preview(mask: Tensor, folder: Path) -> Path:
    """Write a mask (1, H, W) for the browser, opaque where it is 1."""
    return _write(shrink(mask).expand(4, -1, -1), folder / "mask.png")


def _scaled_mask(mask: Tensor, width: int, height: int) -> Tensor:
    """Scale a mask (C, h, w) of the picture's shape to its size; a mask of another shape is returned as it is."""
    same_shape = abs(mask.shape[2] * height - mask.shape[1] * width) <= SAME_SHAPE * mask.shape[2] * height
    if mask.shape[1:] == (height, width) or not same_shape:
        return mask
    return resize(mask, height, width)


def read(path: Path, limits: Limits) -> Tensor:
    """Read an uploaded picture (1, 3 or 4, H, W), after checking its header.

    Raises UserError if it is too large, animated or not a picture, or has been deleted to make room for others.
    """
    check_header(path, limits)
    return read_channels(path)


def check_header(path: Path, limits: Limits) -> None:
    """Raise UserError for a file that `read` refuses before its pixels are decoded."""
    refuse_deleted(path)
    if path.stat().st_size > limits.upload_mb * 1e6:
        raise UserError(f"{path}: larger than {limits.upload_mb} MB; scale it down")
    header = read_header(path)
    refuse_animation(path, header.num_frames)
    refuse_large(path, header.width, header.height, max_pixels=limits.upload_megapixels * 1_000_000)


def without_pixels(width: int, height: int) -> Tensor:
    """Stand for a picture (3, height, width) of which only the size matters, without its memory."""
    return torch.empty(1).expand(3, height, width)


def refuse_deleted(path: Path) -> None:
    """Raise UserError if an upload is no longer there."""
    if not path.is_file():
        raise UserError(f"{path}: no longer here, because old uploads are deleted; choose it again")


class Comparison(NamedTuple):
    """A picture before and after an edit, for the browser."""

    before: Path
    after: Path
    part: str
    """The part that differs, as a value of the live preview."""


def compare(before: Path, after: Path, folder: Path) -> Comparison:
    """Write two pictures of equal size, scaled down for the browser, to `folder`, and find what differs."""
    # Both decoded alike: a JPEG that is scaled down while it is decoded differs everywhere.
    given, whole = decode_file(before), read_rgb(after)
    old = ScreenCopy(shrink_levels(rgb_bytes(given.levels), PREVIEW_SIDE), given.icc_profile)
    new = old._replace(levels=shrink_levels(whole, PREVIEW_SIDE))
    part = changed_part(
        old.levels,
        new.levels,
        lambda rows, columns: whole[rows, columns],
        whole.shape[:2],
        side=PART_SIDE,
        quality=QUALITY,
        icc_profile=old.icc_profile,
        is_result=True,
    )
    return Comparison(old.write(folder / "before.webp"), new.write(folder / "after.webp"), part)


def shrink(picture: Tensor) -> Tensor:
    """Scale (C, H, W) down to a longer side of at most PREVIEW_SIDE."""
    return shrink_to(picture, PREVIEW_SIDE)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Replace the path in errors by the file's name, which is all that the visitor knows."""
    try:
        yield
    except UserError as error:
        message = str(error).replace(str(path), path.name)
        raise UserError(message if path.name in message else f"{path.name}: {message}") from None


def _write(picture: Tensor, path: Path) -> Path:
    write_image(picture, path)
    return path
