from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates

from mimicbrush.flow.motion_fields import Motion, compose, motion_field, rotate, scale, translate
from mimicbrush.flow.warping import find_occlusions, move_layer, points_inside, splat_forward, warp_backward


def random_picture(seed: int = 0, channels: int = 3) -> torch.Tensor:
    return torch.rand(1, channels, 12, 17, generator=torch.Generator().manual_seed(seed))


def constant_flow(right: float, down: float) -> torch.Tensor:
    return torch.tensor([float(right), float(down)])[None, :, None, None].expand(1, 2, 12, 17)


def test_whole_pixels_are_looked_up_exactly():
    picture = random_picture()
    warped = warp_backward(picture, constant_flow(3, 2))
    assert torch.allclose(warped[..., :10, :14], picture[..., 2:, 3:], atol=1e-5)
    assert torch.allclose(warped[..., :10, 14:], picture[..., 2:, -1:].expand(-1, -1, -1, 3), atol=1e-5)


def test_fractions_of_pixels_are_looked_up_as_by_scipy():
    picture, flow = random_picture().double(), 4 * random_picture(1, 2).double() - 2
    rows, columns = np.indices((12, 17))
    places = np.stack([rows + flow[0, 1].numpy(), columns + flow[0, 0].numpy()])
    expected = [map_coordinates(channel.numpy(), places, order=1, mode="nearest") for channel in picture[0]]
    assert np.abs(warp_backward(picture, flow)[0].numpy() - expected).max() < 1e-12


def test_points_inside_are_those_that_stay_in_the_picture():
    inside = points_inside(constant_flow(3, -2))[0, 0]
    assert inside[2:, :14].all() and not inside[:2].any() and not inside[:, 14:].any()


def test_whole_pixels_are_moved_exactly_and_leave_a_hole():
    picture = random_picture()
    moved, landed = splat_forward(picture, constant_flow(3, 2))
    assert torch.equal(moved[..., 2:, 3:], picture[..., :10, :14])
    assert not moved[..., :2, :].any() and not landed[..., :3].any()
    assert (landed[..., 2:, 3:] == 1).all()


def test_splatting_is_the_adjoint_of_looking_up():
    """<splat(a), b> = <a, lookup(b)>, where splatting does not divide by the weights and all points stay inside."""
    first, second = random_picture(1).double(), random_picture(2).double()
    flow = torch.zeros(1, 2, 12, 17, dtype=torch.float64)
    flow[..., 3:9, 3:14] = 5 * random_picture(3, 2).double()[..., 3:9, 3:14] - 2.5
    colours, landed = splat_forward(first, flow)
    assert (colours * landed * second).sum() == pytest.approx(float((first * warp_backward(second, flow)).sum()))


def test_where_pixels_meet_importance_decides():
    picture, flow = torch.zeros(1, 1, 1, 3), torch.zeros(1, 2, 1, 3)
    picture[..., 0], picture[..., 1], picture[..., 2] = 1.0, 0.25, 0.5
    flow[:, 0, 0, 0] = 2
    importance = torch.tensor([[[[30.0, 0, 0]]]])
    assert splat_forward(picture, flow)[0][0, 0, 0, 2] == pytest.approx(0.75)
    assert splat_forward(picture, flow, importance=importance)[0][0, 0, 0, 2] == pytest.approx(1.0)
    assert splat_forward(picture, flow, importance=-importance)[0][0, 0, 0, 2] == pytest.approx(0.5)
    assert splat_forward(picture, flow, importance=importance + 1000)[1].flatten().tolist() == [0, 1, 2]
    # Where nothing more important lands, the colour is kept, however unimportant it is.
    assert splat_forward(picture, flow, importance=10 * importance)[0].flatten().tolist() == [0, 0.25, 1]


def test_only_what_the_moving_thing_covers_is_hidden():
    """A block at columns 4 to 7 moves 3 to the right; the background, which stands still, is covered at 8 to 10."""
    forward, backward = torch.zeros(1, 2, 12, 17), torch.zeros(1, 2, 12, 17)
    forward[:, 0, 2:10, 4:8] = 3
    backward[:, 0, 2:10, 7:11] = -3
    expected = torch.zeros(12, 17, dtype=torch.bool)
    expected[2:10, 8:11] = True
    assert torch.equal(find_occlusions(forward, backward)[0, 0], expected)


def test_what_leaves_the_picture_is_hidden():
    hidden = find_occlusions(constant_flow(3, 0), constant_flow(-3, 0))[0, 0]
    assert hidden[:, 14:].all() and not hidden[:, :14].any()


def moved_block(motion: Motion) -> tuple[torch.Tensor, torch.Tensor]:
    """A random block of 12 x 15 pixels, and the layer that it becomes."""
    picture = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 40, 50)
    mask[..., 12:24, 15:30] = 1
    return picture[..., 12:24, 15:30], move_layer(picture, mask, motion_field(motion, 40, 50, mask=mask))


def test_a_thing_moved_by_whole_pixels_keeps_its_exact_colours():
    block, layer = moved_block(translate(7, 3))
    assert (layer[:, :3, 15:27, 22:37] - block).abs().max() < 1e-5
    assert layer[:, 3].sum() == pytest.approx(12 * 15) and (layer[0, 3, 15:27, 22:37] > 0.999).all()


@pytest.mark.parametrize(
    ("motion", "area"),
    [
        (translate(2.5, 0.25), 1),
        (rotate(30, centre=(22, 18)), 1),
        (scale(0.6, centre=(22, 18)), 0.36),
        (scale(1.9, centre=(22, 18)), 3.61),
        (scale(2.4, centre=(22, 17)), 5.76),
    ],
)
def test_a_moved_object_covers_its_area_without_gaps(motion, area):
    opacity = moved_block(motion)[1][0, 3]
    assert opacity.sum() == pytest.approx(12 * 15 * area, rel=0.03)
    assert (opacity[16:20, 21:24] > 0.98).all() and opacity.max() <= 1


def test_a_shrunk_thing_is_averaged():
    """Stripes of one pixel become grey; single lookups would show their colours."""
    picture = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 8:56, 8:56] = 1
    layer = move_layer(picture, mask, motion_field(scale(0.25, centre=(31.5, 31.5)), 64, 64, mask=mask))
    assert (layer[:, :3, 28:36, 28:36] - 0.5).abs().max() < 0.02
    assert layer[:, 3].sum() == pytest.approx(12 * 12, rel=0.03)


def test_a_half_transparent_border_moves_with_its_colours():
    """A half transparent column keeps its opacity and its colour, whatever lies behind it."""
    picture, mask = torch.full((1, 3, 20, 30), 0.2), torch.zeros(1, 1, 20, 30)
    picture[..., 5:15, 5:11], mask[..., 5:15, 5:10], mask[..., 5:15, 10] = 0.8, 1, 0.4
    flow = motion_field(translate(9, 0), 20, 30)
    layer = move_layer(picture, mask, flow)
    assert layer[0, 3, 10, 18:21].tolist() == pytest.approx([1, 0.4, 0], abs=1e-4)
    assert layer[0, 0, 10, 19].item() == pytest.approx(0.8, abs=1e-4)


def test_a_mirroring_motion_is_inverted_too():
    """Mirrored about column 22 and enlarged, a picture is its own mirror image enlarged."""
    picture = torch.rand(1, 3, 40, 45, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 40, 45)
    mask[..., 12:24, 15:30] = 1
    enlarge = motion_field(scale(1.7, centre=(22, 18)), 40, 45)
    mirrored = enlarge.clone()
    mirrored[:, 0] = -enlarge[:, 0] - 2 * (torch.arange(45.0) - 22)
    expected = move_layer(picture.flip(-1), mask, enlarge)
    assert (move_layer(picture, mask, mirrored) - expected).abs().max() < 0.01


def test_a_small_thing_in_a_large_picture_moves_as_in_a_small_one():
    generator = torch.Generator().manual_seed(0)
    picture, mask = torch.rand(1, 3, 60, 80, generator=generator), torch.zeros(1, 1, 60, 80)
    mask[..., 20:30, 25:45] = 1
    motion = compose(rotate(30, centre=(35, 25)), translate(12, 9))
    layer = move_layer(picture, mask, motion_field(motion, 60, 80, mask=mask))
    padded = [F.pad(each, (100, 120, 90, 70), value=0.5 * (each is picture)) for each in (picture, mask)]
    moved = compose(rotate(30, centre=(135, 115)), translate(12, 9))
    large = move_layer(*padded, motion_field(moved, 220, 300, mask=padded[1]))
    torch.testing.assert_close(large[..., 90:150, 100:180], layer, atol=1e-3, rtol=0)
    assert large.count_nonzero() == large[..., 90:150, 100:180].count_nonzero() > 0


def test_a_layer_of_nothing_is_transparent():
    layer = move_layer(torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), torch.ones(1, 2, 8, 8))
    assert layer.shape == (1, 4, 8, 8) and not layer.any()
