"""Subcommands by kind of request, which drive any editor of their kind."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.edit.record import KEY, read_settings
from mimicbrush.errors import UserError
from tests.edit.conftest import arguments_for, pixels, run

GREY = "tests.editors.example_editor.GreyByWords"
PASTE = "mimicbrush.editors.baselines.ReferencePaste"
PLAIN = {"weights": None, "num_inference_steps": None}
"""Leaves out what only the default editor takes."""


def text_arguments(folder, **changes) -> list[object]:
    return [
        "text",
        *arguments_for(folder, **PLAIN | {"reference": None, "prompt": "seven ..", "editor": GREY} | changes),
    ]


def test_a_line_without_a_subcommand_is_an_edit_from_a_reference(pictures):
    run(*arguments_for(pictures))
    run("reference", *arguments_for(pictures, output=pictures / "named.png"))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "named.png"))
    assert read_settings(pictures / "named.png")["kind"] == "reference"


def test_results_from_before_there_were_kinds_are_replayed(pictures):
    run(*arguments_for(pictures))
    record = read_settings(pictures / "e.png")
    older = {name: value for name, value in record.items() if name not in ("kind", "editor", "init_args")}
    note = PngInfo()
    note.add_text(KEY, json.dumps(older))
    Image.open(pictures / "e.png").save(pictures / "older.png", pnginfo=note)
    for command, name in (([], "again.png"), (["reference"], "too.png")):
        run(*command, "--replay", pictures / "older.png", "--output", pictures / name)
        assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / name))


def test_another_editor_of_the_kind_answers(pictures):
    run("reference", *arguments_for(pictures, **PLAIN, editor=PASTE))
    source, edited = pixels(pictures / "s.png"), pixels(pictures / "e.png")
    assert (source != edited)[20:30, 20:40].any() and np.array_equal(source[:20], edited[:20])


def test_an_edit_from_a_prompt_is_replayed_with_or_without_the_subcommand(pictures):
    run(*text_arguments(pictures, init_args="{levels_per_letter: 2}", num_images=2), "--grid")
    edited = pixels(pictures / "e-1.png")
    assert (edited[20:30, 20:40] == 16).all()
    layer = np.asarray(Image.open(pictures / "e-1-rgba.png"))
    assert layer.shape == (50, 70, 4) and (layer[20:30, 20:40] == (16, 16, 16, 255)).all() and not layer[0, 0, 3]
    run("--replay", pictures / "e-1.png", "--output", pictures / "again.png")
    run("text", "--replay", pictures / "e-2.png", "--output", pictures / "longer.png", "--prompt", "nine ....")
    assert np.array_equal(edited, pixels(pictures / "again.png"))
    assert (pixels(pictures / "longer.png")[20:30, 20:40] == 18).all()
    with pytest.raises(UserError, match=r"e-1\.png was made by `python -m mimicbrush\.edit text`; replay it with that"):
        run("reference", "--replay", pictures / "e-1.png", "--output", pictures / "no.png")


def test_a_csv_of_prompts_is_made_and_resumed(pictures, capsys):
    rows = [{"prompt": "a, b", "output": "a.png"}, {"prompt": "seven ..", "output": "b.png", "seed": "x"}]
    with (pictures / "edits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["source", "mask", "prompt", "output", "seed"])
        writer.writeheader()
        writer.writerows({"source": "s.png", "mask": "m.png", "seed": ""} | row for row in rows)
    batch = ["text", "--batch", pictures / "edits.csv", "--editor", GREY]
    for made in (1, 0):
        with pytest.raises(UserError, match="line 3 was skipped"):
            run(*batch)
        said = capsys.readouterr()
        assert f"edited {made} of 2 rows" in said.out and "line 3: seed is x, expected a whole number" in said.err
    assert (pixels(pictures / "a.png")[20:30, 20:40] == 4).all()
    with pytest.raises(UserError, match="expected the columns source, mask, reference, output"):
        run("reference", *batch[1:3], "--weights", "asset:tiny")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda at: text_arguments(at, prompt=None), "prompt not given; name it, or a CSV"),
        (
            lambda at: text_arguments(at, editor=PASTE),
            "ReferencePaste answers a ReferenceRequest, and a text edit is a",
        ),
        (lambda at: text_arguments(at, editor="no.such.Editor"), "no.such.Editor: no such class"),
        (lambda at: arguments_for(at, init_args="{radius: 3}"), "init_args are an editor's arguments; give its class"),
        (lambda at: text_arguments(at, init_args="{colour: 3}"), "GreyByWords: .*colour"),
        (
            lambda at: arguments_for(at, editor=PASTE),
            "weights, num_inference_steps: not for .*ReferencePaste; give its",
        ),
        (
            lambda at: arguments_for(at, weights=None),
            "weights not given; give them, asset:tiny for instance, or an edit",
        ),
        (
            lambda at: ["sentence"],
            "sentence is not a command of python -m mimicbrush.edit; choose from reference, text",
        ),
    ],
)
def test_what_does_not_fit_ends_in_one_sentence(pictures, arguments, said):
    with pytest.raises(UserError, match=said) as error:
        run(*arguments(pictures))
    assert len(error.value.faults) == 1 and not (pictures / "e.png").exists()


def test_a_layer_that_is_there_is_kept_and_it_is_said(pictures, capsys):
    Image.new("RGB", (2, 2)).save(pictures / "e-rgba.png")
    run(*text_arguments(pictures))
    assert "e-rgba.png exists and is kept; --force overwrites it" in capsys.readouterr().out
    assert Image.open(pictures / "e-rgba.png").size == (2, 2)
    run(*text_arguments(pictures), "--force")
    assert Image.open(pictures / "e-rgba.png").size == (70, 50)
