"""Where weights lie: trained ones (a run's checkpoints, an exported folder, a released file), and pretrained parts.

Nothing here imports torch, so that commands name missing weights at once.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import CONFIG, is_local, is_repository, is_single_file, local_folder, shipped
from mimicbrush.model.config import NetworkConfig, PartConfig

INDEX_NAME = "model_index.json"
OPTIONS_NAME = "network.json"
"""The network's options, for which diffusers' layout has no room."""
LORA_KEY = "mimicbrush"
"""Name of our entry in the metadata of a LoRA file."""
PART_FIELDS = ("autoencoder", "reference_unet", "imitative_unet", "image_encoder", "depth")
"""Fields of NetworkConfig that hold parts, in the order in which these are loaded."""


def find_weights(name: str) -> Path:
    """Where trained weights lie on this machine, fetched if need be; raises UserError where nothing lies there."""
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
    """Raise UserError, as `find_weights` does, where a path on this machine holds no weights; asks no hub."""
    if is_local(shipped(name)):
        find_weights(name)


def require_local_parts(config: NetworkConfig) -> None:
    """Raise UserError that names every pretrained part whose folder is not on this machine; asks no hub."""
    faults = Faults()
    for name, part in pretrained_parts(config).items():
        absence = _absence(part.pretrained)
        faults.check(not absence, f"{name}: {absence}; {advise_on_part(name, part)}")
    faults.refuse()


def pretrained_parts(config: NetworkConfig) -> dict[str, PartConfig]:
    """Field of the config -> the part, in the order of loading; parts of random weights are left out."""
    parts = {name: getattr(config, name) for name in PART_FIELDS}
    return {name: part for name, part in parts.items() if part is not None and part.pretrained is not None}


def advise_on_part(name: str, part: PartConfig) -> str:
    """Advice where a pretrained part cannot be loaded."""
    if Path(part.pretrained, part.subfolder or "", CONFIG).is_file():
        return "convert the weights again, or copy the folder whole"  # the part is there, and damaged
    inside = f" with a subfolder {part.subfolder}" if part.subfolder else ""
    first = "allow access to the hub, or give" if is_repository(part.pretrained) else "give"
    return (
        f"{first} a local folder{inside} in diffusers' or transformers' layout as network.{name}.pretrained, to"
        " train.py or to `python -m mimicbrush.model.weights convert`"
    )


def _absence(pretrained: str) -> str:
    """Say why a part is not on this machine; empty where it is, or is a repository of the hub."""
    if is_single_file(pretrained):
        return "" if Path(pretrained).is_file() else f"{pretrained}: no such file"
    name = shipped(pretrained)
    return "" if Path(name).is_dir() or is_repository(name) else f"{name} does not exist"


def is_exported(folder: Path) -> bool:
    """Whether `save_pretrained` wrote this folder."""
    return (folder / INDEX_NAME).is_file() and (folder / OPTIONS_NAME).is_file()


def is_run(path: Path) -> bool:
    """Whether this is a folder in which train.py has left a checkpoint, or a checkpoint in such a folder."""
    return checkpoint_of(path).is_file()


def checkpoint_of(run: Path) -> Path:
    """Where a run's last checkpoint lies; of a path such as RUN/checkpoints/best.ckpt, that very checkpoint."""
    return run if is_checkpoint_of_run(run) else run / "checkpoints" / "last.ckpt"


def best_checkpoint_of(run: Path) -> Path:
    """Where the checkpoint with the lowest held-out loss lies."""
    return run / "checkpoints" / "best.ckpt"


def previous_checkpoint_of(run: Path) -> Path:
    """Where the checkpoint before the last one lies."""
    return run / "checkpoints" / "previous.ckpt"


def is_checkpoint_of_run(path: Path) -> bool:
    return path.suffix == ".ckpt" and path.parent.name == "checkpoints" and path.is_file()


def is_lora(path: Path) -> bool:
    """Whether this file has been written by `save_lora`."""
    try:
        with safe_open(path, "np") as file:
            return LORA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
