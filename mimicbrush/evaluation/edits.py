"""Editors at work: every edited picture is written once, whole, and never made again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.files import read_object, write_json
from mimicbrush.imaging import write_image
from mimicbrush.requests import Editor, EditRequest

SECONDS = "seconds.json"


def edited_path(folder: Path, sample: Sample) -> Path:
    """The edited picture of a sample in an editor's folder."""
    return folder / f"{sample.id}.png"


def unfinished(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """Samples whose edited picture is not there yet."""
    return [sample for sample in samples if not edited_path(folder, sample).is_file()]


def make_edits(
    editor: Editor, samples: Sequence[Sample], folder: Path, *, seed: int, batch_size: int, progress: tqdm | None = None
) -> None:
    """Edit the unfinished samples, in batches, and write a picture and the seconds for each."""
    seconds = read_seconds(folder)
    remaining = unfinished(samples, folder)
    for first in range(0, len(remaining), batch_size):
        batch = remaining[first : first + batch_size]
        requests = [sample.request(seed) for sample in batch]
        started = time.perf_counter()
        edits = editor.edit_batch(requests)
        each = (time.perf_counter() - started) / len(batch)
        seconds |= {sample.id: round(each, 4) for sample in batch}
        _write_seconds(seconds, folder)
        for sample, request, edit in zip(batch, requests, edits, strict=True):
            _check(edit, request, sample, folder.name)
            write_image(edit[0], edited_path(folder, sample))
        if progress is not None:
            progress.update(len(batch))


def read_seconds(folder: Path) -> dict[str, float]:
    """Seconds per edit by sample id, a batch's time shared equally; empty before the first edit."""
    path = folder / SECONDS
    return read_object(path) if path.is_file() else {}


def _write_seconds(seconds: dict[str, float], folder: Path) -> None:
    write_json(dict(sorted(seconds.items())), folder / SECONDS)


def _check(edit: Tensor, request: EditRequest, sample: Sample, editor: str) -> None:
    if edit.shape != request.source.shape:
        raise ValueError(
            f"{editor} answered {sample.source} with {tuple(edit.shape)}, expected {tuple(request.source.shape)}"
        )
    if not torch.isfinite(edit).all():
        raise UserError(f"{editor}: the edit of {sample.source} holds NaN or infinity; are its weights sound?")
