from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mimicbrush.errors import UserError
from tests.edit.conftest import BATCH, arguments_for, ended, pixels, run, write_batch


def test_an_edit_is_replayed_from_its_picture_and_overridden(pictures, monkeypatch):
    run(monkeypatch, *arguments_for(pictures, seed=3, crop_to_mask="true", reference_box="[4, 4, 60, 44]"))
    run(monkeypatch, "--replay", pictures / "e.png", "--output", pictures / "again.png")
    run(monkeypatch, f"--replay={pictures / 'again.png'}", "--output", pictures / "other_seed.png", "--seed", 4)
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))
    assert not np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "other_seed.png"))


@pytest.mark.parametrize("changed", ["source", "mask", "reference", "reference_mask"])
def test_a_replay_notices_a_picture_that_changed_since(pictures, monkeypatch, changed):
    Image.new("L", (70, 50), 255).save(pictures / "shown.png")
    run(monkeypatch, *arguments_for(pictures, reference_mask=pictures / "shown.png"))
    name = {"source": "s.png", "mask": "m.png", "reference": "r.png", "reference_mask": "shown.png"}[changed]
    picture = Image.open(pictures / name)
    picture.putpixel((25, 25), 255 - picture.getpixel((25, 25)) if picture.mode == "L" else (1, 2, 3))
    picture.save(pictures / name)
    replay = ("--replay", pictures / "e.png", "--output", pictures / "again.png")
    with pytest.raises(UserError, match=rf"^{changed} .*{name} has changed since .*e\.png was made"):
        run(monkeypatch, *replay)
    assert not (pictures / "again.png").exists()
    run(monkeypatch, *replay, f"--{changed}", pictures / name)
    assert (pictures / "again.png").exists()


def test_an_edit_with_relative_weights_is_replayed_from_another_folder(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    run(monkeypatch, *arguments_for(pictures, weights="weights"))
    (pictures / "elsewhere").mkdir()
    monkeypatch.chdir(pictures / "elsewhere")
    run(monkeypatch, "--replay", pictures / "e.png", "--output", "again.png")
    assert np.array_equal(pixels(pictures / "e.png"), pixels(Path("again.png")))


def test_a_value_that_looks_like_an_option_overrides_none(pictures, monkeypatch):
    (pictures / "weights").rename(pictures / "reference")
    monkeypatch.chdir(pictures)
    run(monkeypatch, *arguments_for(pictures, weights="reference"))
    Image.open("s.png").save("r.png")
    with pytest.raises(UserError, match=r"reference .*r\.png has changed since"):
        run(monkeypatch, "--replay", "e.png", "--output", "again.png", "--weights", "reference")


def test_pictures_are_looked_at_before_weights_are_loaded(pictures, monkeypatch):
    with pytest.raises(UserError, match=r"mask .*absent\.png: no such picture"):
        run(monkeypatch, *arguments_for(pictures, weights=pictures / "no weights", mask=pictures / "absent.png"))


def test_each_of_several_results_is_replayed_alone(pictures, monkeypatch):
    run(
        monkeypatch,
        *arguments_for(pictures, num_images=2, reference=f"[{pictures / 'r.png'}, {pictures / 's.png'}]"),
        "--grid",
    )
    run(monkeypatch, "--replay", pictures / "e-2.png", "--output", pictures / "again.png")
    difference = pixels(pictures / "e-2.png").astype(int) - pixels(pictures / "again.png")
    assert np.abs(difference).max() <= 1
    assert Image.open(pictures / "e-grid.png").size == (3 * 396 + 12, 2 * 432 + 12)


def test_nothing_is_overwritten_without_force(pictures, monkeypatch):
    run(monkeypatch, *arguments_for(pictures))
    before = (pictures / "e.png").read_bytes()
    with pytest.raises(UserError, match=r"e\.png exists; choose another --output or pass --force"):
        run(monkeypatch, *arguments_for(pictures, seed=1))
    assert (pictures / "e.png").read_bytes() == before
    run(monkeypatch, *arguments_for(pictures, seed=1), "--force")
    assert (pictures / "e.png").read_bytes() != before


def test_offloaded_and_in_tiles_it_edits_too(pictures, monkeypatch):
    run(monkeypatch, *arguments_for(pictures))
    run(
        monkeypatch,
        *arguments_for(pictures, output=pictures / "low.png", offload="model", device="cpu"),
        "--vae_tiling",
    )
    difference = pixels(pictures / "e.png").astype(int) - pixels(pictures / "low.png")
    assert np.abs(difference).max() <= 1  # the tiny network's pictures are one tile


@pytest.mark.parametrize("by_csv", [False, True])
def test_each_reference_has_its_own_box_or_mask(pictures, monkeypatch, by_csv):
    """What they leave out does not matter."""
    shown = np.zeros((50, 70), np.uint8)
    shown[5:45, 10:60] = 255
    Image.fromarray(shown).save(pictures / "shown.png")
    results = []
    for fill in (0, 200):
        for name, box in (("r", (4, 4, 60, 44)), ("other", (10, 5, 60, 45))):
            picture = Image.new("RGB", (70, 50), (fill, fill, fill))
            picture.paste(Image.open(pictures / f"{name}.png").crop(box), box)
            picture.save(pictures / f"{name}-{fill}.png")
        lists = {
            "reference": f"[r-{fill}.png, other-{fill}.png]",
            "reference_box": "[[4, 4, 60, 44], null]",
            "reference_mask": "[null, shown.png]",
        }
        output = pictures / f"e-{fill}.png"
        if by_csv:
            batch = write_batch(pictures, {"output": output.name, **lists})
            run(monkeypatch, *arguments_for(pictures, **BATCH, batch=batch))
        else:
            monkeypatch.chdir(pictures)
            run(monkeypatch, *arguments_for(pictures, output=output, **lists))
        run(monkeypatch, "--replay", output, "--output", pictures / f"again-{fill}.png")
        results += [pixels(output), pixels(pictures / f"again-{fill}.png")]
    assert all(np.array_equal(results[0], result) for result in results)


# --- Bad input ------------------------------------------------------------------------------------------------------


def saved(folder: Path, picture: Image.Image | np.ndarray, **options: object) -> Path:
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(folder / "odd.png", **options)
    return folder / "odd.png"


def sixteen_bits(folder: Path) -> Path:
    levels = np.random.default_rng(0).integers(0, 65536, (50, 70, 3), dtype=np.uint16)
    assert cv2.imwrite(str(folder / "deep.png"), levels)
    return folder / "deep.png"


def truncated(folder: Path) -> Path:
    (folder / "half.png").write_bytes((folder / "s.png").read_bytes()[:2000])
    return folder / "half.png"


def text(folder: Path) -> Path:
    (folder / "text.png").write_text("no picture")
    return folder / "text.png"


def without(folder: Path, lost: str) -> Path:
    shutil.copytree(folder / "weights", folder / "copied")
    (folder / "copied" / lost).unlink()
    return folder / "copied"


def with_empty(folder: Path, emptied: str) -> Path:
    shutil.copytree(folder / "weights", folder / "copied")
    (folder / "copied" / emptied).write_text("")
    return folder / "copied"


def noted(folder: Path, text: str) -> Path:
    """A PNG with a text where settings are looked for."""
    note = PngInfo()
    note.add_text("mimicbrush", text)
    Image.new("RGB", (8, 8)).save(folder / "odd.png", pnginfo=note)
    return folder / "odd.png"


REFUSED = {
    "mask empty": (lambda at: {"mask": saved(at, Image.new("L", (70, 50)))}, r"mask .*odd\.png is empty; paint"),
    "mask transparent": (lambda at: {"mask": saved(at, Image.new("RGBA", (70, 50)))}, "transparent counts as black"),
    "mask white": (lambda at: {"mask": saved(at, Image.new("L", (70, 50), 255))}, r"mask .*odd\.png is all white"),
    "mask of another size": (lambda at: {"mask": saved(at, Image.new("L", (70, 51), 255))}, "70 x 51 .* 70 x 50"),
    "mask absent": (lambda at: {"mask": at / "absent.png"}, r"mask .*absent\.png: no such picture"),
    "image one pixel wide": (
        lambda at: {"source": saved(at, Image.new("RGB", (1, 50)))},
        r"source .*odd\.png is 1 x 50 pixels, expected at least 2",
    ),
    "image of 120 million pixels": (
        lambda at: {"source": saved(at, Image.new("1", (20_000, 6_000)))},
        r"source .*odd\.png is 20000 x 6000 pixels, expected at most 100 million; scale it down",
    ),
    "image of 400 million pixels": (
        lambda at: {"source": saved(at, Image.new("1", (20_000, 20_000)))},
        r"odd\.png: too large to be read .*; scale it down",
    ),
    "image truncated": (lambda at: {"source": truncated(at)}, r"half\.png: not a readable picture"),
    "image not an image": (lambda at: {"source": text(at)}, r"text\.png: not a readable picture"),
    "reference small": (
        lambda at: {"reference": saved(at, Image.new("RGB", (31, 50)))},
        r"reference .*odd\.png is 31 x 50 pixels, expected at least 32",
    ),
    "reference truncated": (lambda at: {"reference": truncated(at)}, r"half\.png: not a readable picture"),
    "box outside": (lambda at: {"reference_box": "[0, 0, 71, 50]"}, r"reference_box of .*r\.png is .* within 70 x 50"),
    "boxes of others": (lambda at: {"reference_box": "[null, null]"}, "2 of reference_box for 1 references"),
    "no such weights": (lambda at: {"weights": at / "absent"}, r"does not exist; expected a mimicbrush\.bin"),
    "folder without weights": (lambda at: {"weights": at}, r"holds no weights; expected a mimicbrush\.bin"),
    "half-copied weights": (
        lambda at: {"weights": without(at, "vae/diffusion_pytorch_model.safetensors")},
        r"vae: no \.safetensors file; convert the weights again, or copy the folder whole",
    ),
    "float16 without a GPU": (
        lambda at: {"precision": "float16", "device": "cpu"},
        "precision is float16, which is for GPUs",
    ),
    "seed below": (lambda at: {"seed": -1}, "seed is -1, expected 0 to 2\\^63 - 1"),
    "seed above": (lambda at: {"seed": 2**63, "num_images": 2}, "expected 0 to 2\\^63 - 2"),
    "output in place of the source": (
        lambda at: {"source": at / "s.png", "output": at / "." / "s.png"},
        r"output would overwrite source .*s\.png",
    ),
    "empty file among the weights": (
        lambda at: {"weights": with_empty(at, "unet/config.json")},
        r"unet could not be loaded \(.*\); convert the weights again, or copy the folder whole",
    ),
    "box small": (lambda at: {"reference_box": "[0, 0, 20, 20]"}, r"reference .*r\.png, cropped, is 20 x 20 pixels"),
    "no such picture to replay": (lambda at: {"replay": at / "absent.png"}, r"absent\.png: no such picture"),
    "replay and config": (lambda at: {"replay": at / "s.png", "config": at / "c.yaml"}, "both bring settings"),
    "offload without a GPU": (
        lambda at: {"offload": "sequential", "device": "cpu"},
        "sequential offload brings layers to a GPU, and none is here or asked for",
    ),
    "no steps": (
        lambda at: {"num_inference_steps": 0, "weights": at / "absent"},
        "num_inference_steps is 0, expected 1 to 1000",
    ),
    "guidance below": (
        lambda at: {"guidance_scale": -1, "weights": at / "absent"},
        "guidance_scale is -1, expected 0 to 100",
    ),
    "fingerprints of another kind": (
        lambda at: {"replay": noted(at, '{"sha256": {"source": 3}}')},
        r"odd\.png: holds no settings of an edit",
    ),
    "fingerprints that are none": (
        lambda at: {"replay": noted(at, '{"sha256": ["x"]}')},
        r"odd\.png: holds no settings of an edit",
    ),
    "no mask": (lambda at: {"mask": None, "output": None}, "mask, output not given"),
    "nothing to replay": (lambda at: {"replay": at / "s.png"}, r"s\.png: holds no settings of an edit"),
    "batch and more": (lambda at: {"batch": at / "edits.csv"}, "batch names sources"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_edited_ends_in_one_sentence_and_status_two(pictures, monkeypatch, capsys, case):
    make, said = REFUSED[case]
    status, lines = ended(monkeypatch, capsys, *arguments_for(pictures, **make(pictures)))
    assert status == 2 and len(lines) == 1
    assert re.search(rf"^error: .*{said}", lines[0])
    assert not (pictures / "e.png").exists()


ODD = {
    "RGBA": lambda at: saved(at, Image.open(at / "s.png").convert("RGBA")),
    "P": lambda at: saved(at, Image.open(at / "s.png").convert("P")),
    "LA": lambda at: saved(at, Image.open(at / "s.png").convert("LA")),
    "CMYK": lambda at: cmyk(at),
    "I;16": lambda at: saved(at, np.arange(3500, dtype=np.uint16).reshape(50, 70) * 18),
    "RGB;16": sixteen_bits,
}


def cmyk(folder: Path) -> Path:
    Image.open(folder / "s.png").convert("CMYK").save(folder / "odd.tif")
    return folder / "odd.tif"


@pytest.mark.parametrize("mode", ODD)
def test_pictures_of_any_mode_are_edited_and_keep_what_the_mask_does_not_reach(pictures, monkeypatch, mode):
    source = ODD[mode](pictures)
    run(monkeypatch, *arguments_for(pictures, source=source))
    deep = mode.endswith("16")
    read = (lambda path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) if deep else upright_pixels
    before, after = read(source), read(pictures / "e.png")
    before = np.repeat(before[..., None], 3, axis=2) if before.ndim == 2 else before
    assert after.dtype == (np.uint16 if deep else np.uint8)
    assert np.array_equal(before[:8], after[:8]) and not np.array_equal(before, after)
    run(monkeypatch, "--replay", pictures / "e.png", "--output", pictures / "again.png")
    assert np.array_equal(read(pictures / "again.png"), after)


def upright_pixels(path: Path) -> np.ndarray:
    picture = Image.open(path)
    return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def test_a_mask_with_grey_edges_is_thresholded_and_it_is_said(pictures, monkeypatch, caplog):
    mask = np.asarray(Image.open(pictures / "m.png")).copy()
    mask[19, 20:40] = 100
    run(monkeypatch, *arguments_for(pictures, mask=saved(pictures, mask)))
    run(monkeypatch, *arguments_for(pictures, output=pictures / "sharp.png"))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "sharp.png"))
    (said,) = caplog.messages
    assert said.startswith(f"mask {pictures / 'odd.png'} has 20 grey or half-transparent pixels")
