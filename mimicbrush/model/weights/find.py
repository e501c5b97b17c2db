"""Where trained weights lie: a training run's checkpoints, an exported folder, or a released file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from mimicbrush.errors import UserError
from mimicbrush.hub import local_folder

INDEX_NAME = "model_index.json"
OPTIONS_NAME = "network.json"
"""The network's options, for which diffusers' layout has no room."""
LORA_KEY = "mimicbrush"
"""Name of our entry in the metadata of a LoRA file."""


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
