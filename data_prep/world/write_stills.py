"""Write captioned stills: pictures with masks in the layout of SA-1B, and a table of captions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.stills.sam_annotations import describe_still
from mimicbrush.files import whole, write_json, write_text
from mimicbrush.pictures.writing import encode_jpeg
from mimicbrush.world.renderer.materials import Material
from mimicbrush.world.renderer.render import render
from mimicbrush.world.sets.draws import DrawnStill, draw_still
from mimicbrush.world.sets.edits import to_8_bits
from mimicbrush.world.sets.splits import MATERIALS, training_with

CAPTIONS = "captions.csv"
QUALITY = 95
"""Quality of the JPEGs."""


def still_path(folder: Path, number: int) -> Path:
    """Path of a still; the JSON file of its mask is written last."""
    return folder / f"still_{number:06d}.jpg"


def is_still_written(folder: Path, number: int) -> bool:
    """Whether a still is complete."""
    return still_path(folder, number).with_suffix(".json").is_file()


def draw_training_still(number: int, *, seed: int, textures: Mapping[str, Material]) -> DrawnStill:
    """Draw a still for training; textures: materials of a user's pictures, by name."""
    return draw_still(number, seed=seed, combinations=training_with(textures), materials=MATERIALS | textures)


def write_stills(
    numbers: Sequence[int], *, folder: Path, size: int, seed: int, textures: Mapping[str, Material]
) -> int:
    """Render and write stills; returns their number."""
    for number in numbers:
        path = still_path(folder, number)
        rendered = render(draw_training_still(number, seed=seed, textures=textures).scene, size)
        with whole(path) as partial:
            partial.write_bytes(encode_jpeg(to_8_bits(rendered.picture), quality=QUALITY))
        write_json(describe_still(path.name, number, [(rendered.mask >= 0.5, 1.0)]), path.with_suffix(".json"))
    return len(numbers)


def write_still_captions(folder: Path, num: int, *, seed: int, textures: Mapping[str, Material]) -> None:
    """Write `captions.csv` with the columns file, caption, object, material and background."""
    drawn = [draw_training_still(number, seed=seed, textures=textures) for number in range(num)]
    rows = ((still_path(folder, number).name, each.caption, *each.description) for number, each in enumerate(drawn))
    write_table(folder / CAPTIONS, ("file", "caption", "object", "material", "background"), rows)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(text.getvalue(), path)
