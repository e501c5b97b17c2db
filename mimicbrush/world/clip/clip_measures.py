"""Measure a CLIP on held-out combinations: the phrases that it prefers, and the places that matter to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torchmetrics.functional.classification import binary_auroc

from mimicbrush.editors.text2live.clip_guide import load_clip_guide
from mimicbrush.editors.text2live.relevancy import relevancy_maps
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.pictures.conversion import to_levels
from mimicbrush.statistics import Interval, bootstrap_mean, bootstrap_share
from mimicbrush.world.clip.captioned_renders import Captioned
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import noun_phrase

TOP = 5
NUM_BLOCKS = 2
"""Last blocks of the image encoder from which relevancy is computed."""
NUM_MAPS = 130
"""Pictures whose relevancy is measured."""


def measure(folder: Path, heldout: Captioned, *, phrases: Sequence[Combination]) -> dict:
    """Measure a folder in transformers' layout, loaded as the metrics load CLIP; means have 95 % intervals.

    phrases: the combinations whose phrases compete, those of all pictures among them.
    """
    embedder = ClipEmbedder(folder, torch.device("cpu"))
    ranks = rank_phrases(embedder, heldout, phrases)
    areas = relevancy_areas(folder, heldout, NUM_MAPS)
    # Pictures of one combination are not independent.
    groups = [" ".join(combination) for combination in heldout.combinations]
    return {
        "phrases": len(phrases),
        "right_phrase_first": _figures(bootstrap_share([float(rank == 0) for rank in ranks], groups)),
        f"right_phrase_in_first_{TOP}": _figures(bootstrap_share([float(rank < TOP) for rank in ranks], groups)),
        "relevancy_auc": _figures(bootstrap_mean(areas, groups[: len(areas)])),
    }


def rank_phrases(embedder: ClipEmbedder, heldout: Captioned, phrases: Sequence[Combination]) -> list[int]:
    """For each picture, the number of other phrases that are at least as near to it as its own."""
    texts = embedder.embed_texts([noun_phrase(*combination) for combination in phrases])
    pictures = embedder.embed([to_levels(pixels / 255) for pixels in heldout.pixels])
    similarity = pictures @ texts.T
    own = torch.tensor([phrases.index(combination) for combination in heldout.combinations])
    # Ties and NaN count against the network: one that embeds all texts alike knows no phrase.
    return (~(similarity < similarity.gather(1, own[:, None]))).sum(dim=1).sub(1).tolist()


def relevancy_areas(folder: Path, heldout: Captioned, num: int) -> list[float]:
    """Area under the ROC curve of each picture's relevancy map against its object's mask."""
    guide = load_clip_guide(str(folder), device=torch.device("cpu"), dtype=torch.float32)
    areas = []
    for pixels, mask, combination in zip(heldout.pixels[:num], heldout.masks, heldout.combinations, strict=False):
        text = guide.embed_texts([noun_phrase(*combination)])
        found = relevancy_maps(guide, pixels[None] / 255, text, num_blocks=NUM_BLOCKS)
        areas.append(float(binary_auroc(found.flatten(), mask.flatten().long())))
    return areas


def _figures(interval: Interval) -> dict:
    return {"mean": interval.mean, "interval": [interval.low, interval.high], "pictures": interval.count}
