"""The gallery of a tab's examples: what each shows, and the values that choosing one gives the tab's controls."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import gradio as gr
from gradio.components import Component
from PIL import Image

from mimicbrush.demo.config import Limits
from mimicbrush.demo.examples.drawn_examples import SHIPPED
from mimicbrush.demo.examples.example import Example, TabExamples
from mimicbrush.demo.result_panel import SAME
from mimicbrush.demo.temporary_folders import TemporaryFolders

HEADING = "<p><strong>Examples</strong>: choose one, then press Edit. {shown}</p>"
PANEL = 160
"""Height in pixels of the pictures that are joined."""


def gallery_items(examples: TabExamples, folders: TemporaryFolders) -> list[tuple[str, str]]:
    """Copy the picture of each example to where the page serves it; return paths and titles."""
    folder = folders.new_folder()
    files = [SHIPPED / f"{each.name}.webp" for each in examples.examples]
    return [
        (shutil.copyfile(file, folder / file.name).as_posix(), each.title)
        for file, each in zip(files, examples.examples, strict=True)
    ]


def heading(examples: TabExamples) -> str:
    """Say what the gallery shows."""
    made = f"what {examples.maker} made of it"
    if any(each.truth for each in examples.examples):
        return HEADING.format(shown=f"The last two pictures are {made} and the true result.")
    return HEADING.format(shown=f"On the right is {made}. {examples.note}".rstrip())


def joined(example: Example, results: list[Image.Image]) -> Image.Image:
    """Join what an example gives, its expected results and the true one to one picture."""
    pictures = [*example.shown(), *results, *([example.truth.shown()] if example.truth else [])]
    scaled = [each.resize((round(each.width * PANEL / each.height), PANEL)) for each in pictures]
    whole = Image.new("RGB", (sum(each.width for each in scaled), PANEL))
    left = 0
    for each in scaled:
        whole.paste(each, (left, 0))
        left += each.width
    return whole


def filled(
    example: Example,
    controls: Mapping[str, Component | list[Component]],
    limits: Limits,
    folders: TemporaryFolders,
) -> list[object]:
    """Values of the controls, in their order: those of the example; pictures and files that it has not are emptied."""
    given, found = example.given(folders, limits), []
    for name, control in controls.items():
        if not isinstance(control, list):
            found.append(given.get(name, _empty(control)))
            continue
        values = given.get(name, [])
        found += [*values, *map(_empty, control[len(values) :])]
    return found


def _empty(control: Component) -> object:
    if isinstance(control, gr.HTML):  # SAME would make Gradio lose the model
        return control.data_model()
    return None if isinstance(control, gr.State | gr.Video | gr.File) else SAME
