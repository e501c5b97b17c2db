"""From the command line to edits."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mimicbrush.config import parse_config
from mimicbrush.edit.batch import read_batch, unfinished
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import edit, load_pipeline
from mimicbrush.edit.settings import read_settings
from mimicbrush.errors import UserError
from mimicbrush.files import write_json
from mimicbrush.pipeline import MimicBrushPipeline

PROGRAM = "python -m mimicbrush.edit"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        replayed = _replayed(sys.argv[1:], Path(folder) / "settings.yaml")
        config = parse_config(EditConfig, default=replayed, program=PROGRAM)
    edits = [config] if config.batch is None else unfinished(read_batch(config), force=config.force)
    if config.batch is None and not config.force:
        _refuse_existing(config)
    if not edits:
        print("nothing to do: every output is there")
        return
    pipe = load_pipeline(config)
    if config.batch is None:
        edit(pipe, config)
        return
    try:
        failures = [reason for reason in (_try(pipe, single) for single in edits) if reason]
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; what is written stays, and the same command makes the rest") from None
    print(f"edited {len(edits) - len(failures)} of {len(edits)}; {len(failures)} skipped")
    if len(failures) == len(edits):
        raise UserError(f"{config.batch}: nothing could be edited; the first: {failures[0]}")


def _replayed(arguments: list[str], path: Path) -> Path | None:
    """The settings in the picture that --replay names, written to a config file that the other arguments override."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--replay":
            write_json(read_settings(Path(value or "".join(arguments[number + 1 : number + 2]))), path)
            return path
    return None


def _try(pipe: MimicBrushPipeline, config: EditConfig) -> str:
    """Why an edit of a batch was skipped; empty where it was made."""
    try:
        edit(pipe, config)
    except UserError as error:
        print(f"skipped {config.output}: {error}", file=sys.stderr)
        return str(error)
    return ""


def _refuse_existing(config: EditConfig) -> None:
    wanted = [*config.outputs, *([config.sheet] if config.grid else [])]
    existing = [str(path) for path in wanted if path.exists()]
    if existing:
        raise UserError(f"{', '.join(existing)} exists; choose another --output or pass --force")
