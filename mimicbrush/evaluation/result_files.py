"""A finished evaluation, read back from its results.json."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.gather_results import EditResult
from mimicbrush.evaluation.metrics.score import Score
from mimicbrush.evaluation.preconditions import require_results
from mimicbrush.evaluation.score_rounds import number_from_json
from mimicbrush.files import read_object
from mimicbrush.statistics import Better


@dataclass(frozen=True, kw_only=True)
class RecordedMetric:
    """A metric as the results describe it."""

    title: str
    unit: str
    better: Better | None
    meaning: str
    variant: str
    """The network behind it, empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """What evaluate.py found in one run."""

    folder: Path
    date: str
    edits: list[EditResult]
    metrics: dict[str, RecordedMetric]
    metrics_code: str
    """Fingerprint of the metrics as they were programmed."""
    samples: dict[tuple[str, str], Sample]
    """By set and id. Their pictures lie where the evaluation read them, from where it was started."""
    pictures: dict[tuple[str, str], str]
    """Fingerprint of each sample's pictures, by set and id."""

    @property
    def editors(self) -> list[str]:
        """In the order of the run's tables."""
        return list(dict.fromkeys(edit.editor for edit in self.edits))

    def picture(self, edit: EditResult) -> Path:
        """Where an edited picture lies."""
        return self.folder / "edits" / edit.set_name / edit.editor / str(edit.seed) / f"{edit.id}.png"


@dataclass(frozen=True, kw_only=True)
class ComparedEditor:
    """An editor of a run, as one side of a comparison."""

    run: RecordedRun
    editor: str
    label: str
    """What tables call it."""

    @property
    def edits(self) -> list[EditResult]:
        return [edit for edit in self.run.edits if edit.editor == self.editor]


def read_run(folder: Path) -> RecordedRun:
    """Read an evaluation's output folder; raises UserError where its results are missing or damaged."""
    path = require_results(folder)
    document = read_object(path, "date", "config", "metrics", "metrics_code", "samples", "edits")
    try:
        return _parse(document, folder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: damaged, or of another version ({error!r}); delete it and run its evaluate.py again, "
            "which keeps the edits"
        ) from None


def _parse(document: dict, folder: Path) -> RecordedRun:
    entries = {(entry["set"], entry["id"]): entry for entry in document["samples"]}
    edits = [_edit(entry) for entry in document["edits"]]
    groups = {(edit.set_name, edit.id): edit.group for edit in edits}
    if groups.keys() != entries.keys() or len({edit[:4] for edit in edits}) < len(edits):
        raise ValueError("samples and edits do not match")
    if any(entry["better"] not in ("higher", "lower", None) for entry in document["metrics"].values()):
        raise ValueError("a metric's direction")
    sets = document["config"]["sets"]
    return RecordedRun(
        folder=folder,
        date=document["date"],
        edits=edits,
        metrics={
            name: RecordedMetric(**{field: entry[field] for field in RecordedMetric.__dataclass_fields__})
            for name, entry in document["metrics"].items()
        },
        metrics_code=document["metrics_code"],
        samples={
            key: Sample(
                id=entry["id"],
                folder=Path(sets[entry["set"]]["folder"]),
                task=sets[entry["set"]]["task"],
                track=sets[entry["set"]]["track"],
                group=groups[key],
                prompt=entry["prompt"],
            )
            for key, entry in entries.items()
        },
        pictures={key: entry["pictures"] for key, entry in entries.items()},
    )


def _edit(entry: dict) -> EditResult:
    fields = {name: entry[name] for name in EditResult._fields if name not in ("set_name", "scores")}
    scores = {name: Score(_number(value), entry["reasons"].get(name, "")) for name, value in entry["scores"].items()}
    return EditResult(set_name=entry["set"], scores=scores, **fields)


def _number(value: object) -> float | None:
    number = number_from_json(value)
    if number is not None and (not isinstance(number, float | int) or math.isnan(number)):
        raise ValueError(f"score {value!r}")
    return number
