from __future__ import annotations

import pytest
import torch

from mimicbrush.config import instantiate
from mimicbrush.editors.move_and_repaint import MoveAndRepaintEditor
from mimicbrush.editors.move_and_repaint.settings import MoveAndRepaintSettings
from mimicbrush.errors import UserError
from mimicbrush.flow.motion_fields import Motion, motion_field, rotate, scale, translate
from mimicbrush.requests import (
    Edited,
    Editor,
    LayerRequest,
    MaskedRequest,
    MotionRequest,
    ReferenceRequest,
    TextRequest,
)

PATH = "mimicbrush.editors.move_and_repaint.MoveAndRepaintEditor"
THING = (slice(8, 18), slice(6, 18))
BACKGROUND = 0.25


class GreyPainter(Editor):
    """Paints the hole with the background's grey, and keeps what it was asked; answers the given kind of request."""

    def __init__(self, kind: type = ReferenceRequest) -> None:
        self.request_class = kind
        self.asked: list = []

    def edit(self, request, *, on_progress=None):
        self.asked.append(request)
        edited = Edited(torch.where(request.mask > 0.5, BACKGROUND, request.source))
        for step in (1, 2) if on_progress else ():
            on_progress(step / 2, lambda: edited)
        return edited


def make_request(motion: Motion, *, size: tuple[int, int] = (33, 41), **fields) -> MotionRequest:
    """A random block on a grey background."""
    source, mask = torch.full((1, 3, *size), BACKGROUND), torch.zeros(1, 1, *size)
    mask[..., *THING] = 1
    source[..., *THING] = torch.rand(3, 10, 12, generator=torch.Generator().manual_seed(0)) / 2 + 0.5
    return MotionRequest(source=source, flow=motion_field(motion, *size, mask=mask), **fields)


@pytest.mark.parametrize("kind", [ReferenceRequest, TextRequest, MaskedRequest])
def test_a_block_is_moved_exactly_and_its_old_place_repainted(kind):
    request = make_request(translate(15, 7))
    edited = MoveAndRepaintEditor(GreyPainter(kind)).edit(request).frames
    # Within a pixel of its outline, the block's opacity is estimated.
    assert torch.allclose(edited[..., 16:24, 22:32], request.source[..., 9:17, 7:17], atol=1e-4)
    assert torch.allclose(edited[..., 7:14, 5:20], torch.tensor(BACKGROUND), atol=1e-4)


def test_an_inpainter_with_a_reference_sees_the_moved_thing_and_the_source_without_it():
    painter, request = GreyPainter(), make_request(translate(6, 0), seed=7, id="017")
    MoveAndRepaintEditor(painter).edit(request)
    (asked,) = painter.asked
    assert (asked.seed, asked.id) == (7, "017")
    assert (asked.reference - BACKGROUND).abs().max() < 0.01  # what it showed of the thing would be painted again
    assert torch.allclose(asked.source[..., 9:17, 13:23], request.source[..., 9:17, 7:17], atol=1e-4)
    hole = asked.mask[0, 0]
    assert hole[8:18, 6:11].all() and not hole[9:17, 13:23].any()
    assert hole[12, 24] and not hole[12, 26:].any()  # beside the block, and no farther


def test_a_wider_border_is_repainted_around_the_new_place():
    painter = GreyPainter()
    MoveAndRepaintEditor(painter, settings=MoveAndRepaintSettings(border=4)).edit(make_request(translate(6, 0)))
    assert painter.asked[0].mask[0, 0, 12, 24:28].all()


def test_an_inpainter_without_guidance_receives_the_source_with_a_hole_in_the_things_place():
    painter, request = GreyPainter(MaskedRequest), make_request(translate(6, 0))
    MoveAndRepaintEditor(painter).edit(request)
    (asked,) = painter.asked
    assert torch.equal(asked.source, request.source)
    expected = torch.zeros(33, 41)
    expected[7:19, 5:19] = 1
    assert torch.equal(asked.mask[0, 0], expected)


def test_a_prompt_is_passed_on():
    painter = GreyPainter(TextRequest)
    MoveAndRepaintEditor(painter).edit(make_request(translate(6, 0), prompt="a wall"))
    assert painter.asked[0].prompt == "a wall"


def test_the_old_thing_does_not_show_in_the_hole_that_an_inpainter_sees():
    painter = GreyPainter()
    MoveAndRepaintEditor(painter).edit(make_request(translate(20, 0)))
    assert (painter.asked[0].source[..., 7:19, 5:19] - BACKGROUND).abs().max() < 0.01


def test_layers_show_the_mask_and_the_plain_warp():
    request = make_request(translate(15, 7))
    layers = MoveAndRepaintEditor(GreyPainter()).edit(request).layers
    assert torch.allclose(layers["warped"][..., 16:24, 22:32], request.source[..., 9:17, 7:17], atol=1e-4)
    assert torch.equal(layers["warped"][..., 9:14, 7:17], request.source[..., 9:14, 7:17])
    assert layers["mask"].shape == (1, 1, 33, 41)
    assert (layers["mask"][..., 7:19, 5:19] == 1).all() and (layers["mask"][..., :6, :] == 0).all()


def test_nothing_changes_outside_the_mask():
    limit = torch.zeros(1, 1, 33, 41)
    limit[..., :28] = 1
    request = make_request(translate(15, 7), mask=limit)
    edited = MoveAndRepaintEditor(GreyPainter()).edit(request)
    assert torch.equal(edited.frames[..., 28:], request.source[..., 28:])
    assert not edited.layers["mask"][..., 28:].any()
    free = MoveAndRepaintEditor(GreyPainter()).edit(make_request(translate(15, 7)))
    unchanged = free.layers["mask"] == 0
    assert torch.equal(free.frames * unchanged, request.source * unchanged)


def test_large_turns_and_scalings_have_no_holes():
    for motion in (scale(3, centre=(11.5, 12.5)), rotate(135, centre=(11.5, 12.5)), scale(0.3, centre=(11.5, 12.5))):
        edited = MoveAndRepaintEditor(GreyPainter()).edit(make_request(motion))
        assert (edited.frames[0, :, 12:14, 11:13] > 0.45).all()  # the block is brighter than 0.5 everywhere


def test_the_fixed_point_of_a_turn_belongs_to_the_thing():
    request = make_request(rotate(90, centre=(11, 12)))
    assert not request.flow[..., 12, 11].any()
    edited = MoveAndRepaintEditor(GreyPainter()).edit(request).frames
    assert torch.allclose(edited[..., 12, 11], request.source[..., 12, 11], atol=1e-4)


def test_a_thing_may_leave_the_picture_in_part_but_not_wholly():
    editor, request = MoveAndRepaintEditor(GreyPainter()), make_request(translate(29, 0))
    edited = editor.edit(request).frames
    assert torch.allclose(edited[..., 9:17, 36:], request.source[..., 9:17, 7:12], atol=1e-4)
    assert editor.hints(request) == ["50% of the moving pixels leave the picture"]
    with pytest.raises(UserError, match="moves every pixel out of the picture"):
        editor.edit(make_request(translate(60, 0)))


def test_where_nothing_is_uncovered_nothing_is_repainted(monkeypatch):
    painter = GreyPainter()
    monkeypatch.setattr(painter, "edit_batch", lambda requests, **_: pytest.fail("an empty batch was asked for"))
    editor = MoveAndRepaintEditor(painter, settings=MoveAndRepaintSettings(border=0))
    request = make_request(scale(6, centre=(11.5, 12.5)), size=(26, 24))
    edited = editor.edit(request)
    assert not painter.asked and edited.frames.min() > 0.45


def test_a_whole_picture_can_be_moved():
    source = torch.rand(1, 3, 12, 15, generator=torch.Generator().manual_seed(0))
    request = MotionRequest(source=source, flow=torch.tensor([4.0, 0.0])[None, :, None, None].expand(1, 2, 12, 15))
    for kind in (ReferenceRequest, MaskedRequest):
        edited = MoveAndRepaintEditor(GreyPainter(kind)).edit(request).frames
        assert torch.allclose(edited[..., 5:], source[..., 1:11], atol=1e-4)
        assert torch.allclose(edited[..., :3], torch.tensor(BACKGROUND))


def test_a_batch_equals_single_edits_and_reports_its_progress():
    requests = [make_request(translate(15, 7)), make_request(rotate(30, centre=(11.5, 12.5)))]
    editor, shares, previews = MoveAndRepaintEditor(GreyPainter()), [], []

    def report(share, preview):
        shares.append(share)
        previews.append(preview())

    together = editor.edit_batch(requests, on_progress=report)
    for request, edited in zip(requests, together, strict=True):
        assert torch.equal(edited.frames, editor.edit(request).frames)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert torch.equal(previews[0].frames, together[0].frames) and set(previews[0].layers) == {"mask", "warped"}


def test_the_inpainter_is_named_by_class_path():
    arguments = {
        "inpainter": {"class_path": "mimicbrush.editors.baselines.MeanColour", "init_args": {"ring": 3}},
        "settings": {"border": 2},
    }
    editor = instantiate(PATH, arguments, Editor)
    assert editor.inpainter.ring == 3 and editor.settings == MoveAndRepaintSettings(border=2)


def test_an_inpainter_of_another_kind_is_refused():
    with pytest.raises(
        UserError, match="inpainter GreyPainter answers a LayerRequest, expected an editor that repaints"
    ):
        MoveAndRepaintEditor(GreyPainter(LayerRequest))


@pytest.mark.parametrize(("field", "value"), [("margin", 0), ("margin", 1001), ("border", -1), ("border", 1001)])
def test_settings_outside_their_limits_are_refused(field, value):
    with pytest.raises(UserError, match=f"{field} is {value}, expected"):
        MoveAndRepaintSettings(**{field: value})


def test_margins_grow_with_the_picture():
    settings = MoveAndRepaintSettings()
    assert [settings.margin_of(48, side) for side in (64, 256, 512, 1024)] == [1, 1, 2, 4]
    assert MoveAndRepaintSettings(margin=3).margin_of(64, 64) == 3
