from __future__ import annotations

from mimicbrush.pictures.skimage_photographs import SKIMAGE_PHOTOGRAPHS
from mimicbrush.world.renderer.backgrounds import BACKGROUNDS
from mimicbrush.world.renderer.silhouettes import SILHOUETTES
from mimicbrush.world.renderer.textures import TEXTURES
from mimicbrush.world.sets.draws import draw_clip, draw_still
from mimicbrush.world.sets.splits import (
    ALL,
    HELD_OUT,
    MATERIALS,
    SEEN_MATERIALS,
    SEEN_OBJECTS,
    TRAINING,
    UNSEEN,
    UNSEEN_BACKGROUNDS,
    Combination,
)
from mimicbrush.world.sets.vocabulary import SEEN_WORDS, split_words


def test_every_combination_is_in_one_split() -> None:
    assert len(ALL) == len(SILHOUETTES) * len(MATERIALS) == len({*TRAINING, *HELD_OUT, *UNSEEN})
    assert len(TRAINING) + len(HELD_OUT) + len(UNSEEN) == len(ALL)
    assert 0.2 < len(HELD_OUT) / (len(HELD_OUT) + len(TRAINING)) < 0.3


def test_every_seen_name_is_trained_on_and_held_out_in_some_combination() -> None:
    for split in (TRAINING, HELD_OUT):
        assert {each.object for each in split} == set(SEEN_OBJECTS)
    assert {each.material for each in TRAINING} == set(SEEN_MATERIALS)
    assert len(HELD_OUT) >= 130
    assert len(SEEN_OBJECTS) >= 10


def test_held_out_objects_and_materials_are_whole() -> None:
    for each in (*TRAINING, *HELD_OUT):
        assert each.object not in {"cloud", "crown", "key"}
        assert not {"purple", "zigzag", "gravel", "wooden", "furry"} & set(each.material.split())


def test_a_combination_stays_in_its_split() -> None:
    """Networks have been trained on these splits: a change of the rule would leak held-out combinations."""
    splits = [Combination("star", name).split for name in ("red", "red striped", "teal striped", "brick", "purple")]
    assert splits == ["training", "training", "held_out", "training", "unseen"]


def test_nothing_held_out_leaks_into_stills_and_clips() -> None:
    hidden = {photo for photo, each in SKIMAGE_PHOTOGRAPHS.items() if each.is_held_out}
    hidden |= {name for name, texture in TEXTURES.items() if texture.photograph in hidden}
    drawn = [draw_still(number, seed=0) for number in range(600)] + [draw_clip(number, seed=0) for number in range(60)]
    for each in drawn:
        scene = each.scene if hasattr(each, "scene") else each.motion.keyframes[0]
        combination = Combination(scene.subject.silhouette, scene.subject.material.name)
        assert combination.split == "training"
        assert combination == each.description[:2]
        assert not {scene.subject.material.pattern, scene.background.material.pattern} & hidden
        assert set(split_words(each.caption)) <= SEEN_WORDS
    assert len({each.description.object for each in drawn}) == len(SEEN_OBJECTS)
    assert {each.description.background for each in drawn} == BACKGROUNDS.keys() - set(UNSEEN_BACKGROUNDS)
