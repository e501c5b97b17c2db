"""The edits of an evaluation: every edited picture is written once, as a whole, and kept by later calls.

A clip is written as one animated PNG. Beside `<id>.png` lies `<id>.json`, the record of what the edit cost or why it
failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from mimicbrush.device import choose_device
from mimicbrush.errors import Faults, UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditRecord, EditRound, load_editor
from mimicbrush.evaluation.stored_answers import AnswersFromFiles
from mimicbrush.files import write_json
from mimicbrush.machine import peak_memory, reset_peak_memory
from mimicbrush.pictures.writing import write_frames
from mimicbrush.progress import Progress, progress_bar
from mimicbrush.requests import Edited, Editor, EditRequest, check_answers
from mimicbrush.seeds import seed_of_edit


def edit_all(rounds: Sequence[EditRound], *, batch_size: int) -> None:
    """Make the edits that are missing.

    Editors are loaded one after the other, and only if they have work to do: several full-size networks would not fit
    into memory.
    """
    with progress_bar(total=sum(len(each.unfinished()) for each in rounds), desc="edits", unit="edit") as progress:
        for name in dict.fromkeys(each.editor for each in rounds):
            unfinished = [each for each in rounds if each.editor == name and each.unfinished()]
            if unfinished:
                _edit_rounds(unfinished, _EditorProgress(name, progress), batch_size=batch_size)


def refuse_failed_editors(rounds: Sequence[EditRound], *, are_listed: bool) -> None:
    """Raise UserError that names each editor all of whose edits failed.

    are_listed: whether the reasons have been printed already, and need not be repeated.
    """
    faults = Faults()
    for name in dict.fromkeys(each.editor for each in rounds):
        failures = [
            each.read_record(sample).failure for each in rounds if each.editor == name for sample in each.samples
        ]
        if failures and all(failures):
            reason = "as listed above" if are_listed else f"the first: {failures[0]}"
            faults.check(False, f"{name}: all {len(failures)} edits failed, {reason}")
    faults.refuse()


class _EditorProgress:
    """Progress of one editor, shown within its batches as well."""

    def __init__(self, editor: str, progress: Progress) -> None:
        self.editor, self.progress, self.num_failed = editor, progress, 0

    def advance(self, record: EditRecord) -> None:
        """Count a finished edit."""
        self.num_failed += bool(record.failure)
        self.progress.set_postfix_str(self._describe(), refresh=False)
        self.progress.update()

    def show_batch(self, fraction: float, preview: Callable[[], Edited]) -> None:
        """Show the finished share of a batch, as the `on_progress` of `Editor.edit_batch`."""
        self.progress.set_postfix_str(f"{self._describe()}, {fraction:.0%} of a batch")
        self.progress.update(0)

    def _describe(self) -> str:
        return f"{self.editor}, {self.num_failed} failed" if self.num_failed else self.editor


def _edit_rounds(rounds: Sequence[EditRound], progress: _EditorProgress, *, batch_size: int) -> None:
    """Load the editor of the rounds and edit them."""
    editor = load_editor(rounds[0].spec)
    for each in rounds:
        _edit_round(each, editor, progress, batch_size=batch_size)


def _edit_round(edit_round: EditRound, editor: Editor, progress: _EditorProgress, *, batch_size: int) -> None:
    """Edit the unfinished samples in batches, and write a picture and a record for each.

    An edit that the editor refuses with a UserError, or that holds NaN or infinity, is recorded as failed; the other
    edits of its batch are kept.
    """
    remaining = edit_round.unfinished()
    for first in range(0, len(remaining), batch_size):
        batch = remaining[first : first + batch_size]
        requests = [
            sample.request(
                # Files are found by the evaluation's own seed.
                edit_round.seed if isinstance(editor, AnswersFromFiles) else seed_of_edit(edit_round.seed, sample.id),
                guided_by=editor.request_class,
                reference=edit_round.references.get(sample.id),
                mask_supply=edit_round.spec.mask,
            )
            for sample in batch
        ]
        for sample, (edited, record) in zip(batch, _edit(editor, requests, progress), strict=True):
            if isinstance(editor, AnswersFromFiles):
                record = EditRecord(failure=record.failure)  # reading a file is not the cost of an edit
            progress.advance(_write(edit_round, sample, edited, record))


def _edit(
    editor: Editor, requests: list[EditRequest], progress: _EditorProgress
) -> list[tuple[Edited | None, EditRecord]]:
    """Edit a batch; if the editor refuses it, edit its requests one by one."""
    # An editor may be on any device; where there is a GPU, it is assumed to use it.
    device = choose_device("auto")
    peak_is_known = reset_peak_memory(device)
    started = time.perf_counter()
    try:
        edits = editor.edit_batch(requests, on_progress=progress.show_batch)
    except UserError as error:
        if len(requests) > 1:
            return [result for request in requests for result in _edit(editor, [request], progress)]
        return [(None, EditRecord(failure=str(error)))]
    except torch.OutOfMemoryError as error:
        raise UserError(f"{len(requests)} edits at once do not fit into memory; lower batch_size ({error})") from None
    seconds = round((time.perf_counter() - started) / len(requests), 4)
    record = EditRecord(seconds=seconds, peak_memory=int(peak_memory(device)) if peak_is_known else None)
    edits = check_answers(editor, edits, requests)
    for edited in edits:
        _check_proposed_mask(editor, edited)
    return [(edited, record) for edited in edits]


def _proposed_mask(edited: Edited) -> Tensor | None:
    """The region in which an edit changes its source: the mask that the editor proposes, or the layer's opacity."""
    return edited.layers.get("mask", edited.layers.get("opacity"))


def _check_proposed_mask(editor: Editor, edited: Edited) -> None:
    """Raise UserError, which names the editor, where the mask or opacity does not fit the edit's frames."""
    mask, expected = _proposed_mask(edited), (len(edited.frames), 1, *edited.frames.shape[2:])
    if mask is not None and tuple(mask.shape) != expected:
        raise UserError(
            f"{type(editor).__qualname__} answered with a mask or opacity of {tuple(mask.shape)}, expected {expected}"
        )


def _write(edit_round: EditRound, sample: Sample, edited: Edited | None, record: EditRecord) -> EditRecord:
    if edited is not None and not torch.isfinite(edited.frames).all():
        record = EditRecord(failure="the edit holds NaN or infinity; are the weights sound?")
    if not record.failure:
        # The picture comes last, because an edit with a picture counts as finished.
        if (mask := _proposed_mask(edited)) is not None:
            write_frames(mask, edit_round.proposed_mask_path(sample))
        write_frames(edited.frames, edit_round.edited_path(sample))
    write_json(asdict(record), edit_round.record_path(sample))
    return record
