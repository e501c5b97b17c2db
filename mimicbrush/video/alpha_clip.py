"""Write a clip with alpha: VP9 in WebM, which browsers and video editors draw over other pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mimicbrush.files import whole

SETTINGS = {"crf": "18", "deadline": "good", "cpu-used": "4", "threads": "1", "auto-alt-ref": "0"}
"""Settings of libvpx, which cannot look ahead (alt-ref) in clips with alpha."""
TICKS = 1000
"""Time stamps in a second, as WebM has them."""


def write_alpha_clip(path: Path, frames: NDArray[np.uint8], times: list[float], *, fps: float) -> None:
    """Write frames (T, H, W, 4) of colours and straight (not premultiplied) alpha as WebM.

    times: seconds of each frame; fps: frames a second, on average.
    """
    with whole(path) as partial, av.open(str(partial), "w", format="webm") as container:
        stream = container.add_stream("libvpx-vp9", rate=Fraction(fps).limit_denominator(1001), options=dict(SETTINGS))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuva420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.bit_rate = 0  # the quality alone decides
        stream.metadata["alpha_mode"] = "1"
        for time, pixels in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
