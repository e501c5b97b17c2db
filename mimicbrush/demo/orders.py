"""From what a visitor set on the page to an edit of the shell's kind, and to what is downloaded of it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.numbers import check_numbers
from mimicbrush.demo.painting import Painting, crop_box, draw_mask
from mimicbrush.demo.uploads import MASK, PICTURE, named, read
from mimicbrush.edit.config import EditConfig, LoadConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import SHIPPED
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.edit_inputs import as_mask, as_source
from mimicbrush.pictures.writing import write_image

HOW_TO_REPLAY = """In this folder, with the weights that the page was started with:

python -m mimicbrush.edit --weights {weights} --replay {result} --output again.png
"""


def order(
    config: DemoConfig, folder: Path, source: Painting | None, references: Sequence[Painting], **settings: object
) -> EditConfig:
    """An edit whose pictures lie in `folder`, the uploaded ones byte for byte.

    settings: fields of EditConfig that the visitor set; the others are the page's. Raises UserError where something is
    missing or beyond the page's limits.
    """
    faults = Faults()
    faults.check(source is not None, "no picture yet; choose one, then paint over what should change")
    with faults.collect():
        mask = source and _checked_mask(source, config)
    faults.check(bool(references), "no reference yet; choose a picture that shows what should be there instead")
    with faults.collect():
        settings = check_numbers(settings, config.limits)
    faults.refuse()
    write_image(mask, folder / "mask.png")
    loading = {each.name: getattr(config, each.name) for each in fields(LoadConfig)}
    pictures = {
        "source": _copy(source, folder, "source"),
        "mask": folder / "mask.png",
        "output": folder / "result.png",
    } | _copied(references, folder)
    return EditConfig(**loading, **pictures, **(vars(config.settings) | settings))


def _checked_mask(source: Painting, config: DemoConfig) -> Image.Image:
    """As `mask_of`; raises UserError where nothing or all of the picture is painted."""
    mask = mask_of(source, config)
    if mask is None:
        raise UserError("nothing is painted yet; paint over what should change")
    if mask.getextrema() == (255, 255):
        raise UserError("all of the picture is painted over; erase where it should stay as it is")
    return mask


def mask_of(source: Painting, config: DemoConfig) -> Image.Image | None:
    """Black and white, of the upright picture's own size; None where nothing is painted."""
    with named(source.picture):
        pixels = as_source(read(source.picture, config.limits), name=PICTURE).pixels
    start = None
    if source.mask is not None:
        with named(source.mask):
            start = to_pil(as_mask(read(source.mask, config.limits), pixels, name=MASK, of=PICTURE))
    mask = draw_mask(source.strokes, (pixels.shape[2], pixels.shape[1]), start)
    return mask if mask.getextrema()[1] else None


def bundle(edit: EditConfig) -> Path:
    """A zip beside the results, with all that is needed to make them again."""
    path = edit.output.with_name("edit.zip")
    # Where a server's weights lie is not a visitor's business.
    weights = edit.weights if edit.weights.startswith(SHIPPED) else "WEIGHTS"
    loaded = f"{weights} --lora LORA" if edit.lora else weights
    replay = HOW_TO_REPLAY.format(weights=loaded, result=edit.outputs[0].name)
    with zipfile.ZipFile(path, "w") as archive:
        for picture in (edit.source, edit.mask, *edit.references, *edit.outputs):
            archive.write(picture, f"edit/{picture.name}")
        archive.writestr("edit/replay.txt", replay)
    return path


def _copied(references: Sequence[Painting], folder: Path) -> dict:
    """Pictures and boxes as the shell is told them: a single one is no list."""
    names = ["reference", *(f"reference-{number}" for number in range(2, len(references) + 1))]
    paths = [_copy(reference, folder, name) for reference, name in zip(references, names, strict=True)]
    boxes = [crop_box(reference.strokes, reference.size) if reference.size else None for reference in references]
    if len(paths) == 1:
        return {"reference": paths[0], "reference_box": boxes[0]}
    return {"reference": paths, "reference_box": boxes if any(boxes) else None}


def _copy(painting: Painting, folder: Path, name: str) -> Path:
    suffix = painting.picture.suffix.lower()
    return Path(shutil.copyfile(painting.picture, folder / f"{name}{suffix}"))
