"""Files that appear whole or not at all, and what made them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mimicbrush.errors import UserError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
"""Disk full, quota used up, file larger than allowed; a folder that may not be written to."""

PICTURE_SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Names that end so, in small letters or capitals, are taken for pictures."""
WEIGHT_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".safetensors"})
"""Suffixes of single files of weights."""
# fmt: off
FILE_SUFFIXES = PICTURE_SUFFIXES | WEIGHT_SUFFIXES | {
    ".csv", ".gguf", ".gz", ".h5", ".html", ".json", ".md", ".mp4", ".msgpack", ".npy", ".npz", ".onnx", ".pdf",
    ".pickle", ".pkl", ".tar", ".tgz", ".txt", ".webm", ".yaml", ".yml", ".zip",
}
# fmt: on
"""Names that end so mean a file to whoever gives them."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that takes its place at the end; an exception leaves neither.

    Both the file and its new name are on the disk before this returns: a power cut leaves the old file or the new one.
    """
    partial = _beside(path)
    try:
        with _room_for(path):
            yield partial
            sync(partial)
            partial.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole`, for a folder, empty at first; raises UserError where it exists already or cannot be made."""
    if path.exists():
        raise UserError(f"{path} exists; choose another output or delete it")
    partial = _beside(path)
    shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had the same number
    try:
        partial.mkdir()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output") from None
    try:
        with _room_for(path):
            yield partial
            for inside in (*partial.rglob("*"), partial):
                sync(inside)
            if path.exists():
                raise UserError(f"{path} was made by another command in the meantime; choose another output")
            partial.rename(path)
            sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder, which is made, that no other process has."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output") from None
    # Tasks of a cluster share folders, and process numbers repeat between its nodes.
    return path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}.partial{path.suffix}")


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    """Raise UserError where the disk is full, or may not be written to."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(f"{path}: cannot be written ({error.strerror}); mend that and run the same command") from None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; raises OSError where they cannot be."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # Windows opens no folder, and writes names at once
        return
    # Windows syncs only what is open for writing.
    number = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        # File systems that cannot sync a folder say so in one of these ways.
        if not is_folder or error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(number)


def refuse_file_name(folder: Path) -> None:
    """For an output that becomes a folder: raises UserError where its name is that of a file, unless it is there."""
    if folder.suffix.lower() in FILE_SUFFIXES and not folder.is_dir():
        raise UserError(f"{folder} would become a folder, and ends in {folder.suffix} like a file; leave that out")


def check_writable(path: Path) -> None:
    """For what is written after long work: raises UserError where it is a folder, or no file can be made beside it.

    Folders that it makes in order to try are removed again.
    """
    made: list[Path] = []
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; choose another output")
        nearest = next((each for each in path.parents if os.path.lexists(each)), Path())
        if not nearest.is_dir():
            raise UserError(f"{path}: cannot be written ({nearest} is a file, not a folder); choose another output")
        made = [each for each in path.parents if not os.path.lexists(each)]
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output") from None
    finally:
        for each in made:
            with suppress(OSError):  # not made after all, or in use by another by now
                each.rmdir()


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def append_text(text: str, path: Path) -> None:
    """Add UTF-8 text to the end of a file, which is made where there is none."""
    with _room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def write_json(content: object, path: Path) -> None:
    """Write JSON, whole or not at all; raises ValueError for NaN and infinity, which are no JSON."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_object(path: Path, *needed: str) -> dict:
    """A JSON object; raises UserError where the file is damaged or lacks a needed field."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        content = None
    if not isinstance(content, dict) or not set(needed) <= content.keys():
        raise UserError(f"{path}: damaged, or not what it should be; delete it and run the command that wrote it again")
    return content


def digest(files: Iterable[Path]) -> str:
    """A short fingerprint of the files' names and contents, whatever folder they lie in."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + bytes.fromhex(sha256(path)))
    return total.hexdigest()[:16]


def sha256(path: Path) -> str:
    """Of a file, computed once while it stays as it is."""
    status = path.stat()
    return _sha256(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=65_536)
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
