"""Run the edits that a command line describes: one, or those of a batch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.csv_batch import (
    Batch,
    is_unfinished,
    missing_results,
    read_batch,
    recommended_where_compared,
    refuse_results_of_others,
)
from mimicbrush.edit.inputs import read_inputs, without_warnings
from mimicbrush.edit.loaded_inputs import Inputs
from mimicbrush.edit.missing_files import unwritable_results
from mimicbrush.edit.result_sheet import write_sheet
from mimicbrush.errors import Faults, UserError, as_list, some_of
from mimicbrush.folder_lock import held
from mimicbrush.machine import GIBIBYTE, peak_memory
from mimicbrush.progress import progress_bar, step_bar

if TYPE_CHECKING:
    from mimicbrush.edit.editing import Loaded


def edit_pictures(config: EditConfig) -> None:
    """Make one edit, or those of a batch that are missing; raises UserError if some cannot be made."""
    if config.batch is None:
        _edit_one(config)
        return
    batch = read_batch(config)
    # Before any folder is locked: a folder that cannot be written to only affects its own rows.
    faults = batch.faults | _find_faults(batch.edits)
    for line in sorted(faults):
        _say_skipped(line, faults[line])
    sound = {line: edit for line, edit in batch.edits.items() if line not in faults}
    with ExitStack() as stack:
        for folder in sorted({edit.output.parent.resolve() for edit in sound.values() if is_unfinished(edit)}):
            stack.enter_context(held(folder))
        _edit_batch(config, batch, sound, set(faults))


def _edit_one(config: EditConfig) -> None:
    inputs = read_inputs(config)
    if config.is_stopped:
        refuse_results_of_others(config, None)
    _make(_load_editor(config), config, inputs)


def _edit_batch(config: EditConfig, batch: Batch, sound: Mapping[int, EditConfig], skipped: set[int]) -> None:
    """Make the missing results of the sound rows; skipped: lines of the faulty rows, which have been printed."""
    ready = {line: edit for line, edit in sound.items() if is_unfinished(edit)}
    needed = {line for line, edit in ready.items() if missing_results(edit)}
    loaded = _load_editor(config) if needed else None
    for line, edit in progress_bar(ready.items(), desc="batch", unit="row"):
        try:
            _make(loaded, edit, read_inputs(edit))
        except UserError as error:
            _say_skipped(line, error.faults)
            skipped.add(line)
    _report(config.batch, batch, [line for line in ready if line in needed], skipped)


def _find_faults(edits: Mapping[int, EditConfig]) -> dict[int, list[str]]:
    """Check finished results, and pictures and output paths of unfinished rows, before the weights are loaded."""
    found, recommended = {}, recommended_where_compared(edits.values())
    for line, edit in edits.items():
        faults = Faults()
        with faults.collect():
            refuse_results_of_others(edit, recommended)
        if is_unfinished(edit):
            with faults.collect(), without_warnings():  # they are printed when the row is edited
                read_inputs(edit)
            faults.found += unwritable_results(edit)
        if faults.found:
            found[line] = faults.found
    return found


def _say_skipped(line: int, faults: Sequence[str]) -> None:
    tqdm.write(f"skipped line {line}: {as_list(faults, indent='  ')}", file=sys.stderr)


def _report(path: Path, batch: Batch, tried: Sequence[int], skipped: Collection[int]) -> None:
    """Print the number of edits and their folders; raises UserError, which counts the rows that were skipped."""
    made = [batch.edits[line] for line in tried if line not in skipped]
    folders = sorted({str(edit.output.parent) for edit in made})
    num_rows = len(batch.edits) + len(batch.faults)
    print(
        f"edited {len(made)} of {num_rows} rows{' -> ' * bool(made)}{some_of(folders)};"
        f" already there: {num_rows - len(made) - len(skipped)}; skipped: {len(skipped)}"
    )
    if skipped:
        lines = f"line {min(skipped)} was" if len(skipped) == 1 else f"{len(skipped)} lines were"
        raise UserError(f"{path}: {lines} skipped, for the reasons above; fix that and run the same command")


def _load_editor(config: EditConfig) -> Loaded:
    # Imported here: diffusers and transformers take seconds to import, and faults of pictures are reported before.
    from mimicbrush.edit.editing import load_editor

    return load_editor(config)


def _make(loaded: Loaded | None, config: EditConfig, inputs: Inputs) -> None:
    """Make the missing results of one edit; loaded: None where only its contact sheet is missing."""
    if loaded is not None:
        from mimicbrush.edit.editing import edit

        started = time.monotonic()
        for number, part in enumerate(missing_results(config)):
            # All parts use the same pictures, so their warnings would repeat those of the first part.
            with without_warnings() if number else nullcontext(), step_bar(desc="sampling") as on_progress:
                edit(loaded, part, inputs, on_progress=on_progress)
        tqdm.write(f"took {time.monotonic() - started:.1f} s{_peak_memory(config)}")
    if config.grid:
        with without_warnings():
            write_sheet(config, inputs)
        tqdm.write(f"contact sheet -> {config.sheet}")


def _peak_memory(config: EditConfig) -> str:
    """Describe the peak memory of the device; empty where the system does not report it."""
    from mimicbrush.device import choose_device

    found = peak_memory(choose_device(getattr(config, "device", "auto")))
    return "" if math.isnan(found) else f", peak memory {found / GIBIBYTE:.2f} GiB"
