"""Export the adapters of a training run as a LoRA file, and the base that they belong to."""

from __future__ import annotations

from pathlib import Path

import torch

from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig, RecommendedSettings
from mimicbrush.model.lora import BASE, has_adapters
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.digests import require_unchanged
from mimicbrush.model.weights.find import checkpoint_of, find_weights, is_run
from mimicbrush.model.weights.lora_file import fingerprints, save_lora
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.model.weights.run_checkpoint import (
    PREFIX,
    read_checkpoint,
    read_run,
    read_run_config,
    read_run_seed,
    split_parts,
)
from mimicbrush.model.weights.tensors import Tensors
from mimicbrush.model.weights.trained_weights import fetchable_parts

UNETS = ("imitative_unet", "reference_unet")


def export_lora(
    run: str, output: Path, *, use_ema: bool = True, dtype: torch.dtype = torch.float32
) -> MimicBrushNetwork:
    """Write all that a run has trained as a LoRA file; returns its base, the network before training.

    use_ema: take the averaged weights; dtype: precision of the stored tensors. Raises UserError where the run has
    trained a whole U-Net, or no adapters.
    """
    folder = find_weights(run)
    if not is_run(folder):
        raise UserError(f"{run}: not a training run; adapters are exported from a run that trains them")
    config, weights = read_run_config(folder), read_run(folder, use_ema=use_ema)
    trained_names = {name.removeprefix(PREFIX) for name in read_checkpoint(checkpoint_of(folder)).get("ema", {})}
    trained, frozen = _divide(weights.parts, trained_names)
    _require_adapters(run, trained)
    base = initialise(config, seed=read_run_seed(folder)).eval()
    # Frozen random weights come from the checkpoint: another version of torch might draw others.
    for part, named in frozen.items():
        getattr(base, part).load_state_dict(named, strict=False)
    tensors = split_parts({name: each for name, each in base.state_dict().items() if name not in trained_names})
    require_unchanged(weights.left_out, tensors, weights.origin, lambda: fetchable_parts(config))
    stored = {part: {name: tensor.to(dtype) for name, tensor in named.items()} for part, named in trained.items()}
    save_lora(
        output,
        stored,
        base=_describe_base(config),
        fingerprints=fingerprints(tensors),
        recommended=needed_settings(config),
    )
    return base


def needed_settings(config: NetworkConfig) -> RecommendedSettings | None:
    """The settings that edits with the file need, as after distillation; None: those of its base."""
    usual = RecommendedSettings()
    of_base = read_recommended(config.weights) if config.weights else usual
    # A run that names no settings has the usual ones, and says nothing about its base's.
    return None if config.recommended in (of_base, usual) else config.recommended


def _divide(parts: dict[str, Tensors], trained_names: set[str]) -> tuple[dict[str, Tensors], dict[str, Tensors]]:
    """Divide tensors into trained ones by part, and frozen ones by part under their plain names."""
    trained: dict[str, Tensors] = {}
    frozen: dict[str, Tensors] = {}
    for part, tensors in parts.items():
        for name, tensor in tensors.items():
            kind, plain = (trained, name) if f"{part}.{name}" in trained_names else (frozen, name.replace(BASE, "."))
            kind.setdefault(part, {})[plain] = tensor
    return trained, frozen


def _require_adapters(run: str, trained: dict[str, Tensors]) -> None:
    if not trained:
        raise UserError(f"{run}: its checkpoint does not say what was trained; train on for a step, and export again")
    for part in UNETS:
        if part in trained and not has_adapters(trained[part]):
            raise UserError(
                f"{run} trains the whole {part}, not adapters (recipe.{part.removesuffix('_unet')}_lora is 0): a LoRA"
                " file cannot hold it; `python -m mimicbrush.model.weights convert` makes a folder of it"
            )


def _describe_base(config: NetworkConfig) -> str:
    if config.weights:
        return config.weights
    parts = {name: getattr(config, name) for name in UNETS}
    return ", ".join(f"{name} {part.pretrained or 'from random weights'}" for name, part in parts.items())
