"""A WebM clip with alpha: its colours, opacities and times, as libvpx reads them."""

from __future__ import annotations

import av
import numpy as np
import pytest

from mimicbrush.video.alpha_clip import write_alpha_clip

ALPHA_MODE = b"\x53\xc0\x81\x01"
"""Matroska's element by which players know that a track has alpha."""


@pytest.mark.parametrize("width", [48, 47])
def test_colours_and_alpha_are_kept(tmp_path, width):
    frames = np.zeros((3, 32, width, 4), np.uint8)
    frames[..., :3] = 200, 40, 90
    frames[:, :16, :, 3] = 255
    frames[1, :, :24, 3] = 128
    write_alpha_clip(tmp_path / "l.webm", frames, [0.0, 0.125, 0.375], fps=8.0)
    assert ALPHA_MODE in (tmp_path / "l.webm").read_bytes()
    decoder, found, times = av.CodecContext.create("libvpx-vp9", "r"), [], []
    with av.open(str(tmp_path / "l.webm")) as container:
        (stream,) = container.streams.video
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                found.append(frame.to_ndarray(format="rgba"))
                times.append(float(frame.pts * stream.time_base))
    assert times == pytest.approx([0.0, 0.125, 0.375])
    assert np.abs(np.stack(found)[..., 3].astype(int) - frames[..., 3])[:, 2:14, 2:22].max() <= 6
    assert np.abs(np.stack(found)[:, 2:14, 2:22, :3].astype(int) - (200, 40, 90)).max() <= 8
