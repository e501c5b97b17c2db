import pytest
import torch
from kornia import enhance

from mimicbrush.data.augment import (
    paint_areas,
    random_colours,
    random_homographies,
    sampling_grid,
    warp_areas,
    warp_images,
    warp_points,
)
from mimicbrush.data.config import AugmentConfig
from mimicbrush.pictures.geometry import Placement
from tests.conftest import SIZE

UNMOVED = {"flip_prob": 0, "rotation_prob": 0, "scale_prob": 0, "perspective_prob": 0}
STILL = AugmentConfig(**UNMOVED, colour_prob=0)
MOVED = AugmentConfig(rotation_prob=1, scale_prob=1, perspective_prob=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**changes) -> AugmentConfig:
    """One kind of change alone."""
    return AugmentConfig(**UNMOVED | changes)


def test_points_move_with_the_picture():
    """A dot drawn at a point is found at the moved point."""
    size, point = 65, torch.tensor([[[0.4, 0.6]]])
    found = 0
    for seed in range(12):
        homography = random_homographies(1, MOVED, generator(seed))
        image = torch.zeros(1, 1, size, size)
        x, y = (point[0, 0] * size).long()
        image[..., y - 1 : y + 2, x - 1 : x + 2] = 1
        moved = warp_images(image, sampling_grid(homography, size), fill=0.0)[0, 0]
        expected = warp_points(point, homography)[0, 0]
        if ((expected > 0.05) & (expected < 0.95)).all():
            rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
            dot = torch.stack([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum() + 0.5
            torch.testing.assert_close(dot / size, expected, rtol=0, atol=0.02)
            found += 1
    assert found > 8


def test_no_change_leaves_pictures_alone():
    images = torch.rand(3, 3, SIZE, SIZE)
    grid = sampling_grid(random_homographies(3, STILL, generator()), SIZE)
    torch.testing.assert_close(warp_images(images, grid, fill=1.0), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(random_colours(images, STILL, generator()), images, rtol=0, atol=0)


def test_flip_mirrors():
    images = torch.rand(1, 3, SIZE, SIZE)
    grid = sampling_grid(random_homographies(1, only(flip_prob=1), generator()), SIZE)
    torch.testing.assert_close(warp_images(images, grid, fill=1.0), images.flip(-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["flip", "rotation", "scale", "perspective"])
def test_each_change_happens_as_often_as_it_should(name):
    homographies = random_homographies(2000, only(**{f"{name}_prob": 0.3}), generator())
    changed = (homographies - torch.eye(3)).abs().amax(dim=(1, 2)) > 1e-4
    assert changed.float().mean() == pytest.approx(0.3, abs=0.04)


def test_resizing_keeps_the_smaller_of_picture_and_view_whole():
    """A smaller picture lies wholly in the square; of a larger one, the whole square is filled."""
    maps = random_homographies(500, only(scale_prob=1, scale=0.4), generator())
    size, shift = maps[:, 0, 0], maps[:, :2, 2].abs().amax(dim=1)
    assert size.min() < 0.65
    assert size.max() > 1.35
    assert (shift <= (1 - size).abs() + 1e-6).all()
    assert (shift > 0.2).any()


def test_no_projective_transform_folds_the_picture():
    """Corners keep their order: every turn from edge to edge goes the same way."""
    maps = random_homographies(5000, only(perspective_prob=1, perspective=0.25), generator())
    corners = warp_points(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]).expand(5000, 4, 2), maps)
    edges = corners.roll(-1, 1) - corners
    following = edges.roll(-1, 1)
    assert (edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0] > 0).all()


def test_the_area_holds_the_picture_alone():
    """Pixels of the moved area show the black picture and nothing of the white around it."""
    box = Placement(6, 0, 20, SIZE)
    canvas = torch.ones(20, 1, SIZE, SIZE)
    canvas[:, :, 6:26] = 0
    grid = sampling_grid(random_homographies(20, MOVED, generator()), SIZE)
    warped, area = warp_images(canvas, grid, fill=1.0), warp_areas([box] * 20, grid)
    assert warped[area].max() < 0.02
    assert warped[~area].min() > 0
    assert area.flatten(1).any(dim=1).all()


def test_an_unmoved_area_is_the_picture():
    boxes = [Placement(6, 0, 20, SIZE), Placement(0, 3, SIZE, 11)]
    painted = paint_areas(boxes, SIZE)
    assert painted[0].sum() == 20 * SIZE
    assert painted[1, 0, :, 3:14].all()
    grid = sampling_grid(random_homographies(2, STILL, generator()), SIZE)
    torch.testing.assert_close(warp_areas(boxes, grid), painted)


def test_what_comes_from_outside_is_purely_white():
    warped = warp_images(
        torch.zeros(10, 3, SIZE, SIZE), sampling_grid(random_homographies(10, MOVED, generator()), SIZE), fill=1.0
    )
    assert any(image[:, 0, 0].min() == 1 for image in warped)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("brightness", enhance.adjust_brightness_accumulative),
        ("contrast", enhance.adjust_contrast_with_mean_subtraction),
        ("saturation", enhance.adjust_saturation_with_gray_subtraction),
    ],
)
def test_colours_change_as_kornia_changes_them(name, theirs):
    images = 0.3 + 0.3 * torch.rand(4, 3, SIZE, SIZE)
    none = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "colour_prob": 1}
    ours = random_colours(images, AugmentConfig(**none | {name: 0.4}), generator())
    place = ["brightness", "contrast", "saturation"].index(name)
    draws = generator()
    torch.rand(4, 1, generator=draws)
    factors = 1 + 0.4 * (2 * torch.rand(4, 4, generator=draws)[:, place] - 1)
    torch.testing.assert_close(ours, theirs(images, factors), rtol=0, atol=2e-3)


def test_turning_the_hue_keeps_greys_and_brightness():
    config = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0.5, colour_prob=1)
    images = torch.full((8, 3, 4, 4), 0.4)
    torch.testing.assert_close(random_colours(images, config, generator()), images, rtol=0, atol=2e-3)
    images[:, 0] = 0.5
    turned = random_colours(images, config, generator())
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close((turned * weights).sum(1), (images * weights).sum(1), rtol=0, atol=2e-3)
    assert (turned[:, 0] < turned[:, 1]).any()


def test_contrast_changes_about_the_picture_not_its_padding():
    """A picture of one grey has no contrast, whatever is padded to it."""
    config = AugmentConfig(brightness=0, saturation=0, hue=0, contrast=0.9, colour_prob=1)
    area = paint_areas([Placement(8, 0, 16, SIZE)], SIZE)
    images = torch.where(area, 0.25, 1.0).expand(1, 3, SIZE, SIZE)
    changed = random_colours(images, config, generator(), area=area)
    torch.testing.assert_close(changed[area.expand_as(changed)], torch.full((3 * 16 * SIZE,), 0.25), rtol=0, atol=1e-5)


def test_bad_ranges_are_refused():
    with pytest.raises(ValueError, match="perspective is"):
        AugmentConfig(perspective=0.3)
    with pytest.raises(ValueError, match="colour_prob is"):
        AugmentConfig(colour_prob=1.5)
