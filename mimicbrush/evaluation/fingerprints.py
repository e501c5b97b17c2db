"""Fingerprints of all that results depend on, so that a folder with the results of another evaluation is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mimicbrush.config import find_class
from mimicbrush.errors import UserError, some_of
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import EditorSpec, HeldoutConfig
from mimicbrush.evaluation.evaluation_rounds import EditRound
from mimicbrush.evaluation.measure_reference_use import ReferenceUseMeasurement
from mimicbrush.evaluation.stored_answers import digest_of_answers, has_stored_answers
from mimicbrush.files import WEIGHT_SUFFIXES, digest
from mimicbrush.hub.locations import shipped
from mimicbrush.model.config import RecommendedSettings
from mimicbrush.model.weights.find import checkpoint_of, is_exported, is_run
from mimicbrush.model.weights.recommended import read_recommended
from mimicbrush.requests import Editor, LayerRequest, MotionRequest, TextRequest, VideoRequest
from mimicbrush.run_folder import CONFIG_NAME, claim, find_difference

GUIDED_BY_TEXT = (TextRequest, LayerRequest, MotionRequest, VideoRequest)
"""Requests that hold texts."""
WEIGHT_CONFIGS = frozenset({"config.json", "network.json"})


@dataclass(frozen=True, kw_only=True)
class EditsFingerprint:
    """All that the edits of one round depend on."""

    seed: int
    task: str
    pictures: str
    prompts: dict[str, str]
    """Prompts of the samples, if the editor is guided by a text."""
    references: dict[str, str]
    """Sample id to the file name of the swapped reference; empty where each sample keeps its own."""
    editor: dict
    weights: str
    """Fingerprint of the weight files, or of the pictures of an editor whose answers were made elsewhere."""
    texts: dict[str, dict] = field(default_factory=dict)
    """Further texts and frame rates of samples with a truth, if the editor is guided by a text."""
    recommended: dict[str, float | str] = field(default_factory=dict)
    """Settings that the editor takes from its weights, where these recommend other values than the defaults."""
    own_noise: bool = False
    """Whether each sample has noise of its own; until 2026-11-30 all of a seed had the same."""


@dataclass(frozen=True, kw_only=True)
class ReferenceUseFingerprint:
    """All that one measurement of reference use depends on."""

    seed: int
    pairs: str
    num_pairs: int
    task: str
    groups: dict[str, str]
    editor: dict
    weights: str


def claim_folders(rounds: Sequence[EditRound], measurements: Sequence[ReferenceUseMeasurement]) -> None:
    """Write every fingerprint into its folder; editors, sets and seeds may be added or left out by later calls.

    Raises UserError where a folder holds the results of another evaluation.
    """
    for folder, fingerprint, name in _fingerprints(rounds, measurements):
        claim(folder, fingerprint, name=name)


def find_other_runs(
    rounds: Sequence[EditRound], measurements: Sequence[ReferenceUseMeasurement], output: Path
) -> list[str]:
    """List all that `claim_folders` would refuse: each difference once, with the folders that it concerns."""
    folders: dict[str, list[str]] = {}
    for folder, fingerprint, name in _fingerprints(rounds, measurements):
        try:
            difference = find_difference(folder, fingerprint, name=name)
        except UserError as error:
            return [str(error)]
        if difference:
            place = folder if name == CONFIG_NAME else folder / name
            folders.setdefault(difference, []).append(str(place.relative_to(output)))
    return [
        f"{output} holds another run in {some_of(places)}: {difference}; choose another output or delete these"
        for difference, places in folders.items()
    ]


def weights_of(spec: EditorSpec) -> str:
    """Fingerprint of the weight files that the editor's arguments name; retraining a network changes it.

    Folders that edits themselves fill do not count: otherwise no evaluation that fills one could resume.
    """
    filled = find_class(spec.class_path, Editor).filled_folders
    files: list[Path] = []
    for value in _nested_values({name: value for name, value in spec.init_args.items() if name not in filled}):
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


def _nested_values(arguments: Mapping[str, object]) -> Iterator[object]:
    """Values of an editor's arguments, those of an editor inside it as well."""
    for value in arguments.values():
        yield from _nested_values(value) if isinstance(value, Mapping) else (value,)


def recommended_to(spec: EditorSpec) -> dict[str, float | str]:
    """Settings that the editor takes from its weights, where these recommend other values than the defaults.

    Defaults are left out so that edits made with older weights, which recommend nothing, keep their fingerprint.
    """
    found: dict[str, float | str] = {}
    for value in _nested_values(spec.init_args):
        path = Path(shipped(value)) if isinstance(value, str) else None
        if path and (is_exported(path) or is_run(path)):
            found |= asdict(read_recommended(str(path)))
    default = asdict(RecommendedSettings())
    return {name: value for name, value in found.items() if name not in spec.init_args and value != default[name]}


def _fingerprints(
    rounds: Sequence[EditRound], measurements: Sequence[ReferenceUseMeasurement]
) -> Iterator[tuple[Path, object, str]]:
    """Yield (folder, fingerprint, name of its file) for every round and measurement, one editor after the other."""
    # Fingerprints of pictures and weights read whole files, so each is computed once.
    pictures = {each.set_name: _pictures(each.samples) for each in {each.set_name: each for each in rounds}.values()}
    for name, spec in {each.editor: each.spec for each in rounds}.items():
        weights, is_stored = weights_of(spec), has_stored_answers(spec)
        for each in (each for each in rounds if each.editor == name):
            made_by = digest_of_answers(each) if is_stored else weights
            yield each.edits, _edits_fingerprint(each, pictures[each.set_name], made_by, is_stored), CONFIG_NAME
        for each in (each for each in measurements if each.editor == name):
            yield each.path.parent, _reference_use_fingerprint(each, weights), f"{name}.yaml"


def _edits_fingerprint(edit_round: EditRound, pictures: str, weights: str, is_stored: bool) -> EditsFingerprint:
    samples, spec = edit_round.samples, edit_round.spec
    guided_by_text = issubclass(find_class(spec.class_path, Editor).request_class, GUIDED_BY_TEXT)
    return EditsFingerprint(
        seed=edit_round.seed,
        task=samples[0].task,
        pictures=pictures,
        # Prompts that the editor does not read may be written after the edits.
        prompts={sample.id: sample.prompt for sample in samples if sample.prompt} if guided_by_text else {},
        texts={sample.id: sample.texts() for sample in samples if sample.facts} if guided_by_text else {},
        references={name: path.name for name, path in edit_round.references.items()},
        editor=_editor_entry(spec),
        weights=weights,
        recommended=recommended_to(spec),
        own_noise=not is_stored,
    )


def _reference_use_fingerprint(measurement: ReferenceUseMeasurement, weights: str) -> ReferenceUseFingerprint:
    pairs = measurement.pairs
    is_heldout = isinstance(pairs, HeldoutConfig)
    return ReferenceUseFingerprint(
        seed=measurement.seed,
        pairs=digest(sorted(pairs.shards.glob("*.tar"))) if is_heldout else _pictures(pairs),
        num_pairs=pairs.num_pairs if is_heldout else len(pairs),
        task="" if is_heldout else pairs[0].task,
        groups={} if is_heldout else {sample.id: sample.group for sample in pairs},
        editor=_editor_entry(measurement.spec),
        weights=weights,
    )


def _editor_entry(spec: EditorSpec) -> dict:
    """All of an editor's entry that changes an edit: neither title nor seeds, nor `mask: given`, once no choice."""
    unchanging = {("mask", "given"), ("title", spec.title), ("seeds", str(spec.seeds))}
    return {name: value for name, value in asdict(spec).items() if (name, str(value)) not in unchanging}


def _pictures(samples: Sequence[Sample]) -> str:
    return digest(path for sample in samples for path in sample.paths)
