"""The object mask of a source: from its own file, its alpha, or the method that the config names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
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
from mimicbrush.segmentation.grabcut import resize_mask
from mimicbrush.segmentation.photograph_masks import (
    Masker,
    check_area,
    make_masker,
    masker_of_regions,
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
        mask, origin = read_mask_file(files.mask, picture), files.mask_origin
        if not mask.any():
            raise UnusableInput("mask_empty", f"{files.mask.name} is empty; paint the object white")
    elif photograph.cut_out is not None:
        mask, origin = photograph.cut_out, "alpha"
    else:
        regions = {files.file: files.region} if files.region else {}
        # SAM's masks were written to files before the workers started.
        masker = None if config.method == "sam" else masker_of_regions(config, regions, seed=seed)
        if masker is None or not masker.can_mask(files.file):
            return SourceMask(None, "none", files.mask_fault or "there is no mask, box or click for it")
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


def add_sam_masks(sources: Mapping[str, SourceFiles], config: PhotographShardConfig) -> dict[str, SourceFiles]:
    """Give each source with a box or clicks, and with neither a mask nor alpha, a mask by SAM, kept in the output.

    In this process, because the network fits neither into every worker nor into its limit of memory.
    Raises UserError if SAM's weights are missing.
    """
    wanted = {name: each for name, each in sources.items() if each.region and not each.mask and not each.fault}
    masker = make_masker(config.masks, {each.file for each in sources.values()}, seed=config.seed) if wanted else None
    found = dict(sources)
    for name, files in progress_bar(wanted.items(), total=len(wanted), desc="masks", unit="mask"):
        try:
            found[name] = replace(files, mask=_mask_by_sam(files, masker, config), mask_origin="sam")
        except UnusableInput as error:
            is_guess = error.reason in GUESSING_FAULTS
            fault = {"mask_fault": error.detail} if is_guess else {"fault": f"{error.reason}: {error.detail}"}
            found[name] = replace(files, **fault)
        except OSError:
            continue  # the worker names what is wrong with the file
    return found


def _mask_by_sam(files: SourceFiles, masker: Masker, config: PhotographShardConfig) -> Path | None:
    """The file of a source's mask by SAM, which is made if needed; None if the source has alpha."""
    path = config.output / SAM_FOLDER / f"{slug(f'{config.masks.sam} {files.region} {sha256(files.source)}')}.png"
    if not path.is_file():
        photograph = read_photograph(files.source, short_side=max(config.short_side, 1024))
        if photograph.cut_out is not None:
            return None
        mask = masker.mask(ScaledPhotograph(files.file, to_pil(photograph.image), photograph.full_size))
        check_area(mask, config.masks)
        write_image(to_pil(resize_mask(mask, photograph.full_size)), path)
    return path
