"""List clips: the files of a folder, or of a text file with one path per line, that may be videos.

One rule for both: a file whose suffix is that of a video is a clip; pictures, sound and texts are not; any other file
is a clip if its first bytes are those of a video file. What is passed over is counted by suffix.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data_prep.inputs.input_files import describe_passed_over, find_files, readable_name, require_local, suffix_of
from mimicbrush.errors import UserError
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.machine import require_posix
from mimicbrush.metadata import require_metadata

if TYPE_CHECKING:
    from data_prep.config import VideoShardConfig

# fmt: off
VIDEO_SUFFIXES = frozenset({
    # ISO base media, QuickTime, Matroska, AVI, ASF, Flash, Ogg, MXF, GXF
    ".3g2", ".3gp", ".3gp2", ".3gpp", ".asf", ".avi", ".divx", ".dvr-ms", ".f4v", ".flv", ".gxf", ".ismv",
    ".lrv", ".m4v", ".mj2", ".mk3d", ".mkv", ".mov", ".mp4", ".mpeg4", ".mxf", ".nut", ".ogm", ".ogv", ".qt",
    ".rm", ".rmvb", ".webm", ".wmv", ".wtv",
    # MPEG programme and transport streams, as on discs, cameras and receivers
    ".evo", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".mod", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".tod",
    ".tp", ".trp", ".ts", ".vob", ".vro",
    # Streams without a container, and animations
    ".264", ".265", ".266", ".amv", ".apng", ".av1", ".avif", ".dif", ".drc", ".dv", ".gif", ".h261", ".h263",
    ".h264", ".h265", ".h266", ".hevc", ".ivf", ".mjpeg", ".mjpg", ".obu", ".vc1", ".vvc", ".y4m",
})
"""Suffixes, in any case, of files that FFmpeg's demuxers read as video."""
OTHER_SUFFIXES = (PICTURE_SUFFIXES - VIDEO_SUFFIXES) | {
    ".aac", ".aria2", ".crdownload", ".csv", ".flac", ".jpe", ".json", ".jsonl", ".m4a", ".m4b",
    ".mka", ".mks", ".mp3", ".oga", ".opus", ".part", ".srt", ".tar", ".tmp", ".txt", ".vtt", ".wav", ".wma",
    ".ytdl", ".zip",
}
"""Suffixes, in any case, of other files beside clips, among them incomplete downloads; they are not opened."""
# fmt: on
SIGNATURES = re.compile(
    rb"....(ftyp|moov|mdat|wide|free|skip|pnot)"  # ISO base media, QuickTime
    rb"|\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|OggS|GIF8[79]a|\.RMF|YUV4MPEG2|DKIF|nut/multimedia"
    rb"|0&\xb2u\x8ef\xcf\x11"  # ASF
    rb"|\x06\x0e\+4\x02\x05\x01\x01"  # MXF
    rb"|\x00\x00\x01[\xb0\xb3\xba]"  # MPEG programme and elementary streams
    rb"|(?:G.{187}){2}G|.{4}(?:G.{191}){2}G",  # transport streams, in packets of 188 or 192 bytes
    re.DOTALL,
)
"""First bytes of video files."""
EXAMPLE = "python data_prep/shard_videos.py --videos DIR --output runs/shards/videos"


class ListedClips(NamedTuple):
    """Clips by name, sorted, and what was not taken for a clip."""

    clips: dict[str, Path]
    passed_over: dict[str, int]
    """Numbers of other files by suffix, the most frequent first."""


def check_videos(config: VideoShardConfig) -> None:
    """Raise UserError if a file that the command needs is missing, or the command cannot run on this system."""
    require_posix("sharding")
    require_videos(config.videos)
    require_metadata(config.metadata)


def require_videos(videos: Path) -> None:
    """Raise UserError if this is neither a folder nor a file that may list clips."""
    require_local(videos)
    if videos.is_file() and suffix_of(videos.name) in VIDEO_SUFFIXES:
        raise UserError(f"{videos}: is a single video; pass its folder, or a text file with one path per line")
    if not videos.is_dir() and not videos.is_file():
        raise UserError(f"{videos}: no such folder or list of videos; pass --videos, for example: {EXAMPLE}")


def list_videos(videos: Path, *, output: Path) -> ListedClips:
    """List the clips of a folder or list; raises UserError if there are none. output: folder that is no input."""
    require_videos(videos)
    passed_over: Counter[str] = Counter()
    if videos.is_dir():
        found = _files_of_folder(videos, output=output, passed_over=passed_over)
    else:
        found = _files_of_list(videos, output=output, passed_over=passed_over)
    clips: dict[str, Path] = {}
    for name, path in found:
        if may_be_clip(path) or path.is_dir():
            clips[name] = path
        else:
            passed_over[suffix_of(path.name)] += 1
    if not clips:
        others = f" (passed over: {describe_passed_over(passed_over)})" if passed_over else ""
        if videos.is_file():
            raise UserError(f"{videos}: lists no video{others}; expected one path per line")
        raise UserError(f"{videos}: holds no video{others}; pass --videos DIR, or convert the files to .mp4")
    return ListedClips(dict(sorted(clips.items())), dict(passed_over.most_common()))


def may_be_clip(path: Path) -> bool:
    """Whether a file is to be tried: by its suffix or, if that says nothing, by its first bytes."""
    suffix = suffix_of(path.name)
    if suffix in VIDEO_SUFFIXES or suffix in OTHER_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    if not path.is_file():
        return True  # Named later among the skipped inputs, as missing or as no file.
    try:
        with path.open("rb") as file:
            return SIGNATURES.match(file.read(400)) is not None
    except OSError:
        return True


def _files_of_folder(folder: Path, *, output: Path, passed_over: Counter[str]) -> Iterator[tuple[str, Path]]:
    for path in find_files(folder, output=output, passed_over=passed_over):
        yield readable_name(path.relative_to(folder)), path


def _files_of_list(videos: Path, *, output: Path, passed_over: Counter[str]) -> Iterator[tuple[str, Path]]:
    """Give the files that a list names, and those below the folders that it names, each once."""
    given: set[str] = set()
    for line in _lines_of(videos):
        name = _name_in(line, videos.parent)
        if name is None:
            continue
        name = os.path.normpath(name)
        path = _path_of(name, videos.parent)
        files = find_files(path, output=output, passed_over=passed_over) if path.is_dir() else [path]
        for file in files:
            place = os.path.normpath(file.absolute())
            if place in given:
                passed_over["named twice"] += 1
            else:
                yield readable_name(Path(name) / file.relative_to(path)), file
            given.add(place)


def _lines_of(path: Path) -> list[str]:
    """Lines of a list. Names may hold any bytes but line feeds, and need not be UTF-8."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except PermissionError:
        raise UserError(f"{path}: no permission to read the list; see its permissions") from None
    if b"\0" in content:
        raise UserError(f"{path}: neither a folder of videos nor a text file that lists them, as ASCII or UTF-8")
    return [os.fsdecode(line.removesuffix(b"\r")) for line in content.split(b"\n")]


def _name_in(line: str, folder: Path) -> str | None:
    """The path that a line names; None for an empty line or a comment.

    Names may begin with `#` and begin or end with blanks: a file that exists under the whole line is meant.
    """
    name = line.strip(" \t\v\f\r")
    if not name:
        return None
    if os.path.lexists(folder / line):
        return line
    return name if not name.startswith("#") or os.path.lexists(folder / name) else None


def _path_of(name: str, folder: Path) -> Path:
    """The path of a name in a list: relative to the list's folder, or absolute, or in a home folder (`~`)."""
    path = folder / name
    if name.startswith("~") and not os.path.lexists(path):
        return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own fails for an unknown user
    return path
