"""Read frames at given times from a clip, by PyAV or decord."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.errors import UnusableInput
from mimicbrush.video.decoded_clip import DecodedClip, Times, VideoInfo
from mimicbrush.video.decord_reader import read_with_decord
from mimicbrush.video.pyav_reader import probe_with_pyav, read_with_pyav


def probe(path: Path) -> VideoInfo:
    """Read the facts of a clip; raises UnusableInput (unreadable, no_video_stream, hdr, too_short)."""
    return probe_with_pyav(path)


def read_frames(
    path: Path, times: Times, *, short_side: int, decoder: str = "auto", exact: bool = False
) -> DecodedClip:
    """Read the frames on screen at the given times, in order of time, each frame once.

    times: seconds in any order, or a function that gives them for a duration; times after the last frame give none.
    short_side: largest short side of the frames, in pixels; frames are never enlarged.
    decoder: pyav, decord, or auto, which is PyAV: it detects damaged frames and was no slower for any codec tried.
    exact: read the very frames. Otherwise PyAV takes the last reference frame at or before each time, which is faster.
    Raises UnusableInput (unreadable, no_video_stream, hdr, corrupt_frames, too_short, no_duration).
    """
    if decoder == "decord":
        clip = read_with_decord(path, times, probe(path), short_side=short_side)
    else:
        clip = read_with_pyav(path, times, short_side=short_side, exact=exact)
    if not clip.frames:
        raise UnusableInput("too_short", f"no frame at the wanted moments of {clip.info.duration:.2f} s")
    return clip
