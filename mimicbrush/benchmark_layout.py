"""File layout of the released MimicBrush benchmark: names of folders, pictures and texts.

A set is a folder with `<id>_source.png`, `<id>_source_mask.png` and `<id>_reference.png` for each sample, and
optionally `<id>_reference_mask.png` and `prompts.json` ({id: text}, with # signs around the edited concept). A source
that is an animated PNG is a clip; its mask has as many frames, or one for all. `groups.json` ({id: name}), an
addition of this project, groups samples that are not independent, for instance because they show one photograph:
intervals are bootstrapped over groups.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from mimicbrush.files import PICTURE_SUFFIXES

Task = Literal["texture", "parts"]
Track = Literal["inner_id", "inter_id"]

TASK_FOLDERS: dict[Task, str] = {"texture": "TextureTrans", "parts": "PartComp"}
TRACK_FOLDERS: dict[Track, str] = {"inner_id": "WithinInstance", "inter_id": "CrossInstance"}

SOURCE, MASK, REFERENCE = "_source.png", "_source_mask.png", "_reference.png"
REFERENCE_MASK = "_reference_mask.png"
PARTS = (SOURCE, MASK, REFERENCE, REFERENCE_MASK)
"""The pictures of a sample; the last one is optional."""
PROMPTS = "prompts.json"
GROUPS = "groups.json"
UNFILLED = "FILL IN"
"""Beginning of each prompt in the builder's template, to be replaced by the user."""


def part_of(suffix: str) -> str:
    """Name of a part of a sample without the format: `_source` for `_source.png`."""
    return suffix.removesuffix(".png")


PICTURE_NAME = re.compile(rf"(?P<id>[^.].*)(?P<part>{'|'.join(map(part_of, PARTS))})\.[^.]+")


def set_folder(benchmark: Path, task: Task, track: Track) -> Path:
    """Folder of a set inside a benchmark. Commands accept any folder; their config names the set."""
    return benchmark / TASK_FOLDERS[task] / TRACK_FOLDERS[track]


def find_pictures(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Find the pictures of all samples, in any format: {id: {`_source`: files, ...}}, sorted by id."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        name = PICTURE_NAME.fullmatch(path.name)
        if name and path.suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(name["id"], {}).setdefault(name["part"], []).append(path)
    return dict(sorted(found.items()))


def is_filled(prompt: str) -> bool:
    """Whether a prompt was filled in."""
    return bool(prompt.strip()) and not prompt.startswith(UNFILLED)


def read_texts(path: Path) -> dict[str, str]:
    """Read {id: text} from a valid file; empty if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
