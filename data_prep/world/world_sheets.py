"""Contact sheets of the small world's files: a look at every kind of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.world.write_clips import FLOW as CLIP_FLOW
from data_prep.world.write_clips import FPS, LAYERS
from data_prep.world.write_stills import CAPTIONS
from mimicbrush.benchmark_layout import FLOW, MASK, REFERENCE, SAMPLES, SOURCE, TRUTH
from mimicbrush.flow.colour_wheel import colour_flow
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.decoding import decode_frames
from mimicbrush.pictures.writing import write_image
from mimicbrush.reports.contact_sheet import Labelled, contact_sheet, square_rows, text_panel
from mimicbrush.video.clip_reader import read_frames
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.render import render
from mimicbrush.world.renderer.scene import Background, Pose, Scene, SceneObject
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.sets.edits import to_8_bits
from mimicbrush.world.sets.splits import MATERIALS

SHOWN_OBJECT, SHOWN_MATERIAL, SHOWN_BACKGROUND = "ball", "red striped", "a cream wall"
SHOWN_SIZE = 96
"""Object of the materials' sheet, material of the objects' sheet, background and size of both."""
STILLS_PER_ROW, STILL_ROWS = 8, 5
NUM_CLIPS = 8
NUM_SEEN, NUM_UNSEEN = 10, 3
"""Samples of a set on its sheet, with seen words and with unseen ones."""
SHOWN_FRAMES = 4
"""Frames of a training clip on its sheet."""


def write_sheets(output: Path) -> list[str]:
    """Write a sheet of all objects, of all materials, of stills, clips and every set; returns the sheets' names."""
    sheets = {
        "objects": square_rows([(name, _show(name, SHOWN_MATERIAL)) for name in SILHOUETTES]),
        "materials": square_rows([(name, _show(SHOWN_OBJECT, name)) for name in MATERIALS]),
    }
    sheets |= {"stills": _still_rows(output / "stills"), "clips": _clip_rows(output / "clips")}
    sheets |= {folder.name: _set_rows(folder) for folder in sorted((output / "sets").iterdir())}
    for name, rows in sheets.items():
        if rows:
            write_image(contact_sheet(rows), output / "sheets" / f"{name}.png")
    return [name for name, rows in sheets.items() if rows]


def _show(object_name: str, material: str) -> Image.Image:
    """Show an object in a material, both by name, upright before a plain wall."""
    subject = SceneObject(silhouette=object_name, material=MATERIALS[material], pose=Pose(scale=0.42))
    scene = Scene(background=Background(material=BACKGROUNDS[SHOWN_BACKGROUND]), objects=(subject,))
    return to_pil(to_8_bits(render(scene, SHOWN_SIZE).picture))


def _still_rows(folder: Path) -> list[list[Labelled]]:
    """Rows of stills, each above its caption."""
    rows = []
    captions = _read_captions(folder, STILLS_PER_ROW * STILL_ROWS)
    for first in range(0, len(captions), STILLS_PER_ROW):
        part = captions[first : first + STILLS_PER_ROW]
        rows.append([("", _first_frame(folder / row["file"])) for row in part])
        rows.append([("", text_panel(row["caption"])) for row in part])
    return rows


def _clip_rows(folder: Path) -> list[list[Labelled]]:
    """A row for each clip: caption, frames, mask and flow at the first frame."""
    rows = []
    for row in _read_captions(folder, NUM_CLIPS):
        path = folder / row["file"]
        with np.load(path.with_name(path.stem + LAYERS)) as layers:
            mask = layers["foreground"][0, ..., 3]
            times = np.linspace(0, len(layers["foreground"]) - 1, SHOWN_FRAMES).round() / FPS
        frames = read_frames(path, list(times), short_side=len(mask), exact=True).frames
        flow = read_flow(path.with_name(path.stem + CLIP_FLOW)).flow[0]
        light = "light changes" if row["light_changes"] == "yes" else "steady light"
        rows.append(
            [
                (light, text_panel(row["caption"])),
                *((f"{frame.time:.2f} s", to_pil(frame.image)) for frame in frames),
                ("mask", to_pil(mask)),
                _flow_cell(flow),
            ]
        )
    return rows


def _set_rows(folder: Path) -> list[list[Labelled]]:
    """A row for each sample: source, mask, reference or prompt, truth, flow; of clips the first and the last frame."""
    facts = json.loads((folder / SAMPLES).read_text(encoding="utf-8"))
    chosen = {"seen": NUM_SEEN, "unseen": NUM_UNSEEN}
    shown = [
        name for word, num in chosen.items() for name in [n for n in facts if facts[n]["vocabulary"] == word][:num]
    ]
    return [_sample_row(folder, name, facts[name]) for name in shown]


def _sample_row(folder: Path, name: str, facts: dict) -> list[Labelled]:
    sources, masks, truths = (decode_frames(folder / f"{name}{suffix}") for suffix in (SOURCE, MASK, TRUTH))
    moments = sorted({0, len(sources) - 1})
    row = [(f"source {name}", to_pil(sources[moment])) for moment in moments]
    row += [("mask", to_pil(masks[moment])) for moment in moments]
    if (folder / f"{name}{REFERENCE}").is_file():
        row.append(("reference", _first_frame(folder / f"{name}{REFERENCE}")))
    if "prompt" in facts:
        row.append(("prompt", text_panel(facts["prompt"])))
    row += [("truth", to_pil(truths[moment])) for moment in moments]
    if (folder / f"{name}{FLOW}").is_file():
        row.append(_flow_cell(read_flow(folder / f"{name}{FLOW}").flow[0]))
    return row


def _flow_cell(flow: np.ndarray) -> Labelled:
    return f"flow, longest {np.hypot(*flow).max():.1f} px", to_pil(colour_flow(flow))


def _first_frame(path: Path) -> Image.Image:
    return to_pil(decode_frames(path)[0])


def _read_captions(folder: Path, most: int) -> list[dict[str, str]]:
    with (folder / CAPTIONS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[:most]
