"""Similarity by networks: edit and reference, prompt or next frame (DINO, CLIP; cosines x 100), edit and truth
(LPIPS)."""

from __future__ import annotations

from collections.abc import Sequence

from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder, ImageEmbedder
from mimicbrush.evaluation.metrics.lpips import SMALLEST, Backbone, Lpips
from mimicbrush.evaluation.metrics.masked_crops import box, subject_on_white
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.score import EditedPicture, NotComputableError, Score, score_each


def image_similarity(edits: Sequence[EditedPicture], models: Models, *, network: str) -> list[Score]:
    """Compare the edited region with the reference's masked part, each alone on a white square."""
    encoder: ImageEmbedder = models.load(network)
    edited = encoder.embed([subject_on_white(edit.edited, edit.mask) for edit in edits])
    references = encoder.embed([subject_on_white(edit.reference, edit.reference_mask) for edit in edits])
    return [Score(100 * cosine) for cosine in (edited * references).sum(dim=1).tolist()]


def text_similarity(edits: Sequence[EditedPicture], models: Models) -> list[Score]:
    """Compare the whole edited picture with the prompt."""
    encoder: ClipEmbedder = models.load("clip")
    pictures = encoder.embed([edit.edited for edit in edits])
    texts = encoder.embed_texts([plain_prompt(edit.prompt) for edit in edits])
    return [Score(100 * cosine) for cosine in (pictures * texts).sum(dim=1).tolist()]


def frame_consistency(edits: Sequence[EditedPicture], models: Models, *, network: str) -> list[Score]:
    """Compare each frame of a clip with the next one."""
    encoder: ClipEmbedder = models.load(network)

    def similarity(edit: EditedPicture) -> float:
        if edit.following is None:
            raise NotComputableError("there is no next frame")
        return 100 * float(encoder.embed([edit.edited]) @ encoder.embed([edit.following.edited]).T)

    return score_each(similarity, edits)


def plain_prompt(prompt: str) -> str:
    """Remove the marks around what is edited: `a boy in a #red scarf#` -> `a boy in a red scarf`."""
    return " ".join(prompt.replace("#", " ").split())


def perceptual_distance(edits: Sequence[EditedPicture], models: Models, *, network: Backbone) -> list[Score]:
    """LPIPS of edit and source in the mask's box, each crop at its own size (paper, appendix A)."""
    lpips: Lpips = models.load(network)

    def distance(edit: EditedPicture) -> float:
        crop = box(edit.mask, at_least=SMALLEST[network], needed_by="LPIPS")
        return lpips.distance(edit.edited[crop], edit.source[crop])

    return score_each(distance, edits)
