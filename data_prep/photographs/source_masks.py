"""The object mask of a source: from its own file, its alpha, or the method that the config names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from data_prep.config import PhotographShardConfig
from data_prep.inputs.photograph_files import SourceFiles
from data_prep.photographs.photograph_reading import Photograph, read_photograph
from data_prep.records.work_units import slug
from mimicbrush.data.picture_limits import MAX_OBJECT_AREA, MIN_OBJECT_AREA
from mimicbrush.errors import UnusableInput
from mimicbrush.files import sha256
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import write_image
from mimicbrush.progress import progress_bar
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photograph_masks import (
    BoxMasker,
    FileMasker,
    GrabCutMasker,
    Masker,
    check_area,
    make_masker,
    read_mask_file,
)
from mimicbrush.segmentation.photographs import ScaledPhotograph
from mimicbrush.segmentation.prompt import Mask

GUESSING_FAULTS = frozenset({"grabcut_failed", "mask_empty", "mask_small", "mask_large"})
"""Reasons for which a mask that was found by a method is left out; other faults are those of a user's own file."""
SAM_FOLDER = ".masks"
"""Hidden folder of the output in which masks by SAM are kept."""


class SourceMask(NamedTuple):
    """The object mask of a source, or the reason why it has none."""

    mask: Mask | None
    origin: str
    """Where the mask comes from: `file`, `alpha`, or a method; `none`."""
    fault: str = ""
    """Why no mask is stored."""


def find_mask(files: SourceFiles, photograph: Photograph, config: PhotographMaskConfig, *, seed: int) -> SourceMask:
    """Find the mask of a source, of the photograph's size.

    A mask that training would not hide, because of its area, is left out with a fault. Raises UnusableInput for a
    user's own mask or box that is unsound.
    """
    picture = ScaledPhotograph(files.file, to_pil(photograph.image), photograph.full_size)
    if files.mask is not None:
        mask, origin = read_mask_file(files.mask, picture), "file"
        if not mask.any():
            raise UnusableInput("mask_empty", f"{files.mask.name} is empty; paint the object white")
    elif photograph.cut_out is not None:
        mask, origin = photograph.cut_out, "alpha"
    else:
        masker = _masker(files, config, seed)
        if masker is None or not masker.can_mask(files.file):
            return SourceMask(None, "none", "there is no mask, box or click for it")
        origin = config.method
        try:
            mask = masker.mask(picture)
            check_area(mask, config)
        except UnusableInput as error:
            if error.reason not in GUESSING_FAULTS:
                raise
            return SourceMask(None, "none", error.detail)
    share = float(mask.mean())
    if not MIN_OBJECT_AREA <= share <= MAX_OBJECT_AREA:
        limits = f"{MIN_OBJECT_AREA:.0%} to {MAX_OBJECT_AREA:.0%}"
        return SourceMask(None, "none", f"the mask covers {share:.1%}, but training hides objects of {limits}")
    return SourceMask(mask, origin)


def _masker(files: SourceFiles, config: PhotographMaskConfig, seed: int) -> Masker | None:
    """The masker of one source; None for SAM, whose masks are files by now."""
    regions = {files.file: files.region} if files.region else {}
    match config.method:
        case "files":
            return FileMasker(config.folder)
        case "box":
            return BoxMasker(regions)
        case "grabcut":
            return GrabCutMasker(regions, None if config.regions else config.central_box, config.iterations, seed)
    return None


def add_sam_masks(sources: Mapping[str, SourceFiles], config: PhotographShardConfig) -> dict[str, SourceFiles]:
    """Give each source with a box or clicks, and without a mask of its own, a mask by SAM, kept in the output.

    In this process, because the network fits neither into every worker nor into its limit of memory.
    Raises UserError if SAM's weights are missing.
    """
    wanted = {name: each for name, each in sources.items() if each.region and not each.mask and not each.fault}
    masker = make_masker(config.masks, {each.file for each in sources.values()}, seed=config.seed) if wanted else None
    found = dict(sources)
    for name, files in progress_bar(wanted.items(), total=len(wanted), desc="masks", unit="mask"):
        try:
            path = (
                config.output / SAM_FOLDER / f"{slug(f'{config.masks.sam} {files.region} {sha256(files.source)}')}.png"
            )
            if not path.is_file():
                photograph = read_photograph(files.source, short_side=max(config.short_side, 1024))
                picture = ScaledPhotograph(files.file, to_pil(photograph.image), photograph.full_size)
                mask = masker.mask(picture)
                check_area(mask, config.masks)
                write_image(to_pil(mask).resize(photograph.full_size), path)
            found[name] = replace(files, mask=path)
        except (UnusableInput, OSError):
            continue  # the worker names what is wrong with the picture; a source without a mask is noted
    return found
