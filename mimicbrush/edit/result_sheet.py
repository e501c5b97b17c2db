"""The contact sheet beside an edit's results."""

from __future__ import annotations

from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_channels
from mimicbrush.pictures.writing import write_image
from mimicbrush.reports.contact_sheet import contact_sheet, square_rows

SIDE = 384
"""Pixels of the square into which each picture is scaled."""


def write_sheet(config: EditConfig, inputs: Inputs) -> None:
    """Show the source, the masks, the references, the part that a box or mask crops from each, and results by seed."""
    labelled = [("source", to_pil(inputs.source.picture))]
    masks = {"mask": inputs.mask, "may change": inputs.edit_mask}
    labelled += [(name, to_pil(mask)) for name, mask in masks.items() if mask is not None]
    for path, box, mask, seen in zip(
        config.references, config.boxes, config.reference_masks, inputs.references, strict=True
    ):
        labelled.append(("reference", to_pil(read_channels(path))))
        if box or mask:
            labelled.append(("reference, cropped", to_pil(seen)))
    results = zip(config.seeds, config.outputs, strict=True)
    labelled += [(f"seed {seed}", to_pil(read_channels(path))) for seed, path in results]
    write_image(contact_sheet(square_rows(labelled), side=SIDE), config.sheet)
