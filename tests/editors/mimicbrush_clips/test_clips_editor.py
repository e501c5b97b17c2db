"""MimicBrush for clips with a tiny random network: what holds the frames together, and what stays the source's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mimicbrush.config import instantiate
from mimicbrush.diffusion.frame_sampling import FramePrediction
from mimicbrush.editors.mimicbrush_clips import MimicBrushClipsEditor
from mimicbrush.editors.mimicbrush_clips.imitated_frames import ImitatedFrames
from mimicbrush.editors.mimicbrush_clips.settings import MimicBrushClipsSettings
from mimicbrush.errors import UserError
from mimicbrush.pictures.geometry import feather
from mimicbrush.requests import Editor, VideoRequest, check_answers

QUICK = MimicBrushClipsSettings(num_inference_steps=2, guidance_scale=2.0, feature_block=1)
NUM_FRAMES = 3


def make_request(**changes: object) -> VideoRequest:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(NUM_FRAMES, 1, 24, 32)
    mask[..., 8:16, 10:20] = 1
    given = {
        "source": torch.rand(NUM_FRAMES, 3, 24, 32, generator=generator),
        "source_prompt": "red",
        "target_prompt": "hat",
        "target_image": torch.rand(3, 9, 7, generator=generator),
        "fps": 8.0,
        "mask": mask,
    }
    return VideoRequest(**given | changes)


def edit(network, request: VideoRequest, **settings: object) -> torch.Tensor:
    return MimicBrushClipsEditor(network, settings=replace(QUICK, **settings)).edit(request).frames


def test_the_mask_is_repainted_and_the_rest_is_the_sources_own(network):
    request, shares = make_request(), []
    editor = MimicBrushClipsEditor(network, settings=QUICK)
    edited = editor.edit(request, on_progress=lambda share, preview: shares.append((share, preview().frames)))
    check_answers(editor, [edited], [request])
    outside = (feather(request.mask) == 0).expand(-1, 3, -1, -1)
    assert outside.any() and torch.equal(edited.frames[outside], request.source[outside])
    assert (edited.frames - request.source)[(request.mask > 0.5).expand(-1, 3, -1, -1)].abs().mean() > 0.01
    assert torch.equal(edited.frames, editor.edit(request).frames)
    assert [share for share, _ in shares] == [0.25, 0.5, 0.75, 1.0] and torch.equal(shares[-1][1], edited.frames)


def test_equal_frames_become_equal_because_they_share_their_noise(network):
    request = make_request(source=make_request().source[:1].expand(NUM_FRAMES, -1, -1, -1))
    frames = edit(network, request)
    torch.testing.assert_close(frames[0], frames[1], atol=1e-5, rtol=0)
    assert not torch.equal(frames, edit(network, replace(request, seed=1)))
    # Without noise, sampling begins at the inverted latents, whatever the seed.
    assert torch.equal(*(edit(network, replace(request, seed=seed), inverted_share=1.0) for seed in (0, 1)))


def test_the_number_of_frames_at_once_changes_nothing(network):
    together, apart = (edit(network, make_request(), frames_at_once=number) for number in (8, 2))
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_frames_meet_in_the_correction_alone(network):
    other = make_request().source.clone()
    other[2] = other[2].flip(1)
    pair = [replace(make_request(), source=source) for source in (make_request().source, other)]
    first, second = (edit(network, request, correction_steps=0)[1] for request in pair)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)
    first, second = (edit(network, request)[1] for request in pair)
    assert (first - second).abs().max() > 2e-5  # twice the tolerance above


def test_an_exact_network_returns_the_clip_from_any_start(network, monkeypatch):
    latents = torch.randn(NUM_FRAMES, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def exact(self, noisy, timestep, with_features):
        share = self.shares[timestep]
        noise = (noisy - share**0.5 * latents) / (1 - share) ** 0.5
        return FramePrediction(noise, noisy if with_features else None)

    monkeypatch.setattr(ImitatedFrames, "predict", exact)
    encoded = iter(latents[:, None])
    monkeypatch.setattr("mimicbrush.editors.mimicbrush_clips.editor.encode_mean", lambda *_: next(encoded))
    decoded = []
    decode = network.decode
    monkeypatch.setattr(network, "decode", lambda latent: decoded.append(latent) or decode(latent))
    edit(network, make_request(), correction_steps=0, background="none", num_inference_steps=20)
    # DDIM ends at the first noise level, whose noise has a deviation of 0.03.
    torch.testing.assert_close(decoded[-1], latents, atol=0.15, rtol=0)


def test_a_config_names_the_editor_and_mistakes_are_named(network):
    path = "mimicbrush.editors.mimicbrush_clips.MimicBrushClipsEditor"
    with pytest.raises(UserError, match="inverted_share is 2, expected a number from 0 to 1"):
        instantiate(path, {"checkpoint": "asset:tiny", "settings": {"inverted_share": 2}}, Editor)
    with pytest.raises(UserError, match="correction_weights are"):
        MimicBrushClipsSettings(correction_weights=(1, 1, 1))
    with pytest.raises(UserError, match="feature_block is 2, and the imitative U-Net has up blocks 0 to 1"):
        MimicBrushClipsEditor(network, settings=replace(QUICK, feature_block=2))
    with pytest.raises(UserError, match="MimicBrush for clips needs the clip's mask"):
        edit(network, make_request(mask=None))
