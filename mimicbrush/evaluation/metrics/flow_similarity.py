"""The two measures of Motion Guidance: flow loss, by an optical-flow network, and similarity of source and edit."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.evaluation.metrics.flow_network import PictureFlow
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError, Score, score_each


def flow_loss(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Mean absolute difference, in pixels, of the flow that is asked for and the one estimated from source to edit.

    Over all pixels and both directions (Geng and Owens 2024, equation of the flow loss).
    """
    flow: PictureFlow = models.load("flow")

    def loss(edit: EditedPicture) -> float:
        if edit.asked_flow is None:
            raise NotComputableError("the sample has no flow that is asked for")
        return float((flow.between(edit.source, edit.edited) - torch.from_numpy(edit.asked_flow)).abs().mean())

    return score_each(loss, edits)


def source_similarity(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Compare the whole edited picture with the whole source."""
    encoder: ClipEmbedder = models.load("clip")
    edited, sources = (encoder.embed(pictures) for pictures in zip(*((e.edited, e.source) for e in edits), strict=True))
    return [Score(100 * cosine) for cosine in (edited * sources).sum(dim=1).tolist()]
