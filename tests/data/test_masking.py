import pytest
import torch

from mimicbrush.data.config import MaskConfig
from mimicbrush.data.grid_masks import grid_masks
from mimicbrush.data.masking import FRAME_MASKS, MIN_PART, OBJECT_MASKS, draw_masks, shape_objects
from mimicbrush.data.shape_masks import box_masks, brush_masks

NUM, SIZE = 1500, 16
NO_OBJECT = {"exact_object_share": 0, "rough_object_share": 0, "boxed_object_share": 0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole(num: int = NUM, size: int = SIZE) -> torch.Tensor:
    """The picture fills its square."""
    return torch.ones(num, 1, size, size, dtype=torch.bool)


def nowhere(num: int = NUM) -> torch.Tensor:
    return torch.full((num, 4, 2), float("nan"))


def points(*places: tuple[float, float], num: int = NUM) -> torch.Tensor:
    return torch.tensor([places]).expand(num, -1, 2)


def share(masks: torch.Tensor) -> torch.Tensor:
    return masks.flatten(1).float().mean(dim=1)


def object_masks(num: int, size: int) -> torch.Tensor:
    """An L: its bounding box is larger than itself."""
    mask = torch.zeros(num, 1, size, size, dtype=torch.bool)
    mask[:, :, size // 4 : size // 2, size // 4 : size // 3] = True
    mask[:, :, size // 2 - size // 8 : size // 2, size // 4 : size // 2] = True
    return mask


def test_cells_with_keypoints_are_hidden_more_often():
    config = MaskConfig(min_cells=4, max_cells=4, min_keypoints=1)
    masks = grid_masks(points((0.1, 0.6)), whole(), config, generator()).float()
    assert masks[:, 0, 10, 1].mean() == pytest.approx(0.75, abs=0.03)
    assert masks[:, 0, 1, 10].mean() == pytest.approx(0.5, abs=0.03)


def test_few_keypoints_make_no_cell_hot():
    config = MaskConfig(min_cells=4, max_cells=4, keypoint_cell_prob=0.9, other_cell_prob=0.1)
    for num, in_cell, elsewhere in ((7, 0.5, 0.5), (8, 0.9, 0.1)):
        masks = grid_masks(points(*[(0.1, 0.6)] * num), whole(), config, generator()).float()
        assert masks[:, 0, 10, 1].mean() == pytest.approx(in_cell, abs=0.04)
        assert masks[:, 0, 1, 10].mean() == pytest.approx(elsewhere, abs=0.04)


def test_the_releases_five_densest_cells_are_hot():
    """Eight cells of 4 x 4 hold 2, 3, .. 9 points: those with 5 and more are hot."""
    cells = [(column, row) for row in range(2) for column in range(4)]
    places = [((x + 0.5) / 4, (y + 0.5) / 4) for number, (x, y) in enumerate(cells) for _ in range(number + 2)]
    config = MaskConfig(min_cells=4, max_cells=4, hot_cells="densest", keypoint_cell_prob=0.7, other_cell_prob=0.3)
    masks = grid_masks(points(*places), whole(), config, generator()).float()
    often = masks[:, 0, 2::4, 2::4].mean(dim=0).flatten()
    torch.testing.assert_close(often[:3], torch.full((3,), 0.3), rtol=0, atol=0.04)
    torch.testing.assert_close(often[3:8], torch.full((5,), 0.7), rtol=0, atol=0.04)
    torch.testing.assert_close(often[8:], torch.full((8,), 0.3), rtol=0, atol=0.04)


def test_five_cells_are_hot_even_if_they_are_empty():
    """As in the release; which of the empty ones, is drawn among those that the picture reaches."""
    config = MaskConfig(min_cells=4, max_cells=4, hot_cells="densest", keypoint_cell_prob=1.0, other_cell_prob=0.0)
    area = whole()
    area[:, :, : SIZE // 2] = False
    masks = grid_masks(points(*[(0.1, 0.6)] * 8), area, config, generator()).float()
    assert (masks[:, 0, 2::4, 2::4].sum(dim=(1, 2)) == 5).all()
    assert masks[:, 0, 10, 1].min() == 1
    assert masks[:, 0, 14, 14].mean() == pytest.approx(4 / 7, abs=0.05)


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_all_or_nothing_never_happens(prob):
    config = MaskConfig(min_cells=2, max_cells=3, uniform_cell_prob=prob)
    masks = share(grid_masks(nowhere(), whole(), config, generator()))
    assert masks.min() > 0
    assert masks.max() < 1


@pytest.mark.parametrize("prob", [0.0, 0.5, 1.0])
def test_a_part_of_the_picture_is_hidden_and_one_kept_without_padding(prob):
    """Narrow strips, a corner, and a picture within one cell."""
    config = MaskConfig(min_cells=2, max_cells=10, uniform_cell_prob=prob)
    area = torch.zeros(400, 1, 64, 64, dtype=torch.bool)
    area[:100, :, 24:40] = True
    area[100:200, :, :, 3:7] = True
    area[200:300, :, 40:, 50:] = True
    area[300:, :, 1:5, 2:6] = True
    masks = grid_masks(nowhere(400), area, config, generator())
    assert not (masks & ~area).any()
    assert (masks & area).flatten(1).any(dim=1).all()
    assert (~masks & area).flatten(1).any(dim=1).all()


def test_cells_span_the_padded_square():
    """With two cells a side, the border of a picture that fills the upper 3/4 lies at half the square."""
    area = whole(size=64)
    area[:, :, 48:] = False
    masks = grid_masks(nowhere(), area, MaskConfig(min_cells=2, max_cells=2), generator())
    changes = (masks[:, 0, :48].int().diff(dim=1) != 0).any(dim=0).any(dim=1).nonzero().flatten()
    assert changes.tolist() == [31]


def test_no_strip_is_left_out():
    """The release never masks the remainder where the grid does not divide the size."""
    masks = grid_masks(nowhere(60), whole(60, 64), MaskConfig(min_cells=7, max_cells=7), generator())
    assert masks[:, 0, -1, -1].float().mean() > 0.2


def test_points_outside_and_absent_points_change_nothing():
    config = MaskConfig(keypoint_cell_prob=1.0, other_cell_prob=0.5, min_keypoints=1)
    outside = points((1.2, 0.5), (-0.1, 0.5), (0.5, float("nan")), (float("nan"), float("nan")))
    theirs = grid_masks(nowhere(), whole(), config, generator())
    torch.testing.assert_close(grid_masks(outside, whole(), config, generator()), theirs)


def test_the_number_of_cells_covers_its_range():
    rows = grid_masks(nowhere(300), whole(300, 60), MaskConfig(min_cells=3, max_cells=5), generator())[:, 0].int()
    edges = (rows.diff(dim=2) != 0).any(dim=0).any(dim=0).nonzero().flatten()
    assert edges.tolist() == [11, 14, 19, 23, 29, 35, 39, 44, 47]


def test_boxes_are_two_to_four_fifths_of_the_picture_and_inside():
    """In a picture 64 high and 32 wide, sides are 0.4 to 0.9 of the picture's."""
    area = torch.zeros(400, 1, 64, 64, dtype=torch.bool)
    area[..., 10:42] = True
    masks = box_masks(area, generator())
    height, width = masks.any(dim=3).sum(dim=2)[:, 0], masks.any(dim=2).sum(dim=2)[:, 0]
    assert (height * width == masks.sum(dim=(1, 2, 3))).all()
    assert 25 <= height.min() < 30
    assert 53 < height.max() <= 59
    assert 12 <= width.min() < 15
    assert 26 < width.max() <= 30
    assert not (masks & ~area).any()
    assert (masks & area)[..., 10].any()
    assert (masks & area)[..., 41].any()


def test_brush_strokes_have_the_same_width_at_every_size():
    small, large = (brush_masks(whole(200, size), generator()) for size in (64, 256))
    enlarged = small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert (enlarged == large).float().mean() > 0.97
    assert 0.1 < share(large).mean() < 0.5
    assert share(large).min() > 0.005


def test_masks_other_than_grids_come_in_their_shares():
    """A grid of 2 x 2 cells whose picture is halved tells itself apart from a box by its corners."""
    config = MaskConfig(grid_share=1, box_share=3, min_cells=2, max_cells=2)
    none = torch.zeros_like(whole(size=64))
    masks = draw_masks(nowhere(), none, whole(size=64), config, generator())
    corners = masks[:, 0][:, [0, 0, -1, -1], [0, -1, 0, -1]].any(dim=1)
    assert corners.float().mean() == pytest.approx(0.25, abs=0.08)
    again = draw_masks(nowhere(), none, whole(size=64), MaskConfig(box_share=1, grid_share=0), generator())
    assert not again[:, 0][:, [0, 0], [0, 63]].all(dim=1).any()


@pytest.mark.parametrize("kind", ["exact", "rough", "boxed"])
def test_objects_are_hidden_as_asked(kind):
    objects = object_masks(200, 64)
    config = MaskConfig(**NO_OBJECT | {f"{kind}_object_share": 1})
    masks = draw_masks(nowhere(200), objects, whole(200, 64), config, generator())
    assert (masks | ~objects).all()
    if kind == "exact":
        assert (masks == objects).all()
    elif kind == "boxed":
        assert (masks.sum(dim=(1, 2, 3)) == 16 * 16).all()
        assert masks[:, :, 16:32, 16:32].all()
    else:
        growth = share(masks) / share(objects)
        assert 1 <= growth.min() < 1.2
        assert growth.max() > 1.5
        assert share(masks).unique().numel() > 50


def test_shapes_of_objects_come_in_their_shares():
    objects = object_masks(NUM, 32)
    config = MaskConfig(exact_object_share=1, rough_object_share=0, boxed_object_share=1)
    masks = shape_objects(objects, whole(size=32), config, generator())
    assert (masks == objects).flatten(1).all(dim=1).float().mean() == pytest.approx(0.5, abs=0.04)


def test_where_there_is_no_object_a_grid_is_drawn():
    objects = object_masks(4, 64)
    objects[1] = False
    objects[2] = False
    objects[2, 0, 0, :10] = True
    objects[3] = True
    masks = draw_masks(nowhere(4), objects, whole(4, 64), MaskConfig(), generator())
    grid = grid_masks(nowhere(4), whole(4, 64), MaskConfig(), generator())
    assert (masks[1:] == grid[1:]).all()
    assert (masks[0] | ~objects[0]).all()


def test_a_box_that_leaves_nothing_gives_way_to_the_object():
    objects = torch.eye(64, dtype=torch.bool).flip(0)[None, None].expand(50, 1, 64, 64)
    config = MaskConfig(**NO_OBJECT | {"boxed_object_share": 1})
    assert (draw_masks(nowhere(50), objects, whole(50, 64), config, generator()) == objects).all()


def test_no_mask_covers_padding_or_all_or_nothing_of_the_picture():
    area = torch.zeros(600, 1, 64, 64, dtype=torch.bool)
    area[:, :, 14:50] = True
    objects = object_masks(600, 64)
    objects[:300] = False
    config = MaskConfig(grid_share=0, box_share=1, brush_share=1)
    masks = draw_masks(nowhere(600), objects, area, config, generator())
    assert not (masks & ~area).any()
    hidden = masks.sum(dim=(1, 2, 3)) / area.sum(dim=(1, 2, 3))
    assert hidden.min() >= MIN_PART
    assert hidden.max() <= 1 - MIN_PART


def test_every_share_of_the_config_has_its_masks():
    assert MaskConfig.frame_shares() == ["grid_share", *FRAME_MASKS]
    assert MaskConfig.object_shares() == list(OBJECT_MASKS)


def test_bad_configs_are_refused():
    with pytest.raises(ValueError, match="min_cells=5, max_cells=3"):
        MaskConfig(min_cells=5, max_cells=3)
    with pytest.raises(ValueError, match="uniform_cell_prob is 2"):
        MaskConfig(uniform_cell_prob=2)
    with pytest.raises(ValueError, match="grid_share, box_share, brush_share"):
        MaskConfig(grid_share=0)
    with pytest.raises(ValueError, match="boxed_object_share"):
        MaskConfig(boxed_object_share=-1)
