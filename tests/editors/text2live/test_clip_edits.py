"""Edits of clips through an atlas, by a tiny random CLIP: layers, portrait clips, resuming, and mistakes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mimicbrush.atlas.grid_atlas import GridAtlas, GridAtlasSizes
from mimicbrush.atlas.layered_atlas import ClipShape
from mimicbrush.atlas.rendered_atlas import render_atlas
from mimicbrush.atlas.stored_atlas import AtlasFile, save_atlas
from mimicbrush.editors.text2live import Text2LiveClipEditor
from mimicbrush.editors.text2live.clip_draws import draw_clip_step
from mimicbrush.editors.text2live.clip_layer import clip_layer
from mimicbrush.editors.text2live.clip_settings import CLIP_PRESETS, ClipLayerSettings
from mimicbrush.editors.text2live.step_draws import TextNumbers
from mimicbrush.errors import UserError
from mimicbrush.requests import LayerRequest

PORTRAIT = ClipShape(5, 32, 20)
QUICK = ClipLayerSettings(
    num_steps=2,
    num_scales=2,
    num_channels=6,
    num_skip_channels=2,
    num_views=2,
    whole_every=2,
    frame_distance=1,
    atlas_resolution=40,
    box_border=1,
)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory) -> AtlasFile:
    """A portrait clip's atlas of random colours, with an opaque box in the middle of every frame."""
    torch.manual_seed(0)
    network = GridAtlas(GridAtlasSizes(PORTRAIT, (0.8, 0.8)))
    with torch.no_grad():
        for texture in network.textures.values():
            torch.nn.init.normal_(texture.grids[1])
        network.opacities.grids[0].fill_(-8)
        network.opacities.grids[0][..., 8:24, 5:15] = 8
    path = save_atlas(network, tmp_path_factory.mktemp("atlas"), psnr=40.0)
    return AtlasFile(path, network, PORTRAIT, 40.0)


@pytest.fixture(scope="module")
def request_of_clip(atlas) -> LayerRequest:
    source = render_atlas(atlas.network, PORTRAIT, resolution=40).reconstruction
    return LayerRequest(source=source, prompts=("a golden ball",), source_prompts=("a ball",), seed=3)


@pytest.mark.parametrize("layer", ["foreground", "background"])
def test_one_layer_of_a_portrait_clip_is_edited(guide, atlas, request_of_clip, layer):
    editor = Text2LiveClipEditor(atlas, guide, settings=replace(QUICK, atlas_layer=layer), device="cpu")
    shares = []
    edited = editor.edit(request_of_clip, on_progress=lambda share, _: shares.append(share))
    assert shares == [0.5, 1]
    source, rgba = request_of_clip.source, edited.layers["rgba"]
    assert edited.frames.shape == source.shape and rgba.shape == (5, 4, *source.shape[-2:])
    torch.testing.assert_close(edited.frames, torch.lerp(source, rgba[:, :3], rgba[:, 3:]))
    change = (edited.frames - source).abs().mean(dim=1, keepdim=True)
    inside = torch.zeros_like(change, dtype=torch.bool)
    inside[..., 9:23, 6:14] = True
    outside = torch.ones_like(inside)
    outside[..., 7:25, 4:16] = False
    edited_part, kept_part = (inside, outside) if layer == "foreground" else (outside, inside)
    assert change[edited_part].mean() > 20 * change[kept_part].mean() > 0


def test_a_stopped_edit_resumes_to_the_same_frames(guide, atlas, request_of_clip, tmp_path):
    editor = Text2LiveClipEditor(atlas, guide, settings=QUICK, device="cpu")
    whole = editor.edit(request_of_clip).frames

    def stop(share: float, preview: object) -> None:
        if share < 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor.edit(request_of_clip, on_progress=stop, run_folder=tmp_path)
    assert torch.equal(editor.edit(request_of_clip, run_folder=tmp_path).frames, whole)
    other = Text2LiveClipEditor(atlas, guide, settings=replace(QUICK, atlas_layer="background"), device="cpu")
    with pytest.raises(UserError, match=r"holds another run: settings\.atlas_layer was foreground, is background"):
        other.edit(request_of_clip, run_folder=tmp_path)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_places_on_a_frame_are_those_on_the_atlas(atlas, request_of_clip, is_mirrored):
    layer = clip_layer(render_atlas(atlas.network, PORTRAIT, resolution=40), request_of_clip.source, QUICK)
    arguments = {"whole_size": (10, 10), "clip_size": 32, "num_texts": TextNumbers(1, 0, 1), "seed": 0}
    draws = draw_clip_step(0, boxes=layer.boxes, settings=QUICK, **arguments)._replace(is_mirrored=is_mirrored)
    items = layer.make_items(lambda picture, places: torch.cat([places, places], dim=1), draws)
    on_atlas, on_frame = items[draws.direct].layer, items[len(draws.crops)].layer
    # At the border of the atlas the layer is mixed with zeros, as in the release.
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(on_atlas[inside], on_frame[inside], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["foreground", "background"])
def test_a_covering_layer_is_drawn_to_the_opacity_of_the_edited_one(guide, atlas, request_of_clip, name):
    settings = replace(QUICK, atlas_layer=name, cover_layer=True)
    optimisation = Text2LiveClipEditor(atlas, guide, settings=settings, device="cpu").prepare(request_of_clip)
    *_, frame, whole = optimisation.make_items(optimisation.draw(1))
    assert whole.region.min() == 1 and frame.region.shape == frame.opacity.shape
    assert (frame.region.min() < 0.01) == (name == "foreground") and frame.region.max() > 0.98
    assert "bootstrap" in optimisation.run_step(optimisation.draw(0))
    editor = Text2LiveClipEditor(atlas, guide, settings=settings, device="cpu")
    (hint,) = editor.hints(replace(request_of_clip, region_prompts=("ball",)))
    assert hint.startswith("the region ball is not looked for") and not editor.hints(request_of_clip)
    released = Text2LiveClipEditor(atlas, guide, settings=replace(QUICK, atlas_layer=name), device="cpu")
    assert "bootstrap" not in released.prepare(request_of_clip).run_step(optimisation.draw(0))


def test_background_crops_are_drawn_from_both_sides_of_a_portrait_frame():
    settings = replace(QUICK, atlas_layer="background", min_cover=0.5)
    draws = [
        draw_clip_step(
            step,
            boxes=[(0, 0, 32, 20)] * 5,
            whole_size=(10, 10),
            clip_size=32,
            num_texts=TextNumbers(1, 0, 1),
            settings=settings,
            seed=0,
        )
        for step in range(40)
    ]
    crops = [crop for each in draws for crop in each.crops]
    assert all(16 <= crop.box[2] <= 32 and 10 <= crop.box[3] <= 20 for crop in crops)
    assert all(crop.box[0] + crop.box[2] <= 32 and crop.box[1] + crop.box[3] <= 20 for crop in crops)
    assert max(crop.box[2] for crop in crops) > 20 > min(crop.box[2] for crop in crops)
    assert [each.has_whole for each in draws[:4]] == [False, True, False, True]
    assert {each.crops[1].frame for each in draws} == {1, 2, 3}


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, {"mask": torch.ones(5, 1, 32, 20)}, "edited without mask"),
        ({"frame_distance": 3}, {}, "source has 5 frames, and a step needs 7 at frame_distance 3"),
        ({}, {"source": torch.rand(4, 3, 32, 20)}, "the atlas of a clip of 5 frames"),
        ({}, {"source": torch.rand(5, 3, 20, 32)}, "of 20 x 32 pixels, and the source has 5 frames of 32 x 20 pixels"),
        ({}, {"source": torch.zeros(5, 3, 32, 20)}, "reconstructs the source with .* dB, expected at least 37.0"),
        ({"opacity_threshold": 0.999}, {}, "frame 1 shows no foreground"),
        ({"num_scales": 5}, {}, "frames are 20 x 32 pixels, and a network of 5 scales needs 33; lower num_scales"),
        ({"num_scales": 4, "atlas_layer": "background"}, {}, "needs 51; raise atlas_resolution"),
    ],
)
def test_mistakes_are_named(guide, atlas, request_of_clip, settings, change, message):
    editor = Text2LiveClipEditor(atlas, guide, settings=replace(QUICK, **settings), device="cpu")
    with pytest.raises(UserError, match=message):
        editor.prepare(replace(request_of_clip, **change))


def test_settings_are_checked():
    with pytest.raises(UserError, match="atlas_layer is sky, expected one of foreground, background"):
        ClipLayerSettings(atlas_layer="sky")
    with pytest.raises(UserError, match="frame_distance is 0, expected at least 1"):
        ClipLayerSettings(frame_distance=0)
    assert CLIP_PRESETS["release"] == ClipLayerSettings()
