"""The judge's crops and its files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.judge_network import Judge, Named, crop_around, load_judge, save_judge

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture_with_square(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """A red square on blue, 40 pixels a side, and its mask."""
    mask = np.zeros((40, 40), bool)
    mask[rows, columns] = True
    return np.where(mask[..., None], np.uint8(RED), np.uint8(BLUE)), mask


def judge() -> Judge:
    torch.manual_seed(0)
    return Judge(["ball", "box"], ["red", "blue", "brick"]).eval()


def test_the_crop_is_a_square_around_the_middle_of_the_object():
    crop = crop_around(*picture_with_square(slice(10, 26), slice(12, 28)), size=64, context=2.0)
    assert crop.shape == (3, 64, 64)
    red = crop[0] > 0.5
    assert red[:, 32].nonzero().flatten().tolist() == list(range(16, 48))
    assert red[32].nonzero().flatten().tolist() == list(range(16, 48))


def test_beyond_the_border_the_edge_is_repeated():
    crop = crop_around(*picture_with_square(slice(0, 16), slice(24, 40)), size=64, context=2.0)
    assert torch.allclose(crop[:, :32, 40], torch.tensor(RED)[:, None] / 255.0)
    assert torch.allclose(crop[:, 32, 24:], torch.tensor(RED)[:, None] / 255.0, atol=0.6)
    assert torch.allclose(crop[:, 60, 4], torch.tensor(BLUE) / 255.0)


def test_a_long_object_is_not_stretched():
    crop = crop_around(*picture_with_square(slice(18, 22), slice(4, 36)), size=64, context=1.0)
    assert (crop[0] > 0.5).sum(dim=0).unique().tolist() == [8]


def test_names_are_those_of_the_highest_logits():
    network, crops = judge(), torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.object_head.weight.zero_()
        network.object_head.bias.copy_(torch.tensor([0.0, 1.0]))
        network.material_head.weight.zero_()
        network.material_head.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    assert network.name(crops) == [Named("box", "brick")] * 5


def test_a_judge_is_written_in_half_precision_and_read_back(tmp_path):
    network, crops = judge(), torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    save_judge(network, tmp_path)
    again = load_judge(tmp_path)
    assert (again.objects, again.materials) == (network.objects, network.materials)
    assert (again.size, again.context) == (64, 1.2)
    for found, expected in zip(again(crops), network(crops), strict=True):
        assert found.dtype == torch.float32
        assert torch.allclose(found, expected, atol=1e-2)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 2.2 * sum(each.numel() for each in network.parameters())


def test_folders_of_other_networks_and_damaged_ones_are_refused(tmp_path):
    save_judge(judge(), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="could not be loaded"):
        load_judge(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip", "objects": [], "materials": []}')
    with pytest.raises(UserError, match="describes no judge"):
        load_judge(tmp_path)
