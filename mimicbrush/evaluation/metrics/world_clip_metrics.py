"""WORLD_CLIP_METRICS: similarity to the prompt and to the truth by the small world's CLIP, in sets with a truth.

They stand beside no published number: asset:clip knows the small world's words alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mimicbrush.evaluation.config import MetricName
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.evaluation.metrics.metric import ALL_TASKS, TRUTH, Metric
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError, Score, score_each
from mimicbrush.evaluation.metrics.similarity import frame_consistency, plain_prompt

NETWORK = "world_clip"
BY = "by asset:clip, the small world's own CLIP, unless models.world_clip names another; no published number compares"


def similarity_to_prompt(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole edit and of the prompt, x 100."""
    encoder: ClipEmbedder = models.load(NETWORK)
    pictures = encoder.embed([edit.edited for edit in edits])
    texts = encoder.embed_texts([plain_prompt(edit.prompt) for edit in edits])
    return [Score(100 * cosine) for cosine in (pictures * texts).sum(dim=1).tolist()]


def similarity_of_truth(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole truth and of the prompt, x 100."""
    encoder: ClipEmbedder = models.load(NETWORK)

    def similarity(edit: EditedPicture) -> float:
        return 100 * float(encoder.embed([_truth(edit)]) @ encoder.embed_texts([plain_prompt(edit.prompt)]).T)

    return score_each(similarity, edits)


def similarity_to_truth(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Cosine of the embeddings of the whole edit and of the whole truth, x 100."""
    encoder: ClipEmbedder = models.load(NETWORK)

    def similarity(edit: EditedPicture) -> float:
        return 100 * float(encoder.embed([edit.edited]) @ encoder.embed([_truth(edit)]).T)

    return score_each(similarity, edits)


def _truth(edit: EditedPicture) -> NDArray[np.uint8]:
    if edit.truth is None:
        raise NotComputableError("the set has no truth")
    return edit.truth


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
    "world_clip_frames": Metric(
        **SHARED | {"tasks": frozenset({"video"})},
        title="CLIP frame consistency, world",
        better="higher",
        meaning="mean cosine of the embeddings of each frame of the edit and of the next one by the same network; a "
        "still edit scores 100, right or wrong",
        compute=partial(frame_consistency, network=NETWORK),
    ),
}
"""Metrics by the small world's CLIP, in the order of the tables."""
