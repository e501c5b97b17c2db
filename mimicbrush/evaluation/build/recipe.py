"""The recipe of a built set: all that others need, besides the photographs, to rebuild it byte for byte.

It names each photograph by file name and checksum, says where its mask comes from (box, clicks, seed), and holds the
masks themselves, in black and white: a mask by SAM, by another version of OpenCV, or by hand could not be made
again. It holds no picture, and no path of the machine on which the set was built.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from mimicbrush.benchmark_layout import GROUPS, MASK, PARTS, PROMPTS, REFERENCE_MASK, ReleasedTrack, read_texts
from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.config import SizeConfig
from mimicbrush.evaluation.build.triplets import PACKAGES, TripletRecord
from mimicbrush.evaluation.config import FOLDER_NAME, BenchmarkSet
from mimicbrush.files import installed_versions, read_object, sha256, write_json
from mimicbrush.pictures.reading import decode_mask, read_mask
from mimicbrush.pictures.writing import encode_png
from mimicbrush.segmentation.prompt import Mask

RECIPE = "recipe.json"
FIELDS = ("task", "track", "size", "triplets", "masks", "files", "versions")


def write_recipe(benchmark: BenchmarkSet, triplets: Sequence[TripletRecord], size: SizeConfig) -> Path:
    """Write the recipe of a finished set into its folder, and return its path."""
    folder = benchmark.folder
    prompts = read_texts(folder / PROMPTS)
    names = [f"{each.id}{part}" for each in triplets for part in PARTS]
    texts = [name for name in (GROUPS, PROMPTS) if (folder / name).is_file()]
    recipe = {
        "task": benchmark.task,
        "track": benchmark.track,
        "size": asdict(size),
        "triplets": [{**asdict(each), "prompt": prompts.get(each.id)} for each in triplets],
        "masks": {name: pack_mask(folder / name) for name in names if name.endswith((MASK, REFERENCE_MASK))},
        "files": {name: sha256(folder / name) for name in (*names, *texts)},
        "versions": installed_versions(PACKAGES),
    }
    write_json(recipe, folder / RECIPE)
    return folder / RECIPE


def read_recipe(path: Path) -> dict:
    """Read a recipe; raises UserError if it is damaged, or names files outside the set's folder."""
    try:
        recipe = read_object(path, *FIELDS)
        is_sound = _is_sound(recipe)
    except (TypeError, KeyError, ValueError, AttributeError):
        is_sound = False
    if not is_sound:
        raise UserError(f"{path}: damaged, or not the {RECIPE} of a built set; get it again")
    return recipe


def _is_sound(recipe: Mapping) -> bool:
    """Whether every field has its type, and all files are those of triplets; may raise instead.

    Recipes come from other people, so that no file outside the set's folder may be read or written.
    """
    SizeConfig(**recipe["size"])
    BenchmarkSet(folder=Path(), task=recipe["task"], track=recipe["track"])
    triplets = [TripletRecord(**each) for each in recipe["triplets"]]
    sides = [side for each in triplets for side in (each.source, each.reference)]
    texts = [*(side[name] for side in sides for name in ("file", "sha256")), *recipe["masks"].values()]
    names = {f"{each.id}{part}" for each in triplets for part in PARTS}
    return (
        recipe["track"] in get_args(ReleasedTrack)
        and all(isinstance(text, str) for text in [*texts, *(each.group for each in triplets)])
        and all(FOLDER_NAME.fullmatch(each.id) for each in triplets)
        and recipe["files"].keys() <= names | {GROUPS, PROMPTS}
    )


def pack_mask(path: Path) -> str:
    """Pack a mask's picture, black and white, as the text of a PNG in base 64."""
    return base64.b64encode(encode_png(read_mask(path)[0].numpy() > 0.5)).decode()


def unpack_mask(text: str) -> Mask:
    """Unpack a mask (H, W) of bool; raises ValueError if it is damaged."""
    return decode_mask(base64.b64decode(text, validate=True))
