"""Scores of the finished edits, from the pictures on disk: kept, and computed again where anything has changed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mimicbrush import imaging, pictures
from mimicbrush.errors import UserError
from mimicbrush.evaluation import metrics as metrics_package
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.edits import edited_path
from mimicbrush.evaluation.metrics import Edit, Metric, Models, Score, measure
from mimicbrush.evaluation.run import EvaluateConfig, set_metrics
from mimicbrush.files import digest, write_json
from mimicbrush.imaging import to_pil
from mimicbrush.pictures import read_image, read_mask

BATCH_SIZE = 16
"""Edits that the networks of metrics are shown at once."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How one folder of edits is scored, and where the scores are kept."""

    edits: Path
    scores: Path
    metrics: Mapping[str, Metric]
    """All of them can be computed."""
    models: Models

    def read(self, sample: Sample) -> dict[str, Score]:
        """The scores that still hold: of the same picture, by the same code and the same network's weights."""
        try:
            record = json.loads(self._path(sample).read_text(encoding="utf-8"))
            if record["origin"] != self._origin(sample):
                return {}
            return {
                name: Score(number_from_json(entry["value"]), entry["reason"])
                for name, entry in record["scores"].items()
                if name in self.metrics and entry["variant"] == variant_of(self.metrics[name], self.models)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # not there, or damaged: to be computed (again)

    def complete(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Compute and write what is not known of the finished edits; yield each sample when its scores are written."""
        finished = {sample.id: sample for sample in samples if edited_path(self.edits, sample).is_file()}
        known = {name: self.read(sample) for name, sample in finished.items()}
        for lacking, members in _by_lack(known, self.metrics).items():
            chosen = {name: self.metrics[name] for name in lacking}
            for first in range(0, len(members), BATCH_SIZE):
                batch = [finished[name] for name in members[first : first + BATCH_SIZE]]
                found = measure([read_edit(sample, self.edits) for sample in batch], chosen, self.models)
                for sample, new in zip(batch, found, strict=True):
                    self._write(sample, known[sample.id] | new)
                    yield sample

    def _write(self, sample: Sample, found: Mapping[str, Score]) -> None:
        entries = {
            name: {
                "value": number_to_json(found[name].value),
                "reason": found[name].reason,
                "variant": variant_of(metric, self.models),
            }
            for name, metric in self.metrics.items()
        }
        write_json({"origin": self._origin(sample), "scores": entries}, self._path(sample))

    def _origin(self, sample: Sample) -> dict[str, str | None]:
        """What scores depend on, besides the networks' weights."""
        return {
            "edited": digest([edited_path(self.edits, sample)]),
            "given": digest(sample.paths),
            "prompt": sample.prompt,
            "code": metrics_code(),
        }

    def _path(self, sample: Sample) -> Path:
        return self.scores / f"{sample.id}.json"


def scoring_of(
    config: EvaluateConfig,
    set_name: str,
    editor: str,
    seed: int,
    *,
    models: Models,
    not_computed: Collection[str],
) -> Scoring:
    """How an editor's edits of a set are scored: by all of its metrics but `not_computed`."""
    return Scoring(
        edits=config.edits(set_name, editor, seed),
        scores=config.scores(set_name, editor, seed),
        metrics={name: metric for name, metric in set_metrics(config, set_name).items() if name not in not_computed},
        models=models,
    )


def variant_of(metric: Metric, models: Models) -> str:
    """The network behind a metric, with its weights' checksum; empty where there is none."""
    return models.variant(metric.model) if metric.model else ""


def read_edit(sample: Sample, folder: Path) -> Edit:
    """A finished edit with all that it is compared with; raises UserError where its picture is damaged."""
    path = edited_path(folder, sample)
    source = read_image(sample.source)
    try:
        edited = read_image(path)
    except UserError as error:
        raise UserError(f"{error}; delete it, and the same command makes it again") from None
    if edited.shape != source.shape:
        raise UserError(f"{path} is not of its source's size; delete it, and the same command makes it again")
    return Edit(
        source=np.asarray(to_pil(source)),
        mask=read_mask(sample.mask)[0].numpy() > 0.5,
        edited=np.asarray(to_pil(edited)),
        reference=np.asarray(to_pil(read_image(sample.reference))),
        reference_mask=read_mask(sample.reference_mask)[0].numpy() > 0.5 if sample.reference_mask else None,
        prompt=sample.prompt,
    )


def number_to_json(value: float | None) -> float | str | None:
    """JSON knows no infinity: it becomes "inf"."""
    return "inf" if value == math.inf else value


def number_from_json(value: float | str | None) -> float | None:
    """Undo `number_to_json`."""
    return math.inf if value == "inf" else value


def _by_lack(known: Mapping[str, Mapping[str, Score]], metrics: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """What is not known of an edit -> the ids of which just that is not known; those that lack nothing are left out."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for sample_id, scores in known.items():
        lacking.setdefault(tuple(name for name in metrics if name not in scores), []).append(sample_id)
    lacking.pop((), None)
    return lacking


@cache
def metrics_code() -> str:
    """Fingerprint of the metrics, and of how they are handed pictures, as they are programmed."""
    folders = [Path(package.__file__).parent for package in (metrics_package, pictures)]
    return digest([*(path for folder in folders for path in sorted(folder.glob("*.py"))), Path(imaging.__file__)])
