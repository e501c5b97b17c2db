"""Uploaded pictures: checked, refused in one sentence, and scaled down for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from mimicbrush.demo.config import Limits
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.errors import UserError
from mimicbrush.pictures.edit_inputs import as_edit_mask, as_source, cut_reference
from mimicbrush.pictures.geometry import resize, shrink_to
from mimicbrush.pictures.headers import read_header, refuse_animation, refuse_large
from mimicbrush.pictures.reading import read_channels, read_image
from mimicbrush.pictures.writing import write_image

PREVIEW_SIDE = 1280
"""Longer side of pictures in the browser, in pixels."""
MAX_ASPECT = 24
"""Largest ratio of the longer to the shorter side, which is then a dozen pixels on a phone."""

SAME_SHAPE = 0.02
"""Largest relative difference between two ratios of width to height that count as equal: those of rounded sizes."""

PICTURE, MASK, REFERENCE = "the picture", "the mask", "the reference"
"""Names in messages: a visitor sees no names of parameters."""


def accept(painting: PaintedPicture, limits: Limits, folder: Path, *, is_reference: bool = False) -> PaintedPicture:
    """Check an upload; add its size, and previews in `folder`. Raises UserError if it cannot be used for an edit."""
    with named(painting.picture):
        image = read(painting.picture, limits)
        source = as_source(image, name=REFERENCE if is_reference else PICTURE)
        if is_reference:
            cut_reference(image, box=None, mask=None, name=REFERENCE)
    width, height = source.pixels.shape[2], source.pixels.shape[1]
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UserError(
            f"{painting.picture.name}: {width} x {height} pixels, too narrow to be painted on; expected a longer side"
            f" of at most {MAX_ASPECT} times the shorter; cut out the part that matters"
        )
    accepted = replace(
        painting,
        size=(width, height),
        previews={"picture": _write(shrink(source.picture), folder / "picture.png")},
    )
    if painting.mask is None:
        return accepted
    with named(painting.mask):
        given = read(painting.mask, limits)
        fitted = _scaled_mask(given, width, height)
        mask = as_edit_mask(fitted, source.pixels, name=MASK, of=PICTURE)
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
    refuse_deleted(path)
    if path.stat().st_size > limits.upload_mb * 1e6:
        raise UserError(f"{path}: larger than {limits.upload_mb} MB; scale it down")
    header = read_header(path)
    refuse_animation(path, header.num_frames)
    refuse_large(path, header.width, header.height, max_pixels=limits.megapixels * 1_000_000)
    return read_channels(path)


def refuse_deleted(path: Path) -> None:
    """Raise UserError if an upload is no longer there."""
    if not path.is_file():
        raise UserError(f"{path}: no longer here, because old uploads are deleted; choose it again")


def compare(before: Path, after: Path, folder: Path) -> tuple[Path, Path]:
    """Write two pictures of equal size, scaled down for the browser, to `folder`."""
    return tuple(
        _write(shrink(read_image(path)), folder / f"{name}.png")
        for name, path in (("before", before), ("after", after))
    )


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
