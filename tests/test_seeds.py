"""Seeds do not change: existing shards, benchmark sets and runs were made with them."""

from mimicbrush.seeds import random_of_position, seed_of, seed_of_draw, seed_of_input, stable_hash


def test_seeds_are_as_they_always_were():
    assert seed_of(0, "lora", "reference_unet") == 4783405956217846961
    assert seed_of_input(3, "a/b.mp4") == 13132084782615227591
    assert seed_of_draw(2, "dog") == 11041691874558733733
    assert random_of_position(1, 17).random() == 0.8555100523964012
    assert stable_hash("a") == 14598278634844962250


def test_other_parts_give_other_seeds():
    parts = [(0, 1), (1, 0), (0, 1, 0), (0, "1"), ("0, 1",)]
    assert len({seed_of(*each) for each in parts}) == len(parts)
    assert len({seed_of_input(seed, name) for seed in (0, 1) for name in "ab"}) == 4
    assert seed_of_input(3, "a") != seed_of_draw(3, "a")
