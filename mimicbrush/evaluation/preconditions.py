"""Preconditions of an evaluation and a comparison, checked without torch: folders, weights, and finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mimicbrush.errors import Faults, UserError
from mimicbrush.evaluation.config import CompareConfig, EditorSpec, EvaluateConfig
from mimicbrush.files import read_object
from mimicbrush.model.weights.find import require_local_weights

RESULTS = "results.json"
"""The file in which an evaluation leaves its results."""
WEIGHTS_ARGUMENT = {"mimicbrush.editors.mimicbrush.MimicBrushEditor": "checkpoint"}
"""Class path of an editor -> the argument that names trained weights."""


def check_evaluation(config: EvaluateConfig) -> None:
    """Raise one UserError that names every folder and every trained weights that are missing.

    What is there may still be unsound; `checks.check_inputs` looks inside.
    """
    inputs = {f"{name}: {members.folder}": missing_folder(members.folder) for name, members in config.sets.items()}
    inputs |= {"training_run": training_run_faults(config), "heldout.shards": missing_heldout(config)}
    editors = {f"editors.{name}": missing_weights(config.editor(name)) for name in config.editors}
    refuse_faults(inputs | editors, hint=source_of_inputs(config, inputs))


def announce_evaluation(config: EvaluateConfig) -> str:
    """The first line of an evaluation, printed while libraries are imported."""
    return f"loading libraries to evaluate {', '.join(config.editors)} -> {config.output} ..."


def check_comparison(config: CompareConfig) -> None:
    """Raise UserError where a run has no results, or no such editor."""
    for folder, editor, option in (
        (config.run_a, config.editor_a, "editor_a"),
        (config.run_b, config.editor_b, "editor_b"),
    ):
        results = read_object(require_results(folder), "edits")
        with suppress(KeyError, TypeError):  # of another version: the comparison itself says so
            choose_editor(folder, list(dict.fromkeys(edit["editor"] for edit in results["edits"])), editor, option)


def require_results(folder: Path) -> Path:
    """The results of an evaluation's output folder; raises UserError where there are none."""
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(f"{folder}: holds no {RESULTS}; expected the output folder of a finished evaluate.py")
    return path


def choose_editor(folder: Path, editors: Sequence[str], name: str, option: str) -> str:
    """The named editor of a run, by default its first; raises UserError where it has no such editor."""
    if not editors:
        raise UserError(f"{folder}: its results hold no edit")
    if name and name not in editors:
        raise UserError(f"{option}: {folder} has no editor {name}; choose from {', '.join(editors)}")
    return name or editors[0]


def source_of_inputs(config: EvaluateConfig, inputs: Mapping[str, Sequence[str]]) -> str:
    """The command that makes the inputs, where any of them has a fault and the config names one."""
    return f"the inputs are made by: {config.inputs_from}" if config.inputs_from and any(inputs.values()) else ""


def missing_folder(folder: Path) -> list[str]:
    return [] if folder.is_dir() else ["no such folder"]


def training_run_faults(config: EvaluateConfig) -> list[str]:
    folder = config.training_run
    return [f"{folder}: {fault}" for fault in missing_folder(folder)] if folder else []


def missing_heldout(config: EvaluateConfig) -> list[str]:
    folder = config.heldout.shards if config.heldout else None
    return [f"{folder}: {fault}" for fault in missing_folder(folder)] if folder else []


def missing_weights(spec: EditorSpec) -> list[str]:
    """Trained weights of an editor that should lie on this machine and do not."""
    weights, faults = spec.init_args.get(WEIGHTS_ARGUMENT.get(spec.class_path, "")), Faults()
    if isinstance(weights, str):
        with faults.collect():
            require_local_weights(weights)
    return faults.found


def refuse_faults(found: Mapping[str, list[str]], *, hint: str = "") -> None:
    """Raise a UserError that lists the faults, if there are any, under what they are faults of; one alone is one line.

    hint: what may mend them.
    """
    advice = f" ({hint})" if hint else ""
    match [(name, fault) for name, faults in found.items() for fault in faults]:
        case []:
            return
        case [(name, fault)]:
            raise UserError(f"{name}: {fault}{advice}")
        case every:
            lines = [f"{len(every)} faults to mend before the first edit{advice}:"]
            for name, faults in found.items():
                lines += [f"- {name}", *(f"  - {fault}" for fault in faults)] if faults else []
            raise UserError("\n".join(lines))
