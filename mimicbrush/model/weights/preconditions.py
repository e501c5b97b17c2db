"""Preconditions of the commands for weights, checked without torch: existing weights, and writable outputs."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.errors import Faults, UserError
from mimicbrush.files import FILE_SUFFIXES, check_writable, refuse_file_name
from mimicbrush.hub.upload import require_repository_name
from mimicbrush.model.weights.config import ConvertConfig, InspectConfig, LoraConfig, PushConfig
from mimicbrush.model.weights.find import require_local_weights

RELEASE_SUFFIX = ".bin"
"""Suffix of a file in the released layout."""


def check_inspect(config: InspectConfig) -> None:
    """Raise UserError where a local path holds no weights; the hub is asked later."""
    require_local_weights(config.weights)


def check_convert(config: ConvertConfig) -> None:
    """Raise UserError where the weights are missing, or the output exists or cannot be written."""
    _refuse_existing(config.output)
    if config.output.suffix != RELEASE_SUFFIX and config.output.suffix.lower() in FILE_SUFFIXES:
        raise UserError(
            f"{config.output}: no file of that kind is written; give a name without {config.output.suffix} for a folder"
            f" of safetensors, or one ending in {RELEASE_SUFFIX} for the released layout"
        )
    require_local_weights(config.weights)
    if config.average_with is not None:
        require_local_weights(config.average_with)
    if config.output.suffix != RELEASE_SUFFIX:
        refuse_folder(config.output)
    check_writable(config.output)


def check_push(config: PushConfig) -> None:
    """Raise UserError where the weights or the results of the evaluation are missing, or no repository is named."""
    faults = Faults()
    for check, name in ((require_repository_name, config.repo_id), (require_local_weights, config.weights)):
        with faults.collect():
            check(name)
    if config.evaluation is not None:
        results = config.evaluation / "results.json"
        faults.check(results.is_file(), f"{results}: no such file; give the output folder of a finished evaluate.py")
    faults.refuse()


def check_lora(config: LoraConfig) -> None:
    """Raise UserError where the run is missing, or an output exists or cannot be written."""
    outputs = [path for path in (config.output, config.base) if path is not None]
    for path in outputs:
        _refuse_existing(path)
    if config.base is not None:
        refuse_folder(config.base)
    require_local_weights(config.weights)
    for path in outputs:
        check_writable(path)


def refuse_folder(folder: Path) -> None:
    """Raise UserError where no folder of this name can be made."""
    refuse_file_name(folder)
    if any(parent.is_file() for parent in folder.parents):
        raise UserError(f"{folder}: cannot be a folder, as a file is in its path; choose another output")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path} exists; choose another output or delete it")
