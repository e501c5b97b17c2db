"""`python -m mimicbrush.edit layer`: results and their layers, presets, stopping and resuming."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from mimicbrush.edit.kinds.layer_edit import LayerEditConfig
from mimicbrush.edit.parsing import parse
from mimicbrush.edit.record import read_settings
from mimicbrush.editors.text2live.settings import PRESETS
from mimicbrush.errors import UserError
from tests.conftest import REPOSITORY
from tests.edit.conftest import pixels, run
from tests.editors.example_layer_editor import RedLayer

EDITOR = "tests.editors.example_layer_editor.RedLayer"
CLIP = REPOSITORY / "tests" / "assets" / "golden" / "text2live" / "clip"
BOX = (slice(20, 30), slice(20, 40))
"""The white part of m.png."""


def layer_arguments(folder, **changes) -> list[object]:
    options = {"source": folder / "s.png", "prompt": "a red ball", "output": folder / "e.png", "editor": EDITOR}
    return ["layer", *(word for name, value in (options | changes).items() if value for word in (f"--{name}", value))]


@pytest.fixture
def before_step(monkeypatch):
    """A function that sets what the editor does before each step."""
    return lambda action: monkeypatch.setattr(RedLayer, "before_step", staticmethod(action))


@pytest.fixture
def interrupted(before_step):
    """Run a command that Ctrl-C stops at step 5, after four are done."""

    def interrupt(step: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    def run_interrupted(*arguments: object) -> None:
        before_step(interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(*arguments)

    return run_interrupted


def test_the_layer_is_a_png_with_alpha_beside_the_composite(pictures):
    run(*layer_arguments(pictures, mask=pictures / "m.png", opacity=0.6))
    source, edited, layer = (pixels(pictures / name) for name in ("s.png", "e.png", "e-rgba.png"))
    assert layer.shape == (50, 70, 4) and (layer[BOX] == (255, 0, 0, 153)).all() and not layer[:20, :, 3].any()
    expected = 0.4 * source[BOX] + 0.6 * np.array([255, 0, 0])
    assert np.abs(edited[BOX] - expected).max() < 1 and np.array_equal(edited[:20], source[:20])
    assert (pixels(pictures / "e-opacity.png")[BOX] == 153).all()


def test_an_edit_by_several_prompts_is_replayed(pictures):
    run(*layer_arguments(pictures, prompt="[a red ball, a ruby ball]", region="ball", num_images=2))
    record = read_settings(pictures / "e-2.png")
    assert (record["kind"], record["prompt"], record["region"]) == ("layer", ["a red ball", "a ruby ball"], "ball")
    run("--replay", pictures / "e-2.png", "--output", pictures / "again.png")
    assert np.array_equal(pixels(pictures / "again.png"), pixels(pictures / "e-2.png"))


def test_a_stopped_edit_resumes_with_the_same_command(pictures, interrupted, before_step):
    interrupted(*layer_arguments(pictures))
    assert not (pictures / "e.png").exists() and (pictures / "e.png.run" / "step").read_text() == "4"
    steps = []
    before_step(steps.append)
    run(*layer_arguments(pictures))
    assert steps == [5, 6, 7, 8, 9, 10] and (pixels(pictures / "e.png") == (255, 0, 0)).all()
    assert not (pictures / "e.png.run").exists()


def test_finished_results_of_a_stopped_edit_are_kept(pictures, before_step):
    calls = []

    def interrupt(step: int) -> None:
        calls.append(step)
        if len(calls) == 15:
            raise KeyboardInterrupt

    before_step(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(*layer_arguments(pictures, num_images=2))
    first = (pictures / "e-1.png").read_bytes()
    with pytest.raises(UserError, match=r"e-1\.png exists and was made with other settings \(prompt was a red ball"):
        run(*layer_arguments(pictures, num_images=2, prompt="a blue ball"))
    run(*layer_arguments(pictures, num_images=2))
    assert len(calls) == 21 and (pictures / "e-1.png").read_bytes() == first and (pictures / "e-2.png").exists()


def test_a_batch_reads_prompts_and_masks_and_resumes_a_stopped_row(pictures, interrupted, before_step, capsys):
    with (pictures / "edits.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["source", "prompt", "output", "mask", "mask_use", "region"],
                ["s.png", "[a ball, a red ball]", "a.png", "m.png", "limit", ""],
                ["s.png", "a red ball", "b.png", "", "outside", "ball"],
            ]
        )
    batch = ["layer", "--batch", pictures / "edits.csv", "--editor", EDITOR]
    interrupted(*batch)
    before_step(lambda step: None)
    for made in (1, 0):
        with pytest.raises(UserError, match="line 3 was skipped"):
            run(*batch)
        said = capsys.readouterr()
        assert f"edited {made} of 2 rows" in said.out and "mask_use is outside, expected guide or limit" in said.err
    assert read_settings(pictures / "a.png")["prompt"] == ["a ball", "a red ball"]
    assert not np.array_equal(pixels(pictures / "a.png")[BOX], pixels(pictures / "s.png")[BOX])
    assert np.array_equal(pixels(pictures / "a.png")[:20], pixels(pictures / "s.png")[:20])


def test_a_prompt_that_is_no_text_is_named(pictures, capsys):
    (pictures / "edits.csv").write_text('source,prompt,output\ns.png,"[a ball, 3]",a.png\n')
    with pytest.raises(UserError, match="line 2 was skipped"):
        run("layer", "--batch", pictures / "edits.csv", "--editor", EDITOR)
    assert "prompt is ['a ball', 3], expected one text or a list of texts" in capsys.readouterr().err


def test_an_edit_stopped_after_a_step_is_that_of_then_and_replayed(pictures):
    run(*layer_arguments(pictures, stop_after=3))
    assert (pixels(pictures / "e-opacity.png") == round(0.3 * 255)).all()
    run("layer", "--replay", pictures / "e.png", "--output", pictures / "again.png")
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))


def test_a_preset_gives_the_settings_that_are_not_given(tmp_path):
    plain = ["--source", "s.png", "--prompt", "a ball", "--output", "e.png"]
    assert parse(plain, LayerEditConfig).settings == PRESETS["release"]
    small = parse([*plain, "--preset", "small"], LayerEditConfig)
    assert small.settings == PRESETS["small"] != PRESETS["release"]
    assert small.editor_spec[1]["settings"] == vars(PRESETS["small"])
    settings = parse([*plain, "--preset", "small", "--num_steps", "7", "--num_starts", "9"], LayerEditConfig).settings
    assert (settings.num_steps, settings.num_starts) == (7, 9)
    (tmp_path / "edit.yaml").write_text("preset: small\nnum_views: 3\n")
    settings = parse([*plain, "--config", str(tmp_path / "edit.yaml")], LayerEditConfig).settings
    assert (settings.num_views, settings.num_scales) == (3, PRESETS["small"].num_scales)


def test_text2live_is_the_default_editor(pictures, capsys):
    network = {"num_scales": 2, "num_channels": 4, "num_views": 1, "num_steps": 2, "resolution": 32}
    options = {"editor": None, "clip": CLIP, "mask": pictures / "m.png", "prompt": "a horse"}
    run(*layer_arguments(pictures, **options, **network))
    said = capsys.readouterr().out
    assert "layer rgba -> " in said and "peak memory" in said
    assert pixels(pictures / "e-rgba.png").shape == (50, 70, 4)
    run("--replay", pictures / "e.png", "--output", pictures / "again.png")
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": None}, "prompt not given; name it"),
        ({"prompt": " "}, "prompt has an empty text; write one, or leave it out"),
        ({"region": "[ball, '']"}, "region has an empty text"),
        ({"mask": "r.png", "source": "s.png"}, "s.png: no such picture"),
        ({"negative_region": "sky"}, "negative_region has no effect without region or mask"),
        ({"mask_use": "limit"}, "mask_use limit has no effect without mask; give the mask"),
        ({"opacity": 1.5}, "opacity is 1.5, expected 0 to 1"),
        ({"stop_after": -1}, "stop_after is -1, expected at least 1"),
        (
            {"stop_after": 9, "num_steps": 8, "editor": None},
            "stop_after is 9, and an edit ends after num_steps, 8; lower it",
        ),
        ({"prompt": "[]"}, "prompt is an empty list; write a text, or leave it out"),
        ({"region": "[]"}, "region is an empty list"),
        ({"preset": "tiny", "editor": None}, "preset is tiny, expected one of release, small"),
        ({"num_steps": 3}, "num_steps: not for .*RedLayer; give its own arguments as init_args"),
        ({"init_args": "{num_steps: 3}", "editor": None}, "init_args are an editor's arguments; give its class path"),
        ({"clip": "asset:nothing", "editor": None}, "asset:nothing: no such weights come with this package"),
        (
            {"clip": "nowhere.bin", "editor": None},
            "nowhere.bin holds no network of transformers, expected clip; give",
        ),
        ({"clip": "asset:tiny", "editor": None}, "asset:tiny holds no network of transformers, expected clip"),
        (
            {"editor": "mimicbrush.editors.motion_guidance.MotionGuidanceEditor"},
            "answers a MotionRequest, and a layer edit",
        ),
        ({"editor": "mimicbrush.editors.baselines.MeanColour"}, "MeanColour answers a MaskedRequest, and a layer edit"),
    ],
)
def test_a_mistake_ends_in_one_sentence(pictures, changes, said):
    with pytest.raises(UserError, match=said):
        run(*layer_arguments(pictures, **changes))
    assert not (pictures / "e.png").exists() and not (pictures / "e.png.run").exists()
