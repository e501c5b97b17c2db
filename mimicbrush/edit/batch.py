"""The edits that a CSV lists, and what of them is still to be made."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import yaml

from mimicbrush.edit.config import EditConfig
from mimicbrush.errors import UserError


def read_batch(config: EditConfig) -> list[EditConfig]:
    """One config for each row of the CSV; raises UserError where it is not such a CSV."""
    path = config.batch
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV ({error})") from None
    needed = {"source", "mask", "reference", "output"}
    optional = {"seed", "keep_shape", "reference_box", "reference_mask"}
    columns = set(rows[0]) if rows else set()
    if not needed <= columns <= needed | optional:
        raise UserError(
            f"{path}: expected rows with columns {', '.join(sorted(needed))}, optionally {', '.join(sorted(optional))};"
            f" found {', '.join(map(str, columns)) or 'none'}"
        )
    edits = [_of_row(config, row, f"{path}, row {number}") for number, row in enumerate(rows, start=2)]
    outputs = [edit.output for edit in edits]
    twice = next((output for output in outputs if outputs.count(output) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: {twice} is the output of several rows; give each its own")
    return edits


def unfinished(edits: list[EditConfig], *, force: bool) -> list[EditConfig]:
    """What is still to be made; of an edit some of whose results are there, each of the others on its own."""
    unfinished = []
    for edit in edits:
        missing = [pair for pair in zip(edit.seeds, edit.outputs, strict=True) if force or not pair[1].exists()]
        if len(missing) == len(edit.outputs):
            unfinished.append(edit)
        else:
            unfinished += [replace(edit, seed=seed, num_images=1, output=path, grid=False) for seed, path in missing]
    return unfinished


def _of_row(config: EditConfig, row: dict[str, str], where: str) -> EditConfig:
    folder = config.batch.parent
    paths = {name: folder / (row[name] or "") for name in ("source", "mask", "output")}
    switches = {"": config.keep_shape, "true": True, "1": True, "false": False, "0": False}
    keep_shape = (row.get("keep_shape") or "").strip().lower()
    if keep_shape not in switches:
        raise UserError(f"{where}: keep_shape is {keep_shape}, expected true or false")
    try:
        paths["reference"] = _in_folder(_listed(row["reference"] or ""), folder)
        if row.get("reference_mask"):
            paths["reference_mask"] = _in_folder(_listed(row["reference_mask"]), folder)
        box = _listed(row["reference_box"]) if row.get("reference_box") else config.reference_box
        seed = int(row.get("seed") or config.seed)
        switched = switches[keep_shape]
        return replace(config, batch=None, seed=seed, keep_shape=switched, reference_box=box, **paths)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{where}: {error}") from None


def _listed(cell: str) -> object:
    """A list in brackets, as on the command line, or the cell's text."""
    return yaml.safe_load(cell) if cell.startswith("[") else cell


def _in_folder(names: object, folder: Path) -> list[Path | None] | Path:
    """Paths relative to the CSV."""
    if isinstance(names, list):
        return [name and folder / str(name) for name in names]
    return folder / names
