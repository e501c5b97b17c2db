"""Reads CSV files that users write: every file is checked the same way, and its faults are named by line."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from mimicbrush.errors import UserError


def read_rows(
    path: Path,
    required: Sequence[str],
    *,
    optional: Collection[str] | None = None,
    faults: dict[int, list[str]] | None = None,
) -> dict[int, dict[str, str]]:
    """Read the cells of every row that is not blank, by column: {line: {column: cell}}; missing cells are empty.

    optional: further columns that the file may have; None allows any. faults: receives the faults of each line that has
    more cells than there are columns, which is left out; None refuses the whole file.
    Raises UserError if the file cannot be read, its columns do not fit, or such a line is not allowed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, cells) for cells in reader]
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text in UTF-8; expected a CSV, exported as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV ({getattr(error, 'strerror', None) or error})") from None
    if nul := next((line for line, cells in lines if any("\0" in cell for cell in cells)), None):
        raise UserError(f"{path}, line {nul}: holds a zero byte, which text does not; export it again as UTF-8")
    (_, header), *rows = [(line, cells) for line, cells in lines if any(map(str.strip, cells))] or [(1, [])]
    columns = list(map(str.strip, header))
    _check_columns(path, columns, required, optional)
    fitting = {}
    for line, cells in rows:
        if not any(cells[len(columns) :]):
            fitting[line] = dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))
            continue
        fault = f'{len(cells)} cells for {len(columns)} columns; put a cell that holds commas in "quotes"'
        if faults is None:
            raise UserError(f"{path}, line {line}: {fault}")
        faults[line] = [fault]
    return fitting


def _check_columns(
    path: Path, columns: Sequence[str], required: Sequence[str], optional: Collection[str] | None
) -> None:
    """Raise UserError unless all required columns are there once, and no other than the optional ones."""
    allowed = set(columns) if optional is None else {*required, *optional}
    repeated = sorted({column for column in columns if column and columns.count(column) > 1})
    if repeated:
        raise UserError(f"{path}: has several columns {', '.join(repeated)}; keep one of each name")
    if set(required) <= set(columns) <= allowed:
        return
    further = f", optionally {', '.join(optional)}" if optional else ""
    hint = ""
    if len(columns) == 1 and any(separator in columns[0] for separator in ";\t"):
        hint = "; export it with commas between the columns"
    raise UserError(
        f"{path}: expected the columns {', '.join(required)}{further}; found {', '.join(columns) or 'none'}{hint}"
    )
