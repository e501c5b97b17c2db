"""A part's config and its best weights: found in a folder or a repository of the hub, and fetched where needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mimicbrush.errors import UserError, some_of
from mimicbrush.files import read_object
from mimicbrush.hub.locations import CONFIG, PartLocation, open_location
from mimicbrush.hub.weight_files import Choice, Stems, choose_weights, shard_names, weight_variants

MAX_LISTED = 12
"""Number of files that a message lists."""


class PartFiles(NamedTuple):
    """The config and the weights of a part, on this machine."""

    folder: Path
    choice: Choice | None
    """None if only the config was requested."""
    files: tuple[Path, ...]
    """Weight files, sorted."""
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
    """Find a part's config and its best weights (`choose_weights`) in a folder or a hub repository.

    Files that are not on this machine are fetched.
    class_name: class of the model, which identifies the subfolder if none is named or the named one is missing;
    extra: patterns of further files in the part's folder. Raises UserError, which lists the files that are there.
    """
    location = open_location(pretrained, revision)
    found, notes = _find_subfolder(location, subfolder, class_name)
    if not with_weights:
        return PartFiles(location.fetch(found, {CONFIG}), None, (), tuple(notes))
    choice = choose_weights(location.files_in(found), stems, variant)
    if location.is_partial and (extra or not _is_first_choice(choice, variant)):
        location.list_remote_files()  # better weights, or further files, may be on the hub
        choice = choose_weights(location.files_in(found), stems, variant)
    names = {CONFIG, *(name for pattern in extra for name in _matching(location.files_in(found), pattern))}
    if choice is None:
        listed = _listed(location.files_in(found))
        several = len(set(weight_variants(location.files_in(found), stems))) > 1
        raise UserError(f"{location.describe(found)} holds {listed}; {_expected(stems, variant, several=several)}")
    folder = location.fetch(found, {*names, choice.file})
    files = shard_names(folder / choice.file)
    folder = location.fetch(found, {*names, choice.file, *files})
    if choice.variant and not variant:
        notes.append(f"{location.describe(found)} has no plain weights: used the variant {choice.variant}")
    return PartFiles(folder, choice, tuple(folder / name for name in files), tuple(notes))


def _find_subfolder(location: PartLocation, subfolder: str | None, class_name: str) -> tuple[str, list[str]]:
    """Return the part's subfolder, and a sentence for the user if it is not the named one."""
    named = str(PurePosixPath(subfolder)) if subfolder else ""
    if CONFIG in location.files_in(named):
        return named, []
    if location.is_partial:
        location.list_remote_files()
        if CONFIG in location.files_in(named):
            return named, []
    found = _folders_of(location, class_name)
    if len(found) == 1:
        there = location.describe(found[0])
        return found[0], [f"{location.describe(named)} holds no {class_name}: taken from {there}, the only one there"]
    several = f", and several of {class_name}: {', '.join(found)}; name one as subfolder" if found else ""
    inside = location.files_in(named)
    place = location.describe(named if inside else "")
    missing = str(PurePosixPath("" if inside else named) / CONFIG)
    raise UserError(f"{place} holds {_listed(inside or location.names)}, no {missing}{several}")


def _folders_of(location: PartLocation, class_name: str) -> list[str]:
    """Folders, at most two levels deep, whose config names that class."""
    folders = sorted({str(PurePosixPath(name).parent) for name in location.names if PurePosixPath(name).name == CONFIG})
    found = []
    for folder in ("" if folder == "." else folder for folder in folders):
        config = read_object(location.fetch(folder, [CONFIG]) / CONFIG)
        if class_name in (config.get("_class_name"), *(config.get("architectures") or ())):
            found.append(folder)
    return found


def _is_first_choice(choice: Choice | None, variant: str | None) -> bool:
    return choice is not None and choice.is_safe and choice.variant == variant


def _matching(names: Collection[str], pattern: str) -> list[str]:
    return [name for name in names if PurePosixPath(name).match(pattern)]


def _listed(names: Collection[str]) -> str:
    return some_of(sorted(names), MAX_LISTED) or "no files"


def _expected(stems: Stems, variant: str | None, *, several: bool) -> str:
    if variant:
        return f"expected weights of the variant {variant}, {stems.safetensors}.{variant}.safetensors"
    advice = "name one of the variants as variant" if several else "copy the whole folder"
    return f"expected {stems.safetensors}.safetensors or {stems.pickled}.bin; {advice}"
