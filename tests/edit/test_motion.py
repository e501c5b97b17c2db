"""`motion`: an object moves by words or by a flow file, alone, in batches and again from its record."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mimicbrush.edit.record import read_settings
from mimicbrush.errors import UserError
from mimicbrush.flow.flow_files import write_flow
from tests.edit.conftest import ended, pixels, run

OBJECT = (slice(20, 30), slice(10, 24))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A grey picture s.png of 71 x 51 pixels with a bright random block, its mask m.png, and f.npy: 30 to the right."""
    rng = np.random.default_rng(0)
    picture, mask = np.full((51, 71, 3), 64, np.uint8), np.zeros((51, 71), np.uint8)
    picture[OBJECT], mask[OBJECT] = rng.integers(128, 256, (10, 14, 3)), 255
    Image.fromarray(picture).save(tmp_path / "s.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    flow = np.zeros((1, 2, 51, 71), np.float32)
    flow[:, 0, *OBJECT] = 30
    write_flow(flow, tmp_path / "f.npy")
    return tmp_path


def motion(folder: Path, **changes: object) -> list[object]:
    options = {"source": "s.png", "mask": "m.png", "move": "translate 30 5", "output": "e.png"} | changes
    named = {
        name: folder / value if str(value).endswith((".png", ".npy", ".pth")) else value
        for name, value in options.items()
    }
    return ["motion", *(word for name, value in named.items() if value is not None for word in (f"--{name}", value))]


def test_an_object_moves_by_words_and_its_old_place_is_repainted(scene):
    run(*motion(scene))
    source, edited = pixels(scene / "s.png"), pixels(scene / "e.png")
    assert np.array_equal(edited[26:34, 41:53], source[21:29, 11:23])
    assert (edited[20:30, 10:24] == 64).all()
    mask, warped = (pixels(scene / f"e-{name}.png") for name in ("mask", "warped"))
    assert mask[21:29, 11:23].all() and mask[26:34, 41:53].all() and not mask[:, 60:].any()
    assert np.array_equal(warped[21:24, 11:23], source[21:24, 11:23])
    assert np.array_equal(edited[mask == 0], source[mask == 0])


def test_a_flow_file_says_where_and_what_moves(scene):
    run(*motion(scene, move=None, mask=None, flow="f.npy"))
    run(*motion(scene, move="translate 30 0", output="worded.png"))
    assert np.array_equal(pixels(scene / "e.png"), pixels(scene / "worded.png"))


def test_a_mask_chooses_the_object_of_a_flow_of_the_whole_picture(scene):
    write_flow(np.full((1, 2, 51, 71), 4, np.float32), scene / "all.npy")
    run(*motion(scene, move=None, flow="all.npy"))
    run(*motion(scene, move="translate 4 4", output="worded.png"))
    assert np.array_equal(pixels(scene / "e.png"), pixels(scene / "worded.png"))


def test_nothing_changes_outside_the_edit_mask(scene):
    limit = np.zeros((51, 71), np.uint8)
    limit[:, :48] = 255
    Image.fromarray(limit).save(scene / "limit.png")
    run(*motion(scene, edit_mask="limit.png"))
    assert np.array_equal(pixels(scene / "e.png")[:, 48:], pixels(scene / "s.png")[:, 48:])
    assert not np.array_equal(pixels(scene / "e.png"), pixels(scene / "s.png"))


def test_a_keep_mask_is_an_edit_mask_with_the_opposite_meaning_alone_in_batches_and_in_replays(scene):
    limit = np.zeros((51, 71), np.uint8)
    limit[8:, :48] = 255
    Image.fromarray(limit).save(scene / "limit.png")
    Image.fromarray(255 - limit).save(scene / "keep.png")
    run(*motion(scene, edit_mask="limit.png"))
    run(*motion(scene, keep_mask="keep.png", output="kept.png"))
    (scene / "motions.csv").write_text(
        "source,mask,move,keep_mask,output\ns.png,m.png,translate 30 5,keep.png,row.png\n"
    )
    run("motion", "--batch", scene / "motions.csv")
    run("--replay", scene / "kept.png", "--output", scene / "again.png")
    for name in ("kept", "row", "again"):
        assert np.array_equal(pixels(scene / f"{name}.png"), pixels(scene / "e.png"))
    Image.fromarray(limit).save(scene / "keep.png")
    with pytest.raises(UserError, match=r"keep_mask .*keep\.png has changed since .*kept\.png was made"):
        run("--replay", scene / "kept.png", "--output", scene / "third.png")


def test_a_mask_of_the_release_holds_latents_that_are_kept(scene):
    """The last column and row of latents of a picture of 64 x 48 pixels are kept."""
    for name in ("s", "m"):
        Image.open(scene / f"{name}.png").crop((0, 0, 64, 48)).save(scene / f"{name}.png")
    kept = torch.zeros(1, 4, 6, 8, dtype=torch.bool)
    kept[..., 5, :] = kept[..., 7] = True
    torch.save(kept, scene / "kept.pth")
    editor = "mimicbrush.editors.motion_guidance.MotionGuidanceEditor"
    settings = {"num_inference_steps": 1, "flow_weight": 0}
    init_args = json.dumps({"pretrained": "asset:tiny", "settings": settings, "device": "cpu"})
    run(*motion(scene, keep_mask="kept.pth", editor=editor, init_args=init_args))
    may_change = pixels(scene / "e-mask.png") > 0
    assert may_change[:40, :56].all() and not may_change[40:].any() and not may_change[:, 56:].any()


def test_an_edit_is_repeated_from_its_record(scene):
    run(*motion(scene, prompt="a block"))
    record = read_settings(scene / "e.png")
    assert (record["kind"], record["move"], record["flow"]) == ("motion", "translate 30 5", None)
    run("--replay", scene / "e.png", "--output", scene / "again.png")
    run("motion", "--replay", scene / "e.png", "--output", scene / "turned.png", "--move", "rotate 90")
    assert np.array_equal(pixels(scene / "e.png"), pixels(scene / "again.png"))
    assert read_settings(scene / "turned.png")["move"] == "rotate 90"


def test_a_changed_flow_is_noticed_in_a_replay(scene):
    run(*motion(scene, move=None, mask=None, flow="f.npy"))
    write_flow(np.full((1, 2, 51, 71), 3, np.float32), scene / "f.npy")
    with pytest.raises(UserError, match=r"flow .*f\.npy has changed since .*e\.png was made"):
        run("--replay", scene / "e.png", "--output", scene / "again.png")


def test_a_csv_of_motions_is_made_and_resumed(scene, capsys):
    rows = [
        {"mask": "m.png", "move": "translate 30 5; rotate 20", "output": "a.png"},
        {"flow": "f.npy", "output": "b.png"},
        {"mask": "m.png", "move": "spin 3", "output": "c.png"},
        {"mask": "m.png", "move": "translate 99 0", "output": "d.png"},
        {"move": "rotate 3", "output": "e.png"},
        {"flow": "x" * 300, "output": "f.png"},
    ]
    with (scene / "motions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["source", "mask", "move", "flow", "output"])
        writer.writeheader()
        writer.writerows({"source": "s.png"} | row for row in rows)
    for made in (2, 0):
        with pytest.raises(UserError, match="4 lines were skipped"):
            run("motion", "--batch", scene / "motions.csv")
        said = capsys.readouterr()
        assert f"edited {made} of 6 rows" in said.out
        assert "line 4: spin is not a motion; known are translate RIGHT DOWN" in said.err
        assert "line 5: the flow moves every pixel out of the picture" in said.err
        assert "line 6: mask not given; name the mask of the object that moves" in said.err
        assert "- flow: expected a path, found a name of 300 bytes" in said.err
    assert (pixels(scene / "b.png")[20:30, 10:24] == 64).all()


def with_flow(change) -> dict:
    flow = np.zeros((1, 2, 51, 71), np.float32)
    flow[:, 0, *OBJECT] = 30
    return {"move": None, "flow": "odd.npy", "array": change(flow)}


def transparent(folder: Path) -> None:
    picture = Image.open(folder / "s.png").convert("RGBA")
    picture.putpixel((45, 28), (0, 0, 0, 10))
    picture.save(folder / "s.png")


REFUSED = {
    "no motion": ({"move": None}, "no motion given; give one of move"),
    "two motions": ({"flow": "f.npy"}, "move and flow given; give one of move"),
    "no object": ({"mask": None}, "mask not given; name the mask of the object that moves"),
    "unknown word": ({"move": "spin 90"}, "spin is not a motion; known are translate RIGHT DOWN, rotate DEGREES"),
    "nothing moves": ({"move": "rotate 0"}, "'rotate 0' moves nothing; give a motion"),
    "out of the picture": ({"move": "translate 200 0"}, "moves every pixel out of the picture"),
    "one mask for both": ({"edit_mask": "m.png"}, "mask and edit_mask are both .*m.png; mask is the object that moves"),
    "another size": (with_flow(lambda flow: flow[..., 1:]), r"odd.npy is 70 x 51 pixels and the source 71 x 51"),
    "height x width x 2": (with_flow(lambda flow: flow[0].transpose(1, 2, 0)), "move the last axis to the front"),
    "not a number": (with_flow(lambda flow: flow + np.inf), "its flow holds NaN or infinity"),
    "beyond all numbers": (with_flow(lambda flow: flow * np.float64(1e300)), "its flow holds NaN or infinity"),
    "too short": (with_flow(lambda flow: flow * np.float32(1e-7)), "moves no pixel by more than 3e-06 pixels"),
    "all zero": (with_flow(lambda flow: 0 * flow), "odd.npy is zero everywhere, so nothing would move"),
    "two fields": (with_flow(lambda flow: np.concatenate([flow, flow])), "holds 2 fields, expected 1 for a still"),
    "no such flow": ({"move": None, "flow": "none.npy"}, "flow .*none.npy: no such flow file"),
    "no such edit mask": ({"edit_mask": "none.png"}, "edit_mask .*none.png: no such picture"),
    "empty mask": ({"mask": "black.png"}, "mask .*black.png is empty"),
    "folder as flow": ({"move": None, "flow": "."}, "is a folder; expected a flow file"),
    "full mask": ({"mask": "white.png"}, "mask .*white.png is all white"),
    "full edit mask": ({"edit_mask": "white.png"}, "edit_mask .*white.png is all white"),
    "keep mask": (
        {"edit_mask": "keep.png"},
        "lets 0% of the moving pixels change.* give a mask of what is kept as keep_m",
    ),
    "edit mask as keep mask": (
        {"keep_mask": "old_and_new.png"},
        "lets 0% of the moving pixels change.*white in keep_mask marks what is kept; give .*as edit_mask",
    ),
    "edit mask and keep mask": (
        {"edit_mask": "old_and_new.png", "keep_mask": "keep.png"},
        "edit_mask and keep_mask given; give edit_mask, white where the source may",
    ),
    "full keep mask": ({"keep_mask": "white.png"}, "keep_mask .*white.png is all white, so nothing may change"),
    "empty keep mask": ({"keep_mask": "black.png"}, "keep_mask .*black.png is all black, so nothing is kept"),
    "no such keep mask": ({"keep_mask": "none.pth"}, "keep_mask .*none.pth: no such mask"),
    "mask of latents of another size": (
        {"keep_mask": "latents.pth"},
        "keep_mask .*latents.pth is 72 x 56 pixels and source .* 71 x 51",
    ),
    "masks swapped": ({"mask": "old_and_new.png", "edit_mask": "m.png"}, "were they swapped?"),
    "object as edit mask": ({"mask": "copy.png", "edit_mask": "m.png"}, "of the place where they land change"),
    "mask on the new place": (
        {"move": None, "flow": "f.npy", "mask": "landed.png"},
        "f.npy is zero on the whole object; mask is white on the object at its present place",
    ),
    "a reference's editor": (
        {"editor": "mimicbrush.editors.baselines.ReferencePaste"},
        "ReferencePaste answers a ReferenceRequest, and a motion edit is a MotionRequest",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unfit_motions_are_refused_in_one_sentence(scene, capsys, case):
    changes, said = REFUSED[case]
    options = dict(changes)
    if "array" in options:
        np.save(scene / "odd.npy", options.pop("array"))
    object_mask = pixels(scene / "m.png")
    landed = np.roll(object_mask, 30, axis=1)
    masks = {
        "black": 0 * object_mask,
        "white": 0 * object_mask + 255,
        "keep": 255 - (object_mask | landed),
        "copy": object_mask,
        "landed": landed,
        "old_and_new": object_mask | np.roll(object_mask, (5, 30), (0, 1)),
    }
    for name, mask in masks.items():
        Image.fromarray(mask).save(scene / f"{name}.png")
    torch.save(torch.ones(1, 4, 7, 9, dtype=torch.bool), scene / "latents.pth")
    status, lines = ended(capsys, *motion(scene, **options))
    assert status == 2 and len(lines) == 1
    assert re.search(said, lines[0]) and not (scene / "e.png").exists()


def test_transparency_where_the_object_lands_is_refused(scene):
    transparent(scene)
    with pytest.raises(
        UserError, match=r"is transparent where the object is or lands.*put the picture on a background"
    ):
        run(*motion(scene))
    run(*motion(scene, move="translate 0 -15"))
    assert pixels(scene / "e.png")[28, 45, 3] == 10


def test_hints_are_printed(scene, caplog):
    run(*motion(scene, move="translate 54 0"))
    assert "50% of the moving pixels leave the picture" in caplog.text
    write_flow(np.full((1, 2, 51, 71), 4, np.float32), scene / "all.npy")
    run(*motion(scene, move=None, mask=None, flow="all.npy", output="all.png"))
    assert "moves every pixel; name the object's mask" in caplog.text


def test_another_editor_and_another_format_of_flow(scene):
    torch.save(torch.from_numpy(np.load(scene / "f.npy"))[0], scene / "f.pth")
    run(
        *motion(scene, move=None, mask=None),
        "--flow",
        scene / "f.pth",
        "--editor",
        "mimicbrush.editors.baselines.PlainWarp",
    )
    source, edited = pixels(scene / "s.png"), pixels(scene / "e.png")
    assert np.array_equal(edited[21:29, 41:53], source[21:29, 11:23])
