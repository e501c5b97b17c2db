"""What is checked before the first edit: all faults are named together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mimicbrush.config import instantiate
from mimicbrush.data.datamodule import choose_heldout
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample, list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.config import SUMMARY_FIELDS, EditorSpec, EvaluateConfig
from mimicbrush.evaluation.edit_rounds import unfinished
from mimicbrush.evaluation.fingerprints import find_other_runs, judged_editors, pairs_of
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.table import metrics_of, set_metrics
from mimicbrush.evaluation.preconditions import missing_heldout, refuse_faults, source_of_inputs, training_run_faults
from mimicbrush.files import read_object
from mimicbrush.requests import Editor
from mimicbrush.work_share import WorkShare


def check_inputs(config: EvaluateConfig, not_computed: Mapping[str, str]) -> dict[str, list[Sample]]:
    """The samples of every set, once nothing stands in the way of the first edit. Writes nothing.

    not_computed: metrics that cannot be computed, and why, which is a fault where they were asked for by name.
    Raises one UserError that names every missing or unsound picture, checkpoint, folder and chosen metric, and every
    folder of results that is another run's.
    """
    needs = needs_of(config)
    faults = {f"{name}: {members.folder}": find_faults(members, needs[name]) for name, members in config.sets.items()}
    sets_are_sound = not any(faults.values())
    samples = {name: list_samples(members) for name, members in config.sets.items()} if sets_are_sound else {}
    inputs = faults | {
        "training_run": training_run_faults(config),
        "heldout.shards": _heldout_faults(config),
        "data_summaries": [
            fault
            for path in filter(Path.is_file, config.data_summaries)
            for fault in _said(read_object, path, *SUMMARY_FIELDS)
        ],
    }
    faults = inputs | {
        "metrics": _metric_faults(config, not_computed),
        **{f"editors.{name}": _editor_faults(name, config, samples) for name in config.editors},
    }
    sound = [name for name in config.editors if not faults[f"editors.{name}"]]
    faults["output"] = find_other_runs(config, samples, sound)
    refuse_faults(faults, hint=source_of_inputs(config, inputs))
    return samples


def load_editor(spec: EditorSpec) -> Editor:
    """Build an editor from its class path; raises UserError where class, arguments or weights do not fit."""
    return instantiate(spec.class_path, spec.init_args, Editor)


def has_work(name: str, config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]]) -> bool:
    """Whether anything of an editor is still to be edited or measured."""
    edits_left = any(
        unfinished(members, config.edits(set_name, name, seed))
        for set_name, members in samples.items()
        for seed in config.seeds
    )
    return edits_left or any(editor == name for editor, _ in lacking_reference_use(config, WorkShare()))


def lacking_reference_use(config: EvaluateConfig, work: WorkShare) -> list[tuple[str, str]]:
    """The editors, and the pairs on which their reference use is still to be measured, by one of several tasks."""
    everything = [(editor, pairs) for editor in judged_editors(config) for pairs in pairs_of(config)]
    return [
        (editor, pairs)
        for editor, pairs in work.by_position(everything)
        if not config.reference_use(editor, pairs).is_file()
    ]


def needs_of(config: EvaluateConfig) -> dict[str, frozenset[str]]:
    """Set -> what its samples must have for the metrics that were asked for by name."""
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


def not_computable(config: EvaluateConfig, models: Models) -> dict[str, str]:
    """Metric -> why it cannot be computed: its network's weights are not here, or cannot be read. Loads the others."""
    shown = {name: metric for set_name in config.sets for name, metric in set_metrics(config, set_name).items()}
    networks = {metric.model for metric in shown.values() if metric.model}
    reasons = {name: said for name in sorted(networks) if (said := " ".join(_said(models.load, name)))}
    return {name: reasons[metric.model] for name, metric in shown.items() if metric.model in reasons}


def _said(check: Callable[..., object], *arguments: object, **options: object) -> list[str]:
    """The user's mistake that a check raises."""
    try:
        check(*arguments, **options)
    except UserError as error:
        return [str(error)]
    return []


def _heldout_faults(config: EvaluateConfig) -> list[str]:
    if config.heldout is None:
        return []
    return missing_heldout(config) or _said(choose_heldout, config.heldout.shards, config.heldout.num_pairs)


def _metric_faults(config: EvaluateConfig, not_computed: Mapping[str, str]) -> list[str]:
    """Metrics asked for by name must have a set that they apply to, and weights that can be read."""
    applicable = {name for members in config.sets.values() for name in metrics_of(members.task, members.track)}
    others = [f"{name} applies to none of the sets" for name in config.metrics if name not in applicable]
    return others + [f"{name}: {not_computed[name]}" for name in config.metrics if name in not_computed]


def _editor_faults(name: str, config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """An editor that has work to do is built, and dropped again: several full-size networks would not fit at once."""
    spec = config.editor(name)
    alike = [set_name for set_name, members in samples.items() if len({sample.group for sample in members}) < 2]
    if spec.references == "swapped" and alike:
        return [f"{alike[0]} has one group of samples, so no other's reference to swap in"]
    return _said(load_editor, spec) if not samples or has_work(name, config, samples) else []
