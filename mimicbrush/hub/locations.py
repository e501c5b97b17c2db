"""Where pretrained parts come from: a folder, weights shipped with this package, or a repository of the hub."""

from __future__ import annotations

import getpass
import glob
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, snapshot_download

from mimicbrush.errors import UserError, quoted, some_of
from mimicbrush.files import WEIGHT_SUFFIXES, read_object
from mimicbrush.hub.library_messages import quiet_libraries, reason_of

MAIN = "main"
"""Revision of a hub repository that is used if none is named."""
LISTING_TIMEOUT = 10.0
"""Seconds to wait for a list of a repository's files."""
CONFIG = "config.json"
SHIPPED = "asset:"
"""Prefix of the names of weights that this package ships."""
SHIPPED_PARTS = {"autoencoder": "tiny/vae"}
"""Shipped weights that are a part of others, so that no file ships twice for a name."""

log = logging.getLogger(__name__)


def shipped(name: str) -> str:
    """Turn `asset:NAME` into the folder of those weights in this package; return any other name unchanged.

    Raises UserError for a name that is not shipped.
    """
    if not is_shipped(name):
        return name
    assets = resources.files("mimicbrush").joinpath("assets")
    folders = {path.name: path for path in assets.iterdir() if path.is_dir()}
    folders |= {part: assets.joinpath(place) for part, place in SHIPPED_PARTS.items()}
    found = folders.get(name.removeprefix(SHIPPED))
    if found is None:
        known = ", ".join(SHIPPED + known for known in sorted(folders))
        raise UserError(f"{name}: no such weights come with this package; there are {known}")
    return str(found)


def is_shipped(name: str) -> bool:
    """Whether this names weights that this package ships."""
    return name.startswith(SHIPPED)


def open_location(pretrained: str, revision: str | None = None) -> PartLocation:
    """Open a folder on this machine, shipped weights (asset:NAME), or a hub repository.

    Raises UserError if it is none of these.
    """
    name = shipped(pretrained)
    if not name:
        raise UserError("no weights are named; give a folder, a file, a repository of the hub, or asset:NAME")
    if Path(name).is_dir():
        return PartLocation(name)
    if is_repository(name):
        return HubRepository(name, revision or MAIN)
    raise UserError(f"{name} does not exist; check the path")


def is_repository(name: str) -> bool:
    """Whether this names a repository of the hub, rather than a path: `owner/name`, and no such path here."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) is not None and not Path(name).exists()


def is_local(name: str) -> bool:
    """Whether these weights, a folder or a single file, are named by their path."""
    return Path(name).suffix.lower() in WEIGHT_SUFFIXES or not is_repository(name)


def require_local_network(name: str, model_type: str) -> None:
    """Raise UserError where a local path or a shipped name holds no network of this type; never asks the hub.

    model_type: as in the config of transformers, such as clip.
    """
    folder = Path(shipped(name))
    if not is_local(str(folder)):
        return
    config = folder / CONFIG
    found = read_object(config).get("model_type") if config.is_file() else None
    if found != model_type:
        held = f"a network of type {found}" if found else "no network of transformers"
        raise UserError(
            f"{name or quoted(name)} holds {held}, expected {model_type}; give a folder with its {CONFIG} and weights,"
            f" a repository of the hub, or {SHIPPED}{model_type}"
        )


def is_single_file(pretrained: str) -> bool:
    """Whether this names one file of weights, rather than a folder or repository."""
    path = Path(pretrained)
    return path.is_file() or (path.suffix.lower() in WEIGHT_SUFFIXES and not path.is_dir())


def local_folder(name: str) -> Path:
    """Return a path on this machine: `name` itself, shipped weights (asset:NAME), or a repository, which is fetched.

    Raises UserError if the repository cannot be fetched.
    """
    name = shipped(name)
    if is_local(name):
        return Path(name)
    try:
        with quiet_libraries(), _fetch_lock(name):
            return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the hub's client raises a dozen kinds
        raise UserError(
            f"{name}: neither a folder here nor to be had from the hub ({reason_of(error)}); give a training run, a"
            " folder made by `python -m mimicbrush.model.weights convert`, or a mimicbrush.bin"
        ) from None


class PartLocation:
    """A folder on this machine that holds one part or several."""

    is_partial = False
    """Whether the hub may have further files."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def names(self) -> set[str]:
        """Paths of the files, at most two folders deep, relative to the location."""
        folder = Path(self.name)
        paths = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
        return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}

    def files_in(self, subfolder: str) -> set[str]:
        """Names of the files directly in a subfolder; "" is the location itself."""
        return {path.name for path in Path(self.name, subfolder).glob("*") if path.is_file()}

    def describe(self, subfolder: str) -> str:
        """Name a subfolder in a message."""
        return f"{self.name}/{subfolder}" if subfolder else self.name

    def list_remote_files(self) -> None:
        """Add the files that only the hub has to `names`."""

    def fetch(self, subfolder: str, names: Collection[str]) -> Path:
        """Return the subfolder on this machine, with these files in it; raises UserError if one is missing."""
        folder = Path(self.name, subfolder)
        missing = sorted(name for name in names if not (folder / name).is_file())
        if missing:
            raise UserError(f"{folder} lacks {some_of(missing)}; copy the whole folder")
        return folder


class HubRepository(PartLocation):
    """A repository of the hub: its copy on this machine, to which missing files are fetched by one process at a time.

    A revision that moves, such as `main`, stays at the commit that was fetched first. The hub is asked which files that
    commit has only if the copy lacks a file, such as plain safetensors.
    """

    def __init__(self, name: str, revision: str) -> None:
        super().__init__(name)
        self.revision = revision
        self.is_partial = self._cached is not None
        self._names = _files_in(self._cached) if self._cached else self._list()

    @property
    def names(self) -> set[str]:
        return self._names

    def files_in(self, subfolder: str) -> set[str]:
        return {path.name for path in map(PurePosixPath, self._names) if str(path.parent) == (subfolder or ".")}

    def list_remote_files(self) -> None:
        self.is_partial = False  # the hub is asked once
        with suppress(UserError):  # the hub is not reachable: use the files on this machine
            self._names = self._list()

    def fetch(self, subfolder: str, names: Collection[str]) -> Path:
        wanted = [str(PurePosixPath(subfolder, name)) for name in names]
        if not self._has(wanted):
            with _fetch_lock(self.name):
                if not self._has(wanted):
                    self._download(wanted)
        if not self._has(wanted):
            missing = [name for name in wanted if not (self._cached or Path()).joinpath(name).is_file()]
            raise UserError(f"{self.describe('')} lacks {some_of(sorted(missing))}, revision {self.revision}")
        return self._cached / subfolder

    @property
    def _cached(self) -> Path | None:
        """The repository's copy on this machine, which may lack files."""
        storage = Path(constants.HF_HUB_CACHE, "models--" + self.name.replace("/", "--"))
        reference = storage / "refs" / self.revision
        commit = reference.read_text().strip() if reference.is_file() else self.revision
        folder = storage / "snapshots" / commit
        return folder if folder.is_dir() else None

    @property
    def _commit(self) -> str:
        """Commit of the copy on this machine, so that all parts come from one commit; without a copy, the revision."""
        return self._cached.name if self._cached else self.revision

    def _has(self, names: Collection[str]) -> bool:
        cached = self._cached
        return cached is not None and all((cached / name).is_file() for name in names)

    def _list(self) -> set[str]:
        info = self._ask(lambda: HfApi().repo_info(self.name, revision=self._commit, timeout=LISTING_TIMEOUT))
        return {file.rfilename for file in info.siblings or ()}

    def _download(self, names: Collection[str]) -> None:
        patterns, commit = [glob.escape(name) for name in names], self._commit
        self._ask(lambda: snapshot_download(self.name, revision=commit, allow_patterns=patterns))

    def _ask(self, request: Callable) -> object:
        try:
            with quiet_libraries():
                return request()
        except Exception as error:  # the hub's client raises a dozen kinds
            reason = reason_of(error)
            raise UserError(f"{self.name} cannot be fetched ({reason}); check its name and the connection") from None


@contextmanager
def _fetch_lock(name: str) -> Iterator[None]:
    """Let only one process of this machine fetch a repository; the system frees the lock of a process that dies."""
    owner = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    key = hashlib.sha256(f"{constants.HF_HUB_CACHE} {name}".encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir(), f"mimicbrush-{owner}-{key}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: another process on this machine is fetching it; waiting", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
