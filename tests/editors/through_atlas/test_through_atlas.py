"""Clips edited through an atlas whose maps are exact: one edit, seen at the same points of the object in all frames."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.atlas.stored_atlas import AtlasFile
from mimicbrush.atlas.training_clip import TrainingClip
from mimicbrush.editors.baselines import MeanColour, NamedColours
from mimicbrush.editors.through_atlas import ThroughAtlasEditor
from mimicbrush.editors.through_atlas.settings import ThroughAtlasSettings
from mimicbrush.errors import UserError
from mimicbrush.requests import Edited, Editor, ReferenceRequest
from tests.atlas.moving_square import STEP, exact_atlas, moving_square

SIDE = 24
SQUARE = slice(8, 16)


class Stripes(Editor):
    """Paints the mask in stripes that name each of its columns, counted from the left of the picture."""

    request_class = ReferenceRequest

    def __init__(self) -> None:
        self.asked = []

    def edit(self, request, *, on_progress=None):
        self.asked.append(request)
        column = torch.arange(request.source.shape[3]) / request.source.shape[3]
        edited = torch.where(request.mask > 0.5, column.expand_as(request.source), request.source)
        if on_progress is not None:
            on_progress(1.0, lambda: Edited(edited))
        return Edited(edited)


@pytest.fixture(scope="module")
def clip() -> TrainingClip:
    return moving_square(SIDE, SQUARE, num_columns=8)


@pytest.fixture(scope="module")
def atlas(clip) -> AtlasFile:
    return AtlasFile(None, exact_atlas(clip), clip.shape, psnr=0.0)


def request(clip: TrainingClip, mask: torch.Tensor, **changes) -> ReferenceRequest:
    return ReferenceRequest(source=clip.frames, mask=mask, reference=torch.rand(3, 32, 32), seed=3, **changes)


def only(mask: torch.Tensor, frame: int) -> torch.Tensor:
    """The mask of one frame; the others' are empty."""
    chosen = torch.zeros_like(mask)
    chosen[frame] = mask[frame]
    return chosen


@pytest.mark.parametrize("frame", [0, 2])
def test_an_object_point_has_one_colour_in_all_frames(clip, atlas, frame):
    inner = Stripes()
    edited = ThroughAtlasEditor(inner, atlas).edit(request(clip, only(clip.masks, frame)))
    (asked,) = inner.asked
    assert torch.equal(asked.source, clip.frames[frame : frame + 1]) and asked.seed == 3
    columns = torch.arange(2 + STEP * frame, 10 + STEP * frame) / SIDE
    for number in range(4):
        shown = edited.frames[number, :, SQUARE, 2 + STEP * number : 10 + STEP * number]
        torch.testing.assert_close(shown, columns.expand(3, 8, 8), atol=2e-3, rtol=0)
    outside = (clip.masks < 0.5).expand(-1, 3, -1, -1)
    assert torch.equal(edited.frames[outside], clip.frames[outside])
    assert set(edited.layers) == {"rgba", "mask"} and edited.layers["rgba"].shape == (4, 4, SIDE, SIDE)


def test_the_atlas_is_edited_once(clip, atlas):
    inner = Stripes()
    editor = ThroughAtlasEditor(inner, atlas, settings=ThroughAtlasSettings(edited_picture="atlas"))
    edited = editor.edit(request(clip, clip.masks))
    assert len(inner.asked) == 1 and inner.asked[0].source.shape[0] == 1
    first = edited.frames[0, :, SQUARE, 2:10]
    assert first.std() > 0.03
    for number in range(4):
        shown = edited.frames[number, :, SQUARE, 2 + STEP * number : 10 + STEP * number]
        torch.testing.assert_close(shown, first, atol=2e-3, rtol=0)
    outside = (clip.masks < 0.5).expand(-1, 3, -1, -1)
    assert torch.equal(edited.frames[outside], clip.frames[outside])


def test_masks_of_other_frames_limit_the_edit(clip, atlas):
    mask = clip.masks.clone()
    mask[3, :, :, :14] = 0
    edited = ThroughAtlasEditor(Stripes(), atlas).edit(request(clip, mask)).frames
    assert torch.equal(edited[3, :, :, :14], clip.frames[3, :, :, :14])
    assert (edited[3, :, SQUARE, 14:18] != clip.frames[3, :, SQUARE, 14:18]).any()


def test_an_edit_beyond_the_object_moves_with_it(clip, atlas):
    mask = torch.zeros_like(clip.masks)
    mask[0, :, 6:18, 1:12] = 1
    settings = ThroughAtlasSettings(within_layer=False, edited_layer="foreground")
    edited = ThroughAtlasEditor(Stripes(), atlas, settings=settings).edit(request(clip, mask))
    wanted = torch.arange(1, 12).expand(3, 12, 11) / SIDE
    for number in range(4):
        shown = edited.frames[number, :, 6:18, 1 + STEP * number : 12 + STEP * number]
        torch.testing.assert_close(shown, wanted, atol=2e-3, rtol=0)
    settings = ThroughAtlasSettings(edited_layer="foreground")
    limited = ThroughAtlasEditor(Stripes(), atlas, settings=settings).edit(request(clip, mask))
    assert torch.equal(limited.frames[1, :, 6:8], clip.frames[1, :, 6:8])


def test_the_background_is_edited_behind_the_object(clip, atlas):
    mask = torch.zeros_like(clip.masks)
    mask[0, :, 4:20, 12:20] = 1
    edited = ThroughAtlasEditor(Stripes(), atlas).edit(request(clip, mask)).frames
    for number in range(4):
        on_object = clip.masks[number].expand(3, -1, -1) > 0.5
        assert torch.equal(edited[number][on_object], clip.frames[number][on_object]), number
    torch.testing.assert_close(edited[3, :, 4:8, 12:20], edited[0, :, 4:8, 12:20], atol=2e-3, rtol=0)
    assert (edited[0, :, 4:8, 12:20] - clip.frames[0, :, 4:8, 12:20]).abs().max() > 0.1


def test_progress_shows_the_whole_clip_and_may_stop(clip, atlas):
    shown = []

    def stop(share, preview):
        shown.append(preview().frames.shape)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ThroughAtlasEditor(Stripes(), atlas).edit(request(clip, clip.masks), on_progress=stop)
    assert shown == [clip.frames.shape]


def test_an_inpainter_without_reference_is_asked_for_the_mask_alone(clip, atlas):
    edited = ThroughAtlasEditor(MeanColour(ring=2), atlas).edit(request(clip, only(clip.masks, 0))).frames
    square = edited[0, :, SQUARE, 2:10]
    torch.testing.assert_close(square, square[:, :1, :1].expand_as(square), atol=1e-5, rtol=0)


def test_misfits_are_named(clip, atlas):
    editor = ThroughAtlasEditor(Stripes(), atlas)
    still = ReferenceRequest(source=clip.frames[:1], mask=clip.masks[:1], reference=torch.rand(3, 32, 32))
    with pytest.raises(UserError, match="source has 1 frame, expected the clip of the atlas"):
        editor.edit(still)
    three = ReferenceRequest(source=clip.frames[:3], mask=clip.masks[:3], reference=torch.rand(3, 32, 32))
    with pytest.raises(
        UserError, match="the atlas of a clip of 4 frames of 24 x 24 pixels, and the source has 3 frames"
    ):
        editor.edit(three)
    other = AtlasFile(None, atlas.network, atlas.clip, psnr=40.0)
    with pytest.raises(UserError, match=r"reconstructs the source with \d+\.\d dB, expected at least 37\.0"):
        ThroughAtlasEditor(Stripes(), other).edit(request(clip, clip.masks))
    for number, reason in ((9, "and the clip has 4 frames"), (2, "where the mask is empty")):
        settings = ThroughAtlasSettings(edited_frame=number)
        with pytest.raises(UserError, match=f"edited_frame is {number}, {reason}"):
            ThroughAtlasEditor(Stripes(), atlas, settings=settings).edit(request(clip, only(clip.masks, 0)))
    with pytest.raises(UserError, match="answers a TextRequest, expected an editor that repaints the masked part"):
        ThroughAtlasEditor(NamedColours(), atlas)
    with pytest.raises(UserError, match="give either atlas"):
        ThroughAtlasEditor(Stripes())
    with pytest.raises(UserError, match="edited_layer is sky, expected one of auto, foreground, background"):
        ThroughAtlasSettings(edited_layer="sky")
