"""results.json and results.csv: written from the results of an evaluation, and read back to compare evaluations."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from mimicbrush.config import dump_config
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditResult
from mimicbrush.evaluation.gather_results import EvaluationResults
from mimicbrush.evaluation.metrics.all_metrics import METRICS
from mimicbrush.evaluation.metrics.score import Score, number_from_json, number_to_json
from mimicbrush.evaluation.preconditions import RESULTS, require_results
from mimicbrush.evaluation.score_rounds import metrics_code
from mimicbrush.files import digest, read_object, whole, write_json
from mimicbrush.reports.display_name import display_name
from mimicbrush.statistics import Better
from mimicbrush.yaml_reading import parse_yaml


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
    """A finished evaluation, read from its results.json."""

    folder: Path
    date: str
    edits: list[EditResult]
    metrics: dict[str, RecordedMetric]
    metrics_code: str
    """Fingerprint of the code of the metrics."""
    samples: dict[tuple[str, str], Sample]
    """Samples by set and id. Relative paths of their pictures start where the evaluation was started."""
    pictures: dict[tuple[str, str], str]
    """Fingerprint of each sample's pictures, by set and id."""
    editor_titles: dict[str, str]
    """Names of the editors in reports."""
    set_titles: dict[str, str]
    """Names of the sets in reports."""

    @property
    def editors(self) -> list[str]:
        """Names of the editors, in the order of the run's tables."""
        return list(dict.fromkeys(edit.editor for edit in self.edits))


@dataclass(frozen=True, kw_only=True)
class ComparedEditor:
    """An editor of a run, as one side of a comparison."""

    run: RecordedRun
    editor: str
    label: str
    """Name of this side in tables."""

    @property
    def edits(self) -> list[EditResult]:
        """Edits of this editor."""
        return [edit for edit in self.run.edits if edit.editor == self.editor]


def write_results(results: EvaluationResults) -> None:
    """Write results.json and results.csv into the output folder."""
    output = results.config.output
    write_json(_document(results), output / RESULTS)
    with whole(output / "results.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "editor", "seed", "id", "group", "seconds", "peak_memory", "failure", *METRICS])
        for edit in results.edits:
            values = [edit.scores[name].value if name in edit.scores else None for name in METRICS]
            writer.writerow([*edit[:8], *values])


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


def _document(results: EvaluationResults) -> dict:
    """Build the content of results.json."""
    return {
        "date": results.date,
        "seconds": results.seconds,
        "hardware": results.hardware,
        "versions": results.versions,
        "weights": results.weights,
        "config": parse_yaml(dump_config(results.config)),
        "metrics": {name: _metric_entry(results, name) for name in METRICS},
        "means": [
            {"set": set_name, "editor": editor, "metric": metric, **_numbers_to_json(summary._asdict())}
            for (set_name, editor, metric), summary in results.summaries.items()
        ],
        "comparisons": [comparison.fields() for comparison in results.comparisons],
        "samples": [
            {"set": set_name, "id": sample.id, "prompt": sample.prompt, "pictures": digest(sample.paths)}
            for set_name, members in results.samples.items()
            for sample in members
        ],
        "metrics_code": metrics_code(),
        "reference_use": {
            pairs: {
                editor: "not defined" if use is None else {name: share._asdict() for name, share in use.items()}
                for editor, use in uses.items()
            }
            for pairs, uses in results.reference_use.items()
        },
        "edits": [_edit_entry(edit) for edit in results.edits],
    }


def _metric_entry(results: EvaluationResults, name: str) -> dict:
    metric = METRICS[name]
    return {
        "title": metric.title,
        "unit": metric.unit,
        "better": metric.better,
        "meaning": metric.meaning,
        "variant": results.variants.get(name, ""),
        "not_computed": results.not_computed.get(name, ""),
    }


def _edit_entry(edit: EditResult) -> dict:
    return {
        "set": edit.set_name,
        **{name: getattr(edit, name) for name in edit._fields if name not in ("set_name", "scores")},
        "scores": _numbers_to_json({name: score.value for name, score in edit.scores.items()}),
        "reasons": {name: score.reason for name, score in edit.scores.items() if score.reason},
    }


def _numbers_to_json(fields: dict) -> dict:
    return {name: number_to_json(value) for name, value in fields.items()}


def _parse(document: dict, folder: Path) -> RecordedRun:
    entries = {(entry["set"], entry["id"]): entry for entry in document["samples"]}
    edits = [_edit(entry) for entry in document["edits"]]
    groups = {(edit.set_name, edit.id): edit.group for edit in edits}
    if groups.keys() != entries.keys() or len({edit[:4] for edit in edits}) < len(edits):
        raise ValueError("samples and edits do not match")
    if any(entry["better"] not in ("higher", "lower", None) for entry in document["metrics"].values()):
        raise ValueError("a metric's direction")
    sets, editors = document["config"]["sets"], document["config"]["editors"]
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
        # Results of earlier versions have no titles.
        editor_titles={name: editors[name].get("title") or display_name(name) for name in editors},
        set_titles={name: sets[name].get("title") or display_name(name) for name in sets},
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
