import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.pictures import released_geometry
from mimicbrush.pictures.crop_regions import MAX_REGIONS, crop_regions, describe_small_mask, whole_picture
from mimicbrush.pictures.geometry import feather


def mask_of(*boxes: tuple[int, int, int, int], height: int = 300, width: int = 400) -> torch.Tensor:
    """Boxes are top, bottom, left, right."""
    mask = torch.zeros(1, height, width)
    for top, bottom, left, right in boxes:
        mask[:, top:bottom, left:right] = 1
    return mask


def box_of(region) -> tuple[int, int, int, int]:
    return region.rows.start, region.rows.stop, region.columns.start, region.columns.stop


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((140, 160, 190, 230), (110, 190, 170, 250)),  # 40 pixels wide, twice that is 80
        ((148, 152, 198, 202), (118, 182, 168, 232)),  # at least 64
        ((0, 20, 0, 40), (0, 80, 0, 80)),  # moved inside
        ((280, 300, 360, 400), (220, 300, 320, 400)),
        ((10, 290, 10, 390), (0, 300, 0, 400)),  # the picture ends before the crop
    ],
)
def test_crop_is_a_square_around_the_mask_inside_the_picture(box, expected):
    (region,) = crop_regions(mask_of(box), size=64, context=2.0, separate=False)
    assert box_of(region) == expected
    assert region.mask.sum() == mask_of(box).sum()


def test_parts_that_touch_at_a_corner_are_one_and_others_are_apart():
    mask = mask_of((10, 20, 10, 20), (20, 30, 20, 30), (100, 110, 200, 210))
    regions = crop_regions(mask, size=64, context=2.0, separate=True)
    assert [region.mask.sum().item() for region in regions] == [200, 100]


def test_one_crop_for_all_parts():
    (region,) = crop_regions(mask_of((0, 10, 0, 10), (90, 100, 90, 100)), size=16, context=1.0, separate=False)
    assert box_of(region) == (0, 100, 0, 100)


def test_an_empty_mask_leaves_the_whole_picture():
    for separate in (False, True):
        (region,) = crop_regions(mask_of(), size=16, context=1.0, separate=separate)
        assert box_of(region) == (0, 300, 0, 400)


def test_specks_are_counted_and_refused():
    specks = [(4 * number, 4 * number + 1, 0, 1) for number in range(MAX_REGIONS + 1)]
    with pytest.raises(UserError, match=r"17 separate regions, expected at most 16"):
        crop_regions(mask_of(*specks), size=16, context=1.0, separate=True)


def test_a_crop_is_advised_for_a_small_mask_in_a_large_picture():
    mask = mask_of((100, 120, 200, 230))
    assert "5 of the 64" in describe_small_mask(whole_picture(mask), size=64, cropped=False, feather=feather)
    (crop,) = crop_regions(mask, size=64, context=2.0, separate=False)
    assert describe_small_mask(crop, size=64, cropped=True, feather=feather) is None
    assert (
        describe_small_mask(whole_picture(mask), size=512, cropped=False, feather=feather) is None
    )  # a crop would be no larger
    assert (
        describe_small_mask(whole_picture(mask_of((100, 160, 200, 260))), size=64, cropped=False, feather=feather)
        is None
    )


def test_a_mask_thinner_than_its_soft_edge_is_warned_of():
    assert "at most 3%" in describe_small_mask(
        whole_picture(mask_of((100, 101, 200, 201))), size=512, cropped=False, feather=feather
    )
    assert "thinner" in describe_small_mask(
        whole_picture(mask_of((100, 101, 0, 400))), size=512, cropped=False, feather=feather
    )
    assert (
        describe_small_mask(whole_picture(mask_of((100, 105, 0, 400))), size=512, cropped=False, feather=feather)
        is None
    )


def test_the_released_feather_hides_thin_masks_of_large_pictures_less():
    mask = torch.zeros(1, 100, 2048)
    mask[:, 40:46, 500:1500] = 1
    options = {"size": 2048, "cropped": True}
    assert "thinner" in describe_small_mask(whole_picture(mask), **options, feather=feather)
    assert describe_small_mask(whole_picture(mask), **options, feather=released_geometry.feather) is None
