"""Atlases of grids: coordinates, what their files remember, and how they are rendered."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mimicbrush.atlas.grid_atlas import GridAtlas, GridAtlasSizes
from mimicbrush.atlas.layered_atlas import LAYERS, ClipShape, published_atlas
from mimicbrush.atlas.object_boxes import at_least, frame_boxes
from mimicbrush.atlas.rendered_atlas import grid_in_box, map_to_frames, render_atlas
from mimicbrush.atlas.stored_atlas import open_atlas, save_atlas
from mimicbrush.errors import UserError
from mimicbrush.tensor_files import torch_save

CLIP = ClipShape(3, 8, 12)


@pytest.fixture
def atlas() -> GridAtlas:
    return GridAtlas(GridAtlasSizes(CLIP, (0.8, 0.8)))


def test_corners_of_a_clip_have_known_coordinates():
    points = CLIP.frame_points(0)
    assert points.shape == (8, 12, 3)
    assert points[0, 0].tolist() == [-1, -1, -1]
    torch.testing.assert_close(points[7, 11], torch.tensor([11 / 6 - 1, 7 / 6 - 1, -1]))


def test_new_maps_are_scaled_pixel_coordinates(atlas):
    points = CLIP.frame_points(1).reshape(-1, 3)
    torch.testing.assert_close(atlas.atlas_points("foreground", points), 0.4 * points[:, :2] + 0.5)
    torch.testing.assert_close(atlas.atlas_points("background", points), 0.4 * points[:, :2] - 0.5)


def test_maps_stay_on_the_atlas(atlas):
    with torch.no_grad():
        atlas.mappings["background"].affine[:, :, 2] = 3.0
    points = atlas.atlas_points("background", CLIP.frame_points(0).reshape(-1, 3))
    assert points.min() > -1 and points.max() <= 0


def test_the_opacity_of_each_pixel_is_its_cell(atlas):
    cells = torch.randn(1, 1, *CLIP, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        atlas.opacities.grids[0].copy_(cells)
    rendered = render_atlas(atlas, CLIP, resolution=16)
    torch.testing.assert_close(rendered.opacity, 0.99 * cells[0].transpose(0, 1).sigmoid() + 0.001)


def test_a_picture_of_the_atlas_comes_back_to_the_frames(atlas):
    rendered = render_atlas(atlas, CLIP, resolution=15)  # as fine as the frames
    layer = rendered.layers["foreground"]
    ramp = torch.arange(layer.size[1], dtype=torch.float32).expand(1, 1, *layer.size)
    mapped = map_to_frames(ramp, layer.grid)
    # As released, half a pixel to the left.
    torch.testing.assert_close(mapped[0, 0, 3, 1:-1], layer.points[0, 3, 1:-1, 0] - 0.5, atol=1e-4, rtol=0)


def test_a_box_is_a_window_of_the_grid():
    points = torch.tensor([[2.0, 1.0], [6.0, 3.0]])
    assert grid_in_box(points, (1, 2, 2, 4)).tolist() == [[-1, -1], [1, 1]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [((0, 0, 9, 9), (0, 0, 9, 9)), ((2, 0, 4, 9), (2, 0, 5, 9)), ((6, 0, 3, 6), (4, 0, 5, 6))],
)
def test_boxes_grow_inside_the_picture(box, expected):
    assert at_least(box, 5, (9, 9)) == expected


def test_frame_boxes_leave_the_last_row_out_as_released():
    opacity = torch.zeros(1, 1, 10, 12)
    opacity[..., 3:7, 4:9] = 0.97
    kept = opacity.clone()
    assert frame_boxes(opacity, threshold=0.95, border=0, smallest=2) == [(3, 4, 3, 4)]
    assert frame_boxes(opacity, threshold=0.95, border=20, smallest=2) == [(0, 0, 10, 12)]
    assert torch.equal(opacity, kept)
    with pytest.raises(UserError, match="frame 1 shows no foreground"):
        frame_boxes(opacity, threshold=0.98, border=0, smallest=2)


def test_a_file_gives_the_same_atlas(atlas, tmp_path):
    with torch.no_grad():
        for weights in atlas.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    save_atlas(atlas, tmp_path, psnr=30.0)
    opened = open_atlas(tmp_path)
    before, after = (render_atlas(each, CLIP, resolution=16) for each in (atlas, opened.network_for(CLIP)))
    assert torch.equal(before.reconstruction, after.reconstruction)
    with pytest.raises(UserError, match="the atlas of a clip of 3 frames of 12 x 8 pixels, and the source has 4"):
        opened.network_for(ClipShape(4, 8, 12))
    with pytest.raises(UserError, match=r"reconstructs the source with \S+ dB, expected at least 27.0"):
        opened.check_reconstruction(before.reconstruction, torch.zeros_like(before.reconstruction))


def test_published_networks_have_their_known_sizes():
    networks = published_atlas()
    counts = [sum(weights.numel() for weights in each.parameters()) for each in networks.mappings.values()]
    counts += [sum(w.numel() for w in each.parameters()) for each in (networks.atlas, networks.opacity_network)]
    assert counts == [264_706, 133_122, 416_379, 402_945]
    assert all(networks.scale(layer) == 0.8 for layer in LAYERS)


def test_files_that_are_no_atlas_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="holds no finished atlas"):
        open_atlas(tmp_path)
    torch_save({"F_atlas_state_dict": {}}, tmp_path / "checkpoint")
    with pytest.raises(UserError, match="lacks model_F_mapping1_state_dict"):
        open_atlas(tmp_path / "checkpoint")
