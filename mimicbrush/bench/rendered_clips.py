"""Render clips for timing preparation: a moving camera over enlarged photographs, as H.264 with known keyframes.

The cost of decoding depends on size, bit rate and keyframe interval, so these are fixed: 30 frames per second, crf 20,
film grain that leads to 3-8 Mb/s at 1080p, and a keyframe exactly every 250 frames (x264's default) or every 30.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.demo.camera import CameraView, homography
from data_prep.demo.demo_photographs import HELD_OUT, TRAIN, load
from mimicbrush.files import whole
from mimicbrush.progress import progress_bar
from mimicbrush.video.clip_writer import open_h264

Resolution = Literal["1080p", "4K"]

FPS = 30
SIZES: dict[Resolution, tuple[int, int]] = {"1080p": (1920, 1080), "4K": (3840, 2160)}
"""Width and height in pixels."""
KEYFRAME_INTERVALS = (250, 30)
"""Frames from one keyframe to the next."""
VIEW_SHARE = 0.8
"""Width of the first view, as a share of the photograph's short side."""
GRAIN = 2.3
"""Standard deviation of the film grain, in grey levels (0-255)."""
GRAIN_SHIFT = 64
"""Largest shift of the grain between two frames, in pixels."""


class BenchClip(NamedTuple):
    """One rendered clip."""

    path: Path
    resolution: Resolution
    keyframe_interval: int
    """Frames from one keyframe to the next."""


class RenderedShot(NamedTuple):
    """The content of a clip, which is rendered with each keyframe interval."""

    motion: str
    """One of MOTIONS."""
    photograph: str
    """Name of one of the demo's photographs."""
    resolution: Resolution
    seconds: float


SHOTS = (
    RenderedShot("handheld", "coffee", "1080p", 11.0),
    RenderedShot("pan", "rocket", "1080p", 11.0),
    RenderedShot("zoom", "astronaut", "1080p", 11.0),
    RenderedShot("perspective", "chelsea", "1080p", 11.0),
    RenderedShot("handheld", "chelsea", "4K", 6.0),
    RenderedShot("pan", "coffee", "4K", 6.0),
)


def render_clips(folder: Path, *, shots: Sequence[RenderedShot] = SHOTS, seed: int = 0) -> list[BenchClip]:
    """Render each shot with each keyframe interval, `<resolution>-<motion>-gop<interval>.mp4`; keep existing files."""
    clips = []
    for shot in shots:
        name = f"{shot.resolution}-{shot.motion}-gop"
        paths = {interval: folder / f"{name}{interval}.mp4" for interval in KEYFRAME_INTERVALS}
        missing = {interval: path for interval, path in paths.items() if not path.is_file()}
        if missing:
            _render(shot, missing, seed=seed)
        clips += [BenchClip(path, shot.resolution, interval) for interval, path in paths.items()]
    return clips


def _render(shot: RenderedShot, paths: Mapping[int, Path], *, seed: int) -> None:
    """Draw each frame once, and encode it for each keyframe interval."""
    generator = np.random.default_rng(seed)
    size = SIZES[shot.resolution]
    scene = _enlarged(shot.photograph, size[0])
    views = _views(shot, scene, generator)
    frames = _frames(scene, views, size, generator)
    with ExitStack() as stack:
        encoders = []
        for interval, path in paths.items():
            partial = stack.enter_context(whole(path))
            encoders.append(stack.enter_context(_open_clip(partial, keyframe_interval=interval)))
        for frame in progress_bar(frames, desc=f"{shot.resolution} {shot.motion}", total=len(views), unit="frame"):
            for encode in encoders:
                encode(frame)


def _open_clip(path: Path, *, keyframe_interval: int) -> AbstractContextManager[Callable]:
    """Open an H.264 file for I420 frames, with keyframes exactly at the interval."""
    interval = str(keyframe_interval)
    keyframes = {"g": interval, "keyint_min": interval, "sc_threshold": "0"}
    # A fixed number of threads makes the bytes reproducible.
    settings = {"crf": "20", "preset": "veryfast", "threads": "2", **keyframes}
    return open_h264(path, fps=FPS, frame_format="yuv420p", settings=settings)


# --- Frames ---------------------------------------------------------------------------------------------------------


def _enlarged(photograph: str, width: int) -> NDArray[np.uint8]:
    """Enlarge a photograph to RGB (h, w, 3), so that the first view has one pixel for each pixel of a frame."""
    image = load((TRAIN | HELD_OUT)[photograph])
    scale = width / (VIEW_SHARE * min(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _frames(
    scene: NDArray[np.uint8], views: Sequence[CameraView], size: tuple[int, int], generator: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Yield I420 pictures (3 H / 2, W), the luma plane before the chroma planes, with grain on luma."""
    width, height = size
    grain = generator.normal(0, GRAIN, (height + GRAIN_SHIFT, width + GRAIN_SHIFT)).round().astype(np.int16)
    for view in views:
        picture = cv2.cvtColor(_look(scene, view, size), cv2.COLOR_RGB2YUV_I420)
        x, y = generator.integers(0, GRAIN_SHIFT, 2)
        picture[:height] = cv2.add(picture[:height], grain[y : y + height, x : x + width], dtype=cv2.CV_8U)
        yield picture


def _look(scene: NDArray[np.uint8], view: CameraView, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Render one view (H, W, 3): the middle rows of the square view; the scene is mirrored at its edges."""
    width, height = size
    middle = np.array([[1, 0, 0], [0, 1, (width - height) / 2], [0, 0, 1]])
    matrix = homography(view, width) @ middle
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(scene, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)


# --- Motions --------------------------------------------------------------------------------------------------------

Series = NDArray[np.float64]
"""One value for each frame, (N,)."""


def _views(shot: RenderedShot, scene: NDArray[np.uint8], generator: np.random.Generator) -> list[CameraView]:
    """Make one view for each frame, around the middle of the scene."""
    height, width = scene.shape[:2]
    start = CameraView(width / 2, height / 2, VIEW_SHARE * min(height, width), angle=0.0, tilt_x=0.0, tilt_y=0.0)
    times = np.arange(round(shot.seconds * FPS)) / FPS
    changes = MOTIONS[shot.motion](start, times, generator)
    return [
        start._replace(**{name: values[number] for name, values in changes.items()}) for number in range(len(times))
    ]


def _handheld(start: CameraView, times: Series, generator: np.random.Generator) -> dict[str, Series]:
    """Drift slowly, with the tremor of a hand."""

    def sway(drift: float, tremor: float) -> Series:
        return drift * _waves(times, generator, low=0.05, high=0.2) + tremor * _waves(times, generator, low=3, high=8)

    return {
        "x": start.x + start.side * sway(0.25, 0.003),
        "y": start.y + start.side * sway(0.15, 0.003),
        "angle": sway(4.0, 0.2),
    }


def _pan(start: CameraView, times: Series, generator: np.random.Generator) -> dict[str, Series]:
    """Move from left to right at a constant speed."""
    return {
        "x": start.x + start.side * np.linspace(-0.25, 0.25, len(times)),
        "y": start.y + start.side * 0.002 * _waves(times, generator, low=1, high=3),
    }


def _zoom(start: CameraView, times: Series, generator: np.random.Generator) -> dict[str, Series]:
    """Zoom in to half of the first view's width."""
    return {
        "side": start.side * np.geomspace(1, 0.5, len(times)),
        "x": start.x + start.side * 0.002 * _waves(times, generator, low=1, high=3),
    }


def _perspective(start: CameraView, times: Series, generator: np.random.Generator) -> dict[str, Series]:
    """Tilt the camera around the scene."""
    return {
        "tilt_x": 0.3 * _waves(times, generator, low=0.05, high=0.15),
        "tilt_y": 0.2 * _waves(times, generator, low=0.05, high=0.15),
        "angle": np.linspace(-6, 6, len(times)),
    }


def _waves(times: Series, generator: np.random.Generator, *, low: float, high: float) -> Series:
    """Mean of three sine waves with random phases and frequencies from `low` to `high` hertz: (N,) in [-1, 1]."""
    frequencies, phases = generator.uniform(low, high, (3, 1)), generator.uniform(0, 2 * np.pi, (3, 1))
    return np.sin(2 * np.pi * frequencies * times + phases).mean(axis=0)


MOTIONS = {"handheld": _handheld, "pan": _pan, "zoom": _zoom, "perspective": _perspective}
"""Functions that return the changing fields of the view, by name."""
