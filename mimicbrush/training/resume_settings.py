"""Decide whether a run can resume: which settings may change between two calls of one run."""

from __future__ import annotations

from dataclasses import fields

from mimicbrush.errors import UserError
from mimicbrush.files import refuse_file_name
from mimicbrush.model.weights.find import checkpoint_of
from mimicbrush.run_folder import find_difference
from mimicbrush.training.config import RunConfig, TrainConfig

_FIXED = ("precision", "frozen_precision", "ema_decay")
"""Settings of RunConfig that change the training steps, and therefore must stay."""
_CHANGEABLE_RUN = tuple(f"run.{each.name}" for each in fields(RunConfig) if each.name not in _FIXED)
CHANGEABLE = (
    "output",
    "check",
    *_CHANGEABLE_RUN,
    "data.num_workers",
    "data.timeout",
    "data.batch_size",
    "data.cache",
    "recipe.reference_gradient",
    "network.recommended",
)
"""Settings that may change between calls of one run; data.batch_size only if the samples of a step stay the same.
Changing recipe.reference_gradient has no effect, because a run keeps that of its checkpoint."""


def require_same_run(config: TrainConfig) -> None:
    """Raise UserError where the output folder holds a run with other settings."""
    difference = describe_other_run(config)
    if difference:
        raise UserError(difference)


def describe_other_run(config: TrainConfig) -> str | None:
    """Say in which setting the run in the output folder differs, and what to do; None if it can resume, or is new.

    Raises UserError where the output is not a folder.
    """
    refuse_file_name(config.output)  # checked here, too, because ranks and --check come before the folder's lock
    difference = find_difference(config.output, config, free=CHANGEABLE)
    if difference is None:
        return None
    message = f"{config.output} holds another run: {difference}"
    # The weights may not fit another network.
    if difference.startswith("network.") or not checkpoint_of(config.output).is_file():
        return f"{message}; choose another output or delete the folder"
    return (
        f"{message}; set it back to resume, or start a new run from these weights with --network.weights"
        f" {config.output} --output NEW, in which the optimiser and the step count start from zero"
    )
