"""Make the expected results of the page's examples: `python -m mimicbrush.demo.example_results [NAME...]`.

The default edits them as the page does when it is started without options, so new weights need this command once more.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples import (
    MOTION_EXAMPLES,
    REFERENCE_EXAMPLES,
    RESULTS,
    MotionExample,
    ReferenceExample,
    write_reference,
    write_source,
)
from mimicbrush.demo.motion.motion_handlers import motion_edit_config
from mimicbrush.demo.server import load_editors
from mimicbrush.demo.tabs.reference_tab import reference_edit_config
from mimicbrush.demo.uploads import accept
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import edit
from mimicbrush.pictures.screen_copies import read_screen_copy

SIDE, QUALITY = 480, 82
"""Longer side in pixels, and quality, of the stored results."""
COMMON = {"num_images": 1, "seed": 0}


def make_results(names: list[str]) -> None:
    """Edit the examples of these names, or all, and store their results."""
    config = DemoConfig()
    editors = load_editors(config)
    RESULTS.mkdir(exist_ok=True)
    for example in (*REFERENCE_EXAMPLES, *MOTION_EXAMPLES):
        if names and example.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            uploads, edited = Path(folder) / "uploads", Path(folder) / "edited"
            uploads.mkdir()
            edited.mkdir()
            wanted = _edit_config(example, config, uploads, edited)
            (made,) = edit(editors[wanted.request_class], wanted)
            encoded = read_screen_copy(made.output, SIDE).encode(QUALITY)
            (RESULTS / f"{example.name}.webp").write_bytes(encoded)
        print(f"{example.title} -> {RESULTS / example.name}.webp", flush=True)


def _edit_config(
    example: ReferenceExample | MotionExample, config: DemoConfig, uploads: Path, folder: Path
) -> EditConfig:
    source = accept(write_source(example, uploads), config.limits, uploads)
    if isinstance(example, MotionExample):
        return motion_edit_config(config, folder, source, example.motion, prompt="", **COMMON)
    reference = accept(write_reference(example, uploads), config.limits, uploads, is_reference=True)
    chosen = {"keep_shape": example.keep_shape, "crop_to_mask": example.crop_to_mask}
    return reference_edit_config(config, folder, source, [reference], **chosen, **COMMON)


if __name__ == "__main__":
    make_results(sys.argv[1:])
