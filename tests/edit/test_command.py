from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mimicbrush.edit.result_sheet import SIDE
from mimicbrush.errors import UserError
from mimicbrush.reports.contact_sheet import GAP
from tests.edit.conftest import BATCH, arguments_for, pixels, run, saved, write_batch


def test_an_edit_is_replayed_from_its_picture_and_overridden(pictures):
    run(*arguments_for(pictures, seed=3, crop_to_mask="true", reference_box="[4, 4, 60, 44]"))
    run("--replay", pictures / "e.png", "--output", pictures / "again.png")
    run(f"--replay={pictures / 'again.png'}", "--output", pictures / "other_seed.png", "--seed", 4)
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "again.png"))
    assert not np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "other_seed.png"))


@pytest.mark.parametrize("changed", ["source", "mask", "reference", "reference_mask"])
def test_a_replay_notices_a_picture_that_changed_since(pictures, changed):
    Image.new("L", (70, 50), 255).save(pictures / "shown.png")
    run(*arguments_for(pictures, reference_mask=pictures / "shown.png"))
    name = {"source": "s.png", "mask": "m.png", "reference": "r.png", "reference_mask": "shown.png"}[changed]
    picture = Image.open(pictures / name)
    picture.putpixel((25, 25), 255 - picture.getpixel((25, 25)) if picture.mode == "L" else (1, 2, 3))
    picture.save(pictures / name)
    replay = ("--replay", pictures / "e.png", "--output", pictures / "again.png")
    with pytest.raises(UserError, match=rf"^{changed} .*{name} has changed since .*e\.png was made"):
        run(*replay)
    assert not (pictures / "again.png").exists()
    run(*replay, f"--{changed}", pictures / name)
    assert (pictures / "again.png").exists()


def test_an_edit_with_relative_weights_is_replayed_from_another_folder(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    run(*arguments_for(pictures, weights="weights"))
    (pictures / "elsewhere").mkdir()
    monkeypatch.chdir(pictures / "elsewhere")
    run("--replay", pictures / "e.png", "--output", "again.png")
    assert np.array_equal(pixels(pictures / "e.png"), pixels(Path("again.png")))


def test_a_value_that_looks_like_an_option_overrides_none(pictures, monkeypatch):
    (pictures / "weights").rename(pictures / "reference")
    monkeypatch.chdir(pictures)
    run(*arguments_for(pictures, weights="reference"))
    Image.open("s.png").save("r.png")
    with pytest.raises(UserError, match=r"reference .*r\.png has changed since"):
        run("--replay", "e.png", "--output", "again.png", "--weights", "reference")


def test_pictures_are_looked_at_before_weights_are_loaded(pictures):
    with pytest.raises(UserError, match=r"mask .*absent\.png: no such picture"):
        run(*arguments_for(pictures, weights=pictures / "no weights", mask=pictures / "absent.png"))


def test_each_of_several_results_is_replayed_alone(pictures):
    run(
        *arguments_for(pictures, num_images=2, reference=f"[{pictures / 'r.png'}, {pictures / 's.png'}]"),
        "--grid",
    )
    run("--replay", pictures / "e-2.png", "--output", pictures / "again.png")
    difference = pixels(pictures / "e-2.png").astype(int) - pixels(pictures / "again.png")
    assert np.abs(difference).max() <= 1
    assert Image.open(pictures / "e-grid.png").width == 3 * SIDE + 4 * GAP


def test_nothing_is_overwritten_without_force(pictures):
    run(*arguments_for(pictures))
    before = (pictures / "e.png").read_bytes()
    with pytest.raises(UserError, match=r"e\.png exists; choose another --output or pass --force"):
        run(*arguments_for(pictures, seed=1))
    assert (pictures / "e.png").read_bytes() == before
    run(*arguments_for(pictures, seed=1), "--force")
    assert (pictures / "e.png").read_bytes() != before


def test_offloaded_and_in_tiles_it_edits_too(pictures):
    run(*arguments_for(pictures))
    run(
        *arguments_for(pictures, output=pictures / "low.png", offload="model", device="cpu"),
        "--vae_tiling",
    )
    difference = pixels(pictures / "e.png").astype(int) - pixels(pictures / "low.png")
    assert np.abs(difference).max() <= 1  # the tiny network's pictures are one tile


@pytest.mark.parametrize("by_csv", [False, True])
def test_each_reference_has_its_own_box_or_mask(pictures, monkeypatch, by_csv):
    """The parts of a reference outside its box or mask do not matter."""
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
            run(*arguments_for(pictures, **BATCH, batch=batch))
        else:
            monkeypatch.chdir(pictures)
            run(*arguments_for(pictures, output=output, **lists))
        run("--replay", output, "--output", pictures / f"again-{fill}.png")
        results += [pixels(output), pixels(pictures / f"again-{fill}.png")]
    assert all(np.array_equal(results[0], result) for result in results)


# --- Pictures of any kind ------------------------------------------------------------------------------------------


def sixteen_bits(folder: Path) -> Path:
    levels = np.random.default_rng(0).integers(0, 65536, (50, 70, 3), dtype=np.uint16)
    assert cv2.imwrite(str(folder / "deep.png"), levels)
    return folder / "deep.png"


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
def test_pictures_of_any_mode_are_edited_and_keep_what_the_mask_does_not_reach(pictures, mode):
    source = ODD[mode](pictures)
    run(*arguments_for(pictures, source=source))
    deep = mode.endswith("16")
    read = (lambda path: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) if deep else upright_pixels
    before, after = read(source), read(pictures / "e.png")
    before = np.repeat(before[..., None], 3, axis=2) if before.ndim == 2 else before
    assert after.dtype == (np.uint16 if deep else np.uint8)
    assert np.array_equal(before[:8], after[:8]) and not np.array_equal(before, after)
    run("--replay", pictures / "e.png", "--output", pictures / "again.png")
    assert np.array_equal(read(pictures / "again.png"), after)


def upright_pixels(path: Path) -> np.ndarray:
    picture = Image.open(path)
    return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def test_a_mask_with_grey_edges_is_thresholded_and_it_is_said(pictures, caplog):
    mask = np.asarray(Image.open(pictures / "m.png")).copy()
    mask[19, 20:40] = 100
    run(*arguments_for(pictures, mask=saved(pictures, mask)))
    run(*arguments_for(pictures, output=pictures / "sharp.png"))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "sharp.png"))
    (said,) = caplog.messages
    assert said.startswith(f"mask {pictures / 'odd.png'} has 20 grey or half-transparent pixels")
