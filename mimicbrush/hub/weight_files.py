"""Names of weight files: how diffusers and transformers name them, and which files of a folder are best."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from mimicbrush.errors import UserError
from mimicbrush.files import read_object


class Stems(NamedTuple):
    """The beginning of a library's names of weight files, before any variant and suffix."""

    safetensors: str
    pickled: str


DIFFUSERS = Stems("diffusion_pytorch_model", "diffusion_pytorch_model")
TRANSFORMERS = Stems("model", "pytorch_model")


class Choice(NamedTuple):
    """One of the sets of weights in a folder."""

    file: str
    """The weight file, or the index of several."""
    variant: str | None
    is_safe: bool
    """True for safetensors; False for a pickle, from which only tensors are read."""


def choose_weights(names: Collection[str], stems: Stems, variant: str | None = None) -> Choice | None:
    """Choose the best weights among the files of one folder; None if there are none, or several variants alone.

    The order: safetensors; safetensors of a variant, if only one variant has them; a pickle; a pickle of a variant, if
    only one variant has it. If a variant is named, no other is considered.
    """
    found = {(choice.is_safe, choice.variant): choice for choice in _weights(names, stems)}
    for is_safe in (True, False):
        if (is_safe, variant) in found:
            return found[is_safe, variant]
        variants = [choice for (safe, name), choice in found.items() if safe == is_safe and name]
        if variant is None and len(variants) == 1:
            return variants[0]
    return None


def weight_variants(names: Collection[str], stems: Stems) -> list[str | None]:
    """The variant of each set of weights among the files of one folder; None: the plain ones."""
    return [choice.variant for choice in _weights(names, stems)]


def weight_files(folder: Path, stems: Stems = TRANSFORMERS) -> list[Path]:
    """The files of the best weights in a local folder; empty if it has none."""
    choice = choose_weights([path.name for path in folder.glob("*") if path.is_file()], stems)
    return [folder / name for name in shard_names(folder / choice.file)] if choice else []


def shard_names(path: Path) -> list[str]:
    """Names of the files that an index lists, or the name of a single file; raises UserError for a damaged index."""
    if path.suffix != ".json":
        return [path.name]
    try:
        names = sorted(set(read_object(path, "weight_map")["weight_map"].values()))
    except (AttributeError, TypeError):
        names = []
    if not names or any(Path(name).name != name for name in names):
        raise UserError(f"{path}: damaged, expected names of files beside it; copy or fetch it again")
    return names


def _weights(names: Collection[str], stems: Stems) -> Iterator[Choice]:
    """Every set of weights among a folder's files; a single file is preferred to an index."""
    for suffix, stem in (("safetensors", stems.safetensors), ("bin", stems.pickled)):
        index = rf"{stem}\.{suffix}(?:\.(\w+))?\.index(?:\.(\w+))?\.json"
        for pattern in (index, rf"{stem}(?:\.(\w+))?\.{suffix}"):
            for name in sorted(names):
                match = re.fullmatch(pattern, name)
                if match:
                    yield Choice(name, next(filter(None, match.groups()), None), suffix == "safetensors")
