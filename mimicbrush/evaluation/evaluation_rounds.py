"""Rounds of an evaluation: one benchmark set edited by one editor with one seed, with its folders and its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mimicbrush.config import instantiate
from mimicbrush.evaluation.benchmark import Sample, swapped_references
from mimicbrush.evaluation.config import EditorSpec, EvaluateConfig
from mimicbrush.evaluation.metrics.all_metrics import set_metrics
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.files import read_object
from mimicbrush.requests import Editor
from mimicbrush.work_share import WorkShare


@dataclass(frozen=True, kw_only=True)
class EditRecord:
    """Cost of one edit, or the reason why it failed; stored beside the edited picture."""

    seconds: float | None = None
    """Wall time in seconds; the time of a batch is shared equally by its edits."""
    peak_memory: int | None = None
    """Peak memory of the batch in bytes: allocated on the GPU where there is one, else resident in the process."""
    failure: str = ""
    """Why there is no edited picture; empty where there is one."""


class EditResult(NamedTuple):
    """One edited sample with its cost and its scores."""

    set_name: str
    editor: str
    seed: int
    id: str
    group: str
    """Edits of one group, such as those of one source photograph, are not independent."""
    seconds: float | None
    peak_memory: int | None
    """Bytes."""
    failure: str
    """Why there is no edited picture; empty where there is one."""
    scores: dict[str, Score]
    """Scores by every metric of the set."""

    def picture(self, output: Path) -> Path:
        """Path of the edited picture in the output folder of its evaluation."""
        return edits_folder(output, self.set_name, self.editor, self.seed) / f"{self.id}.png"


@dataclass(frozen=True, kw_only=True)
class EditRound:
    """One benchmark set edited by one editor with one seed."""

    set_name: str
    editor: str
    """Name of the editor in tables."""
    spec: EditorSpec
    """Class and arguments of the editor."""
    seed: int
    samples: Sequence[Sample]
    """Samples to edit: the whole set, or this task's share of it."""
    references: Mapping[str, Path]
    """Sample id to the reference that replaces the sample's own; empty where each keeps its own."""
    metrics: Mapping[str, Metric]
    """Metrics of the set's tables, by name."""
    not_computed: Mapping[str, str]
    """Metrics that cannot be computed, by name, with the reason."""
    output: Path
    """Output folder of the evaluation."""

    @property
    def edits(self) -> Path:
        """Folder of the edited pictures and their records."""
        return edits_folder(self.output, self.set_name, self.editor, self.seed)

    @property
    def computed_metrics(self) -> dict[str, Metric]:
        """Metrics by which the edits are scored."""
        return {name: metric for name, metric in self.metrics.items() if name not in self.not_computed}

    def edited_path(self, sample: Sample) -> Path:
        """Path of the edited picture; a clip is one animated PNG."""
        return self.edits / f"{sample.id}.png"

    def proposed_mask_path(self, sample: Sample) -> Path:
        """Path of the mask that the editor proposed, in a folder of its own; a file only where it proposed one."""
        return self.edits / "masks" / f"{sample.id}.png"

    def record_path(self, sample: Sample) -> Path:
        """Path of the edit's record."""
        return self.edits / f"{sample.id}.json"

    def scores_path(self, sample: Sample) -> Path:
        """Path of the edit's scores."""
        return self.output / "scores" / self.set_name / self.editor / str(self.seed) / f"{sample.id}.json"

    def finished(self) -> list[Sample]:
        """Samples that have an edited picture."""
        return [sample for sample in self.samples if self.edited_path(sample).is_file()]

    def unfinished(self) -> list[Sample]:
        """Samples that have no edited picture yet, failed ones included."""
        return [sample for sample in self.samples if not self.edited_path(sample).is_file()]

    def read_record(self, sample: Sample) -> EditRecord:
        """Read the record of an edit; an empty record where none was written."""
        path = self.record_path(sample)
        if not path.is_file():
            return EditRecord()
        record = read_object(path, "seconds", "peak_memory", "failure")
        return EditRecord(**{name: record[name] for name in EditRecord.__dataclass_fields__})


def edits_folder(output: Path, set_name: str, editor: str, seed: int) -> Path:
    """Folder of the edited pictures of a round in the output folder of an evaluation."""
    return output / "edits" / set_name / editor / str(seed)


def list_rounds(
    config: EvaluateConfig,
    samples: Mapping[str, Sequence[Sample]],
    not_computed: Mapping[str, str],
    *,
    editors: Iterable[str] | None = None,
) -> list[EditRound]:
    """Every round of an evaluation, in the order of its tables.

    samples: by set; not_computed: metrics that cannot be computed, with the reason; editors: names, by default all.
    """
    specs = {name: config.editor(name) for name in (config.editors if editors is None else editors)}
    return [
        EditRound(
            set_name=set_name,
            editor=name,
            spec=spec,
            seed=seed,
            samples=members,
            references=swapped_references(members) if spec.references == "swapped" else {},
            metrics=set_metrics(config, set_name),
            not_computed=not_computed,
            output=config.output,
        )
        for set_name, members in samples.items()
        for name, spec in specs.items()
        for seed in spec.seeds or config.seeds
    ]


def load_editor(spec: EditorSpec) -> Editor:
    """Build an editor from its class path; raises UserError where class, arguments or weights do not fit."""
    return instantiate(spec.class_path, spec.init_args, Editor)


def take_share(rounds: Sequence[EditRound], work: WorkShare) -> list[EditRound]:
    """The same rounds with the samples of this task alone: every `num_tasks`-th sample of all sets."""
    everything = list(dict.fromkeys((each.set_name, sample.id) for each in rounds for sample in each.samples))
    mine = set(work.by_position(everything))
    return [
        replace(each, samples=[sample for sample in each.samples if (each.set_name, sample.id) in mine])
        for each in rounds
    ]
