"""The small CLIP's training: equal bytes for a seed, files that load as any CLIP does, and its measures."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mimicbrush.editors.text2live.clip_guide import check_texts, load_clip_guide
from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.embeddings import ClipEmbedder
from mimicbrush.hub.local_networks import find_folder
from mimicbrush.world.clip import captioned_renders
from mimicbrush.world.clip.captioned_renders import ATTRIBUTES, attributes_of
from mimicbrush.world.clip.clip_measures import rank_phrases
from mimicbrush.world.clip.clip_network import build_clip, build_tokenizer
from mimicbrush.world.clip.clip_training import (
    TrainedClip,
    attention_loss,
    augment,
    choose_phrases,
    first_network,
    raise_loss,
    train_clip,
)
from mimicbrush.world.clip.config import ClipTrainingConfig
from mimicbrush.world.sets.draws import DrawnStill, draw_scene
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import WORDS, Description, write_caption

TINY = {
    "num_samples": 8, "num_heldout": 3, "num_phrases": 4, "image_size": 32, "patch_size": 8, "width": 32,
    "num_heads": 2, "num_vision_layers": 2, "num_text_layers": 1, "projection_dim": 8, "max_steps": 50,
    "batch_size": 4, "precision": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Iterator[ClipTrainingConfig]:
    """A run on plain objects before a plain wall, because the first render of a photograph takes a second."""

    def draw(number: int, *, seed: int, purpose: str, combinations: list[Combination]) -> DrawnStill:
        generator = np.random.default_rng([number, seed, len(combinations)])
        named = combinations[number % len(combinations)]
        scene = draw_scene(Combination("ball", "red"), "a rose wall", generator)
        description = Description(named.object, named.material)
        return DrawnStill(scene, description, write_caption(description))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(captioned_renders, "draw_still", draw)
        config = ClipTrainingConfig(output=tmp_path_factory.mktemp("clip") / "run", **TINY)
        train_clip(config)
        yield config


def test_the_same_seed_gives_the_same_bytes_after_fifty_steps(trained, tmp_path):
    config = replace(trained, output=tmp_path / "run")
    shutil.copytree(trained.output / "renders", config.output / "renders")
    train_clip(config)
    first, second = ((folder / "model.safetensors").read_bytes() for folder in (trained.output, config.output))
    assert first == second


def test_training_starts_from_an_earlier_run_of_the_same_sizes(trained, tmp_path):
    tokenizer = build_tokenizer(WORDS)
    clip = first_network(replace(trained, start=trained.output), tokenizer)
    earlier = ClipEmbedder(trained.output, torch.device("cpu")).network.state_dict()
    assert all(torch.equal(each, earlier[name]) for name, each in clip.state_dict().items())
    assert all(each.requires_grad for each in clip.parameters())
    with pytest.raises(UserError, match="holds a CLIP of other sizes; give both runs the same"):
        first_network(replace(trained, start=trained.output, width=16), tokenizer)
    with pytest.raises(UserError, match=r"start: .*no folder with a config\.json"):
        first_network(replace(trained, start=tmp_path), tokenizer)


def test_the_folder_loads_as_any_clip_does(trained):
    folder = find_folder(str(trained.output), "clip", has_tokenizer=True)
    embedder = ClipEmbedder(folder, torch.device("cpu"))
    texts = embedder.embed_texts(["a red ball", "a photo of a blue striped key on grass."])
    pictures = embedder.embed([np.zeros((40, 30, 3), np.uint8)])
    assert texts.shape == (2, 8)
    assert pictures.shape == (1, 8)
    assert not torch.allclose(texts[0], texts[1])


def test_words_outside_the_world_are_named_where_it_guides_an_edit(trained):
    guide = load_clip_guide(str(trained.output), device=torch.device("cpu"), dtype=torch.float32)
    check_texts(guide, ["a red ball in front of grass"])
    with pytest.raises(UserError, match="this CLIP does not know golden, xylophone"):
        check_texts(guide, ["a golden xylophone on grass"])


def test_the_card_has_means_with_intervals(trained):
    card = json.loads((trained.output / "card.json").read_text(encoding="utf-8"))
    assert card["phrases"] == 4
    for name in ("right_phrase_first", "right_phrase_in_first_5", "relevancy_auc"):
        assert card[name]["pictures"] == 3
        assert 0 <= card[name]["interval"][0] <= card[name]["mean"] <= card[name]["interval"][1] <= 1


def test_a_network_that_embeds_all_alike_ranks_its_own_phrase_last():
    phrases = [Combination("ball", "red"), Combination("key", "brick"), Combination("star", "blue")]
    same = SimpleNamespace(
        embed_texts=lambda texts: torch.ones(len(texts), 4), embed=lambda pictures: torch.ones(len(pictures), 4)
    )
    heldout = SimpleNamespace(pixels=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), combinations=phrases[:2])
    assert rank_phrases(same, heldout, phrases) == [2, 2]


def test_every_word_of_the_world_is_one_token():
    tokenizer = build_tokenizer(WORDS)
    several = {word: tokenizer.tokenize(word) for word in WORDS if "-" not in word}
    assert all(len(tokens) == 1 for tokens in several.values())
    assert tokenizer.tokenize("A Zigzag key!") == ["a</w>", "zigzag</w>", "key</w>", "!</w>"]
    assert tokenizer.decode(tokenizer("xylophone").input_ids, skip_special_tokens=True) == "xylophone"
    assert all(build_tokenizer(WORDS).get_vocab() == tokenizer.get_vocab() for _ in range(5))
    start, *_, end = tokenizer("a").input_ids
    assert (start, end) == (len(tokenizer) - 2, len(tokenizer) - 1)


def test_phrases_are_of_different_held_out_combinations(tmp_path):
    phrases = choose_phrases(ClipTrainingConfig(output=tmp_path))
    assert len(set(phrases)) == len(phrases) == 130
    assert {combination.split for combination in phrases} == {"held_out"}


def test_attributes_are_object_first_colour_and_pattern():
    named = [[names[number] for names, number in zip(ATTRIBUTES.values(), attributes_of(each), strict=True)]
             for each in (Combination("ball", "red striped"), Combination("key", "brick"))]  # fmt: skip
    assert named == [["ball", "red", "striped"], ["key", "brick", "brick"]]


def test_attention_costs_least_where_it_is_equal_all_over_the_object():
    coverage = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
    attention = torch.tensor([[0.3, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.2]])
    equal = attention_loss(attention[:, None], coverage)
    assert equal == pytest.approx((math.log(2) + 0) / 2)
    for worse in ([0.5, 0.1, 0.0, 0.0], [0.3, 0.3, 0.2, 0.0]):
        assert attention_loss(torch.tensor([worse, [0.0, 0.0, 0.0, 0.2]])[:, None], coverage) > equal
    unseen = torch.cat([coverage[:1], torch.zeros(1, 4)])
    assert attention_loss(attention[:, None], unseen) == pytest.approx(math.log(2))


def test_masks_move_with_their_pictures():
    masks = torch.zeros(8, 1, 32, 32)
    masks[..., 10:20, 4:12] = 1
    pixels, moved = augment(masks.expand(-1, 3, -1, -1), masks, torch.Generator().manual_seed(2))
    # Outside a turned picture, pixels are white and masks are zero; noise blurs what is near one half.
    drawn, inside = pixels.mean(dim=1, keepdim=True), moved > 0.7
    assert (drawn[inside] > 0.5).all()
    assert all(not torch.equal(each, masks[0]) for each in moved[1:])
    assert drawn[:, :, 15, 15].min() < 0.5 < drawn[inside].mean()


def test_changes_raise_the_loss_within_their_radius():
    target, pixels = torch.rand(3, 3, 8, 8), torch.full((3, 3, 8, 8), 0.5)

    def loss_on(pictures: torch.Tensor) -> torch.Tensor:
        return (pictures - target).square().sum()

    radii = torch.tensor([0.0, 0.5, 1.0])
    changed = raise_loss(loss_on, pixels, radii, torch.Generator().manual_seed(0))
    lengths = (changed - pixels).flatten(1).norm(dim=1)
    assert lengths[0] == 0 and (lengths[1:] > 0.9 * radii[1:]).all() and (lengths <= radii + 1e-5).all()
    assert loss_on(changed) > loss_on(pixels)


def test_patches_are_embedded_beside_their_picture(tmp_path):
    torch.manual_seed(0)
    tokenizer = build_tokenizer(["red", "ball"])
    trained = TrainedClip(build_clip(ClipTrainingConfig(output=tmp_path, **TINY), tokenizer)).eval()
    pixels, tokens = torch.randn(2, 3, 32, 32), dict(tokenizer(["red", "ball"], return_tensors="pt"))
    embedded = trained(pixels, tokens)
    assert embedded.patches.shape == (2, 16, 8)
    expected = trained.clip.get_image_features(pixels).pooler_output
    assert torch.allclose(embedded.pictures, torch.nn.functional.normalize(expected, dim=1), atol=1e-5)
    assert torch.allclose(embedded.patches.norm(dim=2), torch.ones(2, 16))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patch_size": 7}, "image_size is 64, expected a multiple of patch_size, 7"),
        ({"width": 30}, "width is 30, expected a multiple of num_heads, 4"),
        ({"batch_size": 1}, "batch_size is 1, expected at least 2"),
        ({"max_steps": 0}, "max_steps is 0, expected at least 1"),
        ({"adversarial_radius": -1}, "adversarial_radius is -1, expected 0 or a positive number"),
    ],
)
def test_impossible_configs_are_refused(fields, message, tmp_path):
    with pytest.raises(UserError, match=message):
        ClipTrainingConfig(output=tmp_path, **fields)
