"""File layout of benchmark sets: names of folders, pictures and texts.

A set of the released MimicBrush benchmark is a folder with `<id>_source.png`, `<id>_source_mask.png` and
`<id>_reference.png` for each sample, and optionally `<id>_reference_mask.png` and `prompts.json` ({id: text}, with #
signs around the edited concept). A source that is an animated PNG is a clip; its mask has as many frames, or one for
all. `groups.json` ({id: name}), an addition of this project, groups samples that are not independent, for instance
because they show one photograph: intervals are bootstrapped over groups.

A set with a truth (track `truth`) knows the true result of every edit. To the files above it adds

- `<id>_truth.png`: the true result, with as many frames as the source;
- `<id>_truth_mask.png`: the true object, the edited thing in the truth;
- `<id>_object_mask.png` (optional): the object in the source, before the edit;
- `<id>_flow.npz` (`mimicbrush.flow.flow_files`): for motion the flow that is asked for, on the source's grid, zero
  outside the object; for video the truth's exact flow from each frame to the next;
- `samples.json`: {id: fields of `SampleFacts`}, which holds the prompts as well, so there is no `prompts.json`.

Its `<id>_source_mask.png` covers every pixel that the true edit changes. Tasks without a reference have no
`<id>_reference.png`.

A set of clips (track `clips`, task `video`) has no truth: `<id>_source.png` is an animated PNG, `<id>_reference.png`
the target picture, both masks are optional, and `clips.json` ({id: fields of `ClipFacts`}) holds prompts and frame
rates.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.files import PICTURE_SUFFIXES

ReleasedTask = Literal["texture", "parts"]
Task = Literal["texture", "parts", "text", "motion", "video"]
ReleasedTrack = Literal["inner_id", "inter_id"]
Track = Literal["inner_id", "inter_id", "truth", "clips"]
Scoring = Literal["exact", "stochastic"]
"""exact: the truth is determined to the pixel; stochastic: its material differs at each drawing, so that only colours
and names can be compared."""
Vocabulary = Literal["seen", "unseen"]
"""Whether the words and shapes of a sample occur in the training of the networks that are judged."""

TASK_FOLDERS: dict[ReleasedTask, str] = {"texture": "TextureTrans", "parts": "PartComp"}
TRACK_FOLDERS: dict[ReleasedTrack, str] = {"inner_id": "WithinInstance", "inter_id": "CrossInstance"}

SOURCE, MASK, REFERENCE = "_source.png", "_source_mask.png", "_reference.png"
REFERENCE_MASK = "_reference_mask.png"
PARTS = (SOURCE, MASK, REFERENCE, REFERENCE_MASK)
"""The pictures of a sample of a released set; the last one is optional."""
TRUTH, TRUTH_MASK, OBJECT_MASK = "_truth.png", "_truth_mask.png", "_object_mask.png"
OPTIONAL_PICTURES = frozenset({REFERENCE_MASK, OBJECT_MASK})
FLOW = "_flow.npz"
SAMPLES = "samples.json"
CLIPS = "clips.json"
TASKS_WITH_REFERENCE: frozenset[Task] = frozenset({"texture", "parts", "video"})
TASKS_WITH_FLOW: frozenset[Task] = frozenset({"motion", "video"})
NEEDED_FACTS: dict[Task, frozenset[str]] = {
    "texture": frozenset(),
    "parts": frozenset(),
    "text": frozenset({"prompt"}),
    "motion": frozenset(),
    "video": frozenset({"prompt", "source_prompt", "fps"}),
}
"""Fields of `SampleFacts` that a sample of a task must have, besides those without a default."""
PROMPTS = "prompts.json"
GROUPS = "groups.json"
UNFILLED = "FILL IN"
"""Beginning of each prompt in the builder's template, to be replaced by the user."""


def part_of(suffix: str) -> str:
    """Name of a part of a sample without the format: `_source` for `_source.png`."""
    return suffix.removesuffix(".png")


@dataclass(frozen=True, kw_only=True)
class SampleFacts:
    """An entry of `samples.json`, about one sample of a set with a truth."""

    scoring: Scoring
    vocabulary: Vocabulary
    prompt: str | None = None
    """Describes the picture or clip after the edit."""
    source_prompt: str | None = None
    """Describes it before the edit."""
    region_prompt: str | None = None
    """Names the thing to edit, for Text2LIVE."""
    screen_prompt: str | None = None
    """Describes the edit alone, on a green screen, for Text2LIVE."""
    object: str | None = None
    """Name of the object in the truth."""
    material: str | None = None
    """Name of its material."""
    source_object: str | None = None
    source_material: str | None = None
    reference_object: str | None = None
    fps: float | None = None
    """Frames a second of a clip."""


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """An entry of `clips.json`, about one sample of a set of clips."""

    prompt: str
    """Describes the clip after the edit."""
    source_prompt: str
    """Describes the clip before the edit."""
    fps: float
    """Frames a second."""


def pictures_of(task: Task, track: Track) -> tuple[str, ...]:
    """The pictures that samples of a set may have."""
    if track != "truth":
        return PARTS
    reference = (REFERENCE, REFERENCE_MASK) if task in TASKS_WITH_REFERENCE else ()
    return (SOURCE, MASK, *reference, TRUTH, TRUTH_MASK, OBJECT_MASK)


def optional_pictures(track: Track) -> frozenset[str]:
    """The pictures that samples of a set may lack."""
    return OPTIONAL_PICTURES | ({MASK} if track == "clips" else set())


def set_folder(benchmark: Path, task: ReleasedTask, track: ReleasedTrack) -> Path:
    """Folder of a set inside a benchmark. Commands accept any folder; their config names the set."""
    return benchmark / TASK_FOLDERS[task] / TRACK_FOLDERS[track]


def find_pictures(folder: Path, suffixes: tuple[str, ...] = PARTS) -> dict[str, dict[str, list[Path]]]:
    """Find the pictures of all samples, in any format: {id: {`_source`: files, ...}}, sorted by id."""
    picture_name = re.compile(rf"(?P<id>[^.].*)(?P<part>{'|'.join(map(part_of, suffixes))})\.[^.]+")
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        name = picture_name.fullmatch(path.name)
        if name and path.suffix.lower() in PICTURE_SUFFIXES:
            found.setdefault(name["id"], {}).setdefault(name["part"], []).append(path)
    return dict(sorted(found.items()))


def is_filled(prompt: str) -> bool:
    """Whether a prompt was filled in."""
    return bool(prompt.strip()) and not prompt.startswith(UNFILLED)


def read_texts(path: Path) -> dict[str, str]:
    """Read {id: text} from a valid file; empty if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_facts(folder: Path) -> dict[str, SampleFacts]:
    """Read {id: facts} from the valid `samples.json` of a set with a truth."""
    entries = json.loads((folder / SAMPLES).read_text(encoding="utf-8"))
    return {name: SampleFacts(**entry) for name, entry in entries.items()}


def read_clip_facts(folder: Path) -> dict[str, ClipFacts]:
    """Read {id: facts} from the valid `clips.json` of a set of clips."""
    entries = json.loads((folder / CLIPS).read_text(encoding="utf-8"))
    return {name: ClipFacts(**entry) for name, entry in entries.items()}
