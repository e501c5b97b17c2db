"""WORLD_CLIP_METRICS: similarity to the prompt and to the truth by the small world's CLIP, in sets with a truth.

They stand beside no published number: asset:clip knows the small world's words alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from mimicbrush.evaluation.config import MetricName
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.evaluation.metrics.metric import ALL_TASKS, TRUTH, Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, Score
from mimicbrush.evaluation.metrics.similarity import plain_prompt

NETWORK = "world_clip"
BY = "by asset:clip, the small world's own CLIP, unless models.world_clip names another; no published number compares"


def similarity_to_prompt(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole edit and of the prompt, x 100."""
    return _compare_with_prompt([edit.edited for edit in edits], edits, models)


def similarity_of_truth(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole truth and of the prompt, x 100."""
    return _compare_with_prompt([edit.truth for edit in edits], edits, models)


def similarity_to_truth(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole edit and of the whole truth, x 100."""
    encoder: ClipEmbedder = models.load(NETWORK)
    edited, truths = (encoder.embed(pictures) for pictures in zip(*((e.edited, e.truth) for e in edits), strict=True))
    return [Score(100 * cosine) for cosine in (edited * truths).sum(dim=1).tolist()]


def _compare_with_prompt(pictures: Sequence, edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    encoder: ClipEmbedder = models.load(NETWORK)
    texts = encoder.embed_texts([plain_prompt(edit.prompt) for edit in edits])
    return [Score(100 * cosine) for cosine in (encoder.embed(pictures) * texts).sum(dim=1).tolist()]


SHARED = {"unit": "x 100", "tasks": ALL_TASKS, "tracks": TRUTH, "model": NETWORK, "looks_inside": False}
WORLD_CLIP_METRICS: dict[MetricName, Metric] = {
    "world_clip_text": Metric(
        **SHARED,
        title="CLIP-T, world",
        better="higher",
        needs=frozenset({"prompt"}),
        meaning=f"cosine of the embeddings of the whole edit and of the prompt {BY}",
        compute=similarity_to_prompt,
    ),
    "world_clip_image": Metric(
        **SHARED,
        title="CLIP-I to the truth, world",
        better="higher",
        meaning="cosine of the embeddings of the whole edit and of the truth by the same network",
        compute=similarity_to_truth,
    ),
    "world_clip_text_truth": Metric(
        **SHARED,
        title="CLIP-T of the truth, world",
        better=None,
        needs=frozenset({"prompt"}),
        meaning="cosine of the embeddings of the truth and of the prompt: the best that an edit should reach",
        compute=similarity_of_truth,
    ),
}
"""Metrics by the small world's CLIP, in the order of the tables."""
