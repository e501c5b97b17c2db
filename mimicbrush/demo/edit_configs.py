"""The config of an edit, as on the command line, from the values that a visitor set on the page."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.number_fields import check_number_fields
from mimicbrush.demo.strokes import PaintedPicture, crop_box, draw_mask
from mimicbrush.demo.uploads import MASK, PICTURE, named, read
from mimicbrush.edit.config import EditConfig, LoadConfig, TextEditConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.edit_inputs import as_mask, as_source
from mimicbrush.pictures.writing import write_image


def reference_edit_config(
    config: DemoConfig,
    folder: Path,
    source: PaintedPicture | None,
    references: Sequence[PaintedPicture],
    **settings: object,
) -> EditConfig:
    """Make the config of an edit from references. Uploaded pictures are copied to `folder`, byte for byte.

    settings: fields of EditConfig that the visitor set; the others come from the page's config. Raises UserError if
    something is missing or beyond the page's limits.
    """
    faults = Faults()
    faults.check(bool(references), "no reference yet; choose a picture that shows what should be there instead")
    settings = _checked(config, folder, source, settings, faults)
    page = _editor(config, "reference")
    if not page:
        page = {each.name: getattr(config, each.name) for each in fields(LoadConfig)} | vars(config.settings)
    return EditConfig(**(page | _copied(references, folder) | settings))


def text_edit_config(
    config: DemoConfig, folder: Path, source: PaintedPicture | None, **settings: object
) -> TextEditConfig:
    """Make the config of an edit from a text prompt, like `reference_edit_config`.

    settings: fields of TextEditConfig that the visitor set.
    """
    faults = Faults()
    faults.check(bool(settings["prompt"].strip()), "no prompt yet; describe what should be there instead")
    settings = _checked(config, folder, source, settings, faults)
    return TextEditConfig(**(_editor(config, "text") | settings))


def _checked(
    config: DemoConfig, folder: Path, source: PaintedPicture | None, settings: dict[str, object], faults: Faults
) -> dict[str, object]:
    """Check the settings, and add source, mask and output in `folder`; raises UserError with `faults` and others."""
    found = Faults()
    found.check(source is not None, "no picture yet; choose one, then paint over what should change")
    with found.collect():
        mask = source and _checked_mask(source, config)
    found.found += faults.found
    with found.collect():
        settings = check_number_fields(settings, config.limits)
    found.refuse()
    write_image(mask, folder / "mask.png")
    pictures = {"source": _copy(source, folder, "source"), "mask": folder / "mask.png", "output": folder / "result.png"}
    return pictures | settings


def _editor(config: DemoConfig, kind: str) -> dict[str, object]:
    """Fields for the editor that the page was started with for a kind of edit; empty for the default editor."""
    spec = config.editors.get(kind)
    return {"editor": spec["class_path"], "init_args": spec.get("init_args", {})} if spec else {}


def _checked_mask(source: PaintedPicture, config: DemoConfig) -> Image.Image:
    """Draw the mask like `painted_mask`; raises UserError if nothing or all of the picture is painted."""
    mask = painted_mask(source, config)
    if mask is None:
        raise UserError("nothing is painted yet; paint over what should change")
    if mask.getextrema() == (255, 255):
        raise UserError("all of the picture is painted over; erase the parts that should not change")
    return mask


def painted_mask(source: PaintedPicture, config: DemoConfig) -> Image.Image | None:
    """Draw the mask in black and white, in the size of the upright picture; None if nothing is painted."""
    with named(source.picture):
        pixels = as_source(read(source.picture, config.limits), name=PICTURE).pixels
    start = None
    if source.mask is not None:
        with named(source.mask):
            start = to_pil(as_mask(read(source.mask, config.limits), pixels, name=MASK, of=PICTURE))
    mask = draw_mask(source.strokes, (pixels.shape[2], pixels.shape[1]), start)
    return mask if mask.getextrema()[1] else None


def _copied(references: Sequence[PaintedPicture], folder: Path) -> dict:
    """Copy the references; return fields for pictures and boxes, which for one reference are not lists."""
    names = ["reference", *(f"reference-{number}" for number in range(2, len(references) + 1))]
    paths = [_copy(reference, folder, name) for reference, name in zip(references, names, strict=True)]
    boxes = [crop_box(reference.strokes, reference.size) if reference.size else None for reference in references]
    if len(paths) == 1:
        return {"reference": paths[0], "reference_box": boxes[0]}
    return {"reference": paths, "reference_box": boxes if any(boxes) else None}


def _copy(painting: PaintedPicture, folder: Path, name: str) -> Path:
    suffix = painting.picture.suffix.lower()
    return Path(shutil.copyfile(painting.picture, folder / f"{name}{suffix}"))
