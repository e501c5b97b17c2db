import torch
from torch import Tensor, nn

from mimicbrush.model.conditioning import DepthShape, ShapeProjector
from tests.conftest import depth_model


def calls_of(module: nn.Module) -> list[int]:
    """List that receives the number of rows of each later call."""
    rows = []
    module.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    return rows


def sources(num: int) -> Tensor:
    return torch.rand(num, 3, 40, 40, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_absent_depth_is_the_models_output_for_zeros():
    depth = DepthShape(depth_model(), "released")
    expected = depth.depth_model(torch.zeros(1, 3, 28, 28)).predicted_depth[:, None]
    torch.testing.assert_close(depth(sources(2), torch.tensor([False, False])), expected.repeat(2, 1, 1, 1))


@torch.no_grad()
def test_depth_runs_on_kept_rows_only_and_on_zeros_once():
    depth = DepthShape(depth_model(), "released")
    rows = calls_of(depth.depth_model)
    for keep in ([True, False, True], [False, False, False], [True, True, True]):
        depth(sources(3), torch.tensor(keep))
    assert rows == [1, 2, 3]


@torch.no_grad()
def test_mixed_rows_equal_rows_alone():
    depth = DepthShape(depth_model(), "standard")
    maps = depth(sources(2), torch.tensor([False, True]))
    torch.testing.assert_close(maps[1:], depth(sources(2)[1:], torch.tensor([True])))


@torch.no_grad()
def test_new_weights_invalidate_the_absent_map():
    depth, other = DepthShape(depth_model(), "released"), DepthShape(depth_model(), "released")
    nothing = torch.tensor([False])
    assert not torch.equal(depth(sources(1), nothing), other(sources(1), nothing))
    depth.load_state_dict(other.state_dict())
    torch.testing.assert_close(depth(sources(1), nothing), other(sources(1), nothing))


def test_released_quirk_hardly_removes_the_mean():
    """White becomes 1 / std rather than (1 - mean) / std, less 1/255 of the mean."""
    white = torch.ones(1, 3, 8, 8)
    assert abs(DepthShape(depth_model(), "released").normalise(white)[0, 0].mean().item() - 4.36) < 0.01
    assert abs(DepthShape(depth_model(), "standard").normalise(white)[0, 0].mean().item() - 2.25) < 0.01


def test_three_channel_projector_takes_the_one_channel_map():
    projector = ShapeProjector(32, (4, 4, 8), in_channels=3)
    assert projector(torch.rand(2, 1, 28, 28)).shape == (2, 4, 8, 8)


def test_depth_stays_in_single_precision_under_autocast():
    depth = DepthShape(depth_model(), "released")
    with torch.autocast("cpu", torch.bfloat16):
        assert depth(sources(1), torch.tensor([True])).dtype == torch.float32
