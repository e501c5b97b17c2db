"""Views of pictures for CLIP, relevancy, and position tables: facts known by hand, and equality of batches."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.editors.text2live.applied_views import apply_views
from mimicbrush.editors.text2live.clip_guide import ClipGuide
from mimicbrush.editors.text2live.drawn_views import View, draw_crop, draw_views, smallest_crop, view_size
from mimicbrush.editors.text2live.relevancy import relevancy, scale_maps
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.editors.text2live.step_draws import TextNumbers, draw_step
from mimicbrush.errors import UserError

SIZE = (6, 8)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def picture(generator) -> torch.Tensor:
    return torch.rand(1, 3, *SIZE, generator=generator)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((432, 768), (180, 320)), ((768, 432), (320, 180)), ((100, 120), (224, 268)), ((224, 900), (224, 900))],
)
def test_size_of_a_view(size, expected):
    assert view_size(*size, shorter=224, longest=320) == expected


def test_a_view_without_changes_is_the_picture(picture):
    assert torch.equal(apply_views([picture], [[View(SIZE)]], fill=1), picture)
    assert torch.equal(apply_views([picture], [[View(SIZE, is_mirrored=True)]], fill=1), picture.flip(-1))


def test_a_shift_moves_pixels_and_fills_the_rest(picture):
    (moved,) = apply_views([picture], [[View(SIZE, turn=(0.0, (2, 1)))]], fill=0.5)
    torch.testing.assert_close(moved[:, 1:, 2:], picture[0, :, :-1, :-2])
    torch.testing.assert_close(moved[:, 0], torch.full((3, 8), 0.5))
    torch.testing.assert_close(moved[:, :, :2], torch.full((3, 6, 2), 0.5))


def test_positive_angles_turn_clockwise():
    picture = torch.zeros(1, 3, 5, 5)
    picture[..., 0, 2] = 1
    (turned,) = apply_views([picture], [[View((5, 5), turn=(90.0, (0, 0)))]], fill=0)
    expected = torch.zeros(3, 5, 5)
    expected[:, 2, 4] = 1
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-5)


def test_a_third_of_a_turn_makes_red_green():
    red = torch.zeros(1, 3, 2, 2)
    red[:, 0] = 0.75
    (shifted,) = apply_views([red], [[View((2, 2), colours=(("hue", 1 / 3),))]], fill=0)
    torch.testing.assert_close(shifted, red[0].roll(1, dims=0))


def test_views_in_one_batch_equal_views_one_by_one(generator):
    pictures = [torch.rand(1, 3, 40, 50, generator=generator, requires_grad=True) for _ in range(2)]
    views = [draw_views(40, 50, size=(16, 20), num_views=12, generator=generator) for _ in pictures]
    batch = apply_views(pictures, views, fill=1)
    alone = torch.cat(
        [apply_views([picture], [[view]], fill=1) for picture, of in zip(pictures, views, strict=True) for view in of]
    )
    torch.testing.assert_close(batch, alone)
    weights = torch.rand(batch.shape, generator=generator)
    gradients = [torch.autograd.grad((each * weights).sum(), pictures) for each in (batch, alone)]
    torch.testing.assert_close(*gradients)


def test_draws_stay_within_the_picture(generator):
    settings = Text2LiveSettings(jitter_prob=1)
    for _ in range(50):
        crop = draw_crop(30, 40, settings, generator)
        (top, left, height, width), (full_height, full_width) = crop.crop, crop.size
        assert top >= 0 and left >= 0 and top + height <= full_height and left + width <= full_width
        assert 24 <= full_height <= 36 and height >= int(0.85 * full_height)
        assert min(height, width) >= smallest_crop(30, 40, settings)
        assert len(crop.colours) == 4
    views = draw_views(30, 40, size=(8, 10), num_views=50, generator=generator)
    assert views[0].crop is None and all(view.crop for view in views[1:])
    assert all(view.crop[0] + view.crop[2] <= 30 and view.crop[1] + view.crop[3] <= 40 for view in views[1:])
    assert 0.2 < sum(view.is_mirrored for view in views) / 50 < 0.8


def test_mild_views_are_the_released_ones_without_tilts_other_colours_and_grey():
    released, mild = (
        draw_views(30, 40, size=(8, 10), num_views=50, changes=changes, generator=torch.Generator().manual_seed(0))
        for changes in ("released", "mild")
    )
    assert any(view.tilt and view.colours for view in released) and any(view.is_grey for view in released)
    assert mild == [view._replace(tilt=None, colours=(), is_grey=False) for view in released]
    with pytest.raises(UserError, match="view_changes is none, expected one of released, mild"):
        Text2LiveSettings(view_changes="none")


def test_a_step_follows_from_seed_and_number_alone():
    settings = Text2LiveSettings(num_views=2, whole_every=3)
    arguments = {"picture_size": (30, 40), "clip_size": 16, "num_texts": TextNumbers(28, 14, 2), "settings": settings}
    first, again, other = (draw_step(step, seed=0, **arguments) for step in (3, 3, 4))
    assert first == again and first != other and first != draw_step(3, seed=1, **arguments)
    assert first.has_whole and not other.has_whole
    assert len(first.losses.screen_views) == 2 and len(other.losses.screen_views) == 1
    assert max(first.losses.direction_texts) < 14


def test_the_class_token_alone_gives_the_same_embedding(guide):
    pictures = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    whole = guide.project(guide.run_blocks(guide.first_tokens(pictures), 0, guide.num_blocks)[:, 0])
    torch.testing.assert_close(guide.embed(pictures), whole)


def test_a_native_square_agrees_with_transformers(guide):
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pixels = (pictures - guide.mean) / guide.deviation
    torch.testing.assert_close(guide.embed(pictures), guide.clip.get_image_features(pixels).pooler_output)


def test_the_released_position_table_puts_the_width_first(guide):
    released, row_major = (
        ClipGuide(guide.clip, guide.tokenizer, position_table=kind) for kind in ("released", "row_major")
    )
    assert torch.equal(released.positions(32, 48), row_major.positions(48, 32))
    assert not torch.allclose(released.positions(32, 48), row_major.positions(32, 48))
    assert torch.equal(released.positions(48, 48), row_major.positions(48, 48))


def test_relevancy_of_a_text_needs_no_other(guide):
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texts = guide.embed_texts(["a ball", "red"])
    together = relevancy(guide, pictures, texts, num_blocks=2)
    alone = torch.cat([relevancy(guide, pictures[n : n + 1], texts[n : n + 1], num_blocks=2) for n in range(2)])
    assert together.shape == (2, 4, 4)
    torch.testing.assert_close(together, alone)


def test_a_constant_map_becomes_zero():
    rows = torch.stack([torch.full((1, 2, 2), 3.0), torch.tensor([[[1.0, 2.0], [3.0, 5.0]]])])
    maps = scale_maps(rows, 4)
    assert torch.equal(maps[0], torch.zeros(1, 4, 4))
    assert maps[1].min() == 0 and maps[1].max() == 1
