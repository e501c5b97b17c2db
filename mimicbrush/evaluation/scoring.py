"""Scores of the finished edits, from the pictures on disk: kept, and computed again where anything has changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mimicbrush.evaluation import metrics as metrics_package
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.edits import edited_path
from mimicbrush.evaluation.metrics import Edit, Metric, Models, Score, measure
from mimicbrush.files import digest, read_object, write_json
from mimicbrush.imaging import read_image, read_mask, to_pil

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
        path = self._path(sample)
        record = read_object(path) if path.is_file() else {}
        if {name: record.get(name) for name in ("edited", "prompt", "code")} != self._origin(sample):
            return {}
        return {
            name: Score(number_from_json(entry["value"]), entry["reason"])
            for name, entry in record["scores"].items()
            if name in self.metrics and entry["variant"] == variant_of(self.metrics[name], self.models)
        }

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
        write_json({**self._origin(sample), "scores": entries}, self._path(sample))

    def _origin(self, sample: Sample) -> dict[str, str | None]:
        """What scores depend on, besides the networks' weights."""
        return {"edited": digest([edited_path(self.edits, sample)]), "prompt": sample.prompt, "code": metrics_code()}

    def _path(self, sample: Sample) -> Path:
        return self.scores / f"{sample.id}.json"


def variant_of(metric: Metric, models: Models) -> str:
    """The network behind a metric, with its weights' checksum; empty where there is none."""
    return models.variant(metric.model) if metric.model else ""


def read_edit(sample: Sample, folder: Path) -> Edit:
    """A finished edit with all that it is compared with."""
    return Edit(
        source=np.asarray(to_pil(read_image(sample.source))),
        mask=read_mask(sample.mask)[0].numpy() > 0.5,
        edited=np.asarray(to_pil(read_image(edited_path(folder, sample)))),
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
    """Fingerprint of the metrics as they are programmed."""
    return digest(sorted(Path(metrics_package.__file__).parent.glob("*.py")))
