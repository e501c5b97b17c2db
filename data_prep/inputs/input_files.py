"""Find, name and check the files that a command works on."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mimicbrush.data.remote_files import Address, locate, was_address
from mimicbrush.data.shard_index import require_shards
from mimicbrush.errors import UnusableInput, UserError, spaced
from mimicbrush.run_folder import CONFIG_NAME
from mimicbrush.yaml_reading import parse_yaml

if TYPE_CHECKING:
    from data_prep.config import MergeConfig, ReportConfig, ShardPushConfig

NOUNS = {"videos": "videos", "stills": "stills", "photographs": "sources"}
"""Field of a sharding config that names its inputs -> the word for them, with which the names of shards begin."""
UNNAMED = {*NOUNS, "output", "metadata", "work"}
"""Settings that name folders of this machine, or do not change what is stored: cards and reports leave them out."""
NO_SUFFIX = "without suffix"
"""Stands for the suffix of a file that has none, where files are counted by suffix."""


def read_shard_config(folder: Path | Address) -> dict:
    """Read the config of the sharding command that wrote a folder; raises UserError if it is no folder of shards."""
    path = folder / CONFIG_NAME
    config = parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else None
    if not isinstance(config, dict) or not NOUNS.keys() & config.keys():
        raise UserError(f"{folder}: no folder of shards; expected a sharding command's {CONFIG_NAME} in it")
    return config


def check_merge(config: MergeConfig) -> None:
    """Raise UserError if the folder is no folder of shards."""
    read_shard_config(locate(config.folder))


def check_push(config: ShardPushConfig) -> None:
    """Raise UserError if the folder is not a folder of shards, or no repository is named."""
    from mimicbrush.hub.upload import require_repository_name  # the hub's client, which no other check needs

    read_shard_config(config.folder)
    require_repository_name(config.repo_id)


def check_report(config: ReportConfig) -> None:
    """Raise UserError if there is no such folder."""
    if not config.folder.is_dir():
        require_shards(config.folder)


def require_local(path: Path) -> None:
    """Raise UserError for an address instead of a path on this machine."""
    if was_address(path):
        raise UserError(f"{path}: is an address; clips and stills are read from this machine, so copy them here")


def find_files(folder: Path, *, output: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """Find files at any depth, except hidden ones; links to folders are followed, and each folder is entered once.

    An unreadable folder is given itself, so that it is named among the skipped inputs. The output folder and other
    folders of shards are not entered; the latter are counted in `passed_over`. Raises UserError if `folder` is one.
    """
    if _is_same(folder, output):
        raise UserError(f"{folder}: is also the output; choose another --output, which may lie in this folder")
    entered: set[tuple[int, int]] = set()
    unreadable: list[Path] = []
    walk = os.walk(folder, followlinks=True, onerror=lambda error: unreadable.append(Path(error.filename)))
    for place, folders, files in walk:
        status = Path(place).stat()
        is_new = (status.st_dev, status.st_ino) not in entered and not _is_same(Path(place), output)
        entered.add((status.st_dev, status.st_ino))
        if is_new and is_shard_folder(Path(place), files):
            if Path(place) == folder:
                raise UserError(f"{folder}: is a folder of shards; pass the files that they were made from")
            passed_over["folder of shards"] += 1
            is_new = False
        folders[:] = sorted(name for name in folders if is_new and not name.startswith("."))
        if is_new:
            yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
    yield from unreadable


def is_shard_folder(folder: Path, names: Sequence[str]) -> bool:
    """Whether a sharding command wrote this folder; names: those of its files."""
    if CONFIG_NAME in names:
        try:
            read_shard_config(folder)
            return True
        except (UserError, OSError, ValueError):
            pass  # another program's config
    # Shards may have been copied without their config. Names like theirs are common, their content is not.
    index = next((name for name in sorted(names) if is_index_name(name)), None)
    if index is None:
        return False
    try:
        content = json.loads((folder / index).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"pairs", "sha256", "keys", "inputs"} <= content.keys()


def is_index_name(name: str) -> bool:
    """Whether a file's name is that of a shard's index."""
    return re.fullmatch(r"[^.].*-\d{6}\.json", name) is not None


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case, or NO_SUFFIX: `10.5 km` and `part 1.2024` have none."""
    found = re.search(r"[^.](\.(?=[^.]*[a-z])[a-z0-9_+~-]{1,12})\s*$", name.lower())
    return found[1] if found else NO_SUFFIX


def describe_passed_over(counts: Mapping[str, int]) -> str:
    """Write counts by suffix as `3 .json, 2 without suffix`."""
    return ", ".join(f"{spaced(count)} {suffix}" for suffix, count in counts.items())


def _is_same(folder: Path, other: Path) -> bool:
    """Whether both paths lead to one existing folder."""
    return other.is_dir() and folder.samefile(other)


def check_file(path: Path) -> None:
    """Raise UnusableInput (unreadable_folder, missing, not_a_file): opening a pipe would wait for ever."""
    if path.is_dir():
        raise UnusableInput("unreadable_folder", "may not be listed; see its permissions")
    if not path.is_file():
        if path.exists():
            raise UnusableInput("not_a_file", "a pipe or device")
        raise UnusableInput("missing", "a link that leads nowhere" if path.is_symlink() else "")


def readable_name(path: Path) -> str:
    """The name as text, with escapes for bytes that are not UTF-8; different bytes give different names."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")


def readable_text(text: str) -> str:
    """Text that can be written as UTF-8, with escapes for the halves of characters that JSON may hold."""
    return text.encode(errors="backslashreplace").decode()
