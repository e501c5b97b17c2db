"""Write clips as H.264."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SETTINGS = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "cpu-independent=1"}
"""Settings of x264. One thread, as worker processes fill the cores; another number of threads gives other bytes.
Without `cpu-independent` the bytes depend on the processor, and with AVX-512 they differ from run to run."""


def write_h264(path: Path, frames: Iterable[NDArray[np.uint8]], *, fps: int) -> None:
    """Write (H, W, 3) RGB frames of one size, both sides even, as H.264 in the container that the suffix names."""
    with open_h264(path, fps=fps) as write_frame:
        for frame in frames:
            write_frame(frame)


@contextmanager
def open_h264(
    path: Path, *, fps: int | Fraction, frame_format: str = "rgb24", settings: Mapping[str, str] = SETTINGS
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Open a clip for writing; gives a function that appends one frame.

    frame_format: pixel format of the frames, as PyAV names it; the first frame fixes the size. settings: of x264.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=dict(settings))
        stream.pix_fmt = "yuv420p"

        def write_frame(pixels: NDArray[np.uint8]) -> None:
            frame = av.VideoFrame.from_ndarray(pixels, format=frame_format)
            if not stream.codec_context.is_open:
                stream.width, stream.height = frame.width, frame.height
            container.mux(stream.encode(frame))

        yield write_frame
        container.mux(stream.encode())
