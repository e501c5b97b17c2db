"""Write evaluation sets whose true results are known, in the layout of `mimicbrush/benchmark_layout.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from data_prep.world.config import SetSizes
from mimicbrush.benchmark_layout import (
    FLOW,
    GROUPS,
    MASK,
    OBJECT_MASK,
    REFERENCE,
    REFERENCE_MASK,
    SAMPLES,
    SOURCE,
    TRUTH,
    TRUTH_MASK,
)
from mimicbrush.files import write_json
from mimicbrush.flow.flow_files import write_flow
from mimicbrush.pictures.writing import write_frames
from mimicbrush.world.sets.draw_edits import KINDS, Kind, draw_edits
from mimicbrush.world.sets.edits import Edit, render_edit

UNSEEN_FRACTION = 4
"""One edit with unseen words is added for so many with seen words."""


def draw_sets(sizes: SetSizes, *, size: int, seed: int) -> dict[Kind, list[Edit]]:
    """Draw the edits of all sets as scenes, those with seen words first."""
    numbers = {kind: getattr(sizes, kind) for kind in KINDS}
    counts = {kind: {"seen": num, "unseen": -(-num // UNSEEN_FRACTION)} for kind, num in numbers.items()}
    return {
        kind: [
            edit
            for vocabulary, num in words.items()
            for number in range(num)
            for edit in draw_edits(kind, number, seed=seed, vocabulary=vocabulary, size=size)
        ]
        for kind, words in counts.items()
    }


class EditTask(NamedTuple):
    """An edit, and the folder of its set."""

    folder: Path
    edit: Edit

    @property
    def is_written(self) -> bool:
        """Whether all files of the sample exist."""
        return (self.folder / f"{self.edit.id}{SOURCE}").is_file()


def write_facts(folder: Path, edits: Iterable[Edit]) -> None:
    """Write `samples.json` and `groups.json` of one set."""
    edits = sorted(edits, key=lambda edit: edit.id)
    facts = {edit.id: {name: fact for name, fact in asdict(edit.facts).items() if fact is not None} for edit in edits}
    write_json(facts, folder / SAMPLES)
    write_json({edit.id: edit.group for edit in edits}, folder / GROUPS)


def write_edit(task: EditTask, *, size: int) -> int:
    """Render and write all files of a sample, its source last; returns 1."""
    folder, edit = task
    rendered = render_edit(edit, size)
    pictures = {
        MASK: rendered.mask,
        OBJECT_MASK: rendered.object_mask,
        TRUTH: rendered.truth,
        TRUTH_MASK: rendered.truth_mask,
        REFERENCE: rendered.reference,
        REFERENCE_MASK: rendered.reference_mask,
        SOURCE: rendered.source,
    }
    if rendered.flow is not None:
        write_flow(rendered.flow, folder / f"{edit.id}{FLOW}", visible=rendered.visible)
    for suffix, frames in pictures.items():
        if frames is not None:
            write_frames(frames, folder / f"{edit.id}{suffix}")
    return 1
