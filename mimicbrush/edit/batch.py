"""The edits that a CSV lists, and what of them is still to be made."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml

from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.record import find_other_settings
from mimicbrush.errors import UserError

NEEDED = ("source", "mask", "reference", "output")
OPTIONAL = ("seed", "keep_shape", "reference_box", "reference_mask")


class Batch(NamedTuple):
    """What a CSV asks for, by its lines."""

    edits: dict[int, EditConfig]
    faults: dict[int, str]
    """Of rows whose cells do not fit, or whose output is another's, or another's picture."""


def read_batch(config: EditConfig) -> Batch:
    """Raises UserError where it is no such CSV."""
    edits, faults = {}, {}
    for line, row in _read_rows(config.batch).items():
        try:
            edits[line] = _of_row(config, row)
        except ValueError as error:
            faults[line] = str(error)
    overwriting = _find_overwriting(edits)
    sound = {line: edit for line, edit in edits.items() if line not in overwriting}
    return Batch(sound, faults | overwriting)


def is_unfinished(edit: EditConfig) -> bool:
    """Whether a result or the contact sheet is missing, or all are to be overwritten."""
    return edit.force or not all(path.exists() for path in edit.written)


def missing_results(edit: EditConfig) -> list[EditConfig]:
    """What is still to be made; of an edit some of whose results are there, each of the others on its own."""
    missing = [single for single in edit.singles if edit.force or not single.output.exists()]
    return [edit] if len(missing) == edit.num_images else missing


def refuse_results_of_others(edit: EditConfig) -> None:
    """Raises UserError where a finished result was made with other settings, and is not to be overwritten."""
    for single in edit.singles:
        if not edit.force and single.output.exists() and (other := find_other_settings(single)):
            raise UserError(
                f"{single.output} is there, and was made otherwise ({other}); choose another output or pass --force"
            )


def _read_rows(path: Path) -> dict[int, dict[str, str]]:
    """Cells by column, of each line that holds some."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, list(map(str.strip, cells))) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV ({getattr(error, 'strerror', None) or error})") from None
    (_, columns), *rows = [(line, cells) for line, cells in lines if any(cells)] or [(1, [])]
    _check_columns(path, columns)
    if not rows:
        raise UserError(f"{path}: no rows below the columns' names; write one for each edit")
    for line, cells in rows:
        if len(cells) > len(columns):
            raise UserError(
                f"{path}, line {line}: {len(cells)} cells for {len(columns)} columns; put a cell that holds commas"
                ' in "quotes"'
            )
    return {line: dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False)) for line, cells in rows}


def _check_columns(path: Path, columns: list[str]) -> None:
    if set(NEEDED) <= set(columns) <= set(NEEDED) | set(OPTIONAL):
        return
    hint = ""
    if len(columns) == 1 and any(separator in columns[0] for separator in ";\t"):
        hint = "; export it with commas between the columns"
    raise UserError(
        f"{path}: expected the columns {', '.join(NEEDED)}, optionally {', '.join(OPTIONAL)}; found"
        f" {', '.join(columns) or 'none'}{hint}"
    )


def _of_row(config: EditConfig, row: Mapping[str, str]) -> EditConfig:
    """Raises ValueError where the row's cells do not fit."""
    folder = config.batch.parent
    empty = [name for name in NEEDED if not row[name]]
    if empty:
        raise ValueError(f"{', '.join(empty)} empty; fill in what each edit needs")
    given: dict[str, object] = {name: folder / row[name] for name in ("source", "mask", "output")}
    given["reference"] = _in_folder(_listed(row["reference"]), folder)
    if row.get("reference_mask"):
        given["reference_mask"] = _in_folder(_listed(row["reference_mask"]), folder)
    if row.get("reference_box"):
        given["reference_box"] = _listed(row["reference_box"])
        if not isinstance(given["reference_box"], list):
            raise ValueError(f"reference_box is {row['reference_box']}, expected [left, top, right, bottom]")
    if row.get("seed"):
        given["seed"] = _whole_number(row["seed"])
    if row.get("keep_shape"):
        given["keep_shape"] = _switch(row["keep_shape"])
    return replace(config, batch=None, **given)


def _whole_number(cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise ValueError(f"seed is {cell}, expected a whole number") from None


def _switch(cell: str) -> bool:
    switches = {"true": True, "1": True, "false": False, "0": False}
    if cell.lower() not in switches:
        raise ValueError(f"keep_shape is {cell}, expected true or false")
    return switches[cell.lower()]


def _listed(cell: str) -> object:
    """A list in brackets, as on the command line, or the cell's text."""
    try:
        return yaml.safe_load(cell) if cell.startswith("[") else cell
    except yaml.YAMLError:
        raise ValueError(f"{cell} is not a list; expected brackets around it, and commas within") from None


def _in_folder(names: object, folder: Path) -> list[Path | None] | Path:
    """Paths relative to the CSV."""
    if isinstance(names, list):
        return [name and folder / str(name) for name in names]
    return folder / names


def _find_overwriting(edits: Mapping[int, EditConfig]) -> dict[int, str]:
    """Lines whose output is a picture that another line reads, or another line's output; of those none is made."""
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
