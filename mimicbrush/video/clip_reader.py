"""The one place that decodes video: frames at given times, from decord or PyAV, or a reason why not."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.errors import UnusableInput
from mimicbrush.video.decoded_clip import DecodedClip, Times, VideoInfo
from mimicbrush.video.decord_reader import read_with_decord
from mimicbrush.video.pyav_reader import probe_with_pyav, read_with_pyav


def probe(path: Path) -> VideoInfo:
    """Read a clip's facts; raises UnusableInput (unreadable, no_video_stream, hdr, too_short)."""
    return probe_with_pyav(path)


def read_frames(
    path: Path, times: Times, *, short_side: int, decoder: str = "auto", exact: bool = False
) -> DecodedClip:
    """The frames shown at the given times, in order of time, each frame once.

    times: seconds, in any order, or a function that gives them for a duration; those behind the last frame give none.
    short_side: pixels; never enlarged. decoder: `auto` is PyAV, which tells damaged frames and was no slower for any
    codec tried. exact: else a time is snapped to the reference frame on screen at or before it, which PyAV decodes
    faster.
    Raises UnusableInput (unreadable, no_video_stream, hdr, corrupt_frames, too_short, no_duration).
    """
    if decoder == "decord":
        clip = read_with_decord(path, times, probe(path), short_side=short_side)
    else:
        clip = read_with_pyav(path, times, short_side=short_side, exact=exact)
    if not clip.frames:
        raise UnusableInput("too_short", f"no frame at the wanted moments of {clip.info.duration:.2f} s")
    return clip
