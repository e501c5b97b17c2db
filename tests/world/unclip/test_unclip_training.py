"""The small Stable unCLIP's training: equal bytes for a seed, a folder that diffusers loads, and its measures."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableUnCLIPImg2ImgPipeline
from PIL import Image
from safetensors.torch import load_file

from mimicbrush.diffusion.ddim import signal_shares
from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.judge_network import load_judge
from mimicbrush.hub.locations import shipped
from mimicbrush.hub.unclip_parts import UnclipParts, load_unclip
from mimicbrush.world.clip import captioned_renders
from mimicbrush.world.clip.clip_network import build_clip, build_processor, build_tokenizer
from mimicbrush.world.clip.config import ClipTrainingConfig
from mimicbrush.world.renderer.render import render
from mimicbrush.world.sets.draws import DrawnStill, draw_scene, draw_still
from mimicbrush.world.sets.splits import Combination
from mimicbrush.world.sets.vocabulary import WORDS, Description, write_caption
from mimicbrush.world.unclip.config import UnclipTrainingConfig
from mimicbrush.world.unclip.judge_search import name_anywhere
from mimicbrush.world.unclip.naming_loss import NamingHead, tapped_features
from mimicbrush.world.unclip.unclip_network import build_parts, fit_normalizer
from mimicbrush.world.unclip.unclip_samples import reconstruct_pictures, sample_pictures
from mimicbrush.world.unclip.unclip_training import (
    SQUARES,
    draw_captions,
    draw_classes,
    multiscale_error,
    spread_timesteps,
    train_unclip,
)
from tests.unclip_folder import TWO_BLOCKS

WIDTH = 8
"""Channels of image embeddings."""


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> dict[str, str]:
    """A tiny autoencoder and a tiny CLIP with random weights and the words of the world."""
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    sizes = {"width": 16, "num_heads": 2, "num_vision_layers": 1, "num_text_layers": 1, "projection_dim": WIDTH}
    config, tokenizer = ClipTrainingConfig(output=folder, image_size=32, **sizes), build_tokenizer(WORDS)
    for part in (build_clip(config, tokenizer), tokenizer, build_processor(config)):
        part.save_pretrained(folder / "clip")
    AutoencoderKL(**TWO_BLOCKS, latent_channels=4).save_pretrained(folder / "autoencoder")
    return {name: str(folder / name) for name in ("autoencoder", "clip")}


@pytest.fixture(scope="module")
def trained(encoders, tmp_path_factory) -> Iterator[UnclipTrainingConfig]:
    """A run on plain objects before a plain wall, because the first render of a photograph takes a second."""

    def draw(number: int, *, seed: int, purpose: str, combinations: list[Combination]) -> DrawnStill:
        generator = np.random.default_rng([number, seed, len(combinations)])
        named = combinations[number % len(combinations)]
        scene = draw_scene(Combination("ball", "red"), "a rose wall", generator)
        description = Description(named.object, named.material)
        return DrawnStill(scene, description, write_caption(description))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(captioned_renders, "draw_still", draw)
        config = UnclipTrainingConfig(
            output=tmp_path_factory.mktemp("unclip") / "run",
            num_samples=8,
            num_heldout=2,
            num_inverted=1,
            image_size=32,
            channels=(8, 16),
            max_steps=50,
            batch_size=4,
            num_inference_steps=2,
            precision="float32",
            **encoders,
        )
        train_unclip(config)
        yield config


@pytest.fixture(scope="module")
def parts(trained) -> UnclipParts:
    return load_unclip(str(trained.output))


def test_the_same_seed_gives_the_same_bytes_after_fifty_steps(trained, tmp_path):
    config = replace(trained, output=tmp_path / "run")
    for name in ("renders", "encoded"):
        shutil.copytree(trained.output / name, config.output / name)
    train_unclip(config)
    name = "unet/diffusion_pytorch_model.safetensors"
    assert (trained.output / name).read_bytes() == (config.output / name).read_bytes()
    assert (trained.output / "card.json").read_text().split("samples")[1] == (
        config.output / "card.json"
    ).read_text().split("samples")[1]


def test_diffusers_generates_with_the_folder(trained):
    pipeline = StableUnCLIPImg2ImgPipeline.from_pretrained(trained.output, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    picture = Image.new("RGB", (32, 32), "red")
    generated = pipeline(picture, "a red ball", num_inference_steps=2, height=32, width=32, output_type="np").images
    assert generated.shape == (1, 32, 32, 3) and np.isfinite(generated).all()
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.unet.config.class_embed_type == "projection"


def test_weights_are_in_half_precision_beside_the_normaliser_of_the_renders(trained, parts):
    for name in ("unet", "vae", "image_normalizer"):
        stored = load_file(trained.output / name / "diffusion_pytorch_model.safetensors")
        assert {tensor.dtype for tensor in stored.values()} == {torch.half}
    assert parts.image_normalizer.mean.abs().sum() > 0 and parts.tokenizer.model_max_length == trained.max_tokens


def test_training_starts_from_an_earlier_run_of_the_same_sizes(trained, parts, tmp_path):
    # The config's own autoencoder and CLIP may have changed since, or be gone.
    gone = {name: str(tmp_path / "gone") for name in ("autoencoder", "clip")}
    continued = build_parts(replace(trained, output=tmp_path, start=str(trained.output), **gone))
    for name in ("vae", "text_encoder", "image_encoder"):
        earlier, kept = (getattr(each, name).state_dict() for each in (parts, continued))
        assert all(torch.equal(each, earlier[key]) for key, each in kept.items())
    assert continued.vae.config["_name_or_path"] == ""
    started = continued.unet.state_dict()
    assert all(torch.equal(each, started[name]) for name, each in parts.unet.state_dict().items())
    with pytest.raises(UserError, match=r"start: the U-Net of .* has other sizes; give both runs the same"):
        build_parts(replace(trained, output=tmp_path, start=str(trained.output), channels=(8, 24)))


def test_missing_encoders_are_named_by_their_field(trained, tmp_path):
    with pytest.raises(UserError, match=r"autoencoder: .*nowhere does not exist"):
        build_parts(replace(trained, autoencoder=str(tmp_path / "nowhere")))


def test_embeddings_reach_the_unet_standardised(trained):
    parts = build_parts(trained)
    embeddings = 5 + 3 * torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(0))
    layer = parts.unet.class_embedding.linear_1
    standardised = (embeddings - embeddings.mean(0)) / embeddings.std(0)
    expected = standardised @ layer.weight[:, :WIDTH].T + layer.bias
    fit_normalizer(parts, embeddings, is_new=True)
    rows = torch.cat([embeddings, torch.zeros_like(embeddings)], dim=1)
    assert torch.allclose(layer(rows), expected, atol=1e-4)
    assert torch.allclose(parts.image_normalizer.scale(embeddings), standardised, atol=1e-4)


def test_conditions_are_left_out_at_random(trained, parts):
    generator = torch.Generator().manual_seed(0)
    config = replace(trained, text_drop_prob=0.25, image_drop_prob=0.5)
    captions = draw_captions(["a red ball"] * 400, generator, config)
    assert 70 <= captions.count("") <= 130 and captions.count("a red ball") == 400 - captions.count("")
    embeddings = torch.stack([torch.full((400, WIDTH), 9.0), torch.full((400, WIDTH), -9.0)], dim=1)
    absent = (draw_classes(parts, embeddings, generator, config) == 0).all(dim=1)
    assert 160 <= absent.sum() <= 240
    nothing = draw_classes(parts, embeddings, generator, replace(config, image_drop_prob=1.0))
    assert not nothing.any()


def test_timesteps_are_spread_with_more_high_ones_and_never_beyond_the_last():
    timesteps = spread_timesteps(torch.full((32,), 1 - 2.0**-24), 1000)
    assert timesteps[-1] == 999 and (timesteps.diff() > 0).all()
    assert spread_timesteps(torch.zeros(4), 1000).tolist() == [0, 395, 628, 824]  # 1000 (k / 4)^0.67


def test_errors_over_squares_count_what_noise_does_not_hide():
    """A constant error counts at every scale; one that alternates from latent to latent at the finest alone."""
    constant = torch.ones(1, 4, 8, 8)
    alternating = 1 - 2.0 * ((torch.arange(8)[:, None] + torch.arange(8)) % 2).expand(1, 4, 8, 8)
    assert multiscale_error(constant) == len(SQUARES) and multiscale_error(alternating) == 1


def test_names_are_learned_from_features_that_know_them(parts):
    """Features that are the classes themselves must end in the right names, at the object and beside it."""
    head = NamingHead(parts.unet)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[:, :2] = True
    attributes = torch.tensor([[3, 0, 1], [5, 2, 1]])
    features = torch.zeros(2, parts.unet.config.block_out_channels[1], 4, 4)
    for row in range(2):
        features[row, row, :2] = 1
    features[:, 2, 2:] = 1
    assert head(features, masks, attributes) > 2
    with torch.no_grad():
        for classifier, numbers in zip(head.classifiers.values(), attributes.T, strict=True):
            classifier.weight.zero_()
            classifier.weight[1 + numbers, torch.arange(2)] = 20
            classifier.weight[0, 2] = 20
    assert head(features, masks, attributes) < 1e-3


def test_the_naming_loss_reaches_the_unet_and_leaves_no_hook(parts):
    unet = copy.deepcopy(parts.unet).requires_grad_(True)
    rows = {"sample": torch.randn(1, 4, 16, 16), "timestep": 500}
    tokens = torch.zeros(1, 4, unet.config.cross_attention_dim)
    with tapped_features(unet) as features:
        unet(**rows, encoder_hidden_states=tokens, class_labels=torch.zeros(1, 2 * WIDTH))
        masks = torch.ones(1, *features[0].shape[-2:], dtype=torch.bool)
        NamingHead(unet)(features[0], masks, torch.zeros(1, 3, dtype=torch.long)).backward()
    assert unet.conv_in.weight.grad.abs().sum() > 0 and unet.conv_out.weight.grad is None
    assert not unet.up_blocks[-2]._forward_hooks


def test_samples_follow_their_seeds_and_conditions(parts):
    def sample(caption: str, seed: int, scale: float = 1.0) -> torch.Tensor:
        classes = torch.zeros(1, 2 * WIDTH)
        return sample_pictures(parts, [caption], classes, num_steps=2, guidance_scale=scale, seed=seed)

    first = sample("a red ball", 0)
    assert first.shape == (1, 3, 32, 32) and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, sample("a red ball", 0))
    for other in (sample("a red ball", 1), sample("a blue star", 0), sample("a red ball", 0, scale=3.0)):
        assert not torch.equal(first, other)
    # Without conditions, guidance has nothing to strengthen.
    assert torch.allclose(sample("", 0), sample("", 0, scale=3.0), atol=1e-4)


def test_a_unet_that_knows_the_noise_inverts_without_loss(parts):
    """For a picture that is all there is, the velocity is known: the inversion must lead back to it."""
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = decode_unclamped(parts.vae, encode_mean(parts.vae, pictures)).clamp(0, 1)
    found = reconstruct_pictures(with_perfect_unet(parts, pictures), pictures, num_steps=10, refinements=0)
    assert (found - plain).abs().max() < 0.01
    assert (reconstruct_pictures(parts, pictures, num_steps=10, refinements=0) - plain).abs().max() > 0.02


def with_perfect_unet(parts: UnclipParts, pictures: torch.Tensor) -> UnclipParts:
    """Replace the U-Net by the exact velocity for these pictures, and no others."""
    original, shares = encode_mean(parts.vae, pictures), signal_shares(parts.schedule)

    def velocity(latents: torch.Tensor, timestep: int, tokens: torch.Tensor, **classes: torch.Tensor):
        share = shares[timestep]
        noise = (latents - share**0.5 * original) / (1 - share) ** 0.5
        return SimpleNamespace(sample=share**0.5 * noise - (1 - share) ** 0.5 * original)

    velocity.config, velocity.dtype = parts.unet.config, torch.float32
    return replace(parts, unet=velocity)


def test_the_card_has_shares_of_the_judges_accuracy(trained):
    card = json.loads((trained.output / "card.json").read_text())
    assert set(card["samples"]) == {"caption", "image", "both"}
    for each in card["samples"].values():
        assert each["object"]["pictures"] == each["material"]["pictures"] == 2
    assert card["truths"]["material"]["pictures"] == 2
    decibels = {name: each["mean"] for name, each in card["inversion"].items()}
    for name in ("plain", "refined"):
        assert decibels[f"{name}_loss_db"] == pytest.approx(decibels["autoencoder_db"] - decibels[f"{name}_db"])
    with Image.open(trained.output / "samples.png") as sheet:
        assert sheet.width > 5 * 192


def test_the_judge_finds_the_object_wherever_it_is():
    judge, right = load_judge(Path(shipped("asset:judge"))), 0
    combinations = [Combination("star", "red striped"), Combination("fish", "blue"), Combination("mug", "green dotted")]
    for number in range(3):
        still = draw_still(number, seed=3, combinations=combinations, backgrounds=("a rose wall",))
        found = name_anywhere(judge, torch.from_numpy(render(still.scene, 64).picture).permute(2, 0, 1))
        right += found == (still.description.object, still.description.material)
    assert right == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0, expected at least 1"),
        ({"text_drop_prob": 1.5}, "text_drop_prob is 1.5, expected 0 to 1"),
        ({"naming_weight": -0.1}, "naming_weight is -0.1, expected at least 0"),
        ({"channels": (32,)}, "expected two or more multiples of 8"),
        ({"channels": (12, 32)}, "expected two or more multiples of 8"),
    ],
)
def test_impossible_configs_are_refused(fields, message, tmp_path):
    with pytest.raises(UserError, match=message):
        UnclipTrainingConfig(output=tmp_path, **fields)
