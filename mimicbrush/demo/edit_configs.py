"""Parts of an edit's config, as on the command line, that every tab makes from the values on the page."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.number_fields import check_number_fields
from mimicbrush.demo.strokes import PaintedPicture, draw_mask
from mimicbrush.demo.uploads import MASK, PICTURE, check_header, named, read, without_pixels
from mimicbrush.errors import Faults, UserError
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.decoding import upright_size
from mimicbrush.pictures.edit_inputs import as_mask
from mimicbrush.pictures.writing import write_image


def checked_settings(
    config: DemoConfig,
    folder: Path,
    source: PaintedPicture | None,
    settings: dict[str, object],
    faults: Faults,
    *,
    needs_mask: bool = True,
    to_paint: str = "what should change",
) -> dict[str, object]:
    """Check the settings, and add source, mask and output in `folder`; raises UserError with `faults` and others.

    needs_mask: whether something has to be painted; otherwise the mask is None where nothing is. to_paint: the part
    that has to be painted, in words.
    """
    found = Faults()
    found.check(source is not None, f"no picture yet; choose one, then paint over {to_paint}")
    with found.collect():
        mask = source and (_checked_mask(source, config, to_paint) if needs_mask else painted_mask(source, config))
    found.found += faults.found
    with found.collect():
        settings = check_number_fields(settings, config.limits)
    found.refuse()
    if mask is not None:
        write_image(mask, folder / "mask.png")
    copied, painted = copy_picture(source, folder, "source"), mask and folder / "mask.png"
    given = {"source": copied, "mask": painted, "output": folder / "result.png"}
    if math.prod(upright_size(copied)) > 1e6 * config.limits.megapixels:
        given["max_megapixels"] = float(config.limits.megapixels)
    return given | settings


def chosen_editor(config: DemoConfig, kind: str) -> dict[str, object]:
    """Fields for the editor that the page was started with for a kind of edit; empty for the default editor."""
    spec = config.editors.get(kind)
    return {"editor": spec["class_path"], "init_args": spec.get("init_args", {})} if spec else {}


def _checked_mask(source: PaintedPicture, config: DemoConfig, to_paint: str) -> Image.Image:
    """Draw the mask like `painted_mask`; raises UserError if nothing or all of the picture is painted."""
    mask = painted_mask(source, config)
    if mask is None:
        raise UserError(f"nothing is painted yet; paint over {to_paint}")
    if mask.getextrema() == (255, 255):
        raise UserError("all of the picture is painted over; erase the parts that should not change")
    return mask


def painted_mask(source: PaintedPicture, config: DemoConfig) -> Image.Image | None:
    """Draw the mask in black and white, in the size of the upright picture; None if nothing is painted."""
    with named(source.picture):
        check_header(source.picture, config.limits)
        size = upright_size(source.picture)
    start = None
    if source.mask is not None:
        with named(source.mask):
            given = read(source.mask, config.limits)
            start = to_pil(as_mask(given, without_pixels(*size), name=MASK, of=PICTURE))
    mask = draw_mask(source.strokes, size, start)
    return mask if mask.getextrema()[1] else None


def copy_picture(painting: PaintedPicture, folder: Path, name: str) -> Path:
    """Copy an upload into the folder of an edit, byte for byte."""
    suffix = painting.picture.suffix.lower()
    return Path(shutil.copyfile(painting.picture, folder / f"{name}{suffix}"))


def prompt_lines(text: str | None) -> list[str] | str | None:
    """Split a text into its lines; a single one is no list, and without any there is no prompt.

    Browsers send None for a field that was never touched.
    """
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else lines or None
