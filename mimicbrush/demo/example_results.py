"""Make the pictures of the page's examples: `python -m mimicbrush.demo.example_results [--weights W] [NAME...]`.

Each joins what an example gives and what its editor makes of it, so new weights need this command once more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mimicbrush.demo.atlases.clip_editors import ClipEditors
from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.examples.drawn_examples import ATLAS_CLIP, NUM_FRAMES, SHIPPED
from mimicbrush.demo.examples.examples_by_tab import EXAMPLES
from mimicbrush.demo.examples.gallery import joined
from mimicbrush.demo.server import load_editors, share
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.tabs import TABS, atlas_tab
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.model.weights.find import few_steps_of
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import read_rgb
from mimicbrush.pictures.writing import encode_webp
from mimicbrush.video.whole_clip import read_whole_clip

QUALITY = 82
SHOWN_FRAMES = (0, -1)
"""Frames of a resulting clip that are shown."""


def example_page(weights: str) -> DemoConfig:
    """A page with the editors that make the expected results."""
    editors = {kind: dict(each.editor) for kind, each in EXAMPLES.items() if each.editor}
    for spec in editors.values():
        if "checkpoint" in spec.get("init_args", {}):
            spec["init_args"] = spec["init_args"] | {"checkpoint": weights}
    return DemoConfig(weights=weights, editors=editors, atlases=ATLAS_CLIP.parent)


def make_results(config: DemoConfig, names: list[str]) -> None:
    """Edit the examples of these names, or all, and store their pictures."""
    editors = share(load_editors(config), config)
    tabs = {tab.config_class.kind: (tab, editors[request_class]) for request_class, tab in TABS.items()}
    tabs["atlas"] = atlas_tab.TAB, ClipEditors(tabs[ReferenceEditConfig.kind][1])
    for kind, (tab, editor) in tabs.items():
        for example in EXAMPLES[kind].examples:
            if names and example.name not in names:
                continue
            with tempfile.TemporaryDirectory() as folder:
                folders = TemporaryFolders(Path(folder))
                given = example.given(folders, config.limits)
                if few_steps_of(config.weights) is None:
                    given.pop("quick", None)
                wanted = tab.handlers(editor, config, folders).make_config(**given)
                picture = joined(example, _results(editor, wanted))
            path = SHIPPED / f"{example.name}.webp"
            path.write_bytes(encode_webp(np.asarray(picture), quality=QUALITY))
            print(f"{example.title} -> {path}", flush=True)


def _results(editor: SharedEditor | ClipEditors, wanted: EditConfig) -> list[Image.Image]:
    *_, written = editor.edit(wanted, visitor="")
    output = written.config.output
    if output.suffix in PICTURE_SUFFIXES:
        return [to_pil(read_rgb(output))]
    frames = read_whole_clip(output, max_frames=NUM_FRAMES).frames
    return [to_pil(frames[number]) for number in SHOWN_FRAMES]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the page's examples.")
    parser.add_argument("--weights", default=DemoConfig.weights, help="weights that edit by references")
    known = [each.name for tab in EXAMPLES.values() for each in tab.examples]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"examples, by default all: {', '.join(known)}")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(known)):
        parser.error(f"there is no example {', '.join(unknown)}; choose from {', '.join(known)}")
    try:
        make_results(example_page(given.weights), given.names)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
