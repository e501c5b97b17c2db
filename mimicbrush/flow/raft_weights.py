"""Load RAFT from the authors' files, from torchvision's, or from a folder with a config, and write such a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mimicbrush.config import config_from_dict
from mimicbrush.errors import UserError, first_line, some_of
from mimicbrush.files import WEIGHT_SUFFIXES, read_object, whole, write_json
from mimicbrush.flow.config import RAFT_LARGE, RAFT_SMALL, RaftConfig
from mimicbrush.flow.raft import Raft
from mimicbrush.flow.raft_names import own_names, recognise
from mimicbrush.hub.locations import CONFIG, is_single_file, open_location
from mimicbrush.tensor_files import torch_load

CLASS_NAME = "Raft"
WEIGHTS = "model.safetensors"
CONFIGS = {"RAFT large": RAFT_LARGE, "RAFT small": RAFT_SMALL}
CONTAINERS = ("state_dict", "model")
"""Keys under which training frameworks store a network's tensors."""


def load_raft(
    pretrained: str,
    *,
    weight_name: str | None = None,
    revision: str | None = None,
    batch_statistics: bool = False,
    num_iterations: int = 12,
) -> Raft:
    """Load RAFT in float32 with frozen weights.

    pretrained: a file of the authors (raft-things.pth) or of torchvision, a folder or hub repository with one such
    file, or one that `save_raft` wrote (asset:NAME for those in this package); weight_name: which of several files;
    batch_statistics: compute as the released editor of Motion Guidance does (`Raft.train`).
    Raises UserError, which says what was found, where the weights are missing, damaged or of another network.
    """
    path, config = find_raft(pretrained, weight_name, revision)
    tensors = _read_tensors(path)
    if config is None:
        config = _recognised_config(path, tensors)
    raft = Raft(config, num_iterations)
    names = own_names(tensors)
    _fill(raft, {names[name]: tensor for name, tensor in tensors.items() if name in names}, path)
    return raft.requires_grad_(False).train(batch_statistics)


def save_raft(raft: Raft, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a folder for `load_raft`, with the weights in this precision."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in raft.state_dict().items()
    }
    with whole(folder / WEIGHTS) as partial:
        save_file(tensors, partial)
    write_json({"_class_name": CLASS_NAME, **asdict(raft.config)}, folder / CONFIG)


def find_raft(
    pretrained: str, weight_name: str | None = None, revision: str | None = None
) -> tuple[Path, RaftConfig | None]:
    """Find the file of weights, and the config beside it if there is one; raises UserError as `load_raft` does."""
    if is_single_file(pretrained):
        if not Path(pretrained).is_file():
            raise UserError(f"{pretrained}: no such file; give RAFT's weights, such as raft-things.pth")
        return Path(pretrained), None
    location = open_location(pretrained, revision)
    if location.is_partial and (weight_name or CONFIG not in location.files_in("")):
        location.list_remote_files()  # the copy may lack the named file, or hold one of several
    names = location.files_in("")
    weights = sorted(name for name in names if Path(name).suffix.lower() in WEIGHT_SUFFIXES)
    if weight_name is None and len(weights) == 1:
        weight_name = weights[0]
    if weight_name is None and {WEIGHTS, CONFIG} <= set(names):
        weight_name = WEIGHTS  # the state of an interrupted training may lie beside it
    if weight_name not in weights:
        wanted = weight_name or "one file of RAFT's weights; name one as weight_name"
        raise UserError(f"{location.describe('')} holds {some_of(weights, 8) or 'no weights'}, expected {wanted}")
    has_config = weight_name == WEIGHTS and CONFIG in names
    folder = location.fetch("", {weight_name, CONFIG} if has_config else {weight_name})
    return folder / weight_name, _read_config(folder / CONFIG) if has_config else None


def _read_config(path: Path) -> RaftConfig:
    fields = read_object(path)
    if (found := fields.pop("_class_name", None)) != CLASS_NAME:
        found = found or fields.get("model_type") or "another network"
        raise UserError(f"{path}: describes {found}, expected {CLASS_NAME}; give a folder of RAFT's weights")
    try:
        return config_from_dict(RaftConfig, fields)
    except UserError as error:
        raise UserError(f"{path}: {first_line(error)}") from None


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path}: damaged ({first_line(error)}); copy or download it again") from None
    content = torch_load(path)
    for key in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(each, Tensor) for each in content.values()):
        raise UserError(
            f"{path}: holds no tensors by name, expected RAFT's weights; give a file such as raft-things.pth"
        )
    return content


def _recognised_config(path: Path, tensors: dict[str, Tensor]) -> RaftConfig:
    found = recognise(tensors)
    if found not in CONFIGS:
        names = f"{len(tensors)} tensors ({some_of(sorted(tensors))})"
        raise UserError(
            f"{path}: holds {f'weights of {found}' if found else f'another network, {names}'}, expected RAFT large or"
            " small, with its authors' names or torchvision's; give a file such as raft-things.pth"
        )
    return CONFIGS[found]


def _fill(raft: Raft, tensors: dict[str, Tensor], path: Path) -> None:
    own = raft.state_dict()
    missing, unexpected = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    misshaped = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    faults = []
    if missing:
        faults.append(f"lacks {some_of(missing)}")
    if unexpected:
        faults.append(f"has the unknown {some_of(unexpected)}")
    if misshaped:
        name = min(misshaped)
        faults.append(f"has {name} as {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}")
    if not faults and not all(tensor.isfinite().all() for tensor in tensors.values()):
        faults.append("has weights that are NaN or infinite")
    if faults:
        raise UserError(f"{path} {', '.join(faults)}; give an unchanged file, or a RAFT of other sizes with its config")
    raft.load_state_dict(tensors)
