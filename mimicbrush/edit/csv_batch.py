"""Batches of edits: reading the rows of a CSV, and finding those that are unfinished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints

import yaml

from mimicbrush.config_faults import impossible_path
from mimicbrush.csv_rows import read_rows
from mimicbrush.edit.config import EditConfig, takes_list
from mimicbrush.edit.inputs import read_inputs, without_warnings
from mimicbrush.edit.missing_files import missing_pictures
from mimicbrush.edit.record import find_other_settings
from mimicbrush.errors import Faults, UserError
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.yaml_reading import parse_yaml


class Batch(NamedTuple):
    """The edits and the faults of a CSV, by line number."""

    edits: dict[int, EditConfig]
    faults: dict[int, list[str]]
    """All faults of each row that cannot be edited: in its cells, in its pictures, and with other rows."""


def read_batch(config: EditConfig) -> Batch:
    """Read the CSV of a batch; raises UserError if it is not readable or its columns are wrong."""
    edits: dict[int, EditConfig] = {}
    faults: dict[int, list[str]] = {}
    for line, row in _read_rows(config, faults).items():
        row_faults = Faults()
        edit = _read_row(config, row, row_faults)
        if edit is not None:
            edits[line] = edit
        if row_faults.found:
            faults[line] = row_faults.found
    sound = {line: edit for line, edit in edits.items() if line not in faults}
    for line, fault in _find_overwriting(edits).items():
        if line in faults:
            faults[line].append(fault)
    faults |= {line: [fault] for line, fault in _find_overwriting(sound).items()}
    return Batch({line: edit for line, edit in sound.items() if line not in faults}, faults)


def is_unfinished(edit: EditConfig) -> bool:
    """Whether a result or the contact sheet is missing, or all are to be overwritten."""
    return edit.force or not all(path.exists() for path in edit.written)


def missing_results(edit: EditConfig) -> list[EditConfig]:
    """List the edits that are still to be made: the whole edit, or its missing results one by one."""
    missing = [single for single in edit.singles if edit.force or not single.output.exists()]
    return [edit] if len(missing) == edit.num_images else missing


def recommended_where_compared(edits: Collection[EditConfig]) -> RecommendedSettings | None:
    """Read the settings that the batch's weights recommend, for comparing finished results.

    None where there are no finished results or no weights.
    """
    finished = [edit for edit in edits if not edit.force and any(path.exists() for path in edit.outputs)]
    weights = getattr(finished[0], "weights", None) if finished else None
    try:
        return read_recommended(weights, finished[0].adapter) if weights else None
    except UserError:
        return None  # raised again when the weights are loaded, if a result is missing


def refuse_results_of_others(edit: EditConfig, recommended: RecommendedSettings | None) -> None:
    """Raise UserError if a finished result was made with other settings, unless it may be overwritten.

    recommended: as in `find_other_settings`.
    """
    for single in edit.singles:
        if not edit.force and single.output.exists() and (other := find_other_settings(single, recommended)):
            raise UserError(
                f"{single.output} exists and was made with other settings ({other}); choose another output or pass"
                " --force"
            )


def _read_rows(config: EditConfig, faults: dict[int, list[str]]) -> dict[int, dict[str, str]]:
    """Read the cells of each edit by column, without spaces around them; lines with too many are added to `faults`."""
    rows = read_rows(config.batch, required=config.needed, optional=config.optional, faults=faults)
    if not rows and not faults:
        raise UserError(f"{config.batch}: no rows below the columns' names; write one for each edit")
    return {line: {name: cell.strip() for name, cell in row.items()} for line, row in rows.items()}


def _read_row(config: EditConfig, row: Mapping[str, str], faults: Faults) -> EditConfig | None:
    """Return the row's edit, without its faulty cells; None where the remaining cells do not describe an edit."""
    empty = [name for name in config.needed if not row[name]]
    faults.check(not empty, f"{', '.join(empty)} empty; fill in what each edit needs")
    hints, given = get_type_hints(type(config)), {}
    for name in (*config.needed, *config.optional):
        with faults.collect():
            if row.get(name):
                given[name] = _read_cell(name, row[name], hints[name], config.batch.parent)
    num_faults = len(faults.found)
    if set(config.needed) <= set(given):
        with faults.collect():
            edit = replace(config, batch=None, **given)
        if len(faults.found) == 0:
            return edit
        if len(faults.found) == num_faults:
            with faults.collect(), without_warnings():
                read_inputs(edit)
            return edit
    faults.found += missing_pictures(given, is_clip=config.is_clip)
    return None


def _read_cell(name: str, cell: str, kind: object, folder: Path) -> object:
    """Convert a cell to the type of its option; paths are relative to the folder of the CSV."""
    if name == "reference":
        return _without_gaps(_in_folder(_listed(cell), folder), cell)
    if name == "reference_box":
        return _box(cell)
    kinds = get_args(kind) or (kind,)
    value = _listed(cell) if takes_list(kind) else cell
    if Path in kinds:
        if found := impossible_path(cell):
            raise UserError(f"{name}: expected a path, found {found}")
        return _in_folder(value, folder)
    if bool in kinds:
        return _switch(name, cell)
    return _whole_number(name, cell) if int in kinds else value


def _whole_number(name: str, cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise UserError(f"{name} is {cell}, expected a whole number") from None


def _switch(name: str, cell: str) -> bool:
    switches = {"true": True, "1": True, "false": False, "0": False}
    if cell.lower() not in switches:
        raise UserError(f"{name} is {cell}, expected true or false")
    return switches[cell.lower()]


def _box(cell: str) -> list:
    box = _listed(cell)
    if not isinstance(box, list):
        raise UserError(f"reference_box is {cell}, expected [left, top, right, bottom]")
    return box


def _listed(cell: str) -> object:
    """Parse a list in brackets, as on the command line; return any other cell as its text."""
    try:
        return parse_yaml(cell) if cell.startswith("[") else cell
    except yaml.YAMLError:
        raise UserError(f"{cell} is not a list; expected brackets around it, and commas within") from None


def _without_gaps(pictures: list[Path | None] | Path, cell: str) -> list[Path] | Path:
    if isinstance(pictures, list) and None in pictures:
        raise UserError(f"reference is {cell}, expected a picture for each reference")
    return pictures


def _in_folder(names: object, folder: Path) -> list[Path | None] | Path:
    """Make the names of files, which are relative to the CSV, paths."""
    if isinstance(names, list):
        return [name and folder / str(name) for name in names]
    return folder / names


def _find_overwriting(edits: Mapping[int, EditConfig]) -> dict[int, str]:
    """Lines whose output another line reads or also writes; none of them is edited."""
    readers = {
        picture.resolve(): f"{option} of line {line}"
        for line, edit in edits.items()
        for option, pictures in edit.pictures.items()
        for picture in pictures
        if picture
    }
    writers: dict[Path, list[int]] = defaultdict(list)
    for line, edit in edits.items():
        for output in edit.written:
            writers[output.resolve()].append(line)
    faults = {}
    for place, lines in writers.items():
        if place in readers:
            faults |= dict.fromkeys(lines, f"{place} would overwrite the {readers[place]}; choose another output")
        elif len(lines) > 1:
            listed = " and ".join(map(str, lines))
            faults |= dict.fromkeys(lines, f"{place} is written by lines {listed}; give each its own")
    return faults
