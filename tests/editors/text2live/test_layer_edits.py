"""Edits by a tiny random CLIP: layers, masks, seeds, progress, and mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPTokenizer

from mimicbrush.editors.text2live import Text2LiveEditor
from mimicbrush.editors.text2live.clip_guide import load_clip_guide
from mimicbrush.editors.text2live.drawn_views import DrawnCrop
from mimicbrush.editors.text2live.internal_crops import apply_crop, crop_places
from mimicbrush.editors.text2live.layer_network import build_layer_network
from mimicbrush.editors.text2live.losses import GREEN
from mimicbrush.editors.text2live.madgrad import Madgrad
from mimicbrush.editors.text2live.settings import PRESETS, Text2LiveSettings
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_pil

QUICK = Text2LiveSettings(
    num_steps=3, resolution=None, num_scales=2, num_channels=6, num_skip_channels=2, num_views=2, whole_every=2
)
REGION_ONLY = {"composition_weight": 0, "screen_weight": 0, "structure_weight": 0, "sparsity_weight": 0}


@pytest.fixture
def editor(guide) -> Text2LiveEditor:
    return Text2LiveEditor(guide, settings=QUICK, device="cpu")


def test_frames_are_the_layer_over_the_source(editor, layer_request):
    edited, source = editor.edit(layer_request), layer_request.source
    assert {name: tuple(layer.shape) for name, layer in edited.layers.items()} == {
        "rgba": (1, 4, 40, 48),
        "opacity": (1, 1, 40, 48),
        "on_green": (1, 3, 40, 48),
    }
    colour, opacity = edited.layers["rgba"].split([3, 1], dim=1)
    torch.testing.assert_close(edited.frames, opacity * colour + (1 - opacity) * source)
    green = torch.tensor(GREEN).reshape(1, 3, 1, 1)
    torch.testing.assert_close(edited.layers["on_green"], opacity * colour + (1 - opacity) * green)
    assert torch.equal(edited.layers["opacity"], opacity)


@pytest.mark.parametrize("resolution", [None, 24])
def test_nothing_changes_outside_a_limit(guide, layer_request, resolution):
    settings = replace(QUICK, resolution=resolution)
    edited = Text2LiveEditor(guide, settings=settings, device="cpu").edit(replace(layer_request, mask_use="limit"))
    outside = layer_request.mask.expand_as(edited.frames) == 0
    assert torch.equal(edited.frames[outside], layer_request.source[outside])
    assert not torch.equal(edited.frames, layer_request.source)


def test_a_guide_draws_the_opacity_to_it(guide, layer_request):
    settings = replace(QUICK, **REGION_ONLY, num_steps=40, bootstrap_schedule="constant", learning_rate=3e-2)
    opacity = Text2LiveEditor(guide, settings=settings, device="cpu").edit(layer_request).layers["opacity"]
    inside = layer_request.mask > 0.5
    assert opacity[inside].mean() > opacity[~inside].mean() + 0.2


def test_a_crop_around_the_mask_is_edited_alone(guide, layer_request):
    mask = torch.zeros_like(layer_request.mask)
    mask[..., 30:38, 2:8] = 1
    settings = replace(QUICK, num_scales=1, crop_to_mask=True, context=1.5, canvas_side=16)
    edited = Text2LiveEditor(guide, settings=settings, device="cpu").edit(replace(layer_request, mask=mask))
    changed = (edited.frames != layer_request.source).any(dim=1)[0]
    assert changed[28:40, :12].all() and not changed[:28].any() and not changed[:, 12:].any()
    assert edited.layers["rgba"].shape[-2:] == (40, 48)


def test_places_are_those_of_the_crop():
    columns, rows = np.meshgrid(np.arange(40), np.arange(30))
    picture = to_pil(np.stack([columns * 6, rows * 8, rows * 0], axis=-1).astype(np.uint8))
    drawn = DrawnCrop((36, 32), (5, 3, 20, 18), is_mirrored=True)
    cropped = np.asarray(apply_crop(picture, drawn)).astype(np.float32)
    x, y = crop_places((30, 40), drawn)[0].numpy()
    assert np.abs((cropped[..., 0] / 6 + 0.5) / 40 - x).max() < 0.02
    assert np.abs((cropped[..., 1] / 8 + 0.5) / 30 - y).max() < 0.02
    assert crop_places((30, 40)).shape == (1, 2, 30, 40)


@pytest.mark.parametrize(("canvas_side", "is_drawn"), [(32, True), (0, False)])
def test_only_a_canvas_draws_stripes_on_a_plain_surface_in_few_steps(canvas_side, is_drawn):
    plain, places = torch.full((1, 3, 32, 32), 0.5), crop_places((32, 32))
    stripes = (places[:, :1] * 8 % 1 < 0.5).float().expand(-1, 3, -1, -1)
    network = build_layer_network(replace(QUICK, canvas_side=canvas_side), seed=1)
    optimizer = Madgrad(network.parameters(), lr=0.01)
    for _ in range(30):
        error = F.mse_loss(network(plain, places)[:, :3], stripes)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert (error < 0.12) == is_drawn


def test_a_step_without_losses_is_refused(guide, layer_request):
    settings = replace(QUICK, **REGION_ONLY, num_steps=3)  # the weight of the region falls to 0 in the last step
    with pytest.raises(UserError, match="no loss has a weight above 0 at step 3; raise composition_weight"):
        Text2LiveEditor(guide, settings=settings, device="cpu").edit(layer_request)


def test_the_layer_has_the_size_of_the_source(guide, layer_request):
    settings = replace(QUICK, resolution=20)
    edited = Text2LiveEditor(guide, settings=settings, device="cpu").edit(layer_request)
    assert edited.layers["rgba"].shape[-2:] == edited.frames.shape[-2:] == (40, 48)


def test_the_seed_decides(editor, layer_request):
    first, again, other = (editor.edit(replace(layer_request, seed=seed)).frames for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_progress_rises_to_one_and_its_last_preview_is_the_result(editor, layer_request):
    seen = []
    edited = editor.edit(layer_request, on_progress=lambda share, preview: seen.append((share, preview().frames)))
    shares = [share for share, _ in seen]
    assert len(shares) == 3 and shares[-1] == 1 and all(low < high for low, high in pairwise(shares))
    assert torch.equal(seen[-1][1], edited.frames) and not torch.equal(seen[0][1], edited.frames)


def test_an_early_end_is_reported_as_the_end(guide, layer_request):
    settings = replace(QUICK, num_steps=50, patience=2, min_improvement=0.9)
    shares = []
    Text2LiveEditor(guide, settings=settings, device="cpu").edit(
        layer_request, on_progress=lambda share, _: shares.append(share)
    )
    assert len(shares) == 4 and shares[-1] == 1


def test_bfloat16_is_near_float32(clip_folder, layer_request):
    edits = [
        Text2LiveEditor(str(clip_folder), settings=QUICK, device="cpu", precision=precision).edit(layer_request)
        for precision in ("float32", "bfloat16")
    ]
    assert 0 < (edits[0].frames - edits[1].frames).abs().max() < 0.1


def test_negative_regions_change_the_edit(editor, layer_request):
    edits = [
        editor.edit(replace(layer_request, mask=None, region_prompts=("ball", "red"), negative_region_prompts=negative))
        for negative in ((), ("photo",), ("photo", "of"))
    ]
    assert not torch.equal(edits[0].frames, edits[1].frames)
    assert not torch.equal(edits[1].frames, edits[2].frames)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, {"source": torch.rand(2, 3, 40, 48), "mask": None}, "source has 2 frames"),
        ({}, {"negative_region_prompts": ("sky",), "mask": None}, "negative_region_prompts has no effect without"),
        ({"num_scales": 5}, {}, "crops are as small as 27 pixels, and a network of 5 scales needs 33"),
        ({}, {"prompts": ("a" * 80,)}, "a...' has 90 tokens, and this CLIP reads at most 77; shorten it"),
        ({"learning_rate": 1e38}, {}, "the loss is (nan|inf) at step .*; lower learning_rate"),
    ],
)
def test_mistakes_are_named(guide, layer_request, settings, change, message):
    editor = Text2LiveEditor(guide, settings=replace(QUICK, **settings), device="cpu")
    with pytest.raises(UserError, match=message):
        editor.edit(replace(layer_request, **change))


def test_more_relevancy_blocks_than_the_clip_has_are_refused(guide):
    with pytest.raises(UserError, match="num_relevancy_blocks is 3, and this CLIP has 2 blocks"):
        Text2LiveEditor(guide, settings=replace(QUICK, num_relevancy_blocks=3), device="cpu")


def test_words_of_no_token_are_named_where_pieces_were_not_trained(clip_folder, layer_request, tmp_path):
    CLIPModel.from_pretrained(clip_folder).save_pretrained(tmp_path)
    CLIPTokenizer.from_pretrained(clip_folder, whole_words=["a", "golden"]).save_pretrained(tmp_path)
    editor = Text2LiveEditor(str(tmp_path), settings=QUICK, device="cpu")
    with pytest.raises(UserError, match=r"this CLIP does not know photo, of, at, ball, x, 7, 🏺, high"):
        editor.edit(replace(layer_request, prompts=("a golden, at: ball x 7 🏺.",)))


def test_a_clip_without_text_encoder_or_projection_is_refused(clip_folder, tmp_path):
    clip, cpu = CLIPModel.from_pretrained(clip_folder), torch.device("cpu")
    clip.vision_model.save_pretrained(tmp_path)
    CLIPTokenizer.from_pretrained(clip_folder).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="type clip_vision_model, expected clip"):
        load_clip_guide(str(tmp_path), device=cpu, dtype=torch.float32)
    weights = {name: value for name, value in clip.state_dict().items() if "projection" not in name}
    clip.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(UserError, match=r"lacks 2 tensors, first \w+_projection.weight"):
        load_clip_guide(str(tmp_path), device=cpu, dtype=torch.float32)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UserError, match="holds a network of type vit, expected clip"):
        load_clip_guide(str(tmp_path), device=cpu, dtype=torch.float32)


def test_presets_are_small_and_released():
    assert PRESETS["release"] == Text2LiveSettings()
    assert PRESETS["small"].num_scales <= 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("resolution", 1),
        ("patience", 1),
        ("learning_rate", 0),
        ("structure_weight", -1),
        ("min_cover", 1.5),
        ("flip_prob", 2),
        ("max_scale", 0.5),
        ("distance", "euclidean"),
        ("context", 0.5),
        ("canvas_side", 8),
    ],
)
def test_settings_outside_their_limits_are_refused(field, value):
    with pytest.raises(UserError, match=f"{field} is {value}"):
        Text2LiveSettings(**{field: value})


def test_an_overlong_prompt_is_told_once(guide, layer_request, caplog, capfd):
    with pytest.raises(UserError, match="tokens, and this CLIP reads at most"):
        Text2LiveEditor(guide, settings=QUICK, device="cpu").edit(replace(layer_request, prompts=("a" * 80,)))
    assert "sequence length" not in caplog.text + "".join(capfd.readouterr())


def test_settings_choose_the_position_table_of_a_guide_in_memory(guide):
    editor = Text2LiveEditor(guide, settings=replace(QUICK, position_table="row_major"), device="cpu")
    height, width = guide.patch_size, 3 * guide.patch_size
    assert guide.position_table == "released" and editor.guide.position_table == "row_major"
    assert not torch.equal(editor.guide.positions(height, width), guide.positions(height, width))
