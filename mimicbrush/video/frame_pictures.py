"""Decoded frames as pictures: RGB on screen, and thumbnails; deinterlaced, and with alpha composited on white."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from mimicbrush.video.decoded_clip import shrink_luma
from mimicbrush.video.geometry import Geometry

SCALING = Interpolation.AREA | Interpolation.FULL_CHR_H_INT
"""Area averaging. Without the flag, colours have half the width and pictures are a grey level darker."""
LUMA_STEP = 8
"""Step in pixels, in both directions, at which a frame is sampled before it is averaged down to a thumbnail. It is
even, so that the thumbnail of an interlaced frame shows one field."""
MIN_DEINTERLACED = 3
"""Smallest side in pixels of a frame that bwdif takes."""


def to_rgb(frame: av.VideoFrame, geometry: Geometry, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, scaled to `size` (width, height on screen), rotated and mirrored as the container asks."""
    (x_from_x, x_from_y), (y_from_x, y_from_y) = geometry.axes
    coded_size = size[::-1] if x_from_y else size
    if has_alpha(frame):
        frame = av.VideoFrame.from_ndarray(_on_white(frame.to_ndarray(format="rgba")), format="rgb24")
    image = frame.to_ndarray(format="rgb24", width=coded_size[0], height=coded_size[1], interpolation=SCALING)
    if x_from_y:
        image, x_from_x, y_from_y = image.swapaxes(0, 1), y_from_x, x_from_y
    return np.ascontiguousarray(image[::y_from_y, ::x_from_x])


def to_thumbnail(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(36, 64) luma as it is coded: not rotated, in full or limited range."""
    if has_alpha(frame):
        sampled = frame.to_ndarray(format="rgba")[::LUMA_STEP, ::LUMA_STEP]
        return shrink_luma(cv2.cvtColor(_on_white(sampled), cv2.COLOR_RGB2GRAY))
    if not frame.format.name.startswith(("yuv", "nv12")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return shrink_luma(np.ascontiguousarray(rows[::LUMA_STEP, ::LUMA_STEP]))


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether a frame may be transparent."""
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def deinterlace(frame: av.VideoFrame, neighbour: av.VideoFrame) -> av.VideoFrame:
    """Replace the second field of an interlaced frame by what is seen at the time of its first field.

    neighbour: the frame before it, or the one after it if there is none. It may be some frames away: bwdif takes lines
    from the other frame only where nothing moves. Measured on ten clips, woven from two frames each: 38 to 49 dB with
    the frame before, 36 to 49 dB with the one after, 31 to 45 dB from the first field alone; combed frames 23 to 49 dB.
    Progressive frames that are flagged as interlaced, which are common, lose little (38 to 49 dB): flags are trusted.
    """
    shape, other = ((each.width, each.height, each.format.name) for each in (frame, neighbour))
    if min(frame.width, frame.height) < MIN_DEINTERLACED or shape != other:
        return frame
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=all")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    # A frame comes out once the one after it is in; the frame itself serves as that.
    for each in (neighbour, frame):
        graph.push(each)
    graph.pull()
    graph.push(frame)
    return graph.pull()


def _on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3): (H, W, 4) of straight alpha, composited on white."""
    colours, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    return ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
