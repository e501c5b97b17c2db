"""Checks before the first edit: every fault of every input is named, all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mimicbrush.data.datamodule import choose_heldout
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample, list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import SUMMARY_FIELDS, EditorSpec, EvaluateConfig
from mimicbrush.evaluation.evaluation_rounds import EditRound, list_rounds, load_editor
from mimicbrush.evaluation.fingerprints import find_other_runs
from mimicbrush.evaluation.measure_reference_use import list_measurements
from mimicbrush.evaluation.metrics.all_metrics import metrics_of, set_metrics
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.preconditions import missing_heldout, refuse_faults, source_of_inputs, training_run_faults
from mimicbrush.evaluation.stored_answers import find_answer_faults
from mimicbrush.files import read_object

Samples = Mapping[str, Sequence[Sample]]
"""Samples by the name of their set."""


def check_inputs(config: EvaluateConfig, not_computed: Mapping[str, str]) -> Samples:
    """Return the samples of every set if nothing prevents the first edit. Writes nothing.

    not_computed: metrics that cannot be computed, with the reason; a fault if the config asks for them by name.
    Raises one UserError that names every missing or unsound picture, checkpoint, folder and chosen metric, and every
    folder that holds the results of another evaluation.
    """
    needs = _needs(config)
    faults = {f"{name}: {members.folder}": find_faults(members, needs[name]) for name, members in config.sets.items()}
    sets_are_sound = not any(faults.values())
    samples = {name: list_samples(members) for name, members in config.sets.items()} if sets_are_sound else {}
    inputs = faults | {
        "training_run": training_run_faults(config),
        "heldout.shards": _heldout_faults(config),
        "data_summaries": [
            fault
            for path in filter(Path.is_file, config.data_summaries)
            for fault in _faults_of(read_object, path, *SUMMARY_FIELDS)
        ],
    }
    refuse_faults(
        inputs | {"metrics": _metric_faults(config, not_computed)} | _run_faults(config, samples, not_computed),
        hint=source_of_inputs(config, inputs),
    )
    return samples


def not_computable(config: EvaluateConfig, models: Models) -> dict[str, str]:
    """Metrics whose network's weights are missing or unreadable, with the reason. Loads the other networks."""
    shown = {name: metric for set_name in config.sets for name, metric in set_metrics(config, set_name).items()}
    networks = {metric.model for metric in shown.values() if metric.model}
    reasons = {name: reason for name in sorted(networks) if (reason := " ".join(_faults_of(models.load, name)))}
    return {name: reasons[metric.model] for name, metric in shown.items() if metric.model in reasons}


def _run_faults(config: EvaluateConfig, samples: Samples, not_computed: Mapping[str, str]) -> dict[str, list[str]]:
    """Faults of the editors and of the output folder; samples: empty where the sets have faults."""
    specs = {name: config.editor(name) for name in config.editors}
    faults = {f"editors.{name}": _reference_faults(spec, samples) for name, spec in specs.items()}
    usable = [name for name in specs if not faults[f"editors.{name}"]]
    rounds = list_rounds(config, samples, not_computed, editors=usable)
    measurements = list_measurements(config, samples, editors=usable) if samples else []
    unfinished = {each.editor for each in rounds if each.unfinished()}
    unfinished |= {each.editor for each in measurements if not each.is_finished}
    for name in usable:
        # An editor is built and dropped again, because several full-size networks would not fit into memory.
        if name in unfinished or not samples:
            own = [each for each in rounds if each.editor == name]
            faults[f"editors.{name}"] = _editor_faults(specs[name], own, samples)
    sound = [name for name in usable if not faults[f"editors.{name}"]]
    faults["output"] = find_other_runs(
        [each for each in rounds if each.editor in sound],
        [each for each in measurements if each.editor in sound],
        config.output,
    )
    return faults


def _editor_faults(spec: EditorSpec, rounds: Sequence[EditRound], samples: Samples) -> list[str]:
    """Faults of an editor that cannot be built, or whose stored answers to its rounds are missing or unfit."""
    try:
        return find_answer_faults(load_editor(spec), rounds, samples)
    except UserError as error:
        return [str(error)]


def _needs(config: EvaluateConfig) -> dict[str, frozenset[str]]:
    """Files and texts that the samples of each set must have for the metrics that the config asks for by name."""
    return {
        name: frozenset().union(
            *(
                metric.needs
                for metric_name, metric in metrics_of(members.task, members.track).items()
                if metric_name in config.metrics
            )
        )
        for name, members in config.sets.items()
    }


def _heldout_faults(config: EvaluateConfig) -> list[str]:
    if config.heldout is None:
        return []
    return missing_heldout(config) or _faults_of(choose_heldout, config.heldout.shards, config.heldout.num_pairs)


def _metric_faults(config: EvaluateConfig, not_computed: Mapping[str, str]) -> list[str]:
    """Faults of metrics that the config asks for by name: they apply to no set, or their weights cannot be read."""
    applicable = {name for members in config.sets.values() for name in metrics_of(members.task, members.track)}
    others = [f"{name} applies to none of the sets" for name in config.metrics if name not in applicable]
    return others + [f"{name}: {not_computed[name]}" for name in config.metrics if name in not_computed]


def _reference_faults(spec: EditorSpec, samples: Samples) -> list[str]:
    """Sets whose samples have no other group to swap references with."""
    if spec.references != "swapped":
        return []
    without = [set_name for set_name, members in samples.items() if members[0].reference is None]
    if without:
        return [f"{without[0]} has no references to swap; leave out references: swapped"]
    alike = [set_name for set_name, members in samples.items() if len({sample.group for sample in members}) < 2]
    if alike:
        return [f"{alike[0]} has one group of samples, so no other's reference to swap in; give it more samples"]
    return []


def _faults_of(check: Callable[..., object], *arguments: object) -> list[str]:
    """Message of the UserError that a check raises; empty if it raises none."""
    try:
        check(*arguments)
    except UserError as error:
        return [str(error)]
    return []
