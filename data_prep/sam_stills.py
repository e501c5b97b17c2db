"""Read stills with object masks in the layout of SA-1B: tars or folders of pictures, each with a JSON file."""

from __future__ import annotations

import json
import math
import tarfile
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.config import ObjectMaskConfig
from data_prep.input_files import check_file, find_files, readable_name, readable_text, require_stills, size_of
from data_prep.rle import decode_rle
from mimicbrush.errors import UnusableInput, UserError, first_line
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.metadata import ORIGIN_FIELDS
from mimicbrush.pictures.conversion import rgb_bytes
from mimicbrush.pictures.decoding import decode_bytes, turn_upright
from mimicbrush.pictures.headers import UnreadablePictureError, swaps_sides
from mimicbrush.pictures.mask_geometry import count_touched_sides

RATINGS = {"area": math.nan, "predicted_iou": 1.0, "stability_score": 1.0}
"""Ratings of a mask in its annotation, and the value that is assumed if one is missing."""


class Extent(NamedTuple):
    """A range of bytes in a file."""

    path: Path
    start: int
    size: int
    fault: str | None = None
    """Fault of the whole file, as `reason: detail`; None if there is none."""

    def read(self) -> bytes:
        """Read the bytes; raises UnusableInput if the file is faulty or ends too early."""
        if self.fault:
            raise UnusableInput(*self.fault.split(": ", 1))
        check_file(self.path)
        with self.path.open("rb") as file:
            file.seek(self.start)
            content = file.read(self.size)
        if len(content) != self.size:
            raise UnusableInput("truncated", f"{self.path.name} ends after {len(content)} of {self.size} bytes")
        return content


class StillFiles(NamedTuple):
    """Positions of a still's picture and annotations in files; None if one is missing."""

    picture: Extent | None
    annotations: Extent | None

    @property
    def size(self) -> int:
        """Size of both together, in bytes."""
        return sum(extent.size for extent in self if extent is not None)


class Still(NamedTuple):
    """A picture and masks of its objects."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    masks: list[NDArray[np.bool_]]
    """(H, W) each, one for each object."""
    facts: dict
    """Group, licence and URL of the picture, as far as the JSON file states them."""


def list_stills(path: Path) -> dict[str, StillFiles]:
    """List stills by name, sorted, in a tar, or in a folder of tars or pictures at any depth.

    In a truncated tar, the stills before its end are listed. Raises UserError if there are no stills.
    """
    require_stills(path)
    if path.is_file():
        members = _members_of_tar(path, path.name)
    else:
        members = {}
        for file in find_files(path):
            name = readable_name(file.relative_to(path))
            if file.suffix == ".tar":
                members |= _members_of_tar(file, name)
            elif file.is_dir():
                members[f"{name}.json"] = Extent(file, 0, 0)
            else:
                members[name] = Extent(file, 0, size_of(file))
    stills = _pair_files(members)
    if not stills:
        raise UserError(f"{path}: holds no still; expected SA-1B's layout, tars or folders of .jpg and .json")
    return stills


def _members_of_tar(path: Path, name: str) -> dict[str, Extent]:
    """List the members of a tar as {name/member: extent}; a faulty tar adds an entry with its fault, to be skipped."""
    members: dict[str, Extent] = {}
    fault = None if path.is_file() else "not_a_file: a pipe, a device, or a link that leads nowhere"
    try:
        if not fault:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    if member.isfile():
                        place = readable_name(Path(member.name.removeprefix("./")))
                        members[f"{name}/{place}"] = Extent(path, member.offset_data, member.size)
                fault = _fault_after(path, tar.offset)
    except tarfile.ReadError as error:
        fault = f"truncated: {error}" if members else f"not_a_tar: {error}"
    except (tarfile.TarError, EOFError, OSError) as error:
        fault = f"damaged_tar: {first_line(error)}"
    if fault:
        members[f"{name}.json"] = Extent(path, 0, size_of(path), fault)
    return members


def _fault_after(path: Path, end: int) -> str | None:
    """The fault of a tar with data after `end`: tarfile stops silently at an unreadable header or one of zeros."""
    left = path.stat().st_size - end
    with path.open("rb") as file:
        file.seek(end)
        is_padding = left <= tarfile.RECORDSIZE and not any(file.read(left))
    return None if is_padding else f"damaged_tar: {left} bytes behind byte {end} are no part of it"


def _pair_files(members: dict[str, Extent]) -> dict[str, StillFiles]:
    """Pair pictures and JSON files of the same name."""
    parts: dict[str, dict[str, Extent]] = defaultdict(dict)
    for name, extent in members.items():
        suffix = PurePosixPath(name).suffix.lower()
        kind = "picture" if suffix in PICTURE_SUFFIXES else "annotations" if suffix == ".json" else None
        if kind:
            parts[name[: -len(suffix)]][kind] = extent
    stills = {name: StillFiles(found.get("picture"), found.get("annotations")) for name, found in parts.items()}
    return dict(sorted(stills.items()))


def read_still(files: StillFiles, config: ObjectMaskConfig, generator: np.random.Generator) -> Still:
    """Decode a still, upright and on white, and a random choice of its good masks.

    Raises UnusableInput (truncated, missing_picture, missing_masks, bad_json, bad_picture, mask_size, bad_mask,
    no_good_mask).
    """
    if files.annotations is None:
        raise UnusableInput("missing_masks", "no JSON beside the picture")
    content = _parse(files.annotations.read())
    if files.picture is None:
        raise UnusableInput("missing_picture", "no picture beside the JSON")
    try:
        picture = decode_bytes(files.picture.read())
    except UnreadablePictureError as error:
        raise UnusableInput("bad_picture", first_line(error)) from None
    image, orientation = rgb_bytes(picture.levels), picture.orientation
    # COCO's masks belong to the pixels as stored, before EXIF orientation is applied.
    stored = image.shape[1::-1] if swaps_sides(orientation) else image.shape[:2]
    masks = [turn_upright(mask, orientation) for mask in _good_masks(content["annotations"], stored, config, generator)]
    facts = content["image"] if isinstance(content.get("image"), dict) else {}
    known = {name: facts.get(name) for name in ORIGIN_FIELDS}
    return Still(
        image, masks, {name: readable_text(fact) for name, fact in known.items() if fact and isinstance(fact, str)}
    )


def _parse(text: bytes) -> dict:
    """The content of a JSON file of annotations; raises UnusableInput if it is damaged or holds none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableInput("bad_json", first_line(error)) from None
    notes = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(notes, list) or not all(isinstance(note, dict) for note in notes):
        raise UnusableInput("bad_json", "no list `annotations` of objects")
    if not content["annotations"]:
        raise UnusableInput("missing_masks", "the list `annotations` is empty")
    return content


def _good_masks(
    annotations: list[dict], shape: tuple[int, int], config: ObjectMaskConfig, generator: np.random.Generator
) -> list[NDArray[np.bool_]]:
    """At most `masks_per_still` masks within the limits, decoded in random order until there are enough."""
    good = [note for note in annotations if _is_rated_well(note, shape, config)]
    masks: list[NDArray[np.bool_]] = []
    for index in generator.permutation(len(good)):
        mask = _decode(good[index], shape)
        if _is_within_limits(mask, config):
            masks.append(mask)
        if len(masks) == config.masks_per_still:
            break
    if not masks:
        raise UnusableInput("no_good_mask", f"none of {len(annotations)} masks passes the limits")
    return masks


def _is_rated_well(note: dict, shape: tuple[int, int], config: ObjectMaskConfig) -> bool:
    """Whether an annotation's numbers are within the limits; decoding a mask takes a thousand times longer."""
    try:
        area, iou, stability = (float(note.get(name, default)) for name, default in RATINGS.items())
    except (TypeError, ValueError) as error:
        raise UnusableInput("bad_json", f"area, predicted_iou and stability_score must be numbers: {error}") from None
    share = area / (shape[0] * shape[1])
    is_fit = (
        math.isnan(share) or config.min_area <= share <= config.max_area
    )  # without an area, the mask's pixels are counted
    return iou >= config.min_iou and stability >= config.min_stability and is_fit


def _decode(note: dict, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode the mask (H, W) of an annotation; raises UnusableInput if it is damaged or of another size."""
    coded = note.get("segmentation")
    if not isinstance(coded, dict) or not isinstance(coded.get("counts"), str) or "size" not in coded:
        raise UnusableInput("bad_mask", "expected a segmentation of compressed run lengths {size, counts}")
    if coded["size"] != list(shape):
        raise UnusableInput("mask_size", f"mask is {coded['size']}, picture is {list(shape)} (height, width)")
    try:
        return decode_rle(coded["counts"], *shape)
    except ValueError as error:
        raise UnusableInput("bad_mask", str(error)) from None


def _is_within_limits(mask: NDArray[np.bool_], config: ObjectMaskConfig) -> bool:
    is_fit = config.min_area <= mask.mean() <= config.max_area
    return is_fit and count_touched_sides(mask) <= config.max_borders
