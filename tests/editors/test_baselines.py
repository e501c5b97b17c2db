from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from mimicbrush.editors.baselines import (
    ClassicalInpainting,
    ColourTransfer,
    Identity,
    MeanColour,
    NamedColours,
    ReferencePaste,
)
from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest, TextRequest

EDITORS = [
    Identity(),
    MeanColour(),
    ReferencePaste(),
    ColourTransfer(),
    ClassicalInpainting(),
    ClassicalInpainting("navier_stokes"),
]


def make_request(frames: int = 1, seed: int = 0) -> ReferenceRequest:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(frames, 1, 24, 32)
    mask[:, :, 6:16, 8:20] = 1
    mask[:, :, 6:10, 8:12] = 0
    return ReferenceRequest(
        source=torch.rand(frames, 3, 24, 32, generator=generator),
        mask=mask,
        reference=torch.rand(3, 15, 9, generator=generator),
    )


@pytest.mark.parametrize("editor", EDITORS, ids=lambda editor: type(editor).__name__)
def test_pixels_outside_the_mask_are_untouched(editor):
    request = make_request(frames=2)
    before = request.source.clone()
    edited = editor.edit(request).frames
    outside = (request.mask < 0.5).expand_as(edited)
    assert edited.shape == request.source.shape
    assert torch.equal(edited[outside], before[outside])
    assert torch.equal(request.source, before)


@pytest.mark.parametrize("editor", EDITORS, ids=lambda editor: type(editor).__name__)
def test_batch_gives_what_single_edits_give(editor):
    requests = [make_request(seed=seed) for seed in range(3)]
    for request, edited in zip(requests, editor.edit_batch(requests), strict=True):
        assert torch.equal(edited.frames, editor.edit(request).frames)


def test_mean_colour_is_that_of_the_ring_and_not_of_what_lies_beyond():
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 8:12, 8:12] = 1
    source = torch.ones(1, 3, 20, 20)
    source[..., 6:14, 6:10] = 0.2
    source[..., 6:14, 10:14] = 0.6
    source[..., 8:12, 8:12] = 0
    request = ReferenceRequest(source=source, mask=mask, reference=torch.zeros(3, 4, 4))
    edited = MeanColour(ring=2).edit(request).frames
    assert torch.allclose(edited[..., 8:12, 8:12], torch.tensor(0.4))


def test_mean_colour_of_a_full_mask_is_grey():
    request = ReferenceRequest(
        source=torch.ones(1, 3, 4, 4), mask=torch.ones(1, 1, 4, 4), reference=torch.ones(3, 4, 4)
    )
    assert torch.equal(MeanColour().edit(request).frames, torch.full((1, 3, 4, 4), 0.5))


def test_reference_is_pasted_into_the_masks_box():
    mask = torch.zeros(1, 1, 12, 12)
    mask[..., 2:6, 3:11] = 1
    reference = torch.arange(4 * 8 * 3, dtype=torch.float32).view(3, 4, 8) / 100
    request = ReferenceRequest(source=torch.ones(1, 3, 12, 12), mask=mask, reference=reference)
    assert torch.equal(ReferencePaste().edit(request).frames[0, :, 2:6, 3:11], reference)


@pytest.mark.parametrize("method", ["telea", "navier_stokes"])
def test_inpainting_continues_a_flat_picture(method):
    request = make_request()
    flat = ReferenceRequest(source=torch.full((1, 3, 24, 32), 0.4), mask=request.mask, reference=request.reference)
    # Telea's weighted mean is rounded down at every step: two grey levels in all.
    assert (ClassicalInpainting(method).edit(flat).frames - 0.4).abs().max() <= 2.01 / 255


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="ring"):
        MeanColour(ring=0)
    with pytest.raises(UserError, match="radius"):
        ClassicalInpainting(radius=0)


def test_colour_transfer_gives_the_masked_region_the_references_statistics():
    generator = torch.Generator().manual_seed(0)
    source = 0.4 + 0.2 * torch.rand(1, 3, 40, 40, generator=generator)
    reference = torch.ones(3, 40, 40)
    # Only the middle half counts: its colours lie well inside the gamut.
    reference[:, 10:30, 10:30] = 0.5 + 0.1 * torch.rand(3, 20, 20, generator=generator)
    reference[0, 10:30, 10:30] += 0.2
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 5:35, 5:35] = 1
    edited = ColourTransfer().edit(ReferenceRequest(source=source, mask=mask, reference=reference)).frames
    ours, wanted = (
        rgb2lab(picture.permute(1, 2, 0).numpy()).reshape(-1, 3)
        for picture in (edited[0, :, 5:35, 5:35], reference[:, 10:30, 10:30])
    )
    assert np.allclose(ours.mean(axis=0), wanted.mean(axis=0), atol=0.2)
    assert np.allclose(ours.std(axis=0), wanted.std(axis=0), atol=0.2)


def test_colour_transfer_from_one_colour_paints_it():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    red = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1).expand(3, 8, 8)
    request = ReferenceRequest(source=torch.rand(1, 3, 8, 8), mask=mask, reference=red)
    edited = ColourTransfer().edit(request).frames
    assert torch.allclose(edited[0, :, 2:6, 2:6], red[:, 2:6, 2:6], atol=2e-3)


def recolour(prompt: str, source: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(1, 1, *source.shape[2:])
    mask[..., 4:12, 4:12] = 1
    return NamedColours().edit(TextRequest(source=source, mask=mask, prompt=prompt)).frames


def test_a_named_colour_replaces_the_colour_and_keeps_light_and_shade():
    grey = torch.linspace(0.2, 0.5, 16).expand(1, 3, 16, 16).clone()
    red = recolour("a red ball on a blue wall", grey)
    inside = rgb2lab(red[0, :, 4:12, 4:12].permute(1, 2, 0).numpy())
    before = rgb2lab(grey[0, :, 4:12, 4:12].permute(1, 2, 0).numpy())
    wanted = rgb2lab([[[1.0, 0, 0]]])[0, 0]
    assert torch.equal(red, recolour("a red ball in front of a blue wall", grey))
    assert torch.equal(red[..., :4, :], grey[..., :4, :])
    assert inside[..., 0].mean() == pytest.approx(wanted[0], abs=2)
    # Red has no room for all of the light, but none of its order is lost.
    assert np.ptp(inside[..., 0]) > 0.4 * np.ptp(before[..., 0]) and (np.diff(inside[..., 0], axis=1) > 0).all()
    assert (inside[..., 1] > 40).all() and (inside[..., 2] > 20).all()


def test_dark_green_is_one_name_and_a_prompt_without_colours_changes_nothing():
    source = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(recolour("a striped ball", source), source)
    assert torch.equal(recolour("a Dark green ball", source), recolour("darkgreen", source))
    assert not torch.equal(recolour("dark green", source), recolour("green", source))


def test_two_named_colours_are_both_there():
    source = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(1, 3, 16, 16).clone()
    source[:, 0] = 1 - source[:, 0]
    inside = recolour("a red and blue ball", source)[0, :, 4:12, 4:12]
    assert (inside[0] > inside[2]).any() and (inside[0] < inside[2]).any()
    assert inside[1].mean() < inside[0].mean() and inside[1].mean() < inside[2].mean()
