"""Scores of the finished edits, computed from the pictures on disk, kept, and computed again when anything changed.

Each frame of a clip is scored as a picture; the clip's score is the mean over its frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path

from mimicbrush import pictures
from mimicbrush.evaluation import metrics as metrics_package
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.evaluation_rounds import EditRound
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.metric import Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score, number_from_json, number_to_json
from mimicbrush.evaluation.read_edit import read_edit
from mimicbrush.files import digest, write_json
from mimicbrush.flow import warping
from mimicbrush.progress import Progress, progress_bar

BATCH_SIZE = 16
"""Number of frames that the metrics' networks receive at once."""


def score_all(rounds: Sequence[EditRound], models: Models) -> None:
    """Compute and write the scores that are missing."""
    with progress_bar(total=sum(len(each.samples) for each in rounds), desc="scores", unit="score") as progress:
        for each in rounds:
            before = progress.n
            for _ in _score_edits(each, models, partial(_show_metric, progress, each.editor)):
                progress.update()
            # Edits that failed, or were scored earlier, are finished as well.
            progress.update(before + len(each.samples) - progress.n)


def _show_metric(progress: Progress, editor: str, title: str) -> None:
    progress.set_postfix_str(f"{editor}, {title}")
    progress.update(0)


def _score_edits(edit_round: EditRound, models: Models, on_metric: Callable[[str], None]) -> Iterator[Sample]:
    """Compute and write the missing scores of the finished edits; yield each sample when its scores are written."""
    finished = {sample.id: sample for sample in edit_round.finished()}
    known = {name: read_scores(edit_round, sample, models) for name, sample in finished.items()}
    for missing, members in _by_missing(known, edit_round.computed_metrics).items():
        chosen = {name: edit_round.metrics[name] for name in missing}
        for batch in _batches(edit_round, [finished[name] for name in members]):
            for sample, new in _measure(batch, chosen, models, on_metric):
                _write_scores(edit_round, sample, known[sample.id] | new, models)
                yield sample


def read_scores(edit_round: EditRound, sample: Sample, models: Models) -> dict[str, Score]:
    """Read the scores that are still valid: of the same pictures, by the same code and the same weights."""
    try:
        record = json.loads(edit_round.scores_path(sample).read_text(encoding="utf-8"))
        if record["origin"] != _fingerprint(edit_round, sample):
            return {}
        return {
            name: Score(number_from_json(entry["value"]), entry["reason"])
            for name, entry in record["scores"].items()
            if name in edit_round.computed_metrics and entry["variant"] == variant_of(edit_round.metrics[name], models)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # missing or damaged: the scores are computed again


def mean_score(frames: Sequence[Score]) -> Score:
    """Average a clip's scores over the frames that have a value; if none has, return the first frame's reason."""
    values = [frame.value for frame in frames if frame.value is not None]
    return Score(sum(values) / len(values)) if values else frames[0]


def variant_of(metric: Metric, models: Models) -> str:
    """Describe the network behind a metric, with its weights' checksum; empty where it uses none."""
    return models.variant(metric.model) if metric.model else ""


@cache
def metrics_code() -> str:
    """Fingerprint of the code of the metrics, and of the code that reads and warps the pictures."""
    folders = [Path(package.__file__).parent for package in (metrics_package, pictures)]
    return digest([*(path for folder in folders for path in sorted(folder.glob("*.py"))), Path(warping.__file__)])


def _by_missing(known: Mapping[str, Mapping[str, Score]], metrics: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """Group sample ids by the metrics that they lack; samples that lack none are left out."""
    missing: dict[tuple[str, ...], list[str]] = {}
    for sample_id, scores in known.items():
        missing.setdefault(tuple(name for name in metrics if name not in scores), []).append(sample_id)
    missing.pop((), None)
    return missing


def _batches(edit_round: EditRound, samples: Iterable[Sample]) -> Iterator[dict[Sample, list[EditedPicture]]]:
    """Read samples with the frames of their edits, in batches of at least BATCH_SIZE frames."""
    batch: dict[Sample, list[EditedPicture]] = {}
    for sample in samples:
        batch[sample] = read_edit(
            sample,
            edit_round.edited_path(sample),
            proposed_mask=edit_round.proposed_mask_path(sample),
            given_reference=edit_round.references.get(sample.id),
        )
        if sum(map(len, batch.values())) >= BATCH_SIZE:
            yield batch
            batch = {}
    if batch:
        yield batch


def _measure(
    batch: Mapping[Sample, list[EditedPicture]],
    chosen: Mapping[str, Metric],
    models: Models,
    on_metric: Callable[[str], None],
) -> Iterator[tuple[Sample, dict[str, Score]]]:
    frames = list(chain.from_iterable(batch.values()))
    parts = (frames[first : first + BATCH_SIZE] for first in range(0, len(frames), BATCH_SIZE))
    found = chain.from_iterable(measure(part, chosen, models, on_metric=on_metric) for part in parts)
    for sample, own in batch.items():
        scores = list(islice(found, len(own)))
        yield sample, {name: mean_score([frame[name] for frame in scores]) for name in chosen}


def _write_scores(edit_round: EditRound, sample: Sample, found: Mapping[str, Score], models: Models) -> None:
    entries = {
        name: {
            "value": number_to_json(found[name].value),
            "reason": found[name].reason,
            "variant": variant_of(metric, models),
        }
        for name, metric in edit_round.computed_metrics.items()
    }
    write_json({"origin": _fingerprint(edit_round, sample), "scores": entries}, edit_round.scores_path(sample))


def _fingerprint(edit_round: EditRound, sample: Sample) -> dict[str, str | None]:
    """All that scores depend on, besides the weights of the metrics' networks."""
    edited = edit_round.edited_path(sample), edit_round.proposed_mask_path(sample)
    return {
        "edited": digest(path for path in edited if path.is_file()),
        "given": digest(sample.paths),
        "prompt": sample.prompt,
        **({"facts": repr(sample.facts)} if sample.facts else {}),
        "code": metrics_code(),
    }
