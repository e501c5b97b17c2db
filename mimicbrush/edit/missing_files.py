"""Find missing and unwritable files of an edit before anything heavy is imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mimicbrush.edit.clip_config import FOLDERS_OF_CLIPS
from mimicbrush.errors import Faults
from mimicbrush.files import check_writable, why_no_file

if TYPE_CHECKING:
    from mimicbrush.edit.config import EditConfig

EXPECTED = {"flow": "flow file", "keep_mask": "mask"}
"""Kinds of files that need not be pictures, by option."""


def refuse_missing_files(config: EditConfig) -> None:
    """Raise one UserError for all missing pictures, the CSV of a batch and local weights.

    For a single edit, it also names results that exist or cannot be written; for a batch, these are checked row by row
    later. If nothing is wrong, it prints what will be loaded, which takes seconds.
    """
    faults = Faults()
    if config.batch is None:
        # A stopped edit of several results resumes beside those that are finished.
        existing = [str(path) for path in config.written if path.exists() and not config.is_stopped]
        exist = "exist" if len(existing) > 1 else "exists"
        faults.check(
            config.force or not existing, f"{', '.join(existing)} {exist}; choose another --output or pass --force"
        )
        faults.found += missing_pictures(config.pictures, is_clip=config.is_clip) + unwritable_results(config)
    elif config.batch.is_dir():
        faults.add(f"{config.batch}: is a folder; give a CSV file")
    elif not config.batch.is_file():
        faults.add(f"{config.batch}: not a readable CSV (no such file)")
    with faults.collect():
        config.check_weights()
    faults.refuse()
    print(f"{config.announcement} ...", file=sys.stderr, flush=True)


def missing_pictures(given: Mapping[str, object], *, is_clip: bool = False) -> list[str]:
    """Describe each missing picture of a row or a command line.

    given: paths, and other values, by option; is_clip: whether the source is a clip.
    """
    folders = FOLDERS_OF_CLIPS if is_clip else {}
    expected = EXPECTED | folders
    listed = {option: value if isinstance(value, list) else [value] for option, value in given.items()}
    return [
        f"{option} {path}: {why_no_file(path, expected.get(option, 'picture'))}"
        for option, values in listed.items()
        for path in values
        if option != "output" and isinstance(path, Path) and not path.is_file()
        if not (option in folders and path.is_dir())
    ]


def unwritable_results(config: EditConfig) -> list[str]:
    """Describe each result that cannot be written."""
    faults = Faults()
    for path in config.written:
        with faults.collect():
            if config.force or not path.exists():
                check_writable(path)
    return faults.found
