"""Held-out edits of the small world: draw them, let weights make them, and score the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.evaluation.metrics.judge_network import Judge, crop_around, load_judge
from mimicbrush.evaluation.metrics.pixels import compute_psnr
from mimicbrush.pictures.conversion import to_levels, to_pil
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.requests import ReferenceRequest
from mimicbrush.seeds import seed_of_edit
from mimicbrush.world.sets.draw_edits import draw_reference_edits
from mimicbrush.world.sets.edits import Edit, RenderedEdit, render_edit

SIZE = 64
"""Side of the pictures in pixels."""
BATCH = 8
"""Edits made together."""
NUM_SHOWN = 16
"""Edits on a contact sheet."""
REFERENCES = ("same", "other")
"""Whether the reference shows the source's object or another one."""


class HeldoutEdit(NamedTuple):
    """An edit, its pictures, and which kind of reference it has."""

    edit: Edit
    rendered: RenderedEdit
    reference: str


def draw_heldout_edits(num_sources: int, *, seed: int) -> list[HeldoutEdit]:
    """Draw edits of so many sources, with seen words in held-out combinations, each with both kinds of references."""
    drawn = [draw_reference_edits(number, seed=seed, vocabulary="seen") for number in range(num_sources)]
    return [
        HeldoutEdit(edit, render_edit(edit, SIZE), reference)
        for edits in drawn
        for edit, reference in zip(edits, REFERENCES, strict=True)
    ]


def edit_all(editor: MimicBrushEditor, edits: Sequence[HeldoutEdit], *, seed: int) -> list[NDArray[np.uint8]]:
    """Edit every source with noise of its own, from this seed; (H, W, 3) of 8 bits each."""
    edited: list[NDArray[np.uint8]] = []
    for first in range(0, len(edits), BATCH):
        requests = [
            ReferenceRequest(
                source=_pixels(each.rendered.source),
                mask=torch.from_numpy(each.rendered.mask)[:, None].float(),
                reference=_pixels(each.rendered.reference)[0],
                seed=seed_of_edit(seed, each.edit.id),
                id=each.edit.id,
            )
            for each in edits[first : first + BATCH]
        ]
        edited += [to_levels(result.frames[0]) for result in editor.edit_batch(requests)]
    return edited


def figures_of(
    edits: Sequence[HeldoutEdit], edited: Sequence[NDArray[np.uint8]], *, judge_folder: Path
) -> dict[str, float]:
    """For both kinds of references: PSNR in the mask of edits with an exact truth, in dB; and how often the judge names
    the true material, as a share of the edits in whose truth it does.
    """
    judge, figures = load_judge(judge_folder), {}
    for reference in REFERENCES:
        chosen = [(each, picture) for each, picture in zip(edits, edited, strict=True) if each.reference == reference]
        exact = [
            compute_psnr(picture[each.rendered.mask[0]], each.rendered.truth[0][each.rendered.mask[0]])
            for each, picture in chosen
            if each.edit.facts.scoring == "exact"
        ]
        named = [
            _material(judge, picture, each) == each.edit.facts.material
            for each, picture in chosen
            if _material(judge, each.rendered.truth[0], each) == each.edit.facts.material
        ]
        figures[f"psnr_{reference}"] = float(np.mean(exact)) if exact else np.nan
        figures[f"judge_{reference}"] = float(np.mean(named)) if named else np.nan
    return figures


def sheet_of(edits: Sequence[HeldoutEdit], edited: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Show the first edits, a row each: masked source, reference, edit, truth."""
    columns = ("masked source", "reference", "edited", "truth")
    pictures = []
    for each in edits[:NUM_SHOWN]:
        pictures.append(each.rendered.source[0] * ~each.rendered.mask[0][..., None])
    references, truths = ([getattr(each.rendered, name)[0] for each in edits] for name in ("reference", "truth"))
    shown = (pictures, references[:NUM_SHOWN], list(edited[:NUM_SHOWN]), truths[:NUM_SHOWN])
    return contact_sheet(column_rows(columns, [list(map(to_pil, column)) for column in shown]))


def _material(judge: Judge, picture: NDArray[np.uint8], edit: HeldoutEdit) -> str:
    crop = crop_around(picture, edit.rendered.truth_mask[0], size=judge.size, context=judge.context)
    return judge.name(crop[None])[0].material


def _pixels(frames: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
