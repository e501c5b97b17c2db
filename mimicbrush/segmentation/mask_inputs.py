"""Checks of photographs and of the inputs of their masks that need neither torch nor OpenCV."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.errors import Faults, UserError
from mimicbrush.segmentation.config import PhotographMaskConfig

EXPECTED_REGIONS = (
    "expected a CSV with columns file and x0, y0, x1, y1 (a box) or x, y[, label] (a click), or a JSON object"
)


def require_photographs(folder: Path) -> None:
    """Raise UserError if the folder is missing."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of photographs")


def require_regions(path: Path) -> None:
    """Raise UserError if the file is missing."""
    if not path.is_file():
        raise UserError(f"{path}: no such file of boxes or clicks; {EXPECTED_REGIONS}")


def require_mask_inputs(config: PhotographMaskConfig) -> None:
    """Raise UserError if the folder of masks, or the file of boxes and clicks, is missing."""
    faults = Faults()
    if config.method == "files":
        fault = f"{config.folder}: no such folder of masks; expected PNG files named as the photographs"
        faults.check(config.folder.is_dir(), fault)
    if config.regions:
        with faults.collect():
            require_regions(config.regions)
    faults.refuse()
