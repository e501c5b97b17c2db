"""The zip of an edit: its pictures, its results, and how to replay it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mimicbrush.edit.config import EditConfig
from mimicbrush.hub.locations import SHIPPED

HOW_TO_REPLAY = """In this folder, with {needs} that the page was started with:

python -m mimicbrush.edit {loading}--replay {result} --output again{suffix}
"""


def write_zip(edit: EditConfig) -> Path:
    """Write a zip beside the results, with their layers and everything needed to replay the edit."""
    path = edit.output.with_name("edit.zip")
    needs, loading = _loading(edit)
    replay = HOW_TO_REPLAY.format(needs=needs, loading=loading, result=edit.outputs[0].name, suffix=edit.output.suffix)
    results = sorted(path for path in edit.output.parent.glob(f"{edit.output.stem}*") if path.is_file())
    with zipfile.ZipFile(path, "w") as archive:
        for picture in (*(path for paths in edit.pictures.values() for path in paths if path), *results):
            archive.write(picture, f"edit/{picture.name}")
        archive.writestr("edit/replay.txt", replay)
    return path


def _loading(edit: EditConfig) -> tuple[str, str]:
    """Describe, in words and as options, what the visitor must supply: the server's paths are not disclosed."""
    atlas = "--atlas ATLAS " if getattr(edit, "atlas", None) else ""
    if edit.editor is not None:
        needs, option = (
            ("the arguments of the editor", "--init_args ARGUMENTS ") if edit.init_args else ("the editor", "")
        )
        return needs, option + atlas
    name = edit.weights_option
    weights = getattr(edit, name)
    option = f"--{name} {weights if weights.startswith(SHIPPED) else name.upper()} {atlas}"
    return "the weights", f"{option}--lora LORA " if getattr(edit, "lora", None) else option
