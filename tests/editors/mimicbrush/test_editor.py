from __future__ import annotations

import pytest
import torch

from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest
from tests.conftest import SIZE

A, B = (slice(20, 30), slice(20, 30)), (slice(120, 130), slice(160, 170))


def request_of(*regions, seed: int = 0, height: int = 150, width: int = 200) -> ReferenceRequest:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, height, width)
    for rows, columns in regions:
        mask[0, 0, rows, columns] = 1
    source = torch.rand(1, 3, height, width, generator=generator)
    return ReferenceRequest(source=source, mask=mask, reference=torch.rand(3, 40, 40, generator=generator))


def editor_of(network, **options) -> MimicBrushEditor:
    return MimicBrushEditor(network, num_inference_steps=1, **options)


@pytest.fixture
def echo(network, monkeypatch):
    """A network that repaints what it was shown, unmasked; `.seen`: sources and masks it was given."""
    network.seen = []
    condition = network.condition

    def remember(source, mask, *rest):
        network.seen.append((source, mask))
        return condition(source, mask, *rest)

    monkeypatch.setattr(network, "condition", remember)
    monkeypatch.setattr(network, "decode", lambda latent: network.seen[-1][0])
    return network


def test_a_crop_of_the_networks_size_loses_nothing(echo):
    request = request_of(A)
    torch.testing.assert_close(editor_of(echo, crop_to_mask=True).edit(request).frames, request.source)
    assert (editor_of(echo).edit(request).frames - request.source).abs().max() > 0.01


def test_a_crop_sees_all_regions_hidden_and_pastes_its_own(echo, monkeypatch):
    near = (A[0], slice(32, 38))
    request = request_of(A, near)
    grey = torch.tensor([0.25, 0.75])[:, None, None, None].expand(2, 3, SIZE, SIZE)
    monkeypatch.setattr(echo, "decode", lambda latent: grey)
    edited = editor_of(echo, regions="separate").edit(request).frames
    _, masks = echo.seen[-1]
    assert masks.sum(dim=(1, 2, 3)).tolist() == [160, 160]
    assert (edited[0, :, 24:26, 24:26] - 0.25).abs().max() < 0.05
    assert (edited[0, :, 24:26, 36:38] - 0.75).abs().max() < 0.35


def test_in_turn_a_crop_sees_what_became_of_those_before_it(echo, monkeypatch):
    near = (A[0], slice(32, 38))
    grey = iter([0.25, 0.75])
    monkeypatch.setattr(echo, "decode", lambda latent: torch.full((1, 3, SIZE, SIZE), next(grey)))
    edited = editor_of(echo, regions="in_turn").edit(request_of(A, near)).frames
    (first, both), (second, one) = echo.seen
    assert (both.sum(), one.sum()) == (160, 60)
    assert (first[both.expand_as(first) > 0] != 0.25).any()
    # The first region's middle, in the crop of 32 pixels around the second, which spans columns 19 to 51.
    assert (second[0, :, 14:16, 5:7] - 0.25).abs().max() < 0.1
    assert (edited[0, :, 24:26, 24:26] - 0.25).abs().max() < 0.05
    assert (edited[0, :, 24:26, 35] - 0.75).abs().max() < 0.35


@pytest.mark.parametrize("seeded", [True, False])
def test_regions_far_apart_are_the_same_in_turn_and_at_once(network, seeded):
    first, second = request_of(A, B, seed=1), request_of(B, seed=2)
    results = []
    for regions in ("separate", "in_turn"):
        editor = editor_of(network, regions=regions)
        edits = editor.edit_batch([first, second]) if seeded else editor.draw_samples(first, seeded_generators([5, 6]))
        results.append(edits)
    for at_once, in_turn in zip(*results, strict=True):
        torch.testing.assert_close(in_turn.frames, at_once.frames, rtol=0, atol=1e-4)
    assert not torch.equal(results[0][0].frames, results[0][1].frames)


def test_in_turn_one_region_is_denoised_at_a_time(network, monkeypatch):
    rows, predict = [], network.predict
    monkeypatch.setattr(
        network, "predict", lambda noisy, *rest, **kw: rows.append(len(noisy)) or predict(noisy, *rest, **kw)
    )
    for regions in ("separate", "in_turn"):
        editor = editor_of(network, regions=regions, guidance_scale=1.0)
        editor.edit(request_of(A, B))
        assert editor.num_passes(request_of(A, B)) == {"separate": 1, "in_turn": 2}[regions]
    assert rows == [2, 1, 1]


@pytest.mark.parametrize(
    "options",
    [{}, {"crop_to_mask": True}, {"regions": "separate"}, {"regions": "in_turn"}, {"match_colour": True}],
)
@pytest.mark.parametrize("geometry", ["exact", "released"])
def test_far_from_the_mask_the_source_is_kept_bit_for_bit(network, options, geometry):
    request = request_of(A, B)
    edited = editor_of(network, geometry=geometry, **options).edit(request).frames
    reach = 10
    far = torch.nn.functional.max_pool2d(request.mask, 2 * reach + 1, 1, reach) == 0
    assert far.any() and torch.equal(edited * far, request.source * far)
    assert not torch.equal(edited[..., A[0], A[1]], request.source[..., A[0], A[1]])


def test_regions_share_the_features_of_their_reference(network):
    rows = {"reference": [], "imitative": []}
    network.reference_unet.register_forward_pre_hook(lambda _, args: rows["reference"].append(len(args[0])))
    network.imitative_unet.register_forward_pre_hook(lambda _, args: rows["imitative"].append(len(args[0])))
    editor_of(network, regions="separate").draw_samples(request_of(A, B), seeded_generators([0, 1, 2]))
    assert rows == {"reference": [1], "imitative": [2 * 2 * 3]}


def test_a_region_edited_beside_another_equals_its_edit_alone(network):
    both, alone = request_of(A, B), request_of(A)
    editor = editor_of(network, regions="separate")
    place = (..., slice(10, 40), slice(10, 40))
    torch.testing.assert_close(editor.edit(both).frames[place], editor.edit(alone).frames[place], rtol=0, atol=1e-4)


def test_given_generators_replace_the_seeds(network):
    request = request_of(A)
    generators = [torch.Generator().manual_seed(5), torch.Generator().manual_seed(6)]
    five, six = editor_of(network).draw_samples(request, generators)
    for seed, sample in ((5, five), (6, six)):
        seeded = ReferenceRequest(source=request.source, mask=request.mask, reference=request.reference, seed=seed)
        torch.testing.assert_close(editor_of(network).edit(seeded).frames, sample.frames, rtol=0, atol=1e-4)


@pytest.mark.parametrize("context", [0.5, float("nan"), 1e9])
def test_a_senseless_context_is_refused(network, context):
    with pytest.raises(UserError, match=r"context is .*expected 1 to 100"):
        editor_of(network, context=context)


def test_the_feather_of_a_crop_grows_with_it(network, monkeypatch):
    monkeypatch.setattr(network, "decode", lambda latent: torch.ones(1, 3, SIZE, SIZE))
    widths = []
    for side in (256, 1024):
        request = request_of((slice(side // 2, side), slice(0, side // 2)), height=side, width=side)
        request = ReferenceRequest(
            source=torch.zeros_like(request.source), mask=request.mask, reference=request.reference
        )
        edited = editor_of(network, crop_to_mask=True).edit(request).frames
        widths.append(int(((edited > 0) & (edited < 0.999))[0, 0, 3 * side // 4].sum()))
    assert 1.7 < widths[1] / widths[0] < 2.3
