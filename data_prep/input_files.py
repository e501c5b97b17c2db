"""Find, name and check the files that a command works on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mimicbrush.data.shard_index import require_shards
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.machine import require_posix
from mimicbrush.metadata import require_metadata
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

if TYPE_CHECKING:
    from data_prep.config import SamShardConfig, ShardFolderConfig, VideoShardConfig

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"})
EXAMPLE = "python data_prep/shard_videos.py --videos DIR --output runs/shards/videos"


def check_videos(config: VideoShardConfig) -> None:
    """Raise UserError if a file that the command needs is missing, or the command cannot run on this system."""
    require_posix("sharding")
    require_videos(config.videos)
    require_metadata(config.metadata)


def check_stills(config: SamShardConfig) -> None:
    """Raise UserError if a file that the command needs is missing, or the command cannot run on this system."""
    require_posix("sharding")
    require_stills(config.stills)
    require_metadata(config.metadata)


def read_shard_config(folder: Path) -> dict:
    """Read the config of the sharding command that wrote a folder; raises UserError if it is no folder of shards."""
    path = folder / CONFIG_NAME
    config = parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else None
    if not isinstance(config, dict) or not {"videos", "stills"} & config.keys():
        raise UserError(f"{folder}: no folder of shards; expected a sharding command's {CONFIG_NAME} in it")
    return config


def check_merge(config: ShardFolderConfig) -> None:
    """Raise UserError if the folder is no folder of shards."""
    read_shard_config(config.folder)


def check_report(config: ShardFolderConfig) -> None:
    """Raise UserError if there is no such folder."""
    if not config.folder.is_dir():
        require_shards(config.folder)


def list_videos(videos: Path) -> dict[str, Path]:
    """List clips by name, sorted; raises UserError if there are none."""
    require_videos(videos)
    if videos.is_dir():
        found = (path for path in find_files(videos) if path.suffix.lower() in VIDEO_SUFFIXES or path.is_dir())
        clips = {readable_name(path.relative_to(videos)): path for path in found}
    else:
        lines = (line.strip() for line in _read_list(videos).splitlines())
        named = (os.path.normpath(line) for line in lines if line and not line.startswith("#"))
        clips = {name: videos.parent / name for name in named}
    if not clips:
        raise UserError(f"{videos}: holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}); pass --videos DIR")
    return dict(sorted(clips.items()))


def require_videos(videos: Path) -> None:
    """Raise UserError if this is neither a folder nor a file that may list clips."""
    if not videos.is_dir() and not (videos.is_file() and videos.suffix.lower() not in VIDEO_SUFFIXES):
        raise UserError(f"{videos}: no such folder or list of videos; pass --videos, for example: {EXAMPLE}")


def require_stills(stills: Path) -> None:
    """Raise UserError if this is neither a folder nor a file, which may be a tar."""
    if not stills.is_dir() and not stills.is_file():
        raise UserError(f"{stills}: no such folder or tar of stills; pass --stills, for example: --stills data/sa1b")


def find_files(folder: Path) -> Iterator[Path]:
    """Find files at any depth, except hidden ones; links to folders are followed, and each folder is entered once.

    An unreadable folder is given itself, so that it is named among the skipped inputs.
    """
    entered: set[tuple[int, int]] = set()
    unreadable: list[Path] = []
    walk = os.walk(folder, followlinks=True, onerror=lambda error: unreadable.append(Path(error.filename)))
    for place, folders, files in walk:
        status = Path(place).stat()
        is_new = (status.st_dev, status.st_ino) not in entered
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if is_new and not name.startswith("."))
        if is_new:
            yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
    yield from unreadable


def _read_list(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither a folder of videos nor a text file that lists them") from None


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if it is no file, such as a broken link."""
    return path.stat().st_size if path.is_file() else 0


def check_file(path: Path) -> None:
    """Raise UnusableInput (unreadable_folder, missing, not_a_file): opening a pipe would wait for ever."""
    if path.is_dir():
        raise UnusableInput("unreadable_folder", "may not be listed; see its permissions")
    if not path.is_file():
        exists = path.exists()
        raise UnusableInput("not_a_file" if exists else "missing", "a pipe or device" if exists else "no such file")


def readable_name(path: Path) -> str:
    """The name as text, with escapes for bytes that are not UTF-8; different bytes give different names."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")


def readable_text(text: str) -> str:
    """Text that can be written as UTF-8, with escapes for the halves of characters that JSON may hold."""
    return text.encode(errors="backslashreplace").decode()
