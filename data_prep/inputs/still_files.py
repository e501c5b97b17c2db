"""Find the pictures and annotations of stills: in folders at any depth, and in tars.

A picture and the JSON file of its masks have one name, and stand side by side, or in two folders side by side of which
one holds only pictures and the other only JSON files (`images/` and `annotations/`).
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from data_prep.inputs.input_files import (
    check_file,
    describe_passed_over,
    find_files,
    readable_name,
    require_local,
    suffix_of,
)
from data_prep.inputs.input_states import InputState, state_of
from data_prep.inputs.unpacked_tars import to_plain_tar
from mimicbrush.errors import UnusableInput, UserError, first_line
from mimicbrush.files import PICTURE_SUFFIXES
from mimicbrush.machine import require_posix
from mimicbrush.metadata import require_metadata

if TYPE_CHECKING:
    from data_prep.config import SamShardConfig

JSON = ".json"


class FileRange(NamedTuple):
    """A range of bytes in a file."""

    path: Path
    start: int
    size: int
    fault: str | None = None
    """Fault of the whole file, as `reason: detail`; None if there is none."""
    modified: int = 0
    """When the file was last modified, in nanoseconds since 1970."""

    def read(self) -> bytes:
        """Read the bytes; raises UnusableInput if the file is faulty or ends too early."""
        if self.fault:
            raise UnusableInput(*self.fault.split(": ", 1))
        check_file(self.path)
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                content = file.read(self.size)
        except PermissionError:
            raise UnusableInput("no_permission", self.path.name) from None
        if len(content) != self.size:
            raise UnusableInput("truncated", f"{self.path.name} ends after {len(content)} of {self.size} bytes")
        return content


class StillFiles(NamedTuple):
    """Positions of a still's picture and annotations in files; None if one is missing."""

    picture: FileRange | None
    annotations: FileRange | None

    @property
    def state(self) -> InputState:
        """Size of both together, and when their files were modified."""
        found = [extent for extent in self if extent is not None]
        return InputState(sum(extent.size for extent in found), [extent.modified for extent in found])

    def hash_content(self) -> str:
        """SHA-256 of both; raises UnusableInput and OSError."""
        return hashlib.sha256(b"".join(extent.read() for extent in self if extent is not None)).hexdigest()


class ListedStills(NamedTuple):
    """Stills by name, sorted, and what was not taken for a part of one."""

    stills: dict[str, StillFiles]
    passed_over: dict[str, int]
    """Numbers of other files by suffix, the most frequent first."""


def check_stills(config: SamShardConfig) -> None:
    """Raise UserError if a file that the command needs is missing, or the command cannot run on this system."""
    require_posix("sharding")
    require_stills(config.stills)
    require_metadata(config.metadata)


def require_stills(stills: Path) -> None:
    """Raise UserError if this is neither a folder nor a file, which may be a tar."""
    require_local(stills)
    if not stills.is_dir() and not stills.is_file():
        raise UserError(f"{stills}: no such folder or tar of stills; pass --stills, for example: --stills data/sa1b")


def list_stills(path: Path, *, output: Path) -> ListedStills:
    """List the stills in a tar, or in a folder of tars or pictures at any depth.

    In a truncated tar, the stills before its end are listed. output: folder that is no input, and holds copies of
    compressed tars. Raises UserError if there are no stills.
    """
    require_stills(path)
    passed_over: Counter[str] = Counter()
    if path.is_file():
        members = _members_of_tar(path, path.name, output)
    else:
        members = {}
        for file in find_files(path, output=output, passed_over=passed_over):
            name = readable_name(file.relative_to(path))
            if is_tar(file):
                members |= _members_of_tar(file, name, output)
            elif file.is_dir():
                members[f"{name}.json"] = FileRange(file, 0, 0)
            else:
                members[name] = _whole_file(file)
    stills = _pair_files(members, passed_over)
    if not stills:
        others = f" (passed over: {describe_passed_over(passed_over)})" if passed_over else ""
        raise UserError(f"{path}: holds no still{others}; expected SA-1B's layout, tars or folders of .jpg and .json")
    return ListedStills(stills, dict(passed_over.most_common()))


def is_tar(path: Path) -> bool:
    """Whether a file's name, in any case, is that of a tar, which may be compressed."""
    return re.search(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz)$", path.name.lower()) is not None


def _members_of_tar(path: Path, name: str, output: Path) -> dict[str, FileRange]:
    """List the members of a tar as {name/member: extent}; a faulty tar adds an entry with its fault, to be skipped.

    output: folder for a copy of a compressed tar.
    """
    members: dict[str, FileRange] = {}
    fault = None if path.is_file() else "not_a_file: a pipe, a device, or a link that leads nowhere"
    try:
        if not fault:
            plain, fault = to_plain_tar(path, output)
            whole = _whole_file(plain)
            with tarfile.open(plain, "r:") as tar:
                for member in tar:
                    if member.isfile():
                        place = readable_name(Path(member.name.removeprefix("./")))
                        members[f"{name}/{place}"] = whole._replace(start=member.offset_data, size=member.size)
                fault = fault or _fault_after(plain, tar.offset)
    except tarfile.ReadError as error:
        fault = f"truncated: {error}" if members else f"not_a_tar: {error}"
    except (tarfile.TarError, EOFError, OSError) as error:
        fault = f"damaged_tar: {first_line(error)}"
    if fault:
        members[f"{name}.json"] = _whole_file(path)._replace(fault=fault)
    return members


def _whole_file(path: Path) -> FileRange:
    """All bytes of a file; of none, such as a broken link, there are 0."""
    size, modified = state_of(path)
    return FileRange(path, 0, size, modified=max(modified, default=0))


def _fault_after(path: Path, end: int) -> str | None:
    """The fault of a tar with data after `end`: tarfile stops silently at an unreadable header or one of zeros."""
    with path.open("rb") as file:
        file.seek(end)
        is_padding = not any(map(any, iter(partial(file.read, tarfile.RECORDSIZE), b"")))
    left = path.stat().st_size - end
    return None if is_padding else f"damaged_tar: {left} bytes behind byte {end} are no part of it"


def _pair_files(members: Mapping[str, FileRange], passed_over: Counter[str]) -> dict[str, StillFiles]:
    """Pair pictures and JSON files; other files, and second pictures of one name, are counted in `passed_over`."""
    pictures: dict[str, FileRange] = {}
    annotations: dict[str, FileRange] = {}
    for name, extent in sorted(members.items()):
        suffix = PurePosixPath(name).suffix.lower()
        kind = pictures if suffix in PICTURE_SUFFIXES else annotations if suffix == JSON else None
        stem = name[: -len(suffix)]
        if kind is None or stem in kind:
            passed_over[suffix_of(PurePosixPath(name).name)] += 1
        else:
            kind[stem] = extent
    beside = _match_folders(pictures.keys(), annotations.keys())
    own = annotations.keys() - beside.values()
    return {
        name: StillFiles(pictures.get(name), annotations.get(beside.get(name, name)))
        for name in sorted(pictures.keys() | own)
    }


def _match_folders(pictures: Set[str], annotations: Set[str]) -> dict[str, str]:
    """Match names of pictures and of JSON files that lie in two folders side by side, as {picture: JSON file}.

    One folder must hold only pictures, at any depth, and the other only JSON files. A picture that fits several JSON
    files is left alone.
    """
    single = pictures - annotations
    if not single or not annotations - pictures:
        return {}
    with_pictures, with_annotations = (
        {parent for name in names for parent in PurePosixPath(name).parents} for names in (pictures, annotations)
    )
    json_folders: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for folder in with_annotations - with_pictures:
        json_folders[folder.parent].append(folder)
    matched: dict[str, str] = {}
    for name in single:
        path = PurePosixPath(name)
        for folder in takewhile(lambda folder: folder not in with_annotations, path.parents):
            others = [str(other / path.relative_to(folder)) for other in json_folders.get(folder.parent, ())]
            found = [other for other in others if other in annotations]
            if len(found) == 1:
                matched[name] = found[0]
    times = Counter(matched.values())
    return {name: other for name, other in matched.items() if times[other] == 1}
