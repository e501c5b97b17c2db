"""The CLIP that comes with the package knows the world as it is rendered now."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.hub.locations import shipped
from mimicbrush.world.clip.captioned_renders import Captioned, render_captioned
from mimicbrush.world.clip.clip_measures import rank_phrases, relevancy_areas
from mimicbrush.world.clip.clip_network import build_tokenizer
from mimicbrush.world.clip.clip_training import choose_phrases
from mimicbrush.world.clip.config import ClipTrainingConfig
from mimicbrush.world.sets.vocabulary import WORDS

FOLDER = Path(shipped("asset:clip"))
PHRASES = choose_phrases(ClipTrainingConfig(output=Path("unused")))


@pytest.fixture(scope="module")
def heldout(tmp_path_factory) -> Captioned:
    arguments = {"size": 64, "seed": 1, "purpose": "clip judged", "combinations": PHRASES}
    return render_captioned(tmp_path_factory.mktemp("renders"), 24, **arguments)


def test_its_tokenizer_has_the_words_of_the_world():
    """If this fails, train it again: `python -m mimicbrush.world.clip`."""
    embedder = ClipEmbedder(FOLDER, torch.device("cpu"))
    assert embedder.tokenizer.get_vocab() == build_tokenizer(WORDS).get_vocab()


def test_it_prefers_the_right_phrase(heldout):
    ranks = rank_phrases(ClipEmbedder(FOLDER, torch.device("cpu")), heldout, PHRASES)
    assert sum(rank == 0 for rank in ranks) / len(ranks) > 0.5
    assert sum(rank < 5 for rank in ranks) / len(ranks) > 0.8


def test_its_relevancy_lies_on_the_object(heldout):
    areas = relevancy_areas(FOLDER, heldout, 12)
    assert sum(areas) / len(areas) > 0.85
