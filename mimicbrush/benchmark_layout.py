"""File layout of the released MimicBrush benchmark: names of folders, pictures and texts.

A set is a folder of `<id>_source.png`, `<id>_source_mask.png`, `<id>_reference.png`, with `<id>_reference_mask.png` and
`prompts.json` ({id: text}; # signs mark the edited concept) where there are any. A source that is an animated PNG is a
clip; its mask has as many frames, or one for all. `groups.json` ({id: name}), which this project added, tells which
samples are not independent, for instance because they show one photograph: intervals are bootstrapped over groups.
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
"""The pictures of a sample, the last of which it may lack."""
PROMPTS = "prompts.json"
GROUPS = "groups.json"
UNFILLED = "FILL IN"
"""Beginning of a prompt that nobody has written yet, in the template that the builder leaves."""


def part_of(suffix: str) -> str:
    """`_source` for `_source.png`: the part of a sample, whatever the picture's format."""
    return suffix.removesuffix(".png")


PICTURE_NAME = re.compile(rf"(?P<id>[^.].*)(?P<part>{'|'.join(map(part_of, PARTS))})\.[^.]+")


def set_folder(benchmark: Path, task: Task, track: Track) -> Path:
    """Folder of a set in a benchmark's folder. Commands take any folder: the config says which set it is."""
    return benchmark / TASK_FOLDERS[task] / TRACK_FOLDERS[track]


def find_pictures(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Every id of which any picture is there, in whatever format: {id: {`_source`: files, ...}}, sorted by id."""
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        name = PICTURE_NAME.fullmatch(path.name)
        if name and path.suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(name["id"], {}).setdefault(name["part"], []).append(path)
    return dict(sorted(found.items()))


def is_filled(prompt: str) -> bool:
    """Whether somebody has written the prompt."""
    return bool(prompt.strip()) and not prompt.startswith(UNFILLED)


def read_texts(path: Path) -> dict[str, str]:
    """Read {id: text} from a sound file; empty where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
