"""Metadata of inputs, read from a CSV: origin, licence, and groups of inputs that belong together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import UserError

ORIGIN_FIELDS = ("group", "licence", "url")
"""Columns that are copied into each sample's origin."""


def read_metadata(path: Path | None, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read {file: {group, licence, url}} from a CSV; columns other than `file` are optional, empty cells left out.

    Raises UserError if the CSV is missing, has no column `file`, or names none of the inputs.
    """
    if path is None:
        return {}
    require_metadata(path)
    rows = {
        row["file"]: {name: row[name] for name in ORIGIN_FIELDS if row.get(name)}
        for row in read_rows(path, required=("file",)).values()
    }
    if not rows.keys() & set(names):
        raise UserError(f"{path}: names none of the inputs; `file` is relative to the input folder")
    return rows


def require_metadata(path: Path | None) -> None:
    """Raise UserError if a path is given and there is no such file."""
    if path is not None and not path.is_file():
        raise UserError(f"{path}: no such metadata file; omit --metadata, or give a CSV with a column `file`")
