"""Which folders belong to an evaluation: each notes all that its content depends on, and another's is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mimicbrush.config import find_class
from mimicbrush.errors import UserError, some_of
from mimicbrush.evaluation.benchmark import Sample, swapped_references
from mimicbrush.evaluation.config import HELDOUT, EditorSpec, EvaluateConfig
from mimicbrush.files import WEIGHT_SUFFIXES, digest
from mimicbrush.hub.locations import shipped
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.find import checkpoint_of, is_exported, is_run
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.requests import Editor, TextRequest
from mimicbrush.run_folder import CONFIG_NAME, claim, find_difference

WEIGHT_CONFIGS = frozenset({"config.json", "network.json"})


@dataclass(frozen=True, kw_only=True)
class EditsFingerprint:
    """All that a folder of edits depends on."""

    seed: int
    task: str
    pictures: str
    prompts: dict[str, str]
    references: dict[str, str]
    """Where they are swapped: sample to the reference that it is given."""
    editor: dict
    weights: str
    recommended: dict[str, float] = field(default_factory=dict)
    """Settings that the editor's arguments leave to the weights that they name, where these are not the defaults."""


@dataclass(frozen=True, kw_only=True)
class ReferenceUseFingerprint:
    """All that a measurement of reference use depends on."""

    seed: int
    pairs: str
    num_pairs: int
    task: str
    groups: dict[str, str]
    editor: dict
    weights: str


def claim_results(config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]]) -> None:
    """Take every folder of results. Editors, sets and seeds may come and go between calls."""
    for folder, origin, name in _origins(config, samples, config.editors):
        claim(folder, origin, name=name)


def find_other_runs(
    config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]], editors: Iterable[str]
) -> list[str]:
    """What stands in the way of `claim_results`: each difference once, with the folders that it concerns."""
    folders: dict[str, list[str]] = {}
    for folder, origin, name in _origins(config, samples, editors):
        try:
            difference = find_difference(folder, origin, name=name)
        except UserError as error:
            return [str(error)]
        if difference:
            place = folder if name == CONFIG_NAME else folder / name
            folders.setdefault(difference, []).append(str(place.relative_to(config.output)))
    return [
        f"{config.output} holds another run in {some_of(places)}: {difference}; choose another output or delete these"
        for difference, places in folders.items()
    ]


def judged_editors(config: EvaluateConfig) -> list[str]:
    """Those whose reference use is measured: a control with swapped references is another's network once more."""
    return [name for name in config.editors if config.editor(name).references == "own"]


def pairs_of(config: EvaluateConfig) -> list[str]:
    """What reference use is measured on: held-out pairs, and sets that have a truth."""
    inner = [name for name, members in config.sets.items() if members.track == "inner_id"]
    return [*([HELDOUT] if config.heldout else []), *(inner if config.reference_use_of_sets else [])]


def weights_of(spec: EditorSpec) -> str:
    """Fingerprint of the weight files that the editor's arguments name, so that a retrained network is another."""
    files: list[Path] = []
    for value in spec.init_args.values():
        path = Path(shipped(value)) if isinstance(value, str) else None
        if path and checkpoint_of(path).is_file():
            files.append(checkpoint_of(path))
        elif path and path.is_dir():
            files += sorted(
                file for file in path.rglob("*") if file.suffix in WEIGHT_SUFFIXES or file.name in WEIGHT_CONFIGS
            )
        elif path and path.is_file():
            files.append(path)
    return digest(files)


def recommended_to(spec: EditorSpec) -> dict[str, float]:
    """Settings that the editor's arguments leave to the weights that they name, where these are not the defaults.

    Without them a folder of edits is that of older weights, which recommend nothing.
    """
    found: dict[str, float] = {}
    for value in spec.init_args.values():
        path = Path(shipped(value)) if isinstance(value, str) else None
        if path and (is_exported(path) or is_run(path)):
            found |= asdict(read_recommended(str(path)))
    default = asdict(RecommendedSettings())
    return {name: value for name, value in found.items() if name not in spec.init_args and value != default[name]}


def _origins(
    config: EvaluateConfig, samples: Mapping[str, Sequence[Sample]], editors: Iterable[str]
) -> Iterator[tuple[Path, object, str]]:
    """(folder, what its content depends on, name of the file that says so) of all that this evaluation writes."""
    for editor in editors:
        spec = config.editor(editor)
        weights = weights_of(spec)
        for set_name, members in samples.items():
            for seed in config.seeds:
                yield config.edits(set_name, editor, seed), _edits_origin(spec, members, seed, weights), CONFIG_NAME
        if samples and editor in judged_editors(config):
            for pairs in pairs_of(config):
                origin = _reference_use_origin(config, spec, pairs, samples.get(pairs, ()), weights)
                path = config.reference_use(editor, pairs)
                yield path.parent, origin, f"{editor}.yaml"


def _edits_origin(spec: EditorSpec, samples: Sequence[Sample], seed: int, weights: str) -> EditsFingerprint:
    guided_by_text = issubclass(find_class(spec.class_path, Editor).request_class, TextRequest)
    swapped = swapped_references(samples) if spec.references == "swapped" else {}
    return EditsFingerprint(
        seed=seed,
        task=samples[0].task,
        pictures=_pictures(samples),
        # Where no editor reads them, prompts may be written after the edits.
        prompts={sample.id: sample.prompt for sample in samples if sample.prompt} if guided_by_text else {},
        references={name: path.name for name, path in swapped.items()},
        editor=asdict(spec),
        weights=weights,
        recommended=recommended_to(spec),
    )


def _reference_use_origin(
    config: EvaluateConfig, spec: EditorSpec, pairs: str, samples: Sequence[Sample], weights: str
) -> ReferenceUseFingerprint:
    heldout = pairs == HELDOUT
    return ReferenceUseFingerprint(
        seed=min(config.seeds),
        pairs=digest(sorted(config.heldout.shards.glob("*.tar"))) if heldout else _pictures(samples),
        num_pairs=config.heldout.num_pairs if heldout else len(samples),
        task="" if heldout else samples[0].task,
        groups={sample.id: sample.group for sample in samples},
        editor=asdict(spec),
        weights=weights,
    )


def _pictures(samples: Sequence[Sample]) -> str:
    return digest(path for sample in samples for path in sample.paths)
