"""Checks of an evaluation and of a comparison that need no torch: missing folders, weights, and unfinished runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from mimicbrush.errors import Faults, UserError
from mimicbrush.evaluation.config import CompareConfig, EditorSpec, EvaluateConfig
from mimicbrush.files import read_object
from mimicbrush.hub.locations import require_local_network
from mimicbrush.model.weights.find import require_local_weights

RESULTS = "results.json"
"""Name of the file with the results of an evaluation."""
WEIGHTS_ARGUMENTS = {
    "mimicbrush.editors.mimicbrush.MimicBrushEditor": ("checkpoint", require_local_weights),
    "mimicbrush.editors.text2live.Text2LiveEditor": ("clip", partial(require_local_network, model_type="clip")),
}
"""Class path of an editor -> the argument that names weights, and the check that they are there."""


def check_evaluation(config: EvaluateConfig) -> None:
    """Raise one UserError that names every missing folder and all missing trained weights.

    `checks.check_inputs` later checks the content of those that exist.
    """
    inputs = {f"{name}: {members.folder}": missing_folder(members.folder) for name, members in config.sets.items()}
    inputs |= {"training_run": training_run_faults(config), "heldout.shards": missing_heldout(config)}
    editors = {f"editors.{name}": missing_weights(config.editor(name)) for name in config.editors}
    refuse_faults(inputs | editors, hint=source_of_inputs(config, inputs))


def announce_evaluation(config: EvaluateConfig) -> str:
    """The first line of an evaluation, printed while libraries are imported."""
    return f"loading libraries to evaluate {', '.join(config.editors)} -> {config.output} ..."


def check_comparison(config: CompareConfig) -> None:
    """Raise UserError if a run has no results, or no such editor."""
    for folder, editor, option in (
        (config.run_a, config.editor_a, "editor_a"),
        (config.run_b, config.editor_b, "editor_b"),
    ):
        results = read_object(require_results(folder), "edits")
        with suppress(KeyError, TypeError):  # results of another version, which the comparison itself reports
            choose_editor(folder, list(dict.fromkeys(edit["editor"] for edit in results["edits"])), editor, option)


def require_results(folder: Path) -> Path:
    """Path of the results in an evaluation's output folder; raises UserError if there are none."""
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(f"{folder}: holds no {RESULTS}; expected the output folder of a finished evaluate.py")
    return path


def choose_editor(folder: Path, editors: Sequence[str], name: str, option: str) -> str:
    """Name of the chosen editor of a run, by default its first; raises UserError if it has no such editor."""
    if not editors:
        raise UserError(f"{folder}: its results hold no edit; run its evaluate.py again")
    if name and name not in editors:
        raise UserError(f"{option}: {folder} has no editor {name}; choose from {', '.join(editors)}")
    return name or editors[0]


def source_of_inputs(config: EvaluateConfig, inputs: Mapping[str, Sequence[str]]) -> str:
    """Name the command that makes the inputs, if any of them has a fault and the config names a command."""
    return f"the inputs are made by: {config.inputs_from}" if config.inputs_from and any(inputs.values()) else ""


def missing_folder(folder: Path) -> list[str]:
    """Fault of a folder that does not exist."""
    return [] if folder.is_dir() else ["no such folder"]


def training_run_faults(config: EvaluateConfig) -> list[str]:
    """Fault of a `training_run` that does not exist."""
    folder = config.training_run
    return [f"{folder}: {fault}" for fault in missing_folder(folder)] if folder else []


def missing_heldout(config: EvaluateConfig) -> list[str]:
    """Fault of a folder of held-out shards that does not exist."""
    folder = config.heldout.shards if config.heldout else None
    return [f"{folder}: {fault}" for fault in missing_folder(folder)] if folder else []


def missing_weights(spec: EditorSpec) -> list[str]:
    """Fault of trained weights of an editor, or of one inside it, that should be on this machine and are not."""
    faults = Faults()
    for class_path, arguments in _editors_in(spec.class_path, spec.init_args):
        name, require = WEIGHTS_ARGUMENTS.get(class_path, ("", None))
        if isinstance(weights := arguments.get(name), str):
            with faults.collect():
                require(weights)
    return faults.found


def _editors_in(class_path: str, arguments: dict) -> Iterator[tuple[str, dict]]:
    """Class path and arguments of an editor, and of those that it receives by class path."""
    yield class_path, arguments
    for value in arguments.values():
        if isinstance(value, dict) and "class_path" in value:
            yield from _editors_in(value["class_path"], value.get("init_args", {}))


def refuse_faults(found: Mapping[str, list[str]], *, hint: str = "") -> None:
    """Raise a UserError that lists the faults under the names of their inputs; a single fault makes one line.

    hint: advice that may fix them.
    """
    advice = f" ({hint})" if hint else ""
    match [(name, fault) for name, faults in found.items() for fault in faults]:
        case []:
            return
        case [(name, fault)]:
            raise UserError(f"{name}: {fault}{advice}")
        case every:
            lines = [f"{len(every)} faults to fix before the first edit{advice}:"]
            for name, faults in found.items():
                lines += [f"- {name}", *(f"  - {fault}" for fault in faults)] if faults else []
            raise UserError("\n".join(lines))
