"""Editors at work: every edited picture is written once, whole, and never made again.

A result of several frames is one file as well, an animated PNG. Beside `<id>.png` lies `<id>.json`: what the edit cost
or, where there is no picture, why not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.device import choose_device
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.files import read_object, write_json
from mimicbrush.machine import peak_memory, reset_peak_memory
from mimicbrush.pictures.writing import write_frames
from mimicbrush.requests import Editor, EditRequest, check_answers


@dataclass(frozen=True, kw_only=True)
class EditRecord:
    """What an edit cost."""

    seconds: float | None = None
    """Of wall time; a batch's is shared equally."""
    peak_memory: int | None = None
    """Bytes at the peak of its batch: allocated on the GPU where there is one, else resident in the process."""
    failure: str = ""
    """Why there is no picture; empty where there is one."""


def edited_path(folder: Path, sample: Sample) -> Path:
    """The edited picture of a sample in a folder of edits, with all of its frames."""
    return folder / f"{sample.id}.png"


def unfinished(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """Samples whose edited picture is not there yet; those that failed are among them."""
    return [sample for sample in samples if not edited_path(folder, sample).is_file()]


def read_record(folder: Path, sample: Sample) -> EditRecord:
    """What is known of an edit; empty where nothing was recorded."""
    path = _record_path(folder, sample)
    if not path.is_file():
        return EditRecord()
    record = read_object(path, "seconds", "peak_memory", "failure")
    return EditRecord(**{name: record[name] for name in EditRecord.__dataclass_fields__})


def make_edits(
    editor: Editor,
    samples: Sequence[Sample],
    folder: Path,
    *,
    seed: int,
    batch_size: int,
    references: dict[str, Path] | None = None,
) -> Iterator[EditRecord]:
    """Edit the unfinished samples in batches; write a picture and a record for each, and yield the record.

    references: by sample id, in place of the samples' own. An edit that the editor refuses (UserError), or that holds
    NaN or infinity, is recorded as failed, and the others go on.
    """
    remaining = unfinished(samples, folder)
    for first in range(0, len(remaining), batch_size):
        batch = remaining[first : first + batch_size]
        requests = [
            sample.request(seed, guided_by=editor.request_class, reference=(references or {}).get(sample.id))
            for sample in batch
        ]
        for sample, (edit, record) in zip(batch, _edit(editor, requests), strict=True):
            yield _write(sample, edit, record, folder)


def _edit(editor: Editor, requests: list[EditRequest]) -> list[tuple[Tensor | None, EditRecord]]:
    """One result a request; where a batch is refused its requests are answered one by one."""
    # An editor may be of any device; where there is a GPU, it is taken to use that.
    device = choose_device("auto")
    peak_is_known = reset_peak_memory(device)
    started = time.perf_counter()
    try:
        edits = editor.edit_batch(requests)
    except UserError as error:
        if len(requests) > 1:
            return [result for request in requests for result in _edit(editor, [request])]
        return [(None, EditRecord(failure=str(error)))]
    except torch.OutOfMemoryError as error:
        raise UserError(f"{len(requests)} edits at once do not fit into memory; lower batch_size ({error})") from None
    seconds = round((time.perf_counter() - started) / len(requests), 4)
    record = EditRecord(seconds=seconds, peak_memory=int(peak_memory(device)) if peak_is_known else None)
    edits = check_answers(editor, edits, requests)
    return [(edit.frames, record) for edit in edits]


def _write(sample: Sample, edit: Tensor | None, record: EditRecord, folder: Path) -> EditRecord:
    if edit is not None and not torch.isfinite(edit).all():
        record = EditRecord(failure="the edit holds NaN or infinity; are the weights sound?")
    if not record.failure:
        write_frames(edit, edited_path(folder, sample))
    write_json(asdict(record), _record_path(folder, sample))
    return record


def _record_path(folder: Path, sample: Sample) -> Path:
    return folder / f"{sample.id}.json"
