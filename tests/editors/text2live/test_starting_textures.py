"""The texture from which a layer starts."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace

import pytest
import torch

from mimicbrush.editors.text2live import Text2LiveEditor
from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.internal_crops import crop_places
from mimicbrush.editors.text2live.layer_network import build_layer_network
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.editors.text2live.starting_textures import (
    Textures,
    draw_textures,
    second_shares,
    two_colours,
    vary_textures,
)
from mimicbrush.editors.text2live.texture_search import search_texture
from mimicbrush.errors import UserError

SETTINGS = Text2LiveSettings(
    num_steps=3, resolution=None, num_scales=2, num_channels=6, num_views=2, canvas_side=16, num_starts=8
)


def waves(num: int, **parts: float) -> Textures:
    """A single texture whose other parameters are 0."""
    numbers = {name: torch.zeros(1, 8 if name in ("angles", "phases") else 1) for name in Textures._fields}
    numbers |= {name: numbers[name] + value for name, value in parts.items()}
    return Textures(**numbers | {"num_waves": torch.tensor([num]), "colours": torch.rand(1, 2, 3)})


def test_a_single_wave_gives_stripes_and_none_a_plain_colour():
    (stripes,) = second_shares(waves(1, frequency=2.0), 16)[0].round()
    assert torch.equal(stripes[0], torch.tensor([1.0, 0.0]).repeat_interleave(4).repeat(2))
    assert torch.equal(stripes, stripes[:1].expand(16, -1))
    (turned,) = second_shares(waves(1, frequency=2.0, angles=math.pi / 2), 16)[0].round()
    assert torch.equal(turned, stripes.T)
    plain = waves(0, frequency=2.0)
    assert torch.equal(second_shares(plain, 16), torch.full((1, 1, 16, 16), 0.5))
    assert torch.equal(two_colours(plain)[:, 0], two_colours(plain)[:, 1])


def test_the_cut_decides_which_colour_covers_more():
    low, high = (second_shares(waves(2, frequency=3.0, cut=cut), 32).mean() for cut in (-0.7, 0.7))
    assert low > 0.65 and high < 0.35


def test_colours_are_those_of_the_standard_library():
    drawn = draw_textures(20, torch.Generator().manual_seed(0))
    for number in torch.where(drawn.num_waves > 0)[0]:
        for hsv, rgb in zip(drawn.colours[number].tolist(), two_colours(drawn)[number].tolist(), strict=True):
            assert rgb == pytest.approx(colorsys.hsv_to_rgb(*hsv), abs=1e-5)


def test_variants_stay_within_their_ranges_and_are_near():
    generator = torch.Generator().manual_seed(0)
    drawn = draw_textures(50, generator)
    varied = vary_textures(drawn, 0.1, generator)
    assert varied.colours.min() >= 0 and varied.colours.max() <= 1
    far = (second_shares(draw_textures(50, generator), 16) - second_shares(drawn, 16)).abs().mean()
    assert 0 < (second_shares(varied, 16) - second_shares(drawn, 16)).abs().mean() < far / 2


class MeanColour:
    """Embeds pictures as their mean colour."""

    image_size = 16

    def embed(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean(dim=(2, 3))


def test_the_search_finds_the_colour_that_the_guide_asks_for():
    source = torch.full((1, 3, 16, 16), 0.5)
    wanted = torch.tensor([[0.9, 0.1, 0.1]])
    colours, shares = search_texture(
        MeanColour(),
        wanted,
        source,
        torch.ones(1, 1, 16, 16),
        num=64,
        side=16,
        generator=torch.Generator().manual_seed(0),
    )
    mean = torch.lerp(*colours[..., None, None], shares[0]).mean(dim=(1, 2))
    assert torch.cosine_similarity(mean, wanted[0], dim=0) > 0.995


def test_the_network_starts_from_the_texture_and_the_region():
    network = build_layer_network(SETTINGS, seed=0, has_two_colours=True)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    colours, places = torch.tensor([[0.2, 0.4, 0.6], [0.8, 0.3, 0.1]]), crop_places((16, 16))
    shares = (places[:, :1] < 0.5).float()
    opacity = (places[:, 1:] < 0.5).float()
    network.start_from(colours, shares, opacity)
    with torch.no_grad():
        layer = network(torch.rand(1, 3, 16, 16), places)
    assert torch.allclose(layer[0, :3, :, 12], colours[:1].T, atol=0.05)
    assert torch.allclose(layer[0, :3, :, 3], colours[1:].T, atol=0.05)
    assert torch.allclose(layer[:, 3:], opacity, atol=0.04)


@pytest.mark.parametrize("guided", [{}, {"mask": None, "region_prompts": ("ball",)}, {"mask": None}])
def test_a_stopped_edit_resumes_to_the_same_bytes_without_another_search(
    guide, layer_request, tmp_path, monkeypatch, guided
):
    def stop(share: float, preview: object) -> None:
        raise InterruptedError

    editor, request = Text2LiveEditor(guide, settings=SETTINGS, device="cpu"), replace(layer_request, **guided)
    whole = editor.edit(request)
    with pytest.raises(InterruptedError):
        editor.edit(request, on_progress=stop, run_folder=tmp_path)
    monkeypatch.setattr("mimicbrush.editors.text2live.layer_optimisation.search_texture", None)
    assert torch.equal(editor.edit(request, run_folder=tmp_path).frames, whole.frames)


def test_starts_need_a_canvas_and_a_still(guide):
    with pytest.raises(UserError, match="num_starts is 8 without a canvas to start; raise canvas_side, or"):
        Text2LiveEditor(guide, settings=replace(SETTINGS, canvas_side=0), device="cpu")
    with pytest.raises(UserError, match="num_starts is 8, and layers of clips start plain; set it to 0"):
        ClipLayerSettings(canvas_side=16, num_starts=8)
