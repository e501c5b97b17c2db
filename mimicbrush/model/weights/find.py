"""Find trained weights (a run's checkpoints, an exported folder, a released file) and pretrained parts.

Nothing here imports torch, so that commands report missing weights at once.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import CONFIG, is_local, is_repository, is_single_file, local_folder, shipped
from mimicbrush.model.config import NetworkConfig, PartConfig

INDEX_NAME = "model_index.json"
OPTIONS_NAME = "network.json"
"""File with the network's options, which diffusers' layout cannot hold."""
FEW_STEPS_NAME = "few_steps.safetensors"
"""LoRA file in an exported folder with which its weights edit in few steps (`edit reference --quick`)."""
LORA_KEY = "mimicbrush"
"""Name of our entry in the metadata of a LoRA file."""
PART_FIELDS = ("autoencoder", "reference_unet", "imitative_unet", "image_encoder", "depth")
"""Fields of NetworkConfig that hold parts, in the order in which these are loaded."""


def find_weights(name: str) -> Path:
    """Return the local path of trained weights, fetching them if necessary; raises UserError where there are none."""
    path = local_folder(name)
    if is_lora(path):
        raise UserError(f"{path} is a LoRA file; give it as --lora to `python -m mimicbrush.edit`, beside its base")
    if path.is_file() or is_exported(path) or is_run(path):
        return path
    what = "holds no weights" if path.is_dir() else "does not exist"
    raise UserError(
        f"{path} {what}; expected a mimicbrush.bin, a training run with checkpoints/last.ckpt, or a folder with"
        f" {INDEX_NAME} and {OPTIONS_NAME} made by `python -m mimicbrush.model.weights convert`"
    )


def require_local_weights(name: str) -> None:
    """Raise UserError, as `find_weights` does, where a local path holds no weights; never asks the hub."""
    if is_local(shipped(name)):
        find_weights(name)


def require_local_parts(config: NetworkConfig) -> None:
    """Raise UserError that names every pretrained part whose local folder is missing; never asks the hub."""
    faults = Faults()
    for name, part in pretrained_parts(config).items():
        absence = _absence(part.pretrained)
        faults.check(not absence, f"{name}: {absence}; {advise_on_part(name, part)}")
    faults.refuse()


def pretrained_parts(config: NetworkConfig) -> dict[str, PartConfig]:
    """Pretrained parts by field of the config, in the order of loading."""
    parts = {name: getattr(config, name) for name in PART_FIELDS}
    return {name: part for name, part in parts.items() if part is not None and part.pretrained is not None}


def advise_on_part(name: str, part: PartConfig) -> str:
    """Advise what to do if a pretrained part cannot be loaded."""
    if Path(part.pretrained, part.subfolder or "", CONFIG).is_file():
        return "convert the weights again, or copy the folder whole"  # the part exists, and is damaged
    inside = f" with a subfolder {part.subfolder}" if part.subfolder else ""
    first = "allow access to the hub, or give" if is_repository(part.pretrained) else "give"
    return (
        f"{first} a local folder{inside} in diffusers' or transformers' layout as network.{name}.pretrained, to"
        " train.py or to `python -m mimicbrush.model.weights convert`"
    )


def _absence(pretrained: str) -> str:
    """Say why a part is not on this machine; empty if it is, or if it is a hub repository."""
    if is_single_file(pretrained):
        return "" if Path(pretrained).is_file() else f"{pretrained}: no such file"
    name = shipped(pretrained)
    return "" if Path(name).is_dir() or is_repository(name) else f"{name} does not exist"


def is_exported(folder: Path) -> bool:
    """Whether `save_pretrained` wrote this folder."""
    return (folder / INDEX_NAME).is_file() and (folder / OPTIONS_NAME).is_file()


def is_run(path: Path) -> bool:
    """Whether this is a training run's folder with a checkpoint, or a checkpoint in such a folder."""
    return checkpoint_of(path).is_file()


def checkpoint_of(run: Path) -> Path:
    """Path of a run's last checkpoint; a path such as RUN/checkpoints/best.ckpt is returned as it is."""
    return run if is_checkpoint_of_run(run) else run / "checkpoints" / "last.ckpt"


def run_of(path: Path) -> Path:
    """Folder of the run to which a checkpoint belongs; a run's folder is returned as it is."""
    return path.parents[1] if is_checkpoint_of_run(path) else path


def best_checkpoint_of(run: Path) -> Path:
    """Path of the checkpoint with the lowest held-out loss."""
    return run / "checkpoints" / "best.ckpt"


def previous_checkpoint_of(run: Path) -> Path:
    """Path of the checkpoint before the last one."""
    return run / "checkpoints" / "previous.ckpt"


def is_checkpoint_of_run(path: Path) -> bool:
    return path.suffix == ".ckpt" and path.parent.name == "checkpoints" and path.is_file()


def few_steps_of(weights: str) -> Path | None:
    """Path of the LoRA file for few steps that comes with an exported folder; None where there is none."""
    path = local_folder(weights) / FEW_STEPS_NAME
    return path if path.is_file() else None


def is_lora(path: Path) -> bool:
    """Whether this file was written by `save_lora`."""
    try:
        with safe_open(path, "np") as file:
            return LORA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
