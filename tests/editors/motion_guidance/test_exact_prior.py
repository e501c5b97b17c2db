"""Guidance moves an object as asked, where the diffusion model is exact: one object at any place of a grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mimicbrush.editors.motion_guidance import MotionGuidanceEditor
from mimicbrush.editors.motion_guidance.exact_prior import ExactPrior
from mimicbrush.editors.motion_guidance.settings import MotionGuidanceSettings
from mimicbrush.flow.motion_fields import motion_field, translate
from mimicbrush.flow.motion_masks import edit_mask_of_keep_mask
from mimicbrush.requests import MotionRequest
from tests.editors.motion_guidance.one_object import OBJECT, SIZE, draw_places

FROM, SHIFT = (6, 12), (30, 24)
"""Place of the object in the source, and the asked shift, in pixels: x, then y."""
SETTINGS = {
    "num_inference_steps": 30,
    "start": "noise",
    "num_recursions": 6,
    "guidance_weight": 600.0,
    "flow_weight": 0.0,
    "colour_flow": "target",
}


def request_of(pictures: Tensor, places: Tensor, **fields) -> MotionRequest:
    number = int((places == torch.tensor(FROM)).all(dim=1).nonzero())
    moving = torch.zeros(1, 1, SIZE, SIZE)
    moving[..., FROM[1] : FROM[1] + OBJECT, FROM[0] : FROM[0] + OBJECT] = 1
    flow = motion_field(translate(*SHIFT), SIZE, SIZE, mask=moving)
    return MotionRequest(source=pictures[number][None], flow=flow, **{"mask": torch.ones_like(moving)} | fields)


def error_of_shift(scene: int, seed: int, **settings) -> float:
    """Pixels from the asked place of the object to its place in the edited picture."""
    pictures, places = draw_places(scene)
    editor = MotionGuidanceEditor(ExactPrior(pictures), settings=MotionGuidanceSettings(**SETTINGS | settings))
    edited = editor.edit(request_of(pictures, places, seed=seed)).frames
    found = places[(pictures - edited).square().flatten(1).sum(1).argmin()]
    return (found - torch.tensor(FROM) - torch.tensor(SHIFT)).norm().item()


@pytest.mark.parametrize(("scene", "seed"), [(0, 1), (1, 0)])
def test_the_target_flow_in_the_colour_loss_moves_the_object_to_the_asked_place(scene, seed):
    assert error_of_shift(scene, seed) <= 2


@pytest.mark.parametrize(("scene", "seed"), [(0, 1), (1, 0)])
def test_without_guidance_the_object_is_anywhere(scene, seed):
    assert error_of_shift(scene, seed, guidance_weight=0.0) > 10


def test_pixels_that_the_mask_keeps_stay_and_the_others_change():
    """1 means that a pixel may change, and a mask of the release is turned around before."""
    pictures, places = draw_places(0)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 8:, :56] = 1
    settings = MotionGuidanceSettings(num_inference_steps=4, start="noise", flow_weight=0, colour_flow="target")
    for given in (mask, edit_mask_of_keep_mask(1 - mask)):
        request = request_of(pictures, places, mask=given)
        edited = MotionGuidanceEditor(ExactPrior(pictures), settings=settings).edit(request)
        assert torch.equal(edited.layers["mask"], mask)
        changed = (edited.frames != request.source).any(dim=1, keepdim=True)
        assert not changed[mask < 0.5].any()
        assert changed[mask > 0.5].any()
