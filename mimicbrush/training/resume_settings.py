"""Whether a training run resumes: which of its settings may change between two calls, and which may not."""

from __future__ import annotations

from dataclasses import fields

from mimicbrush.errors import UserError
from mimicbrush.files import refuse_file_name
from mimicbrush.model.weights.find import checkpoint_of
from mimicbrush.run_folder import find_difference
from mimicbrush.training.config import RunConfig, TrainConfig

_KEPT = ("precision", "frozen_precision", "ema_decay")
"""Settings of RunConfig with which the same command takes other steps."""
_CHANGEABLE = tuple(f"run.{each.name}" for each in fields(RunConfig) if each.name not in _KEPT)
FREE = (
    "output",
    "check",
    *_CHANGEABLE,
    "data.num_workers",
    "data.timeout",
    "data.batch_size",
    "recipe.reference_gradient",
    "network.recommended",
)
"""Settings that may change between calls of one run; data.batch_size only as long as a step keeps its samples. A run
keeps the recipe.reference_gradient of its checkpoint, because the config of an older run does not name it."""


def require_same_run(config: TrainConfig) -> None:
    """Raise UserError where the output folder holds a run with other settings."""
    other = describe_other_run(config)
    if other:
        raise UserError(other)


def describe_other_run(config: TrainConfig) -> str | None:
    """In which setting the output folder's run differs, and what to do; None where it can go on, or there is none.

    Raises UserError where the folder cannot be one.
    """
    refuse_file_name(config.output)  # before ranks meet, and for --check: neither holds the folder
    difference = find_difference(config.output, config, free=FREE)
    if difference is None:
        return None
    said = f"{config.output} holds another run: {difference}"
    # Another network may not take the weights.
    if difference.startswith("network.") or not checkpoint_of(config.output).is_file():
        return f"{said}; choose another output or delete the folder"
    return (
        f"{said}; set it back to resume, or start a new run from these weights with --network.weights {config.output}"
        " --output NEW, in which the optimiser and the step count start from zero"
    )
