"""Clips of many kinds, made by ffmpeg, and ffmpeg's own pictures of them."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

# Moving, so that each frame differs from its neighbours; soft and no more colourful than a photograph, as scalers
# differ at hard edges between pure colours.
SOURCE = "testsrc2=size=192x128:rate={rate}:duration={seconds},hue=s=0.5,scroll=h=0.02:v=0.01,gblur=sigma=2:steps=2"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How ffmpeg makes a clip."""

    file: str
    encode: str
    """Options after the inputs."""
    filters: str = "null"
    rate: int = 25
    seconds: float = 1.6
    inputs: str = ""
    """Another input, and options of the pictures'."""
    remux: tuple[str, str] | None = None
    """Options before and after the input of a second run, which copies the streams."""
    shown: tuple[int, int] = (192, 128)
    """Width and height on screen."""

    def __str__(self) -> str:
        return self.file


def make_clip(recipe: Recipe, folder: Path) -> Path:
    """The clip in `folder`, made unless it is there."""
    path = folder / recipe.file
    if path.exists():
        return path
    source = SOURCE.format(rate=recipe.rate, seconds=recipe.seconds)
    first = path.with_stem(f"{path.stem}_first") if recipe.remux else path
    _run_ffmpeg(f"{recipe.inputs} -f lavfi -i '{source},{recipe.filters}' {recipe.encode} '{first}'")
    if recipe.remux:
        before, after = recipe.remux
        _run_ffmpeg(f"{before} -i '{first}' -map 0 -c copy {after} '{path}'")
    return path


@functools.cache
def ffmpeg_frames(
    path: Path, size: tuple[int, int], *, skip: str = "none"
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Every frame as ffmpeg shows it: (N,) seconds from the first one, (N, H, W, 3) RGB.

    size: width and height to scale to. skip: which frames its decoder passes over; the last one's time is then a guess.
    """
    # Without full_chroma_int, RGB has its colours at half the width, and is a grey level too dark.
    filters = f"scale={size[0]}:{size[1]}:flags=area+full_chroma_int,format=rgb24,showinfo=checksum=0"
    done = _run_ffmpeg(
        f"-threads 1 -skip_frame {skip} -i '{path}' -map 0:v:0 -vf {filters} -fps_mode passthrough -f rawvideo -"
    )
    log = done.stderr.decode()
    numerator, denominator = map(int, re.search(r"config in time_base: (\d+)/(\d+)", log).groups())
    ticks = np.array([int(tick) for tick in re.findall(r"Parsed_showinfo.* pts: *(-?\d+) ", log)])
    images = np.frombuffer(done.stdout, np.uint8).reshape(len(ticks), size[1], size[0], 3)
    return (ticks - ticks[0]) * numerator / denominator, images


def _run_ffmpeg(arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *shlex.split(arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done
