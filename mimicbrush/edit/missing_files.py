"""Files that an edit needs and that are not there, found before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mimicbrush.errors import Faults
from mimicbrush.hub import is_local
from mimicbrush.model.weights.find import find_weights

if TYPE_CHECKING:
    from mimicbrush.edit.config import EditConfig


def refuse_missing_files(config: EditConfig) -> None:
    """Raise UserError, naming all of them, where pictures, the CSV of a batch or local weights are missing."""
    faults = Faults()
    if config.batch is None:
        faults.found += missing_pictures(config.pictures)
    elif not config.batch.is_file():
        faults.check(False, f"{config.batch}: not a readable CSV (no such file)")
    if is_local(config.weights):
        with faults.collect():
            find_weights(config.weights)
    faults.refuse()


def missing_pictures(given: Mapping[str, object]) -> list[str]:
    """Name each picture that a row or a command line gives, and that is not there."""
    options = ("source", "mask", "reference", "reference_mask")
    listed = {option: given.get(option) for option in options}
    listed = {option: paths if isinstance(paths, list) else [paths] for option, paths in listed.items()}
    return [
        f"{option} {path}: no such picture"
        for option, paths in listed.items()
        for path in paths
        if path is not None and not path.is_file()
    ]
