"""What is checked before the first edit, and which folders belong to an evaluation: all faults are named together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mimicbrush.config import find_class, instantiate
from mimicbrush.data.shards import list_shards, read_index
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample, list_samples
from mimicbrush.evaluation.edits import unfinished
from mimicbrush.evaluation.faults import find_faults, refuse_faults
from mimicbrush.evaluation.metrics import METRICS, Models, metrics_of
from mimicbrush.evaluation.run import EditorSpec, EvaluateConfig, HeldoutConfig
from mimicbrush.files import digest
from mimicbrush.requests import Editor, TextRequest
from mimicbrush.run_folder import claim, refuse_other_run

WEIGHT_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".safetensors"})


def check_inputs(config: EvaluateConfig, models: Models) -> dict[str, list[Sample]]:
    """The samples of every set, once nothing stands in the way of the first edit. Writes nothing.

    Raises one UserError that names every missing or unsound picture, checkpoint, folder and chosen metric, and every
    folder of results that is another run's.
    """
    needs = needs_of(config)
    faults = {f"{name}: {members.folder}": find_faults(members, needs[name]) for name, members in config.sets.items()}
    sets_are_sound = not any(faults.values())
    samples = {name: list_samples(members) for name, members in config.sets.items()} if sets_are_sound else {}
    inputs = faults | {
        "training_run": _training_run_faults(config),
        "heldout.shards": _heldout_faults(config.heldout),
    }
    faults = inputs | {
        "metrics": _metric_faults(config, models),
        **{f"editors.{name}": _editor_faults(name, config, samples) for name in config.editors},
    }
    sound = [name for name in config.editors if not faults[f"editors.{name}"]]
    faults["output"] = [
        fault
        for folder, origin, name in _origins(config, samples, sound)
        for fault in _said(refuse_other_run, folder, origin, name=name)
    ]
    can_be_made = config.inputs_from and any(inputs.values())
    refuse_faults(faults, hint=f"the inputs are made by: {config.inputs_from}" if can_be_made else "")
    return samples


def claim_results(config: EvaluateConfig, samples: dict[str, list[Sample]]) -> None:
    """Take every folder of results. Editors, sets and seeds may come and go between calls."""
    for folder, origin, name in _origins(config, samples, config.editors):
        claim(folder, origin, name=name)


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
    return edits_left or any(editor == name for editor, _ in lacking_reference_use(config))


def lacking_reference_use(config: EvaluateConfig, *, task: int = 0, num_tasks: int = 1) -> list[tuple[str, str]]:
    """The editors, and the pairs on which their reference use is still to be measured, by one of several tasks."""
    everything = [(editor, pairs) for editor in config.editors for pairs in pairs_of(config)]
    return [
        (editor, pairs)
        for editor, pairs in everything[task::num_tasks]
        if not config.reference_use(editor, pairs).is_file()
    ]


def pairs_of(config: EvaluateConfig) -> list[str]:
    """What reference use is measured on: held-out pairs, and sets that have a truth."""
    inner = [name for name, members in config.sets.items() if members.track == "inner_id"]
    return [*(["heldout"] if config.heldout else []), *(inner if config.reference_use_of_sets else [])]


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


def _said(check: Callable[..., object], *arguments: object, **options: object) -> list[str]:
    """The user's mistake that a check raises."""
    try:
        check(*arguments, **options)
    except UserError as error:
        return [str(error)]
    return []


def _training_run_faults(config: EvaluateConfig) -> list[str]:
    folder = config.training_run
    return [f"{folder}: no such folder"] if folder and not folder.is_dir() else []


def _heldout_faults(heldout: HeldoutConfig | None) -> list[str]:
    if heldout is None:
        return []
    if not heldout.shards.is_dir():
        return [f"{heldout.shards}: no such folder"]
    return _said(_check_pairs, heldout)


def _check_pairs(heldout: HeldoutConfig) -> None:
    found = sum(read_index(shard).pairs for shard in list_shards(heldout.shards))
    if found < heldout.num_pairs:
        raise UserError(f"{heldout.shards}: {found} pairs, heldout.num_pairs asks for {heldout.num_pairs}; lower it")


def _metric_faults(config: EvaluateConfig, models: Models) -> list[str]:
    """Metrics asked for by name must have a set that they apply to, and their weights."""
    applicable = {name for members in config.sets.values() for name in metrics_of(members.task, members.track)}
    missing = models.missing(METRICS[name].model for name in config.metrics if METRICS[name].model)
    return [f"{name} applies to none of the sets" for name in config.metrics if name not in applicable] + [
        f"{name}: {missing[METRICS[name].model]}" for name in config.metrics if METRICS[name].model in missing
    ]


def _editor_faults(name: str, config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """An editor that has work to do is built, and dropped again: several full-size networks would not fit at once."""
    spec = config.editor(name)
    alike = [set_name for set_name, members in samples.items() if len({sample.group for sample in members}) < 2]
    if spec.references == "swapped" and alike:
        return [f"{alike[0]} has one group of samples, so no other's reference to swap in"]
    return _said(load_editor, spec) if not samples or has_work(name, config, samples) else []


@dataclass(frozen=True, kw_only=True)
class EditsOrigin:
    """All that a folder of edits depends on."""

    seed: int
    task: str
    pictures: str
    prompts: dict[str, str]
    editor: dict
    weights: str


@dataclass(frozen=True, kw_only=True)
class ReferenceUseOrigin:
    """All that a measurement of reference use depends on."""

    seed: int
    pairs: str
    num_pairs: int
    editor: dict
    weights: str


def _origins(
    config: EvaluateConfig, samples: dict[str, list[Sample]], editors: Iterable[str]
) -> Iterator[tuple[Path, object, str]]:
    """(folder, what its content depends on, name of the file that says so) of all that this evaluation writes."""
    pictures = {
        set_name: digest(path for sample in members for path in sample.paths) for set_name, members in samples.items()
    }
    for editor in editors:
        spec = config.editor(editor)
        weights = weights_of(spec)
        for set_name, members in samples.items():
            for seed in config.seeds:
                origin = EditsOrigin(
                    seed=seed,
                    task=config.sets[set_name].task,
                    pictures=pictures[set_name],
                    prompts=_prompts(spec, members),
                    editor=asdict(spec),
                    weights=weights,
                )
                yield config.edits(set_name, editor, seed), origin, "config.yaml"
        for pairs in pairs_of(config) if samples else ():
            heldout = pairs == "heldout"
            origin = ReferenceUseOrigin(
                seed=config.seeds[0],
                pairs=digest(sorted(config.heldout.shards.glob("*.tar"))) if heldout else pictures[pairs],
                num_pairs=config.heldout.num_pairs if heldout else len(samples[pairs]),
                editor=asdict(spec),
                weights=weights,
            )
            path = config.reference_use(editor, pairs)
            yield path.parent, origin, f"{editor}.yaml"


def _prompts(spec: EditorSpec, samples: list[Sample]) -> dict[str, str]:
    """The prompts, where the editor is guided by them: else they may be written after the edits."""
    if not issubclass(find_class(spec.class_path, Editor).request_class, TextRequest):
        return {}
    return {sample.id: sample.prompt for sample in samples if sample.prompt}


def weights_of(spec: EditorSpec) -> str:
    """Fingerprint of the weight files that the editor's arguments name, so that a retrained network is another."""
    files: list[Path] = []
    for value in spec.init_args.values():
        path = Path(value) if isinstance(value, str) else None
        if path and path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.suffix in WEIGHT_SUFFIXES)
        elif path and path.is_file():
            files.append(path)
    return digest(files)
