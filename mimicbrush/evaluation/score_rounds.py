"""Scores of the finished edits, from the pictures on disk: kept, and computed again where anything has changed.

Each frame of a clip is scored as a picture of its own; the clip's score is the mean over its frames.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

from torch import Tensor

from mimicbrush import pictures
from mimicbrush.errors import UserError
from mimicbrush.evaluation import metrics as metrics_package
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.edit_rounds import edited_path
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score
from mimicbrush.evaluation.metrics.table import Metric, set_metrics
from mimicbrush.files import digest, write_json
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.pictures.reading import read_frames, read_image, read_mask

BATCH_SIZE = 16
"""Frames that the networks of metrics are shown at once."""


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
            for batch in self._batches(finished[name] for name in members):
                for sample, new in self._measure(batch, chosen):
                    self._write(sample, known[sample.id] | new)
                    yield sample

    def _batches(self, samples: Iterable[Sample]) -> Iterator[dict[Sample, list[EditedPicture]]]:
        """Samples with their edits' frames, no more of them than fill BATCH_SIZE frames."""
        batch: dict[Sample, list[EditedPicture]] = {}
        for sample in samples:
            batch[sample] = read_edit(sample, self.edits)
            if sum(map(len, batch.values())) >= BATCH_SIZE:
                yield batch
                batch = {}
        if batch:
            yield batch

    def _measure(
        self, batch: Mapping[Sample, list[EditedPicture]], chosen: Mapping[str, Metric]
    ) -> Iterator[tuple[Sample, dict[str, Score]]]:
        frames = list(chain.from_iterable(batch.values()))
        parts = (frames[first : first + BATCH_SIZE] for first in range(0, len(frames), BATCH_SIZE))
        found = chain.from_iterable(measure(part, chosen, self.models) for part in parts)
        for sample, own in batch.items():
            scores = list(islice(found, len(own)))
            yield sample, {name: mean_score([frame[name] for frame in scores]) for name in chosen}

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


def read_edit(sample: Sample, folder: Path) -> list[EditedPicture]:
    """A finished edit's frames with all that they are compared with; raises UserError where its picture is damaged."""
    path = edited_path(folder, sample)
    source, mask = sample.frames()
    try:
        edited = read_frames(path)
    except UserError as error:
        raise UserError(f"{error}; delete it, and the same command makes it again") from None
    if edited.shape != source.shape:
        raise UserError(
            f"{path} is {_extent(edited)}, its source {_extent(source)}; delete it, and the same command makes it again"
        )
    reference = to_levels(read_image(sample.reference))
    reference_mask = read_mask(sample.reference_mask)[0].numpy() > 0.5 if sample.reference_mask else None
    return [
        EditedPicture(
            source=to_levels(before),
            mask=hidden[0].numpy() > 0.5,
            edited=to_levels(after),
            reference=reference,
            reference_mask=reference_mask,
            prompt=sample.prompt,
        )
        for before, hidden, after in zip(source, mask, edited, strict=True)
    ]


def mean_score(frames: Sequence[Score]) -> Score:
    """A clip's score: the mean over its frames that have a value; where none has, the first one's reason."""
    values = [frame.value for frame in frames if frame.value is not None]
    return Score(sum(values) / len(values)) if values else frames[0]


def _extent(frames: Tensor) -> str:
    num, _, height, width = frames.shape
    return f"{width}x{height}" if num == 1 else f"{num} frames of {width}x{height}"


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
    return digest(path for folder in folders for path in sorted(folder.glob("*.py")))
