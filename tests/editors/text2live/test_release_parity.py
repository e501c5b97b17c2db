"""Compare our Text2LIVE with numbers of the released code (`tests/assets/golden/text2live/README.md`).

TEXT2LIVE_GOLDEN names another folder of the same format; every size comes from its files. Tolerances are those of its
README.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from mimicbrush.atlas.layered_atlas import LAYERS
from mimicbrush.editors.text2live import losses
from mimicbrush.editors.text2live.applied_views import apply_views, resize_plain
from mimicbrush.editors.text2live.internal_crops import apply_crop, crop_places
from mimicbrush.editors.text2live.layer_optimisation import LayerOptimisation, WorkingPicture, learning_rate
from mimicbrush.editors.text2live.madgrad import Madgrad
from mimicbrush.editors.text2live.prompts import SCREEN_TEMPLATES, TEMPLATES, fill_templates
from mimicbrush.editors.text2live.relevancy import relevancy, scale_maps
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.editors.text2live.step_draws import StepDraws, structure_size_for, view_size_for
from mimicbrush.pictures.conversion import draw_over
from tests.editors.text2live import golden_clip_numbers as clips
from tests.editors.text2live import golden_numbers as golden

PICTURES = sorted(path.stem for path in golden.IMAGE.glob("picture*.png"))
KINDS = ("plain", "plain_cosine", "bootstrap", "views")

pictures = pytest.mark.parametrize("name", PICTURES)


def assert_near(found: Tensor, expected: Tensor | list | float, tolerance: float) -> None:
    expected = torch.as_tensor(expected)
    torch.testing.assert_close(found.detach(), expected.reshape(found.shape).to(found), rtol=0, atol=tolerance)


def test_texts_and_their_tokens():
    recorded, config = golden.read_json("clip_texts"), golden.read_json("losses_plain")["config"]
    for key, field, templates in (
        ("comp", "comp_text", TEMPLATES),
        ("src", "src_text", TEMPLATES),
        ("screen", "screen_text", SCREEN_TEMPLATES),
    ):
        texts = fill_templates(golden.as_list(config[field]), templates)
        assert texts == recorded[key]["strings"]
        assert [golden.guide().tokenizer(text).input_ids for text in texts] == recorded[key]["input_ids"]
        assert_near(golden.guide().embed_texts(texts), golden.tensors("clip_features")[f"text.{key}"], 1e-4)


@torch.no_grad()
def test_features_of_a_square_picture():
    expected, guide = golden.tensors("clip_features"), golden.guide()
    pixels = expected["square.pixels_uint8"].float() / 255
    assert_near(guide.embed(pixels), expected["square.image_embed"], 1e-4)
    assert_near(guide.tokens_before_last_block(pixels), expected["square.tokens_before_last_block"], 1e-4)
    similarity = golden.losses_of(golden.read_json("losses_plain")["config"]).self_similarity(pixels)
    assert_near(similarity, expected["square.self_similarity"], 1e-4)


@pictures
@torch.no_grad()
def test_features_of_pictures_that_are_not_square(name):
    expected, guide = golden.tensors("clip_features"), golden.guide()
    pixels = golden.to_tensor(golden.open_picture(name))
    view = resize_plain(pixels, view_size_for(*pixels.shape[-2:], clip_size=guide.image_size))
    assert_near(guide.embed(view), expected[f"{name}.image_embed_of_view0"], 1e-4)
    size = structure_size_for(*pixels.shape[-2:], clip_size=guide.image_size)
    assert_near(guide.positions(*size), expected[f"{name}.interpolated_position_embedding"], 1e-4)
    similarity = golden.losses_of(golden.read_json("losses_plain")["config"]).self_similarity(pixels)
    assert_near(similarity, expected[f"{name}.self_similarity"], 1e-4)


@pictures
def test_relevancy(name):
    guide, config = golden.guide(), golden.read_json("losses_bootstrap")["config"]
    side = guide.image_size
    picture = resize_plain(golden.to_tensor(golden.open_picture(name)), (side, side))
    rows = {key: value for key, value in golden.tensors("relevancy").items() if f".{name}." in key}
    assert len(rows) >= 2
    for key, expected in rows.items():
        num_blocks = 1 if key.startswith("last_block.") else guide.num_blocks - 1
        kind = key.rpartition(".")[2]
        texts = golden.as_list(config["bootstrap_negative_text" if kind == "negative_grid" else "bootstrap_text"])
        batch = picture.expand(len(texts), -1, -1, -1)
        found = relevancy(guide, batch, guide.embed_texts(texts), num_blocks=num_blocks)
        assert_near(scale_maps(found[:, None], side) if kind == "map" else found, expected, 1e-4)


@pictures
def test_views(name):
    picture = golden.to_tensor(golden.open_picture(name))
    recorded = golden.read_json("views")[name]["views"]
    (fill,) = set().union(*map(golden.fills_of, recorded)) or {1.0}
    found = apply_views([picture], [[golden.view_of(each, picture.shape[-2:]) for each in recorded]], fill=fill)
    assert_near(found, golden.tensors("views")[f"{name}.views"], 1e-4)


def test_crops_of_the_internal_data_set_are_equal():
    picture = golden.open_picture("picture0")
    for recorded in golden.read_json("dataset"):
        crop = apply_crop(picture, golden.crop_of(recorded["operations"], (picture.height, picture.width)))
        assert torch.equal(golden.to_tensor(crop)[0], golden.tensors("dataset")[f"crop{recorded['step']}"])


@torch.no_grad()
def test_network_and_compositing():
    numbers, network = golden.tensors("generator_io"), golden.network(golden.tensors("generator"))
    assert sum(each.numel() for each in network.parameters()) == golden.read_json("generator")["parameters"]
    for name in sorted({key.partition(".")[0] for key in numbers}):
        picture = numbers.get(f"{name}.input")
        picture = golden.to_tensor(golden.open_picture(name)) if picture is None else picture
        layer = network(picture, crop_places(picture.shape[-2:]))
        assert_near(layer, numbers[f"{name}.output"], 1e-5)
        for key, found in (
            ("composite", draw_over(layer, picture)),
            ("edit_on_greenscreen", losses.on_green(layer)),
        ):
            if f"{name}.{key}" in numbers:
                assert_near(found, numbers[f"{name}.{key}"], 1e-5)


def test_distances_and_sparsity():
    formulas = golden.read_json("formulas")
    x, y = (torch.tensor(formulas["distance"][key]) for key in ("x", "y"))
    for kind in ("spherical", "cosine"):
        assert_near(losses.distance(x, y, kind), formulas["distance"][kind], 1e-6)
    numbers = formulas["sparsity"]
    for l1, l0, expected in (
        (1, 0, numbers["l1"]),
        (0, 1, numbers["l0"]),
        (numbers["lambda_alpha_l1"], numbers["lambda_alpha_l0"], numbers["weighted"]),
    ):
        settings = Text2LiveSettings(opacity_l1_weight=l1, opacity_l0_weight=l0)
        assert_near(losses.sparsity(torch.tensor(numbers["alpha"]), settings), expected, 1e-6)


def test_schedules():
    formulas = golden.read_json("formulas")
    for key, decay in (("image", 0.99), ("video", 0.999)):
        settings = Text2LiveSettings(learning_rate_decay=decay)
        for step, expected in formulas["learning_rate_after_step"][key].items():
            assert learning_rate(settings, int(step)) == pytest.approx(expected, abs=1e-6)
    weights = formulas["bootstrap_weight"]
    for key, schedule in (("linear, 1000 steps", "linear"), ("exponential", "exponential")):
        for step, expected in weights[key].items():
            found = losses.bootstrap_weight(Text2LiveSettings(bootstrap_schedule=schedule), int(step), 1000)
            assert found == pytest.approx(expected, abs=1e-6)
    assert losses.bootstrap_weight(Text2LiveSettings(bootstrap_schedule="constant"), 9, 1000) == weights["none"]


def test_madgrad():
    numbers = golden.read_json("formulas")["madgrad"]
    weights = Parameter(torch.tensor(numbers["parameters"][0]))
    names = ("lr", "momentum", "weight_decay", "eps")
    optimizer = Madgrad([weights], **{name: numbers[name] for name in names})
    for gradient, expected in zip(numbers["gradients"], numbers["parameters"][1:], strict=True):
        weights.grad = torch.tensor(gradient)
        optimizer.step()
        assert_near(weights, expected, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_their_gradients(kind):
    recorded, inputs = golden.read_json(f"losses_{kind}"), golden.tensors("losses_inputs")
    compute = golden.losses_of(recorded["config"])
    layers = {"crop": inputs["crop.generator_output"], "image": golden.tensors("generator_io")["picture0.output"]}
    sources = {"crop": inputs["crop.input"], "image": golden.to_tensor(golden.open_picture("picture0"))}
    layers = {name: layer.clone().requires_grad_() for name, layer in layers.items()}
    items = [losses.Item(sources[name], layers[name]) for name in layers]
    draws = golden.loss_draws(recorded["draws"], [tuple(item.source.shape[-2:]) for item in items])
    sizes = [structure_size_for(*item.source.shape[-2:], clip_size=golden.guide().image_size) for item in items]
    assert set(map(tuple, recorded["draws"]["structure"]["resized_to"])) == set(sizes)
    found = compute(items, draws, recorded["step"])
    total = compute.total(found, recorded["step"])
    for name, expected in golden.losses_in(recorded).items():
        assert_near(total if name == "total" else found.pop(name), expected, 1e-5)
    assert not found
    if kind == "plain_cosine":
        return
    total.backward()
    for name, layer in layers.items():
        expected = golden.tensors(f"losses_{kind}")[f"{name}.gradient"]
        assert_near(layer.grad, expected, 1e-5 if kind == "views" else 1e-6)


def test_steps_of_the_optimisation():
    recorded, numbers = golden.read_json("steps"), golden.tensors("steps")
    compute = golden.losses_of(recorded["config"])
    source = golden.open_picture("picture0")
    optimisation = LayerOptimisation(
        golden.network(golden.tensors("generator")),
        compute,
        WorkingPicture(source),
        compute.settings,
        seed=0,
        device=torch.device("cpu"),
    )
    for each in recorded["steps"]:
        step, size = each["step"], (source.height, source.width)
        crop = golden.crop_of(each["crop_operations"], size)
        sizes = [tuple(numbers[f"step{step}.crop"].shape[-2:])] + [size] * each["has_full_image"]
        draws = StepDraws(crop, each["has_full_image"], golden.loss_draws(each["draws"], sizes))
        assert each["has_full_image"] == (step % compute.settings.whole_every == 0)
        item = optimisation.make_items(draws)[0]
        assert torch.equal(item.source[0], numbers[f"step{step}.crop"])
        drawn = torch.cat([numbers[f"step{step}.crop_edit"], numbers[f"step{step}.crop_alpha"]])
        assert_near(item.layer, drawn, 1e-4)
        found = optimisation.run_step(draws)
        assert optimisation.optimizer.param_groups[0]["lr"] == pytest.approx(each["lr_used"], abs=1e-9)
        assert found == pytest.approx(golden.losses_in(each), abs=1e-4)
    after = golden.network(golden.tensors("steps_generator_after")).state_dict()
    for name, weights in optimisation.network.state_dict().items():
        assert_near(weights, after[name], 1e-4)


layers = pytest.mark.parametrize("layer", LAYERS)


def test_atlas_of_a_clip():
    rendered, numbers = clips.rendered(), clips.tensors("layers")
    assert_near(rendered.opacity, numbers["alpha"], 1e-5)
    assert_near(rendered.colours["background"], numbers["background_reconstruction"], 1e-5)
    for name, layer in rendered.layers.items():
        assert list(layer.origin) == clips.record()[f"{name}_min_uv"]
        assert list(layer.size[::-1]) == clips.record()[f"{name}_extent_uv"]
        assert_near(layer.points, numbers[f"{name}_uv_pixels"], 1e-4)
        assert_near(layer.picture, numbers[f"{name}_atlas"], 1e-5)
        assert torch.equal(layer.seen, numbers[f"{name}_uv_mask"])


def test_boxes_around_the_foreground():
    foreground, recorded = clips.layer_of("foreground"), clips.record()
    assert [list(box) for box in foreground.boxes] == recorded["frame_boxes_top_left_height_width"]
    assert list(foreground.whole_box) == recorded["atlas_box_top_left_height_width"]
    assert foreground.min_side == recorded["smallest_crop"]
    assert_near(foreground.frames, clips.tensors("layers")["foreground_source"], 1e-5)
    assert_near(foreground.whole, clips.tensors("layers")["foreground_atlas_in_box"], 1e-5)


@layers
def test_items_of_a_clip_and_their_gradients(layer):
    recorded, numbers = clips.record()[layer], clips.tensors(layer)
    draws = clips.step_draws(
        layer,
        recorded["sample"],
        direct=recorded["frame_chosen"],
        has_whole=True,
        losses=recorded["plain_loss"]["draws"],
    )
    kinds = ("atlas_crop", "frame_crop", "whole_atlas")
    drawn = {name: numbers[f"generator_output.{name}"].clone().requires_grad_() for name in kinds}
    inputs, outputs = [], iter(drawn.values())
    items = clips.layer_of(layer).make_items(lambda picture, _: inputs.append(picture) or next(outputs), draws)
    names = ("atlas_crop", f"frame_crop{recorded['frame_chosen']}", "whole_atlas_input")
    for picture, name in zip(inputs, names, strict=True):
        assert_near(picture, numbers[name], 1e-5)
    for number, item in enumerate(items[:4]):
        parts = {"alpha": item.opacity, "edit": item.layer[:, :3], "composite": item.composite}
        for part, found in (parts | {"edit_on_greenscreen": item.on_green}).items():
            assert_near(found, numbers[f"mapped.{part}.{number}"], 1e-5)
        assert_near(item.source, numbers[f"source_item{number}"], 1e-5)
    compute = clips.losses_of(layer)
    found = compute(items, draws.losses, recorded["sample"]["step"])
    total = compute.total(found, recorded["sample"]["step"])
    values = {name: loss.item() for name, loss in (found | {"total": total}).items()}
    assert values == pytest.approx(golden.losses_in(recorded["plain_loss"]), abs=1e-5)
    total.backward()
    for name, output in drawn.items():
        assert_near(output.grad, numbers[f"gradient.{name}"], 1e-5)


@layers
def test_steps_on_a_clip(layer):
    optimisation = clips.optimisation_of(layer)
    for each in clips.record()[layer]["steps"]:
        draws = clips.step_draws(
            layer, each, direct=each["frame_chosen"], has_whole=each["has_whole_atlas"], losses=each["draws"]
        )
        assert each["has_whole_atlas"] == ((each["step"] + 1) % optimisation.settings.whole_every == 0)
        found = optimisation.run_step(draws)
        assert optimisation.optimizer.param_groups[0]["lr"] == pytest.approx(each["lr_used"], abs=1e-9)
        # The background's second step shifts hues; MADGRAD's cube roots make more of the rounding in the next step.
        assert found == pytest.approx(golden.losses_in(each), abs=1e-5 if layer == "foreground" else 2e-4)


@layers
@torch.no_grad()
def test_final_frames_of_a_clip(layer):
    numbers, optimisation = clips.tensors(layer), clips.optimisation_of(layer)
    drawn = torch.cat([numbers["render.atlas_edit"], numbers["render.atlas_alpha"]], dim=1)
    mapped = optimisation.layer.map_whole(drawn)
    assert_near(mapped[:, :3], numbers["render.edit"], 1e-5)
    assert_near(mapped[:, 3:], numbers["render.alpha"], 1e-5)
    assert_near(draw_over(mapped, clips.frames()), numbers["render.composite"], 1e-5)
    finished = optimisation.layer.finish(lambda *_: drawn)
    assert_near(draw_over(finished, clips.frames()), numbers["render.final_video"], 1e-5)
