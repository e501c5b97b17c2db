"""Render clips: a camera moves over a colour-graded photograph while the light changes; stored as H.264."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.demo.camera import CameraView, along, lit, look, random_grade, random_light, random_path
from data_prep.demo.demo_photographs import DemoPhotograph, load
from mimicbrush.files import whole
from mimicbrush.seeds import seed_of_input
from mimicbrush.video.clip_writer import write_h264

FPS = 24
"""Frames per second."""
MIN_SHARPNESS = 60.0
"""Smallest variance of the Laplacian of a clip's first frame; below it, the camera looks at an empty area."""


class DemoClip(NamedTuple):
    """One clip to render."""

    path: Path
    name: str
    """Name of the photograph."""
    photograph: DemoPhotograph


def plan_clips(folder: Path, photographs: Mapping[str, DemoPhotograph], num_each: int) -> list[DemoClip]:
    """List `num_each` clips of every photograph, named `<photograph>-NN.mp4`."""
    return [
        DemoClip(folder / f"{name}-{number:02d}.mp4", name, photograph)
        for name, photograph in photographs.items()
        for number in range(num_each)
    ]


def write_metadata(folder: Path, clips: Iterable[DemoClip]) -> None:
    """Write `metadata.csv` with the columns file, group (the photograph) and licence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "group", "licence"))
    writer.writerows((clip.path.name, clip.name, clip.photograph.licence) for clip in clips)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_text(text.getvalue())


def render_clip(clip: DemoClip, *, size: int, seed: int) -> None:
    """Render and encode one clip; the file appears complete or not at all."""
    generator = np.random.default_rng(seed_of_input(seed, clip.path.name))
    frames = _frames(load(clip.photograph), size, generator)
    with whole(clip.path) as partial:
        write_h264(partial, frames, fps=FPS)


def _frames(photograph: NDArray[np.uint8], size: int, generator: np.random.Generator) -> list[NDArray[np.uint8]]:
    graded = random_grade(photograph, generator)(photograph)
    num = int(generator.integers(round(1.5 * FPS), 2 * FPS + 1))
    first, last = _path_over_detail(photograph, size, generator)
    lights = along(random_light(generator), random_light(generator), num)
    return [lit(look(graded, view, size), light) for view, light in zip(along(first, last, num), lights, strict=True)]


def _path_over_detail(
    photograph: NDArray[np.uint8], size: int, generator: np.random.Generator
) -> tuple[CameraView, CameraView]:
    """Draw a camera path whose first view shows detail; if eight draws do not, take the sharpest of them."""
    draws = []
    for _ in range(8):
        path = random_path(*photograph.shape[:2], generator)
        seen = cv2.cvtColor(look(photograph, path[0], size), cv2.COLOR_RGB2GRAY)
        sharpness = cv2.Laplacian(seen, cv2.CV_32F).var()
        if sharpness >= MIN_SHARPNESS:
            return path
        draws.append((sharpness, path))
    return max(draws)[1]
