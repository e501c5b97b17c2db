from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mimicbrush.errors import UserError
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.sets.draws import draw_caption
from mimicbrush.world.sets.splits import ALL, UNSEEN_OBJECTS
from mimicbrush.world.sets.vocabulary import (
    PREPOSITIONS,
    SEEN_WORDS,
    TEMPLATES,
    WORDS,
    Description,
    noun_phrase,
    parse_caption,
    split_words,
    write_caption,
)


def test_captions_are_sentences() -> None:
    assert write_caption(Description("star", "red striped", "grass")) == "a red striped star on grass"
    description = Description("mug", "orange", "a green screen")
    caption = write_caption(description, template=TEMPLATES[4], preposition="over")
    assert caption == "a photo of an orange mug over a green screen."
    assert noun_phrase("umbrella") == "an umbrella"


def test_every_caption_is_read_again() -> None:
    backgrounds = (None, *BACKGROUNDS)
    for number, (template, preposition) in enumerate(product(TEMPLATES, PREPOSITIONS)):
        for place in range(number, len(ALL), 97):
            description = Description(*ALL[place], backgrounds[place % len(backgrounds)])
            caption = write_caption(description, template=template, preposition=preposition)
            assert parse_caption(caption) == description
            assert set(split_words(caption)) <= WORDS


def test_every_background_and_an_object_alone_are_read_again() -> None:
    for background in BACKGROUNDS:
        assert parse_caption(f"the brick mug on {background}") == ("mug", "brick", background)
    assert parse_caption("An apple!") == ("apple", None, None)
    assert parse_caption("ring") == ("ring", None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a shiny purple dragon", "unknown words shiny, dragon; objects are apple, "),
        ("a star red", "expected an object after its material, .* found 'red'"),
        ("a red red star", "found 'red red'"),
        ("a red star on a ball", "found 'a ball'"),
        ("", "expected an object"),
        ("...", "expected an object"),
    ],
)
def test_a_faulty_caption_is_explained(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_caption(text)


def test_unseen_words_are_words() -> None:
    assert {"purple", "zigzag", *UNSEEN_OBJECTS} <= WORDS - SEEN_WORDS
    assert {"red", "striped", "star", "green", "screen", "photo", "."} <= SEEN_WORDS


def test_captions_name_the_background_mostly() -> None:
    generator = np.random.default_rng(0)
    captions = [draw_caption(Description("star", "red", "grass"), generator) for _ in range(400)]
    assert 0.6 < sum("grass" in caption for caption in captions) / 400 < 0.8
    assert len(set(captions)) > 30
