from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.inputs.photograph_files import list_sources
from data_prep.photographs.source_masks import add_sam_masks
from data_prep.photographs.source_to_pairs import read_source, shard_photographs
from data_prep.records.duplicates import find_near_duplicates
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.pictures.mask_geometry import mask_box
from mimicbrush.pictures.reading import decode_mask, decode_rgb
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photograph_masks import BoxMasker
from mimicbrush.segmentation.region_files import read_regions
from tests.data_prep.conftest import done_last, summary_in
from tests.data_prep.photographs.conftest import box_mask_levels, config_for, files_of, write_subjects, write_view

pytestmark = pytest.mark.usefixtures("without_training_view")


@pytest.fixture
def views(tmp_path: Path) -> tuple[Path, Path]:
    """Two views of one thing, which differ by 16 pixels."""
    return write_view(tmp_path / "a.png"), write_view(tmp_path / "b.png", shift=16)


def read_only_pair(files, tmp_path: Path, **fields):
    (pair,) = read_source("name", files, config=config_for(tmp_path, tmp_path / "out", **fields)).pairs
    return pair


def test_two_views_of_a_thing_match_where_they_show_the_same(views, tmp_path) -> None:
    pair = read_only_pair(files_of(*views), tmp_path)
    moved = np.array([(sx - rx) * 96 for sx, _, rx, _ in pair.keypoints])
    assert len(pair.keypoints) >= 8 and np.abs(np.median(moved) - 16) < 1
    assert decode_rgb(pair.source).shape == (64, 77, 3) and 0 < pair.similarity < 0.92
    assert pair.origin == {"group": "g", "size": [77, 64], "file": "a.png + b.png"}


def test_different_things_have_no_matches_and_are_kept(views, tmp_path) -> None:
    other = write_view(tmp_path / "other.png", thing=7)
    outcome = read_source("name", files_of(views[0], other), config=config_for(tmp_path, tmp_path / "out"))
    assert outcome.pairs[0].keypoints == [] and outcome.record["matched"] == 0


def test_a_mask_comes_from_its_file_before_alpha_before_the_method(views, tmp_path) -> None:
    levels = box_mask_levels()
    Image.fromarray(levels).save(tmp_path / "mask.png")
    clear = write_view(tmp_path / "clear.png", alpha=np.roll(levels, 20, axis=1))
    expected = Image.fromarray(levels).resize((77, 64), Image.Resampling.BOX)
    given = read_only_pair(files_of(clear, views[1], mask=tmp_path / "mask.png"), tmp_path)
    assert np.mean(decode_mask(given.masks[0]) != (np.array(expected) > 127)) < 0.01
    by_alpha = read_only_pair(files_of(clear, views[1]), tmp_path)
    assert np.flatnonzero(decode_mask(by_alpha.masks[0]).any(axis=0))[0] == pytest.approx(50 * 0.8, abs=1)
    assert decode_rgb(by_alpha.source)[0, 0].min() > 250
    plain = np.full((80, 96, 3), 128, np.uint8)
    plain[levels > 127] = (220, 30, 30)
    Image.fromarray(plain).save(tmp_path / "plain.png")
    by_method = read_only_pair(files_of(tmp_path / "plain.png", views[1]), tmp_path)
    assert np.mean(decode_mask(by_method.masks[0]) != (np.array(expected) > 127)) < 0.02


def test_a_mask_that_training_would_not_hide_is_named_and_the_pair_kept(views, tmp_path) -> None:
    Image.fromarray(np.full((80, 96), 255, np.uint8)).save(tmp_path / "full.png")
    files = files_of(*views, mask=tmp_path / "full.png")
    outcome = read_source("name", files, config=config_for(tmp_path, tmp_path / "out"))
    assert outcome.pairs[0].masks == []
    assert outcome.record["note"] == "the mask covers 100.0%, but training hides objects of 2% to 50%"


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        (np.zeros((80, 96), np.uint8), "mask_empty"),
        (np.full((80, 96), 128, np.uint8), "mask_grey"),
        (np.full((40, 96), 255, np.uint8), "mask_size"),
        (None, "mask_unreadable"),
    ],
)
def test_a_bad_mask_of_ones_own_skips_its_source(views, tmp_path, levels, reason) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"no picture") if levels is None else Image.fromarray(levels).save(path)
    with pytest.raises(UnusableInput) as caught:
        read_source("name", files_of(*views, mask=path), config=config_for(tmp_path, tmp_path / "out"))
    assert caught.value.reason == reason


def test_copies_give_no_pair(views, tmp_path) -> None:
    Image.open(views[0]).resize((192, 160)).save(tmp_path / "larger.jpg", quality=80)
    with pytest.raises(UnusableInput, match=r"copies: larger.jpg: SSIM 1.00, 0% changed"):
        read_source("name", files_of(views[0], tmp_path / "larger.jpg"), config=config_for(tmp_path, tmp_path / "o"))


def striped(path: Path, colour: tuple[int, int, int], stripes: int = 4) -> Path:
    """Stripes of a colour on white; with one stripe the plain colour."""
    pixels = np.full((80, 96, 3), 255, np.uint8)
    pixels[:, np.arange(96) * stripes // 96 % 2 == 0] = colour
    Image.fromarray(pixels).save(path)
    return path


def test_references_of_other_colours_repeat_nothing_and_the_same_pair_encoded_anew_does(views, tmp_path) -> None:
    def hashes(reference: Path, source: Path = views[0]) -> list[str]:
        config = config_for(tmp_path, tmp_path / "out")
        return read_source("name", files_of(source, reference), config=config).record["hashes"]

    red, blue = striped(tmp_path / "red.png", (200, 30, 40)), striped(tmp_path / "blue.png", (40, 60, 160))
    Image.open(views[0]).resize((77, 64)).save(tmp_path / "again.jpg", quality=80)
    Image.open(red).save(tmp_path / "red.jpg", quality=80)
    found = {
        "red": hashes(red),
        "blue": hashes(blue),
        "reversed": hashes(views[0], source=red),
        "plain red": hashes(striped(tmp_path / "plain_red.png", (200, 30, 40), stripes=1)),
        "plain orange": hashes(striped(tmp_path / "plain_orange.png", (200, 120, 40), stripes=1)),
        "plain grey": hashes(striped(tmp_path / "plain_grey.png", (120, 120, 120), stripes=1)),
        "again": hashes(tmp_path / "red.jpg", source=tmp_path / "again.jpg"),
    }
    assert {name: near.of for name, near in find_near_duplicates(found, 0.95).items()} == {"again": "red"}


def test_a_folder_of_subjects_becomes_shards_with_a_report_and_resumes(tmp_path) -> None:
    folder = write_subjects(tmp_path / "in", dog=3, cup=1, hat=2)
    (folder / "dog" / "03.jpg").write_bytes(b"no picture")
    Image.open(folder / "dog" / "00.png").resize((192, 160)).save(folder / "hat" / "stolen.jpg", quality=85)
    config = config_for(folder, tmp_path / "out")
    said = shard_photographs(config)
    assert "- skipped cup/00.png: only photograph of its subject (cup has no other photograph)" in said
    assert "- skipped dog/03.jpg: damaged picture (03.jpg: not a readable picture" in said
    assert summary_in(tmp_path / "out")["near_duplicates"] == {"dog/00.png": "hat/stolen.jpg"}
    assert re.search(r"kept 5 of 8 sources, 10 of 12 pairs; 2 skipped: .*; 1 excluded: repeats another \(1\)", said)
    samples = list(read_pairs(list_shards(tmp_path / "out")))
    assert len(samples) == 10 and all(sample.reference for sample in samples)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The 10 pairs show 2 things. Keep whole things out for evaluation" in page
    assert "Sources, worst first" in page and "only photograph of its subject" in page

    shard_photographs(config)
    assert done_last(tmp_path / "out") == 0
    write_view(folder / "cup" / "01.png", thing=1, shift=16)
    assert "- skipped cup" not in shard_photographs(config)
    assert done_last(tmp_path / "out") == 2
    with pytest.raises(UserError, match="short_side"):
        shard_photographs(config_for(folder, tmp_path / "out", short_side=48))


def test_a_single_pair_works_and_the_report_says_what_to_expect(views, tmp_path) -> None:
    long = f"{'a' * 150}.png"
    shutil.copy(views[1], tmp_path / long)
    (tmp_path / "pairs.csv").write_text(
        f"source,reference,licence\na.png,b.png,CC0\n{long},{long.replace('a', 'b')},\n{long * 3},b.png,\n"
    )
    masks = PhotographMaskConfig(central_box=0.6)
    said = shard_photographs(config_for(tmp_path / "pairs.csv", tmp_path / "out", masks=masks))
    assert "kept 1 of 3 sources, 1 pairs; 2 skipped: no such file (2)" in said
    (sample,) = read_pairs(list_shards(tmp_path / "out"))
    assert sample.origin["licence"] == "CC0"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "There is one pair." in page and "No pair is left to hold out" in page


def test_where_nothing_can_be_used_every_fault_is_still_named(tmp_path, capsys) -> None:
    (tmp_path / "pairs.csv").write_text("source,reference\na.png,b.png\n")
    with pytest.raises(UserError, match="nothing to train on"):
        shard_photographs(config_for(tmp_path / "pairs.csv", tmp_path / "out"))
    missing = "- skipped a.png + b.png: no such file (line 2: source a.png, reference b.png)"
    assert missing in capsys.readouterr().out


def test_masks_by_sam_are_made_once_here_and_kept_for_the_workers(tmp_path, monkeypatch) -> None:
    """SAM itself, which needs weights, is tested in tests/segmentation; here a box stands for what it finds."""
    folder, made = write_subjects(tmp_path / "in", mug=2), []

    def load(config: PhotographMaskConfig, files: object, *, seed: int) -> BoxMasker:
        made.append(config.method)
        return BoxMasker(read_regions(config.regions, files))

    monkeypatch.setattr("data_prep.photographs.source_masks.make_masker", load)
    (tmp_path / "boxes.json").write_text('{"mug/00.png": {"box": [30, 20, 60, 60]}}')
    masks = PhotographMaskConfig(method="sam", regions=tmp_path / "boxes.json")
    config = config_for(folder, tmp_path / "out", masks=masks)
    for _ in range(2):
        said = shard_photographs(config)
        assert "- mug/01.png: no object mask (there is no mask, box or click for it)" in said
    assert made == ["sam", "sam"] and done_last(tmp_path / "out") == 0
    first, second = read_pairs(list_shards(tmp_path / "out"))
    assert len(first.masks) == 1 and not second.masks
    assert summary_in(tmp_path / "out")["sources"]["masks"] == {"sam": 1, "none": 1}
    rows, columns = mask_box(decode_mask(first.masks[0]))
    assert (rows.start, rows.stop) == (16, 48) and (columns.start, columns.stop) == pytest.approx((24, 48), abs=1)


def test_masks_by_sam_that_fail_are_explained_and_alpha_is_kept(tmp_path, monkeypatch) -> None:
    folder = write_subjects(tmp_path / "in", mug=3)
    write_view(folder / "mug" / "clear.png", alpha=box_mask_levels())
    boxes = {"00": [30, 20, 60, 60], "01": [30, 20, 33, 23], "02": [90, 20, 120, 60], "clear": [0, 0, 20, 20]}
    regions = tmp_path / "boxes.json"
    regions.write_text(json.dumps({f"mug/{name}.png": {"box": box} for name, box in boxes.items()}))
    monkeypatch.setattr(
        "data_prep.photographs.source_masks.make_masker",
        lambda config, files, *, seed: BoxMasker(read_regions(config.regions, files)),
    )
    masks = PhotographMaskConfig(method="sam", regions=regions)
    config = config_for(folder, tmp_path / "out", masks=masks)
    sources = add_sam_masks(list_sources(config)[0], config)
    assert sources["mug/00.png"].mask_origin == "sam" and sources["mug/00.png"].mask.is_file()
    assert sources["mug/01.png"].mask_fault == "the mask covers 0.12%, expected at least 0.50%"
    outside = "its box is empty, or box or clicks lie outside the 96x80 photograph"
    assert sources["mug/02.png"].fault == f"bad_region: {outside}"
    assert sources["mug/clear.png"].mask is None
    assert read_source("x", sources["mug/clear.png"], config=config).record["mask"] == "alpha"
    assert read_source("x", sources["mug/01.png"], config=config).record["note"] == sources["mug/01.png"].mask_fault
