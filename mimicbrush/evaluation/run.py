"""What an evaluation is told, what it checks before the first edit, and which folders belong to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.config import ClassSpec, instantiate
from mimicbrush.data.shards import list_shards, read_index
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import BenchmarkSet, Sample
from mimicbrush.evaluation.faults import read_sets
from mimicbrush.requests import Editor
from mimicbrush.run_folder import claim

WEIGHT_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".safetensors"})
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class HeldoutConfig:
    """Pairs that training never saw, on which reference use is measured."""

    shards: Path
    """Folder of shards written by data_prep."""
    num_pairs: int = 144
    """Pairs taken, spread evenly over clips and photographs; more narrow the interval."""

    def __post_init__(self) -> None:
        if self.num_pairs < 2:
            raise ValueError(f"heldout.num_pairs is {self.num_pairs}, expected at least 2")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Every editor answers every set: pictures, tables, and a report that shows them."""

    output: Path
    """Folder of report.html, results.json, results.csv, and the edited pictures under edits/."""
    sets: dict[str, BenchmarkSet]
    """Benchmark sets by the name that the tables give them: each a folder, a task and a track."""
    editors: dict[str, dict]
    """Editors by the name that the tables give them: each a class_path and its init_args."""
    seed: int = 1
    """Seed of every edit, the same for all samples as in the released script, and of the held-out pairs' noise."""
    batch_size: int = 4
    """Samples that an editor is handed at once; changes speed and memory, and no result."""
    heldout: HeldoutConfig | None = None
    """Where given, reference use is measured for every editor that predicts noise."""
    training_run: Path | None = None
    """A folder written by train.py, whose loss curve and previews the report shows."""
    data_summaries: list[Path] = field(default_factory=list)
    """summary.json files of sharding, which the report lists; those that are absent are left out."""
    inputs_from: str = ""
    """The command that makes the inputs, named where they are missing."""

    def __post_init__(self) -> None:
        if not self.sets or not self.editors:
            raise ValueError("sets and editors need at least one entry each")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}, expected at least 1")
        for name in (*self.sets, *self.editors):
            if not FOLDER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} names a folder; use letters, digits, dots, dashes and underscores")
        for name, spec in self.editors.items():
            if not isinstance(spec.get("class_path"), str) or not set(spec) <= {"class_path", "init_args"}:
                raise ValueError(f"editors.{name} must be a class_path and init_args, found {sorted(spec)}")

    def edits(self, set_name: str, editor: str) -> Path:
        """Where an editor's pictures of a set lie."""
        return self.output / "edits" / set_name / editor

    @property
    def reference_use(self) -> Path:
        """Where each editor's reference use lies."""
        return self.output / "reference_use"


def check_inputs(config: EvaluateConfig) -> dict[str, list[Sample]]:
    """The samples of every set. Raises UserError, before anything is edited, where an input is missing or unsound."""
    try:
        samples = read_sets(config.sets)
        for name, folder in (
            ("heldout.shards", config.heldout and config.heldout.shards),
            ("training_run", config.training_run),
        ):
            if folder and not folder.is_dir():
                raise UserError(f"{name}: {folder}: no such folder")
        if config.heldout:
            _check_heldout(config.heldout)
    except UserError as error:
        hint = f" (the inputs are made by: {config.inputs_from})" if config.inputs_from else ""
        raise UserError(f"{error}{hint}") from None
    return samples


def _check_heldout(heldout: HeldoutConfig) -> None:
    found = sum(read_index(shard).pairs for shard in list_shards(heldout.shards))
    if found < heldout.num_pairs:
        raise UserError(f"{heldout.shards}: {found} pairs, heldout.num_pairs asks for {heldout.num_pairs}; lower it")


def claim_results(config: EvaluateConfig, samples: dict[str, list[Sample]]) -> None:
    """Take every folder of results, or check that what lies there came of the same pictures, weights and settings.

    Editors and sets may come and go between calls. Raises UserError naming the first field that differs.
    """
    weights = {name: _weights(spec) for name, spec in config.editors.items()}
    for editor, spec in config.editors.items():
        for set_name, members in samples.items():
            edits = EditsOrigin(
                seed=config.seed,
                task=config.sets[set_name].task,
                pictures=digest([path for sample in members for path in sample.paths]),
                editor=spec,
                weights=weights[editor],
            )
            claim(config.edits(set_name, editor), edits)
        if config.heldout:
            origin = ReferenceUseOrigin(
                seed=config.seed,
                num_pairs=config.heldout.num_pairs,
                shards=digest(sorted(config.heldout.shards.glob("*.tar"))),
                editor=spec,
                weights=weights[editor],
            )
            claim(config.reference_use, origin, name=f"{editor}.yaml")


@dataclass(frozen=True, kw_only=True)
class EditsOrigin:
    """All that a folder of edits depends on."""

    seed: int
    task: str
    pictures: str
    editor: dict
    weights: str


@dataclass(frozen=True, kw_only=True)
class ReferenceUseOrigin:
    """All that a measurement of reference use depends on."""

    seed: int
    num_pairs: int
    shards: str
    editor: dict
    weights: str


def load_editor(spec: dict) -> Editor:
    """Build an editor from its class path; raises UserError where class or arguments do not fit."""
    return instantiate(ClassSpec(**spec), Editor)


def digest(files: list[Path]) -> str:
    """A short fingerprint of the files' names and contents, whatever folder they lie in."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def _weights(spec: dict) -> str:
    """Fingerprint of the weight files that the editor's arguments name, so that a retrained network is another."""
    files: list[Path] = []
    for value in spec.get("init_args", {}).values():
        path = Path(value) if isinstance(value, str) else None
        if path and path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.suffix in WEIGHT_SUFFIXES)
        elif path and path.is_file():
            files.append(path)
    return digest(files)
