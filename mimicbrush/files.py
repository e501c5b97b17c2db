"""Write files atomically, hash them, and check where they may be written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mimicbrush.errors import UserError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors for a full disk or quota, a file larger than allowed, and a folder without write permission."""

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in any case, of picture files."""
WEIGHT_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".safetensors"})
"""Suffixes of weight files."""
# fmt: off
FILE_SUFFIXES = PICTURE_SUFFIXES | WEIGHT_SUFFIXES | {
    ".csv", ".gguf", ".gz", ".h5", ".html", ".json", ".md", ".mp4", ".msgpack", ".npy", ".npz", ".onnx", ".pdf",
    ".pickle", ".pkl", ".tar", ".tgz", ".txt", ".webm", ".yaml", ".yml", ".zip",
}
# fmt: on
"""Suffixes of names that a user means as a file, not a folder."""
ADDRESS = re.compile(r"(^|/)(https?|ftp|s3|gs):/")
"""Matches a path that is a web address, also after the folder to which the rows of a CSV are relative."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it at the end, so that the file appears whole or not at all.

    Both the file and its new name are synced to disk before this returns: a power cut leaves the old or the new file.
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
    """Like `whole`, for a new empty folder; raises UserError if it already exists or cannot be made."""
    if path.exists():
        raise UserError(f"{path} exists; choose another output or delete it")
    partial = _beside(path)
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process with the same number
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
                raise UserError(f"{path} was created by another command in the meantime; choose another output")
            partial.rename(path)
            sync(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Return a hidden name in the same folder that no other process uses; the folder is made if needed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another output") from None
    # Tasks of a cluster share folders, and process numbers repeat between its nodes.
    return path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}.partial{path.suffix}")


@contextmanager
def _room_for(path: Path) -> Iterator[None]:
    """Raise UserError if the disk is full or not writable."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); fix that and run the same command again"
        ) from None


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk; raises OSError if that fails."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # Windows cannot open a folder, and writes names at once
        return
    # Windows only syncs files that are open for writing.
    number = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        # File systems that cannot sync a folder raise one of these errors.
        if not is_folder or error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(number)


def refuse_file_name(folder: Path) -> None:
    """Raise UserError if an output folder has the name of a file, such as `x.csv`, unless it exists."""
    if folder.suffix.lower() in FILE_SUFFIXES and not folder.is_dir():
        raise UserError(f"{folder} would become a folder, but ends in {folder.suffix} like a file; remove the suffix")


def check_writable(path: Path) -> None:
    """Raise UserError if a file cannot be written at this path, so that this is known before long work.

    Folders that are made for the test are removed again.
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
            with suppress(OSError):  # it was not made, or another process uses it by now
                each.rmdir()


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text atomically."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def append_text(text: str, path: Path) -> None:
    """Append UTF-8 text to a file, which is made if needed."""
    with _room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def write_json(content: object, path: Path) -> None:
    """Write JSON atomically; raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)


def is_there(path: Path) -> bool:
    """Whether a path that a user wrote exists; False for a text too long for a name, where Path.exists raises."""
    try:
        return path.exists()
    except OSError:
        return False


def why_no_file(path: Path, expected: str) -> str:
    """Say why a path names no file: it is a folder, an address, or missing. expected: the kind of file, in words."""
    if path.is_dir():
        return f"is a folder; expected a {expected}"
    is_address = ADDRESS.search(str(path))  # a path has lost the second slash
    return "is an address, and only files are read; download it first" if is_address else f"no such {expected}"


def list_pictures(folder: Path) -> list[Path]:
    """List the picture files of a folder, such as the frames of a clip, in the order of their names.

    Hidden files, and files in folders within it, are left out.
    """
    paths = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.name[0] != ".")
    return sorted(path for path in paths if path.is_file())


def read_object(path: Path, *needed: str) -> dict:
    """Read a JSON object; raises UserError if the file is damaged or lacks a needed field."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        content = None
    if not isinstance(content, dict) or not set(needed) <= content.keys():
        raise UserError(f"{path}: damaged, or another kind of file; delete it and run the command that wrote it again")
    return content


def digest(files: Iterable[Path]) -> str:
    """A short fingerprint of the files' names and contents, independent of their folder."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + bytes.fromhex(sha256(path)))
    return total.hexdigest()[:16]


def sha256(path: Path) -> str:
    """SHA-256 of a file, computed once as long as the file does not change."""
    status = path.stat()
    return _sha256(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=65_536)
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of the packages, without those that are not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
