"""Format of a LoRA file: safetensors with PEFT's names, and a description of the base in the metadata.

Plain diffusers loads the U-Nets' adapters: `unet.load_lora_adapter(FILE, prefix="unet")`, or `load_lora_weights(FILE)`
of a Stable Diffusion pipeline. Other trained tensors (the imitative U-Net's first layer, both projectors) are stored
whole, under names that diffusers ignores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mimicbrush.errors import UserError, some_of
from mimicbrush.files import whole
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.lora import DISTILLED_LAYERS, DOWN, UP
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.digests import tensor_digests
from mimicbrush.model.weights.exported_folder import FOLDERS
from mimicbrush.model.weights.find import LORA_KEY
from mimicbrush.model.weights.recommended import RECOMMENDED, recommendation_in
from mimicbrush.model.weights.tensors import Tensors, is_finite

BESIDE = "beside_lora."
"""Prefix of whole tensors: diffusers demands `lora` in every name, and skips names without the prefix of a model."""
FILE_DOWN, FILE_UP = ".lora_A.weight", ".lora_B.weight"
PRECISIONS = ("float16", "bfloat16")
"""Half precisions of exported bases; a base may be either rounding of the one that was trained."""


class Adapter(NamedTuple):
    """Low-rank update of a layer's weight, alpha / rank times B A."""

    down: Tensor
    """A, (rank, in), or (rank, in, height, width) of a convolution."""
    up: Tensor
    """B, (out, rank), or (out, rank, 1, 1)."""
    rank: int
    alpha: float


class LoraFile(NamedTuple):
    """Content of a LoRA file."""

    path: Path
    base: str
    """Name of the base in the config of the run."""
    fingerprints: dict[str, dict[str, str]]
    """Part -> precision -> fingerprint of the base's frozen tensors."""
    adapters: dict[str, Adapter]
    """`part.layer` -> its adapter."""
    whole: Tensors
    """`part.tensor` -> the trained tensor that replaces the base's."""
    recommended: RecommendedSettings | None = None
    """Settings of edits with this file; None: those of its base."""


def save_lora(
    path: Path,
    parts: Mapping[str, Tensors],
    *,
    base: str,
    fingerprints: Mapping[str, Mapping[str, str]],
    recommended: RecommendedSettings | None = None,
) -> None:
    """Write trained tensors by part, adapters under peft's names; raises UserError where the file cannot be written.

    recommended: settings of edits with this file, where they are not those of its base.
    """
    tensors, config = {}, {}
    for part, trained in parts.items():
        folder, _ = FOLDERS[part]
        for name, tensor in trained.items():
            tensors[_name_in_file(folder, name)] = tensor.contiguous()
        ranks = {len(tensor) for name, tensor in trained.items() if name.endswith(DOWN)}
        if ranks:
            (rank,) = ranks
            config |= {f"{folder}.r": rank, f"{folder}.lora_alpha": rank, f"{folder}.target_modules": _layers(trained)}
    described = {"base": base, "fingerprints": fingerprints}
    if recommended is not None:
        described[RECOMMENDED] = asdict(recommended)
    metadata = {"format": "pt", LORA_ADAPTER_METADATA_KEY: json.dumps(config), LORA_KEY: json.dumps(described)}
    with whole(path) as partial:
        save_file(tensors, partial, metadata)


def read_lora(path: Path) -> LoraFile:
    """Read a LoRA file; raises UserError where it is none, or damaged."""
    tensors, metadata = _read(path)
    try:
        described, config = (json.loads(metadata[key]) for key in (LORA_KEY, LORA_ADAPTER_METADATA_KEY))
        recorded = {part: dict(each) for part, each in described["fingerprints"].items()}
        sizes = {name: (int(config[f"{name}.r"]), float(config[f"{name}.lora_alpha"])) for name in _folders(tensors)}
        base = str(described["base"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{path}: not a LoRA file of this package, but {len(tensors)} tensors ({some_of(sorted(tensors), 2)});"
            " expected what `python -m mimicbrush.model.weights lora` makes of a training run"
        ) from None
    parts = {folder: part for part, (folder, _) in FOLDERS.items()}
    adapters, replaced, faults = {}, {}, [name for name, tensor in tensors.items() if not is_finite(tensor)]
    for name, tensor in tensors.items():
        folder, _, inside = name.removeprefix(BESIDE).partition(".")
        our_name = f"{parts.get(folder)}.{inside}"
        if folder not in parts:
            faults.append(name)
        elif name.startswith(BESIDE):
            replaced[our_name] = tensor
        elif name.endswith(FILE_DOWN) and (partner := name.replace(FILE_DOWN, FILE_UP)) in tensors:
            adapters[our_name.removesuffix(FILE_DOWN)] = Adapter(tensor, tensors[partner], *sizes[folder])
        elif name.replace(FILE_UP, FILE_DOWN) not in tensors.keys() - {name}:
            faults.append(name)
    if faults:
        raise UserError(
            f"{path}: {len(faults)} tensors are damaged, without their partner or of no adapter ({some_of(faults)});"
            " export it again"
        )
    recommended = recommendation_in(described, path) if RECOMMENDED in described else None
    return LoraFile(path, base, recorded, adapters, replaced, recommended)


def require_lora_fits(lora: LoraFile, network: MimicBrushNetwork) -> None:
    """Raise UserError, naming layers, where the network lacks layers that the file changes, or has other sizes."""
    modules, tensors = dict(network.named_modules()), dict(network.named_parameters())
    missing = [layer for layer in lora.adapters if not isinstance(modules.get(layer), nn.Linear | nn.Conv2d)]
    missing += [name for name in lora.whole if name not in tensors]
    misshaped = []
    for layer, (down, up, rank, _) in lora.adapters.items():
        if layer not in missing:
            out, into, *kernel = modules[layer].weight.shape
            found = (tuple(up.shape), tuple(down.shape))
            expected = ((out, rank, *[1] * len(kernel)), (rank, into, *kernel))
            if found != expected:
                misshaped.append(f"{layer} has B and A {found}, expected {expected}")
    for name, tensor in lora.whole.items():
        if name not in missing and tensor.shape != tensors[name].shape:
            misshaped.append(f"{name} is {tuple(tensor.shape)}, expected {tuple(tensors[name].shape)}")
    kinds = (("missing from it", missing), ("of other sizes", misshaped))
    faults = [f"{len(names)} {kind} ({some_of(names)})" for kind, names in kinds if names]
    if faults:
        raise UserError(
            f"{lora.path} does not fit this network: of the changed layers {' and '.join(faults)}; it was trained on"
            f" {lora.base}"
        )


def fingerprint(tensors: Mapping[str, Tensor], precision: str) -> str:
    """Compute SHA-256 of a part's tensors, rounded to this precision."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    lines = [f"{name} {digest}" for name, digest in sorted(tensor_digests(floating, precision).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fingerprints(tensors: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, str]]:
    """Compute the fingerprints of each part: part -> precision -> fingerprint."""
    return {part: {each: fingerprint(named, each) for each in PRECISIONS} for part, named in tensors.items()}


def _name_in_file(folder: str, name: str) -> str:
    for ours, theirs in ((DOWN, FILE_DOWN), (UP, FILE_UP)):
        if name.endswith(ours):
            return f"{folder}.{name.removesuffix(ours)}{theirs}"
    return f"{BESIDE}{folder}.{name}"


def _layers(trained: Tensors) -> list[str]:
    """Ends of the names of the layers with adapters, as in peft's config."""
    adapted = [name.removesuffix(DOWN) for name in trained if name.endswith(DOWN)]
    return [kind for kind in DISTILLED_LAYERS if any(name.endswith(f".{kind}") for name in adapted)]


def _folders(tensors: Tensors) -> set[str]:
    """Folders of the models that have adapters."""
    return {name.partition(".")[0] for name in tensors if name.endswith(FILE_DOWN) and not name.startswith(BESIDE)}


def _read(path: Path) -> tuple[Tensors, dict[str, str]]:
    if not path.is_file():
        raise UserError(f"{path}: {'a folder, not a LoRA file' if path.is_dir() else 'no such file'}")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({error}); expected a LoRA file made by"
            " `python -m mimicbrush.model.weights lora`, copy or export it again"
        ) from None
