"""Error against passes of Motion Guidance, with a diffusion model that is exact: the object at every place.

With such a model an error is the guidance's alone. Moved objects come from the world's motion set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mimicbrush.bench.editors.config import MotionBenchConfig
from mimicbrush.benchmark_layout import FLOW, OBJECT_MASK, SOURCE, TRUTH
from mimicbrush.device import describe_device
from mimicbrush.editors.motion_guidance.editor import MotionGuidanceEditor
from mimicbrush.editors.motion_guidance.exact_prior import ExactPrior
from mimicbrush.editors.motion_guidance.settings import RELEASED, MotionGuidanceSettings
from mimicbrush.errors import UserError
from mimicbrush.files import read_object, write_json
from mimicbrush.flow.flow_files import read_flow
from mimicbrush.pictures.classical_inpainting import fill_hole
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.pictures.reading import read_image, read_mask
from mimicbrush.progress import progress_bar
from mimicbrush.requests import MotionRequest
from mimicbrush.training.timing import now

GRID = 2
"""Pixels between neighbouring places of the object."""
TARGET_FLOW = {"colour_flow": "target", "flow_weight": 0.0}
"""Guided by the colour loss with the target flow alone, which needs no flow network."""
ROWS: dict[str, MotionGuidanceSettings] = {
    "released": replace(RELEASED, paste_back=True, **TARGET_FLOW),
    "noise, 100 steps x 5": MotionGuidanceSettings(
        num_inference_steps=100, start="noise", num_recursions=5, num_unguided_recursions=5, **TARGET_FLOW
    ),
    "noise, 50 steps x 4": MotionGuidanceSettings(
        num_inference_steps=50, start="noise", num_recursions=4, **TARGET_FLOW
    ),
    "noise, 20 steps x 4": MotionGuidanceSettings(
        num_inference_steps=20, start="noise", num_recursions=4, **TARGET_FLOW
    ),
    "noise, 20 steps x 2": MotionGuidanceSettings(
        num_inference_steps=20, start="noise", num_recursions=2, **TARGET_FLOW
    ),
    "warped, 50 steps x 4": MotionGuidanceSettings(num_inference_steps=50, num_recursions=4, **TARGET_FLOW),
    "warped, 20 steps x 2": MotionGuidanceSettings(num_inference_steps=20, num_recursions=2, **TARGET_FLOW),
    "warped, 10 steps x 1": MotionGuidanceSettings(num_inference_steps=10, num_recursions=1, **TARGET_FLOW),
    "warped, unguided": MotionGuidanceSettings(num_inference_steps=20, guidance_weight=0.0, **TARGET_FLOW),
    "noise, unguided": MotionGuidanceSettings(
        num_inference_steps=20, start="noise", guidance_weight=0.0, **TARGET_FLOW
    ),
}


class MovedObject(NamedTuple):
    """A sample of the motion set whose motion is a shift."""

    id: str
    request: MotionRequest
    pictures: Tensor
    """(N, 3, H, W), the object at each place."""
    shifts: Tensor
    """(N, 2), how far each of them is from the object's place in the source: x, then y."""
    wanted: Tensor
    """(2,), the asked shift."""


@dataclass(frozen=True, kw_only=True)
class MotionEdit:
    """One edit: its cost and its error."""

    row: str
    id: str
    unet: int
    decoder: int
    flow_network: int
    error: float
    """Pixels from the asked place of the object to its place in the result."""
    cpu_seconds: float


def bench_motion(config: MotionBenchConfig) -> None:
    """Print the error of each row's settings; edits that the output file holds already are not repeated."""
    objects = list(_moved_objects(config.motion_set, config.num_samples))
    rows = config.rows or tuple(ROWS)
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise UserError(f"rows: there is no {unknown[0]}; choose from {', '.join(ROWS)}")
    kept = _read_edits(config.output)
    finished = {(edit.row, edit.id): edit for edit in kept}
    with progress_bar(total=len(rows) * len(objects), desc="edits", unit="edit") as progress:
        for moved in objects:
            for row in rows:
                if (row, moved.id) not in finished:
                    finished[row, moved.id] = _measure(row, moved)
                    _write_edits(list(finished.values()), config.output)
                progress.update(1)
    print(_table([edit for edit in finished.values() if edit.row in rows]))


def _moved_objects(folder: Path, count: int) -> Iterator[MovedObject]:
    """The first samples whose flow is the same for the whole object."""
    found = 0
    for path in sorted(folder.glob(f"*{SOURCE}")):
        name = path.name.removesuffix(SOURCE)
        flow = torch.from_numpy(read_flow(folder / f"{name}{FLOW}").flow)
        inside = flow[0][:, (flow[0] != 0).any(dim=0)]
        if found < count and bool((inside == inside[:, :1]).all()):
            found += 1
            yield _moved_object(folder, name, flow, inside[:, 0])
    if found < count:
        raise UserError(
            f"{folder} has {found} samples of shifted objects, expected {count}; render it with `python"
            " data_prep/render_world.py --output runs/world`"
        )


def _moved_object(folder: Path, name: str, flow: Tensor, wanted: Tensor) -> MovedObject:
    source, truth = read_image(folder / f"{name}{SOURCE}"), read_image(folder / f"{name}{TRUTH}")
    object_mask = read_mask(folder / f"{name}{OBJECT_MASK}")[0] > 0.5
    shifted = torch.roll(object_mask, tuple(int(each) for each in wanted.flip(0)), (0, 1))
    # The truth shows what the object uncovers; what is hidden in both is continued from around it.
    background = fill_hole(torch.where(object_mask, truth, source), object_mask & shifted)
    rows, columns = mask_box(object_mask)
    height, width = object_mask.shape
    to_right = _shifts(columns, int(wanted[0]), width)
    down = _shifts(rows, int(wanted[1]), height)
    shifts = [(x, y) for y in down for x in to_right]
    pictures = background.repeat(len(shifts), 1, 1, 1)
    for picture, (x, y) in zip(pictures, shifts, strict=True):
        place = torch.roll(object_mask, (y, x), (0, 1))
        picture[:, place] = source[:, object_mask]
    return MovedObject(
        name, MotionRequest(source=source[None], flow=flow, id=name), pictures, torch.tensor(shifts).float(), wanted
    )


def _shifts(side: slice, wanted: int, length: int) -> list[int]:
    """Shifts on a grid through the asked one, by which the object stays in the picture."""
    return [shift for shift in range(-side.start, length - side.stop + 1) if (shift - wanted) % GRID == 0]


def _measure(row: str, moved: MovedObject) -> MotionEdit:
    editor = MotionGuidanceEditor(ExactPrior(moved.pictures), settings=ROWS[row])
    started = now("cpu")
    edited = editor.edit(moved.request).frames
    nearest = (moved.pictures - edited).square().flatten(1).sum(1).argmin()
    error = (moved.shifts[nearest] - moved.wanted).norm().item()
    return MotionEdit(row=row, id=moved.id, **editor.passes._asdict(), error=error, cpu_seconds=now("cpu") - started)


def _read_edits(path: Path | None) -> list[MotionEdit]:
    return [MotionEdit(**edit) for edit in read_object(path)["edits"]] if path and path.is_file() else []


def _write_edits(edits: list[MotionEdit], path: Path | None) -> None:
    if path:
        machine = describe_device(torch.device("cpu"))
        write_json({"machine": machine, "edits": [asdict(edit) for edit in edits]}, path)


def _table(edits: list[MotionEdit]) -> str:
    lines = [f"{describe_device(torch.device('cpu'))}; means over the samples\n"]
    lines.append(f"{'settings':24}{'U-Net':>8}{'decoder':>9}{'error, px':>11}{'worst':>8}{'CPU s':>8}")
    for row in dict.fromkeys(edit.row for edit in edits):
        own = [edit for edit in edits if edit.row == row]
        errors = [edit.error for edit in own]
        seconds = float(np.mean([edit.cpu_seconds for edit in own]))
        lines.append(
            f"{row:24}{own[0].unet:8}{own[0].decoder:9}{np.mean(errors):11.1f}{max(errors):8.1f}{seconds:8.1f}"
        )
    return "\n".join(lines)
