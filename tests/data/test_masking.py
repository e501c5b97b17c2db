import pytest
import torch

from mimicbrush.data.masking import MaskConfig, grid_masks

NOWHERE = torch.full((1, 4, 2), float("nan"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cells_with_keypoints_are_hidden_more_often():
    config = MaskConfig(min_cells=4, max_cells=4)
    points = torch.tensor([[[0.1, 0.6]]])
    masks = torch.cat([grid_masks(points, 16, config, generator(seed)) for seed in range(2000)])
    assert masks[:, 0, 10, 1].mean() == pytest.approx(0.75, abs=0.03)
    assert masks[:, 0, 1, 10].mean() == pytest.approx(0.5, abs=0.03)


def test_all_or_nothing_never_happens():
    for prob in (0.0, 1.0):
        config = MaskConfig(min_cells=2, max_cells=3, keypoint_cell_prob=prob, other_cell_prob=prob)
        for seed in range(50):
            mask = grid_masks(NOWHERE, 16, config, generator(seed))
            assert 0 < mask.mean() < 1


def test_no_strip_is_left_out():
    """The release never masks the remainder where the grid does not divide the size."""
    masks = torch.cat([grid_masks(NOWHERE, 64, MaskConfig(min_cells=7, max_cells=7), generator(s)) for s in range(60)])
    assert masks[:, 0, -1, -1].mean() > 0.2


def test_points_outside_and_absent_points_change_nothing():
    outside = torch.tensor([[[1.2, 0.5], [-0.1, 0.5], [0.5, float("nan")], [float("nan")] * 2]])
    config = MaskConfig(keypoint_cell_prob=1.0, other_cell_prob=0.5)
    torch.testing.assert_close(
        grid_masks(outside, 16, config, generator()), grid_masks(NOWHERE, 16, config, generator())
    )


def test_the_number_of_cells_covers_its_range():
    config = MaskConfig(min_cells=3, max_cells=5, keypoint_cell_prob=0.5, other_cell_prob=0.5)
    edges = set()
    for seed in range(200):
        row = grid_masks(NOWHERE, 60, config, generator(seed))[0, 0]
        edges |= set((row.diff(dim=1) != 0).any(dim=0).nonzero().flatten().tolist())
    assert edges == {11, 14, 19, 23, 29, 35, 39, 44, 47}
