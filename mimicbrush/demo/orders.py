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
from mimicbrush.edit.common_config import MaskedEditConfig
from mimicbrush.edit.config import EditConfig, LoadConfig, TextEditConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import SHIPPED
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.edit_inputs import as_mask, as_source
from mimicbrush.pictures.writing import write_image

HOW_TO_REPLAY = """In this folder, with {needs} that the page was started with:

python -m mimicbrush.edit {loading}--replay {result} --output again.png
"""


def order(
    config: DemoConfig, folder: Path, source: Painting | None, references: Sequence[Painting], **settings: object
) -> EditConfig:
    """An edit by references whose pictures lie in `folder`, the uploaded ones byte for byte.

    settings: fields of EditConfig that the visitor set; the others are the page's. Raises UserError where something is
    missing or beyond the page's limits.
    """
    faults = Faults()
    faults.check(bool(references), "no reference yet; choose a picture that shows what should be there instead")
    settings = _checked(config, folder, source, settings, faults)
    page = _editor(config, "reference")
    if not page:
        page = {each.name: getattr(config, each.name) for each in fields(LoadConfig)} | vars(config.settings)
    return EditConfig(**(page | _copied(references, folder) | settings))


def order_by_text(config: DemoConfig, folder: Path, source: Painting | None, **settings: object) -> TextEditConfig:
    """An edit by a sentence, as `order`; settings: fields of TextEditConfig that the visitor set."""
    faults = Faults()
    faults.check(bool(settings["prompt"].strip()), "no sentence yet; say what should be there instead")
    settings = _checked(config, folder, source, settings, faults)
    return TextEditConfig(**(_editor(config, "text") | settings))


def _checked(
    config: DemoConfig, folder: Path, source: Painting | None, settings: dict[str, object], faults: Faults
) -> dict[str, object]:
    """The settings, with source, mask and output in `folder`; raises UserError with `faults` and what else is wrong."""
    found = Faults()
    found.check(source is not None, "no picture yet; choose one, then paint over what should change")
    with found.collect():
        mask = source and _checked_mask(source, config)
    found.found += faults.found
    with found.collect():
        settings = check_numbers(settings, config.limits)
    found.refuse()
    write_image(mask, folder / "mask.png")
    pictures = {"source": _copy(source, folder, "source"), "mask": folder / "mask.png", "output": folder / "result.png"}
    return pictures | settings


def _editor(config: DemoConfig, kind: str) -> dict[str, object]:
    """The editor that the page was started with for a kind of edit; empty for the default."""
    spec = config.editors.get(kind)
    return {"editor": spec["class_path"], "init_args": spec.get("init_args", {})} if spec else {}


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


def bundle(edit: MaskedEditConfig) -> Path:
    """Write a zip beside the results, with their layers and all that is needed to make them again."""
    path = edit.output.with_name("edit.zip")
    needs, loading = _loading(edit)
    replay = HOW_TO_REPLAY.format(needs=needs, loading=loading, result=edit.outputs[0].name)
    results = sorted(edit.output.parent.glob(f"{edit.output.stem}*{edit.output.suffix}"))
    with zipfile.ZipFile(path, "w") as archive:
        for picture in (edit.source, edit.mask, *edit.references, *results):
            archive.write(picture, f"edit/{picture.name}")
        archive.writestr("edit/replay.txt", replay)
    return path


def _loading(edit: MaskedEditConfig) -> tuple[str, str]:
    """What the record leaves out, in words and as options: where a server's files lie is not a visitor's business."""
    if edit.editor is not None:
        return ("the arguments of the editor", "--init_args ARGUMENTS ") if edit.init_args else ("the editor", "")
    weights = edit.weights if edit.weights.startswith(SHIPPED) else "WEIGHTS"
    return "the weights", f"--weights {weights} --lora LORA " if edit.lora else f"--weights {weights} "


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
