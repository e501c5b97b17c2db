"""Edits of a tiny clip by a tiny random network: they show that the parts fit together, not that edits are good."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
import yaml

from mimicbrush.config import config_from_dict, instantiate
from mimicbrush.diffusion.frame_sampling import to_latent_grid
from mimicbrush.editors.genvideo import GenVideoEditor
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.clip_geometry import network_size
from mimicbrush.editors.genvideo.inflation import tuned_parameters
from mimicbrush.editors.genvideo.settings import PRESETS, GenVideoSettings, Preset
from mimicbrush.editors.genvideo.target_object import cut_target
from mimicbrush.errors import UserError
from mimicbrush.pictures.geometry import feather, resize
from mimicbrush.requests import Edited, Editor, check_answers
from tests.conftest import REPOSITORY
from tests.editors.genvideo.conftest import NUM_FRAMES, QUICK, UNTUNED, moving_square


def make_editor(parts, settings: GenVideoSettings = QUICK, **changes: object) -> GenVideoEditor:
    return GenVideoEditor(parts, settings=settings, **{"tuned_clips": None, "device": "cpu"} | changes)


def box_mask() -> torch.Tensor:
    mask = torch.zeros(NUM_FRAMES, 1, 32, 40)
    mask[:, :, 14:18, 18:24] = 1
    return mask


def test_an_edit_is_answered_and_repeated_with_equal_bytes(parts):
    request, shares = moving_square(), []
    editor = make_editor(parts)
    edited = editor.edit(request, on_progress=lambda share, preview: shares.append((share, preview())))
    check_answers(editor, [edited], [request])
    mask = edited.layers["mask"]
    assert mask.shape == (NUM_FRAMES, 1, 32, 40) and set(mask.unique().tolist()) == {0, 1}
    again = make_editor(parts).edit(request)
    assert torch.equal(edited.frames, again.frames) and torch.equal(mask, again.layers["mask"])
    assert not torch.equal(make_editor(parts).edit(replace(request, seed=1)).frames, edited.frames)
    # Tuning 3, inversion, reconstruction, masks and sampling 2 each; the last share comes with the result.
    fractions = [share for share, _ in shares]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) == 11
    assert torch.equal(shares[-1][1].frames, edited.frames) and all(isinstance(each, Edited) for _, each in shares)


def test_pixels_outside_the_feathered_mask_are_the_sources_own(parts):
    request = moving_square(mask=box_mask())
    edited = make_editor(parts, UNTUNED).edit(request)
    outside = (feather(request.mask) == 0).expand(-1, 3, -1, -1)
    assert outside.any() and torch.equal(edited.frames[outside], request.source[outside])
    inside = (request.mask > 0.5).expand(-1, 3, -1, -1)
    assert (edited.frames - request.source)[inside].abs().mean() > 0.01
    assert torch.equal(edited.layers["mask"], request.mask)


def test_without_the_paste_the_complement_is_what_the_autoencoder_makes_of_the_source(parts, monkeypatch):
    editor, decoded = make_editor(parts, replace(UNTUNED, paste_back=False)), []
    decode = editor.denoiser.decode_edit
    monkeypatch.setattr(editor.denoiser, "decode_edit", lambda *latents: decoded.append(latents) or decode(*latents))
    request = moving_square(mask=box_mask())
    editor.edit(request)
    outside = (to_latent_grid(request.mask, 12, 16) == 0).expand(-1, 4, -1, -1)
    source = editor.denoiser.encode(resize(request.source, 24, 32))
    latents, norms_of = decoded[-1]
    assert outside.any() and torch.equal(latents[outside], source[outside]) and torch.equal(norms_of, source)


def test_sampling_starts_with_a_share_of_noise_within_the_mask(parts, monkeypatch):
    def start(inverted_share: float) -> torch.Tensor:
        editor, seen = make_editor(parts, replace(UNTUNED, inverted_share=inverted_share)), []
        predict = editor.denoiser.predict
        monkeypatch.setattr(
            editor.denoiser,
            "predict",
            lambda noisy, *rest, **options: seen.append(noisy) or predict(noisy, *rest, **options),
        )
        editor.edit(moving_square(mask=box_mask()))
        return seen[-2]  # two steps of sampling come last

    inverted, fresh = start(1.0), start(0.0)
    inside = to_latent_grid(box_mask(), 12, 16).expand(-1, 4, -1, -1) > 0
    assert torch.equal(inverted[~inside], fresh[~inside]) and not torch.isclose(inverted, fresh)[inside].any()
    assert all(torch.equal(frame[inside[0]], fresh[0][inside[0]]) for frame in fresh)


@pytest.mark.parametrize("name", PRESETS)
def test_each_part_can_be_switched_off(parts, name):
    preset = PRESETS[name]
    changes = ("masks", "correction_steps", "background", "outside_image")
    settings = replace(UNTUNED, **{field: getattr(preset, field) for field in changes})
    edited = make_editor(parts, settings).edit(moving_square())
    assert edited.frames.isfinite().all()
    whole = edited.layers["mask"].all().item()
    assert whole == (name == "tune_a_video")


def test_a_proposed_mask_can_be_given_back(parts):
    request, editor = moving_square(), make_editor(parts, UNTUNED)
    mask = editor.propose_mask(request)
    edited = editor.edit(request)
    assert torch.equal(edited.layers["mask"], mask)
    again = editor.edit(replace(request, mask=mask))
    assert torch.equal(again.layers["mask"], mask)


def test_a_mask_with_another_threshold_needs_no_further_passes(parts, tmp_path: Path, monkeypatch):
    request, kept = moving_square(), {"tuned_clips": str(tmp_path)}
    mask = make_editor(parts, UNTUNED, **kept).propose_mask(request)
    other = replace(UNTUNED, invedit=replace(UNTUNED.invedit, threshold=0.9))
    fresh = make_editor(parts, other).propose_mask(request)
    assert torch.equal(mask, make_editor(parts, UNTUNED).propose_mask(request)) and not torch.equal(mask, fresh)
    editor, passes = make_editor(parts, other, **kept), []
    predict = editor.denoiser.predict
    monkeypatch.setattr(
        editor.denoiser, "predict", lambda *given, **options: passes.append(1) or predict(*given, **options)
    )
    assert torch.equal(editor.propose_mask(request), fresh) and not passes
    assert not torch.equal(editor.propose_mask(replace(request, target_prompt="red")), fresh) and passes


FRESH = replace(UNTUNED, masks="fresh_noise", invedit=replace(UNTUNED.invedit, num_draws=3, scale="peak"))


def test_masks_of_fresh_noise_need_neither_tuning_nor_inversion(parts, tmp_path: Path):
    request, shares = moving_square(), []
    settings = replace(FRESH, tuning=replace(QUICK.tuning, num_steps=2))
    editor = make_editor(parts, settings, tuned_clips=str(tmp_path))
    mask = editor.propose_mask(request, on_progress=lambda share, _: shares.append(share))
    assert mask.any() and shares == [1 / 3, 2 / 3, 1.0] and not list(tmp_path.rglob("*.*"))
    shares.clear()
    edited = editor.edit(request, on_progress=lambda share, _: shares.append(share))
    assert torch.equal(edited.layers["mask"], mask) and shares == sorted(shares) and shares[-1] == 1.0
    # The tuned network, found again, is not used for them.
    assert torch.equal(editor.propose_mask(request), mask)
    assert not torch.equal(editor.propose_mask(replace(request, seed=1)), mask)


def test_the_targets_outline_is_added_to_a_mask_of_fresh_noise(parts):
    target_mask = torch.zeros(1, 24, 24)
    target_mask[:, 4:20, 4:20] = 1
    request = moving_square(target_mask=target_mask)
    plain = make_editor(parts, FRESH).propose_mask(request)
    wide = make_editor(parts, replace(FRESH, invedit=replace(FRESH.invedit, target_size=2.0))).propose_mask(request)
    assert (wide >= plain).all() and wide.sum() > plain.sum()


def test_a_long_clip_is_covered_by_windows(parts):
    editor = make_editor(parts, replace(UNTUNED, window=3, window_overlap=1))
    edited = editor.edit(moving_square(mask=box_mask()))
    assert edited.frames.shape == (NUM_FRAMES, 3, 32, 40) and edited.frames.isfinite().all()


def test_features_are_averaged_over_windows_and_taken_before_the_upsampler(parts):
    settings = replace(UNTUNED, window=3, window_overlap=2, feature_block=0, feature_side="before_upsampler")
    denoiser = make_editor(parts, settings).denoiser
    latents = torch.randn(NUM_FRAMES, 4, 12, 16, generator=torch.Generator().manual_seed(0))
    condition = _condition(denoiser)
    features = denoiser.predict(latents, 500, condition, guidance_scale=2.0, with_features=True).features
    assert features.shape == (NUM_FRAMES, 16, 6, 8)
    alone = denoiser.predict(latents[:3], 500, condition, with_features=True).features
    # The first frame is in the first window alone, and guidance does not change the features of its present half.
    torch.testing.assert_close(features[0], alone[0], atol=1e-5, rtol=0)


def _condition(denoiser: ClipDenoiser) -> ClipCondition:
    return ClipCondition(
        denoiser.embed_prompt("hat", "prompt"), denoiser.image_classes(torch.rand(1, 3, 32, 32), seed=0)
    )


def test_the_target_is_cut_out_by_its_mask(parts):
    mask = torch.zeros(1, 24, 24)
    mask[:, 4:20, 4:16] = 1
    cut, outline = cut_target(moving_square(target_mask=mask), None)
    assert outline.shape == (24, 24) and outline.sum() == 16 * 12
    assert cut.shape == (1, 3, 16, 16)
    assert (cut[0, :, :, :2] == 1).all() and (cut[0, :, :, 14:] == 1).all() and (cut[0, 0, :, 2:14] == 0).all()
    whole = cut_target(moving_square(target_image=torch.rand(3, 10, 20)), None)
    assert whole.picture.shape == (1, 3, 20, 20) and whole.outline is None


class Finder:
    """Finds a red object alone."""

    def segment(self, image, words):
        mask = torch.zeros(*image.size[::-1], dtype=torch.bool).numpy()
        mask[4:8, 4:8] = True
        return mask if words == "red" else None


def test_the_target_is_found_by_its_words_and_named_where_it_is_absent():
    assert cut_target(moving_square(target_prompt="red"), Finder()).picture.shape == (1, 3, 4, 4)
    with pytest.raises(UserError, match="target_image shows no object that fits the target prompt 'hat'"):
        cut_target(moving_square(), Finder())


def test_equal_source_and_target_propose_no_mask(parts):
    request = moving_square(target_prompt="red")
    editor = make_editor(parts, UNTUNED)
    target = editor.denoiser.image_classes
    same = target(request.source[:1], seed=0)
    editor.denoiser.image_classes = lambda pictures, *, seed: same
    with pytest.raises(UserError, match="source and target lead to the same noise, so no mask can be proposed"):
        editor.edit(request)


def test_fresh_noise_without_a_difference_is_named_before_the_tuning(parts, tmp_path: Path):
    editor = make_editor(parts, replace(FRESH, tuning=QUICK.tuning), tuned_clips=str(tmp_path))
    same = editor.denoiser.image_classes(moving_square().source[:1], seed=0)
    editor.denoiser.image_classes = lambda pictures, *, seed: same
    with pytest.raises(UserError, match="source and target lead to the same noise"):
        editor.edit(moving_square(target_prompt="red"))
    assert not list(tmp_path.rglob("*.*"))


def test_differences_below_the_threshold_propose_no_mask(parts):
    settings = replace(UNTUNED, invedit=replace(UNTUNED.invedit, threshold=0.9, max_ratio=50.0))
    with pytest.raises(UserError, match=r"differ nowhere beyond the threshold, .* lower invedit.threshold"):
        make_editor(parts, settings).propose_mask(moving_square())


def test_a_poor_reconstruction_is_said_before_the_edit(parts, caplog):
    editor = make_editor(parts, replace(UNTUNED, poor_reconstruction=90.0))
    with caplog.at_level(logging.WARNING):
        editor.edit(moving_square(mask=box_mask()))
    assert "the clip is reconstructed from its inversion at" in caplog.text and "below 90.0" in caplog.text
    assert 0 < editor.reconstruction.from_inversion < 90 and editor.reconstruction.by_autoencoder > 0


def test_a_config_names_the_editor_and_its_settings(unclip_folder):
    settings = {"resolution": 32, "feature_block": 1, "tuning": {"num_steps": 0}, "correction_weights": [0.5, 0.5, 0]}
    editor = instantiate(
        "mimicbrush.editors.genvideo.GenVideoEditor",
        {"pretrained": str(unclip_folder), "settings": settings, "tuned_clips": None, "device": "cpu"},
        Editor,
    )
    assert editor.settings.tuning.num_steps == 0 and editor.settings.correction_weights == (0.5, 0.5, 0)
    with pytest.raises(UserError, match="threshold is 2, expected 0 to below 1"):
        instantiate("mimicbrush.editors.genvideo.GenVideoEditor", {"settings": {"invedit": {"threshold": 2}}}, Editor)


def test_a_preset_is_named_in_place_of_settings(unclip_folder, monkeypatch):
    assert get_args(Preset) == tuple(PRESETS)
    path, given = "mimicbrush.editors.genvideo.GenVideoEditor", {"pretrained": str(unclip_folder), "device": "cpu"}
    monkeypatch.setitem(PRESETS, "no_correction", replace(UNTUNED, correction_steps=0))
    assert instantiate(path, given | {"preset": "no_correction"}, Editor).settings == PRESETS["no_correction"]
    with pytest.raises(UserError, match=r"preset is no_correction, expected one of default, .* no settings beside it"):
        instantiate(path, given | {"preset": "no_correction", "settings": {"resolution": 32}}, Editor)


def test_the_small_preset_shares_the_tuned_clips_of_the_worlds_ablations():
    rows = yaml.safe_load((REPOSITORY / "configs/eval/world_video_editors.yaml").read_text())["editors"]
    published, small = config_from_dict(GenVideoSettings, rows["genvideo"]["init_args"]["settings"]), PRESETS["small"]
    assert rows["fresh_noise"]["init_args"]["preset"] == "small"
    assert replace(small, masks=published.masks, invedit=published.invedit) == published


def test_half_precision_leaves_tuned_weights_in_float32(unclip_folder):
    editor = GenVideoEditor(
        str(unclip_folder),
        settings=replace(UNTUNED, tuning=replace(QUICK.tuning, num_steps=1)),
        tuned_clips=None,
        device="cpu",
        precision="bfloat16",
    )
    tuned = tuned_parameters(editor.denoiser.unet)
    types = {weight.dtype for name, weight in editor.denoiser.unet.named_parameters() if name not in tuned}
    assert types == {torch.bfloat16} and {weight.dtype for weight in tuned.values()} == {torch.float32}
    assert editor.edit(moving_square(mask=box_mask())).frames.isfinite().all()


def test_mistakes_are_named(parts, tmp_path: Path):
    with pytest.raises(UserError, match=r"target_prompt has 9 tokens, and the text encoder reads 8; shorten it"):
        make_editor(parts, UNTUNED).edit(moving_square(target_prompt="hathath"))
    with pytest.raises(UserError, match=r"source_prompt has 9 tokens"):
        make_editor(parts, UNTUNED).edit(moving_square(source_prompt="hathath"))
    with pytest.raises(UserError, match="feature_block is 2, and the U-Net has up blocks 0 to 1"):
        make_editor(parts, replace(UNTUNED, feature_block=2))
    with pytest.raises(UserError, match="detector is given alone"):
        make_editor(parts, UNTUNED, detector="dino")
    with pytest.raises(UserError, match="cannot load Grounding DINO"):
        make_editor(parts, UNTUNED, detector=str(tmp_path), segmenter=str(tmp_path))


def test_sides_become_multiples_of_the_networks_unit():
    assert network_size(1080, 1920, resolution=512, unit=64) == (256, 512)
    assert network_size(100, 100, resolution=500, unit=64) == (512, 512)
    assert network_size(4, 400, resolution=128, unit=64) == (64, 128)


def test_without_injection_the_targets_image_acts_everywhere(parts, monkeypatch):
    settings = replace(UNTUNED, outside_image="target")
    editor, masks = make_editor(parts, settings), []
    predict = editor.denoiser.predict

    def remember(latents, timestep, condition, **options):
        masks.append(condition.mask)
        return predict(latents, timestep, condition, **options)

    monkeypatch.setattr(editor.denoiser, "predict", remember)
    edited = editor.edit(moving_square(mask=box_mask())).frames
    assert masks and all(mask is None for mask in masks)
    assert not torch.equal(edited, make_editor(parts, UNTUNED).edit(moving_square(mask=box_mask())).frames)
