"""Find complete networks of transformers and diffusers on this machine, without fetching anything, and load them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from torch import nn

from mimicbrush.errors import UserError
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import is_repository, shipped
from mimicbrush.hub.part_files import PartFiles
from mimicbrush.hub.weight_files import TRANSFORMERS, choose_weights, weight_files
from mimicbrush.tensor_files import torch_load

T = TypeVar("T", bound=nn.Module)


class AbsentWeightsError(Exception):
    """Weights are missing on this machine, incomplete, damaged, or of another network; the message says which."""


def find_folder(source: str, model_type: str, *, has_tokenizer: bool = False) -> Path:
    """Find the folder, here or shipped (asset:NAME), or the cached copy of a repository, with all files of a network.

    Raises AbsentWeightsError if it is missing, lacks files, has a truncated file, or holds another kind of network.
    """
    try:
        folder = Path(shipped(source))
    except UserError as error:
        raise AbsentWeightsError(str(error)) from None
    if is_repository(source):
        config = try_to_load_from_cache(source, "config.json")
        if not isinstance(config, str):
            raise AbsentWeightsError(f"{source} is not on this machine")
        folder = Path(config).parent
    if not (folder / "config.json").is_file():
        raise AbsentWeightsError(f"{source}: no folder with a config.json")
    found = _model_type(folder / "config.json")
    if found != model_type:
        raise AbsentWeightsError(f"{source}: expected a network of type {model_type}, found {found}")
    try:
        lacking, paths = list(_lacking(folder, has_tokenizer)), weight_files(folder)
    except UserError as error:  # a damaged index
        raise AbsentWeightsError(str(error)) from None
    if lacking:
        raise AbsentWeightsError(f"{source} lacks {', '.join(lacking)}")
    for path in paths:
        _check_whole(path)
    return folder


def _model_type(path: Path) -> str | None:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise AbsentWeightsError(f"{path} is damaged; delete it") from None


def load_weights(kind: type[T], folder: Path, **options: object) -> T:
    """Load a network of transformers in float32, for inference only; raises UserError if the folder lacks a part."""
    choice = choose_weights([path.name for path in folder.iterdir()], TRANSFORMERS)
    if choice is None:
        raise UserError(f"{folder} holds no weights of {kind.__name__}; fetch it again")
    found = PartFiles(folder, choice, tuple(weight_files(folder)), notes=())
    try:
        return load_files(found, kind, **options).eval().requires_grad_(False)
    except UserError as error:
        raise UserError(f"{kind.__name__}: {error}; fetch it again") from None


def load_files(found: PartFiles, kind: type[T], dtype: torch.dtype = torch.float32, **options: object) -> T:
    """Load a network from files on this machine with its library, which knows the tensor names of older models.

    options: further arguments of the library's `from_pretrained`. Raises UserError if a file is damaged, contains
    executable code, or lacks tensors.
    """
    if not found.choice.is_safe:
        for path in found.files:
            torch_load(path)  # refuses a file that contains executable code
    options |= {"variant": found.choice.variant, "use_safetensors": found.choice.is_safe, "local_files_only": True}
    try:
        with quiet_libraries():
            part, report = kind.from_pretrained(found.folder, dtype=dtype, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{found.folder} could not be loaded ({reason_of(error)})") from None
    return require_whole(part, str(found.folder), missing=sorted(map(str, report["missing_keys"])))


def require_whole(part: T, origin: str, missing: Sequence[str]) -> T:
    """Return the part; raises UserError, which names the origin, if tensors are missing or have no values."""
    missing = missing or [name for name, tensor in part.state_dict().items() if tensor.is_meta]
    if missing:
        raise UserError(f"{origin} lacks {len(missing)} tensors, first {missing[0]}")
    return part


def _lacking(folder: Path, has_tokenizer: bool) -> Iterator[str]:
    if not weight_files(folder):
        yield "model.safetensors"
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        yield "preprocessor_config.json"
    pieces = [folder / name for name in ("vocab.json", "merges.txt")]
    if has_tokenizer and not (folder / "tokenizer.json").is_file() and not all(map(Path.is_file, pieces)):
        yield "tokenizer.json"


def _check_whole(path: Path) -> None:
    if not path.is_file():
        raise AbsentWeightsError(f"{path} is missing")
    if path.suffix != ".safetensors":
        return
    try:
        with safe_open(path, "pt"):  # reads the header, which gives the length of the file
            pass
    except SafetensorError as error:
        raise AbsentWeightsError(f"{path} is damaged ({error}); delete it") from None
