"""Small sets with a truth, drawn by hand: a textured block on a textured background, of which every pixel is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mimicbrush.benchmark_layout import FLOW, MASK, OBJECT_MASK, REFERENCE, REFERENCE_MASK, SOURCE, TRUTH, TRUTH_MASK
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.flow.flow_files import write_flow
from mimicbrush.pictures.writing import write_frames, write_image

SIZE = 48
STEP = 2
"""Pixels to the right that the objects of a clip move from each frame to the next."""
SHIFT = (9, 4)
"""The motion that a motion sample asks for: pixels to the right, then down."""
NUM_FRAMES = 3
OLD = (slice(10, 22), slice(8, 22))
"""Rows and columns of the object in the source's first frame."""
NEW = (slice(8, 26), slice(10, 21))
"""Rows and columns of another object that a clip's truth shows there."""
FACTS = {
    "scoring": "exact",
    "vocabulary": "seen",
    "prompt": "a #checkered# ball on grass",
    "source_prompt": "a red ball on grass",
    "region_prompt": "a ball",
    "screen_prompt": "a checkered ball over a green screen",
    "fps": 8.0,
}


def truth_set(folder: Path, task: str, **options) -> BenchmarkSet:
    return BenchmarkSet(folder=folder, task=task, track="truth", **options)


def draw(background: Tensor, block: Tensor, box: tuple[slice, slice], shift: tuple[int, int] = (0, 0)) -> Tensor:
    """(2, 3 or 1, H, W): the background with the block in the box, moved by pixels; and the block's mask."""
    rows, columns = box
    moved = slice(rows.start + shift[1], rows.stop + shift[1]), slice(columns.start + shift[0], columns.stop + shift[0])
    picture, mask = background.clone(), torch.zeros(1, SIZE, SIZE)
    picture[:, *moved] = block[:, : rows.stop - rows.start, : columns.stop - columns.start]
    mask[:, *moved] = 1
    return torch.cat([picture, mask])


def write_truth_sample(folder: Path, name: str, task: str, *, seed: int = 0, **facts) -> None:
    """Write a sound sample; facts replace entries of `samples.json`, and those that are None are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (3, 3, SIZE, SIZE), dtype=np.uint8)
    background, before, after = torch.from_numpy(levels) / 255
    shifts = [(STEP * frame, 0) for frame in range(NUM_FRAMES)] if task == "video" else [(0, 0)]
    source = torch.stack([draw(background, before, OLD, shift) for shift in shifts])
    if task == "motion":
        truth = draw(background, before, OLD, SHIFT)[None]
    else:
        box = NEW if task == "video" else OLD
        truth = torch.stack([draw(background, after, box, shift) for shift in shifts])
    region = torch.maximum(source[:, 3:], truth[:, 3:])
    for suffix, frames in ((SOURCE, source[:, :3]), (TRUTH, truth[:, :3])):
        write_frames(frames, folder / f"{name}{suffix}")
    for suffix, masks in ((MASK, region), (TRUTH_MASK, truth[:, 3:]), (OBJECT_MASK, source[:, 3:])):
        write_frames(masks.expand(-1, 3, -1, -1), folder / f"{name}{suffix}")
    if task in ("texture", "parts", "video"):
        write_image(after, folder / f"{name}{REFERENCE}")
        write_image(torch.ones(3, SIZE, SIZE), folder / f"{name}{REFERENCE_MASK}")
    if task in ("motion", "video"):
        moved, motion = (source[:, 3:], SHIFT) if task == "motion" else (truth[:-1, 3:], (STEP, 0))
        flow = moved * torch.tensor(motion, dtype=torch.float32)[:, None, None]
        # Where the object lies in the next frame, the background is hidden.
        hidden = 0 if task == "motion" else truth[1:, 3:] * (1 - moved)
        write_flow(flow.numpy(), folder / f"{name}{FLOW}", visible=(hidden == torch.zeros_like(moved)).numpy())
    path = folder / "samples.json"
    entries = json.loads(path.read_text()) if path.is_file() else {}
    entry = {key: value for key, value in (FACTS | facts).items() if value is not None}
    path.write_text(json.dumps(entries | {name: entry}))
