"""Read the checkpoints of a training run."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.config import config_from_dict
from mimicbrush.errors import UserError
from mimicbrush.model.config import NetworkConfig
from mimicbrush.model.weights.find import checkpoint_of, is_checkpoint_of_run, previous_checkpoint_of
from mimicbrush.model.weights.recommended import read_run_document
from mimicbrush.model.weights.tensors import Tensors, TrainedWeights, is_tensors
from mimicbrush.tensor_files import DamagedFileError, torch_load

PREFIX = "network."


def read_run(run: Path, *, use_ema: bool = True) -> TrainedWeights:
    """Read a run's checkpoint, averaged weights (EMA) where it has them; raises UserError where there is none.

    Frozen parts that can be fetched again are not in it. A damaged checkpoint is refused even if the previous one
    exists: older weights are never returned silently.
    """
    path = checkpoint_of(run)
    try:
        checkpoint = read_checkpoint(path)
    except DamagedFileError as error:
        if is_checkpoint_of_run(run) or not previous_checkpoint_of(run).is_file():
            raise
        raise DamagedFileError(
            f"{error}, or run the command that trained it again, which resumes from previous.ckpt"
        ) from None
    averaged = checkpoint.get("ema", {}) if use_ema else {}
    parts = split_parts({**checkpoint["state_dict"], **averaged})
    left_out = checkpoint.get("left_out", {})
    return TrainedWeights("training run", str(path), parts, read_run_document(run)["network"], left_out)


def read_run_config(run: Path) -> NetworkConfig:
    """Config of the network that a run trains; raises UserError where it is damaged."""
    network = read_run_document(run)["network"]
    try:
        return config_from_dict(NetworkConfig, network)
    except UserError as error:
        raise UserError(f"{run}, network in its config.yaml: {error}; copy the run's folder whole") from None


def read_run_seed(run: Path) -> int:
    """Seed from which a run draws its random parts."""
    return read_run_document(run)["seed"]


def read_checkpoint(path: Path) -> dict:
    """Read a checkpoint of train.py, tensors and plain values; raises UserError where it is none, or damaged."""
    checkpoint = torch_load(path)
    if not is_checkpoint(checkpoint):
        raise UserError(
            f"{path}: not a checkpoint of train.py; delete the folder to train from the start, or copy it again"
        )
    return checkpoint


def is_checkpoint(content: object) -> bool:
    """Whether the content of a file is a checkpoint of train.py."""
    if not isinstance(content, dict) or not content.keys() >= {"state_dict", "global_step"}:
        return False
    return is_tensors(content["state_dict"]) and is_tensors(content.get("ema", {}))


def split_parts(tensors: Tensors) -> dict[str, Tensors]:
    """Group tensors by part: `network.part.name` -> part -> name."""
    parts: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        part, _, inside = name.removeprefix(PREFIX).partition(".")
        parts.setdefault(part, {})[inside] = tensor
    return parts
