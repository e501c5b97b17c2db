"""Where pretrained parts come from: a folder, a hub repository or a single file; which revision and which variant."""

from __future__ import annotations

import getpass
import glob
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, snapshot_download

from mimicbrush.errors import UserError, some_of
from mimicbrush.files import WEIGHT_SUFFIXES, read_object, shipped
from mimicbrush.library_messages import quiet_libraries, reason_of
from mimicbrush.weight_files import Choice, Stems, choose_weights, shard_names

MAIN = "main"
"""The revision of a hub repository that is taken where none is named."""
LISTING_TIMEOUT = 10.0
"""Seconds to wait for a list of a repository's files."""
CONFIG = "config.json"
MAX_LISTED = 12

log = logging.getLogger(__name__)


class PartFiles(NamedTuple):
    """A part's config and weights on this machine."""

    folder: Path
    choice: Choice | None
    """None: only the config was asked for."""
    files: tuple[Path, ...]
    """Files of weights, sorted."""
    notes: tuple[str, ...]
    """One sentence for each file that was used in place of the named one."""


def find_part(
    pretrained: str,
    stems: Stems,
    *,
    class_name: str,
    subfolder: str | None = None,
    variant: str | None = None,
    revision: str | None = None,
    with_weights: bool = True,
    extra: Sequence[str] = (),
) -> PartFiles:
    """Find a part's config and its best weights in a folder or hub repository; fetch what is not on this machine.

    `choose_weights` says which weights are best.
    class_name: of the model, which identifies the subfolder where none is named or the named one is missing; extra:
    patterns of further files of the part's folder. Raises UserError, which lists what is there.
    """
    place = open_place(pretrained, revision)
    inside, notes = _find_subfolder(place, subfolder, class_name)
    if not with_weights:
        return PartFiles(place.fetch(inside, {CONFIG}), None, (), tuple(notes))
    choice = choose_weights(place.inside(inside), stems, variant)
    if place.is_partial and (extra or not _is_first_choice(choice, variant)):
        place.complete()  # better weights, or further files, may be on the hub
        choice = choose_weights(place.inside(inside), stems, variant)
    names = {CONFIG, *(name for pattern in extra for name in _matching(place.inside(inside), pattern))}
    if choice is None:
        raise UserError(f"{place.at(inside)} holds {_listed(place.inside(inside))}; {_expected(stems, variant)}")
    folder = place.fetch(inside, {*names, choice.file})
    files = shard_names(folder / choice.file)
    folder = place.fetch(inside, {*names, choice.file, *files})
    if choice.variant and not variant:
        notes.append(f"{place.at(inside)} holds no plain weights: taken are those of the variant {choice.variant}")
    return PartFiles(folder, choice, tuple(folder / name for name in files), tuple(notes))


def open_place(pretrained: str, revision: str | None = None) -> Place:
    """A folder on this machine, shipped weights (asset:NAME), or a hub repository.

    Raises UserError where it is none of these.
    """
    name = shipped(pretrained)
    if Path(name).is_dir():
        return Place(name)
    if is_repository(name):
        return HubRepository(name, revision or MAIN)
    raise UserError(f"{name} does not exist")


def is_repository(name: str) -> bool:
    """Whether this names a repository of the hub, rather than a path: `owner/name`, and no such path here."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) is not None and not Path(name).exists()


def is_local(name: str) -> bool:
    """Whether these weights, a folder or a single file, are named by their path."""
    return Path(name).suffix.lower() in WEIGHT_SUFFIXES or not is_repository(name)


def is_single_file(pretrained: str) -> bool:
    """Whether this names one file of weights, rather than a folder or repository."""
    path = Path(pretrained)
    return path.is_file() or (path.suffix.lower() in WEIGHT_SUFFIXES and not path.is_dir())


def local_folder(name: str) -> Path:
    """A path on this machine: `name` itself, shipped weights (asset:NAME), or a hub repository's, fetched.

    Raises UserError where none is.
    """
    name = shipped(name)
    if is_local(name):
        return Path(name)
    try:
        with quiet_libraries(), _alone(name):
            return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the hub's client raises a dozen kinds
        raise UserError(
            f"{name}: neither a folder here nor to be had from the hub ({reason_of(error)}); give a training run, a"
            " folder made by `python -m mimicbrush.model.weights convert`, or a mimicbrush.bin"
        ) from None


class Place:
    """A folder on this machine that holds one part or several."""

    is_partial = False
    """Whether more files may be elsewhere."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def names(self) -> set[str]:
        """Files, down to those two folders deep."""
        folder = Path(self.name)
        paths = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
        return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}

    def inside(self, subfolder: str) -> set[str]:
        """Names of the files that lie directly in a subfolder; "" is the place itself."""
        return {path.name for path in Path(self.name, subfolder).glob("*") if path.is_file()}

    def at(self, subfolder: str) -> str:
        """How messages name a subfolder."""
        return f"{self.name}/{subfolder}" if subfolder else self.name

    def complete(self) -> None:
        """Learn of the files that are elsewhere."""

    def fetch(self, subfolder: str, names: Collection[str]) -> Path:
        """The subfolder on this machine, with these of its files."""
        folder = Path(self.name, subfolder)
        missing = sorted(name for name in names if not (folder / name).is_file())
        if missing:
            raise UserError(f"{folder} lacks {some_of(missing)}; copy the folder whole")
        return folder


class HubRepository(Place):
    """A repository of the hub: its copy on this machine where that suffices, else fetched by one process at a time.

    A revision that moves, like `main`, stays at the commit that was fetched first. The hub is asked which files that
    commit has only where the copy lacks some, for instance plain safetensors.
    """

    def __init__(self, name: str, revision: str) -> None:
        super().__init__(name)
        self.revision = revision
        self.is_partial = self._cached is not None
        self._names = _files_in(self._cached) if self._cached else self._list()

    @property
    def names(self) -> set[str]:
        return self._names

    def inside(self, subfolder: str) -> set[str]:
        return {path.name for path in map(PurePosixPath, self._names) if str(path.parent) == (subfolder or ".")}

    def complete(self) -> None:
        self.is_partial = False  # it is asked once
        with suppress(UserError):  # out of reach: what is on this machine has to do
            self._names = self._list()

    def fetch(self, subfolder: str, names: Collection[str]) -> Path:
        wanted = [str(PurePosixPath(subfolder, name)) for name in names]
        if not self._has(wanted):
            with _alone(self.name):
                if not self._has(wanted):
                    self._download(wanted)
        if not self._has(wanted):
            missing = [name for name in wanted if not (self._cached or Path()).joinpath(name).is_file()]
            raise UserError(f"{self.at('')} lacks {some_of(sorted(missing))}, revision {self.revision}")
        return self._cached / subfolder

    @property
    def _cached(self) -> Path | None:
        """The repository's copy on this machine, which need not hold all of its files."""
        storage = Path(constants.HF_HUB_CACHE, "models--" + self.name.replace("/", "--"))
        reference = storage / "refs" / self.revision
        commit = reference.read_text().strip() if reference.is_file() else self.revision
        folder = storage / "snapshots" / commit
        return folder if folder.is_dir() else None

    @property
    def _commit(self) -> str:
        """The commit of the copy on this machine, so that all parts come from one; without a copy, the revision."""
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
            raise UserError(f"{self.name} cannot be fetched ({reason_of(error)})") from None


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Within, no other process of this machine fetches that repository; the system frees a dead process's lock."""
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


def _find_subfolder(place: Place, subfolder: str | None, class_name: str) -> tuple[str, list[str]]:
    """The folder of the part inside the place, and what to say where it is not the named one."""
    named = str(PurePosixPath(subfolder)) if subfolder else ""
    if CONFIG in place.inside(named):
        return named, []
    if place.is_partial:
        place.complete()
        if CONFIG in place.inside(named):
            return named, []
    found = _folders_of(place, class_name)
    if len(found) == 1:
        there = place.at(found[0])
        return found[0], [f"{place.at(named)} holds no {class_name}: taken from {there}, the only one there"]
    several = f", and several of {class_name}: {', '.join(found)}; name one as subfolder" if found else ""
    raise UserError(f"{place.at(named)} holds {_listed(place.inside(named) or place.names)}, no {CONFIG}{several}")


def _folders_of(place: Place, class_name: str) -> list[str]:
    """Folders of the place, two deep, whose config names that class."""
    folders = sorted({str(PurePosixPath(name).parent) for name in place.names if PurePosixPath(name).name == CONFIG})
    found = []
    for folder in ("" if folder == "." else folder for folder in folders):
        config = read_object(place.fetch(folder, [CONFIG]) / CONFIG)
        if class_name in (config.get("_class_name"), *(config.get("architectures") or ())):
            found.append(folder)
    return found


def _is_first_choice(choice: Choice | None, variant: str | None) -> bool:
    return choice is not None and choice.is_safe and choice.variant == variant


def _matching(names: Collection[str], pattern: str) -> list[str]:
    return [name for name in names if PurePosixPath(name).match(pattern)]


def _files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _listed(names: Collection[str]) -> str:
    return some_of(sorted(names), MAX_LISTED) or "no files"


def _expected(stems: Stems, variant: str | None) -> str:
    if variant:
        return f"expected weights of the variant {variant}, {stems.safetensors}.{variant}.safetensors"
    return f"expected {stems.safetensors}.safetensors or {stems.pickled}.bin; name one of several variants as variant"
