"""From the command line to edits."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from mimicbrush.edit.batch import Batch, is_unfinished, missing_results, read_batch, refuse_results_of_others
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.contact_sheet import write_sheet
from mimicbrush.edit.inputs import Inputs, read_inputs, without_warnings
from mimicbrush.edit.replay import parse_command
from mimicbrush.errors import UserError, some_of
from mimicbrush.files import check_writable
from mimicbrush.folder_lock import held
from mimicbrush.progress import progress_bar

if TYPE_CHECKING:
    from mimicbrush.pipeline import MimicBrushPipeline


def main() -> None:
    config = parse_command(sys.argv[1:])
    if config.batch is None:
        _edit_one(config)
        return
    try:
        batch = read_batch(config)
        # Before any folder is held: one that cannot be written to is the fault of its rows alone.
        faults = {line: _skip(line, reason) for line, reason in batch.faults.items()} | _find_faults(batch.edits)
        sound = {line: edit for line, edit in batch.edits.items() if line not in faults}
        with ExitStack() as stack:
            for folder in sorted({edit.output.parent.resolve() for edit in sound.values() if is_unfinished(edit)}):
                stack.enter_context(held(folder))
            _edit_batch(config, batch, sound, faults)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; what is written stays, and the same command makes the rest") from None


def _edit_one(config: EditConfig) -> None:
    existing = [str(path) for path in config.written if path.exists()]
    if existing and not config.force:
        exist = "exist" if len(existing) > 1 else "exists"
        raise UserError(f"{', '.join(existing)} {exist}; choose another --output or pass --force")
    inputs = _check(config)
    _make(_load_pipeline(config), config, inputs)


def _edit_batch(config: EditConfig, batch: Batch, sound: Mapping[int, EditConfig], faults: dict[int, str]) -> None:
    """Make what is missing of the sound rows; faults: why each of the others is skipped."""
    ready = {line: edit for line, edit in sound.items() if is_unfinished(edit)}
    needed = {line for line, edit in ready.items() if missing_results(edit)}
    pipe = _load_pipeline(config) if needed else None
    for line, edit in progress_bar(ready.items(), desc="batch", unit="row"):
        try:
            _make(pipe, edit, read_inputs(edit))
        except UserError as error:
            faults[line] = _skip(line, error)
    _report(config.batch, batch, [line for line in ready if line in needed], faults)


def _find_faults(edits: Mapping[int, EditConfig]) -> dict[int, str]:
    """What is wrong with results that are there, and with pictures and places of those that are not, known before
    minutes go into weights."""
    faults = {}
    for line, edit in edits.items():
        try:
            refuse_results_of_others(edit)
            if is_unfinished(edit):
                with without_warnings():  # they come when the row is edited
                    _check(edit)
        except UserError as error:
            faults[line] = _skip(line, error)
    return faults


def _check(edit: EditConfig) -> Inputs:
    """The pictures; raises UserError where no edit can be made of them, or its results cannot be written."""
    inputs = read_inputs(edit)
    for path in edit.written:
        check_writable(path)
    return inputs


def _skip(line: int, reason: UserError | str) -> str:
    tqdm.write(f"skipped line {line}: {reason}", file=sys.stderr)
    return str(reason)


def _report(path: Path, batch: Batch, tried: Sequence[int], faults: Mapping[int, str]) -> None:
    """What was made and where; raises UserError, which names them, where rows could not be."""
    made = [batch.edits[line] for line in tried if line not in faults]
    folders = sorted({str(edit.output.parent) for edit in made})
    num_rows = len(batch.edits) + len(batch.faults)
    print(
        f"edited {len(made)} of {num_rows} rows{' -> ' * bool(made)}{some_of(folders)};"
        f" already there: {num_rows - len(made) - len(faults)}; skipped: {len(faults)}"
    )
    if faults:
        listed = "\n".join(f"- line {line}: {reason}" for line, reason in sorted(faults.items()))
        raise UserError(f"{path}: mend what was skipped, and run the same command:\n{listed}")


def _load_pipeline(config: EditConfig) -> MimicBrushPipeline:
    # Imported only now: diffusers and transformers take longer than finding out what is wrong with a picture.
    from mimicbrush.edit.editing import load_pipeline

    return load_pipeline(config)


def _make(pipe: MimicBrushPipeline | None, config: EditConfig, inputs: Inputs) -> None:
    """What is missing of one edit; pipe: None where only its contact sheet is."""
    if pipe is not None:
        from mimicbrush.edit.editing import edit

        for part in missing_results(config):
            edit(pipe, part, inputs)
    if config.grid:
        write_sheet(config, inputs)
        tqdm.write(f"contact sheet -> {config.sheet}")
