from __future__ import annotations

import gzip
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.config import EncodeConfig, MergeConfig, ObjectMaskConfig, SamShardConfig, WorkConfig
from data_prep.frames.images import encode_image
from data_prep.inputs.still_files import list_stills
from data_prep.sharding.merge_folder import merge_folder
from data_prep.stills.rle import encode_rle
from data_prep.stills.sam_stills import read_still
from data_prep.stills.still_to_pairs import shard_sam
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import FramePair, read_pairs
from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import decode_mask, decode_rgb
from tests.data_prep.conftest import real_data, summary_in, texture, write_still

pytestmark = pytest.mark.usefixtures("without_training_view")


def config_for(stills: Path, output: Path, **fields: object) -> SamShardConfig:
    return SamShardConfig(stills=stills, output=output, **{"short_side": 48, "work": WorkConfig(workers=1), **fields})


def samples_in(output: Path) -> list[FramePair]:
    return list(read_pairs(list_shards(output)))


def pack(folder: Path, tar: Path) -> Path:
    with tarfile.open(tar, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return tar


def test_a_still_gives_itself_and_a_pseudo_pair(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "sa_1")
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    summary = summary_in(tmp_path / "out")
    pair, still = sorted(samples_in(tmp_path / "out"), key=lambda sample: sample.key)
    assert (summary["kept"], summary["pairs"]) == (1, 2)
    assert still.reference is None
    assert still.similarity is None
    assert decode_rgb(still.source).shape == (48, 72, 3)
    (mask,) = still.masks
    expected = np.zeros((48, 72), bool)
    expected[12:36, 24:48] = True
    assert np.array_equal(decode_mask(mask), expected)
    assert decode_rgb(pair.reference).shape == decode_rgb(pair.source).shape == (48, 72, 3)
    assert decode_mask(pair.masks[0]).mean() > 0.01
    assert -1 <= pair.similarity < 1
    assert pair.keypoints
    assert still.origin["group"] == pair.origin["group"] == "sa_1"


def test_tars_and_folders_give_the_same_samples(tmp_path: Path) -> None:
    for seed, name in enumerate(("x", "y")):
        write_still(tmp_path / "in", name, seed)
    tar = pack(tmp_path / "in", tmp_path / "sa_000.tar")
    generator = np.random.default_rng(0)
    for name, files in list_stills(tar, output=tmp_path / "out").stills.items():
        other = list_stills(tmp_path / "in", output=tmp_path / "out").stills[name.removeprefix("sa_000.tar/")]
        ours, theirs = (read_still(found, ObjectMaskConfig(), generator) for found in (files, other))
        assert np.array_equal(ours.image, theirs.image)
        assert np.array_equal(ours.masks[0], theirs.masks[0])


def test_masks_are_chosen_by_size_rating_and_borders(tmp_path: Path) -> None:
    def reason(name: str, **changes: object) -> str:
        write_still(tmp_path / name, name, **changes)
        write_still(tmp_path / name, "good")
        shard_sam(config_for(tmp_path / name, tmp_path / f"out-{name}"))
        skipped = summary_in(tmp_path / f"out-{name}")["skipped"]
        return next((reason for reason, names in skipped.items() if name in names), "kept")

    wall = np.ones((64, 96), bool)
    wall[:, 40:] = False
    assert reason("rated", predicted_iou=0.3) == "no_good_mask"
    assert reason("shaky", stability_score=0.3) == "no_good_mask"
    assert reason("tiny", area=3) == "no_good_mask"
    counts = encode_rle(wall)
    assert reason("wall", area=int(wall.sum()), segmentation={"size": [64, 96], "counts": counts}) == "no_good_mask"


def test_bad_stills_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_still(folder, "good")
    write_still(folder, "size", segmentation={"size": [96, 64], "counts": "`X1"})
    write_still(folder, "runs", segmentation={"size": [64, 96], "counts": "4"})
    write_still(folder, "polygon", segmentation=[[1, 2, 3, 4]])
    write_still(folder, "words", area="large")
    for name in ("no_json", "no_picture", "json", "picture", "empty"):
        write_still(folder, name)
    (folder / "no_json.json").unlink()
    (folder / "no_picture.jpg").unlink()
    (folder / "json.json").write_text("{")
    (folder / "picture.jpg").write_bytes(b"no picture")
    (folder / "empty.json").write_text(json.dumps({"annotations": []}))
    write_still(folder, "strip", segmentation=[[160, 10, 190, 10, 190, 30, 160, 30]])
    (folder / "strip.jpg").write_bytes(encode_image(texture(0, 40, 328), EncodeConfig()))
    shard_sam(config_for(folder, tmp_path / "out"))
    summary = summary_in(tmp_path / "out")
    assert summary["kept"] == 1
    assert {name: reason for reason, names in summary["skipped"].items() for name in names} == {
        "size": "mask_size",
        "runs": "bad_mask",
        "polygon": "bad_mask",
        "words": "bad_rating",
        "no_json": "missing_masks",
        "no_picture": "missing_picture",
        "json": "bad_json",
        "picture": "bad_picture",
        "empty": "missing_masks",
        "strip": "too_small",
    }


def test_copies_of_compressed_tars_are_deleted_in_the_end(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "a")
    tar = tmp_path / "x.tar.gz"
    tar.write_bytes(gzip.compress(pack(tmp_path / "in", tmp_path / "x.tar").read_bytes()))
    shard_sam(config_for(tar, tmp_path / "out"))
    assert summary_in(tmp_path / "out")["kept"] == 1
    assert not (tmp_path / "out" / ".unpacked").exists()
    task = WorkConfig(workers=1, task=0, num_tasks=2)
    shard_sam(config_for(tar, tmp_path / "many", work=task))
    assert (tmp_path / "many" / ".unpacked").exists()
    shard_sam(config_for(tar, tmp_path / "many", work=replace(task, task=1)))
    merge_folder(MergeConfig(folder=tmp_path / "many"))
    assert not (tmp_path / "many" / ".unpacked").exists()


def test_a_truncated_tar_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    for name in "abc":
        write_still(tmp_path / "in", name)
    (tmp_path / "tars").mkdir()
    tar = pack(tmp_path / "in", tmp_path / "tars" / "x.tar")
    content = tar.read_bytes()
    with tarfile.open(tar) as archive:
        cut = archive.getmember("c.jpg").offset_data + 100
    tar.write_bytes(content[:cut])
    shard_sam(config_for(tmp_path / "tars", tmp_path / "out"))
    summary = summary_in(tmp_path / "out")
    assert summary["kept"] == 2
    skipped = {name: reason for reason, names in summary["skipped"].items() for name in names}
    assert skipped["x.tar"] == "truncated"
    assert "x.tar/c" in skipped


def skipped_in(output: Path) -> dict[str, str]:
    return {name: reason for reason, names in summary_in(output)["skipped"].items() for name in names}


def test_a_damaged_tar_is_named_and_gives_what_stands_before_the_damage(tmp_path: Path) -> None:
    for name in "abc":
        write_still(tmp_path / "in", name)
    (tmp_path / "tars").mkdir()
    tar = pack(tmp_path / "in", tmp_path / "tars" / "x.tar")
    with tarfile.open(tar) as archive:
        header = archive.getmember("b.json").offset
    content = tar.read_bytes()
    for name, junk in (("x.tar", b"\x55" * 512), ("zeros.tar", bytes(512))):
        (tmp_path / "tars" / name).write_bytes(content[:header] + junk + content[header + 512 :] + bytes(10240))
    (tmp_path / "tars" / "text.tar").write_text("no tar at all")
    shard_sam(config_for(tmp_path / "tars", tmp_path / "out"))
    skipped = skipped_in(tmp_path / "out")
    assert {name: skipped[name] for name in ("x.tar", "zeros.tar", "text.tar")} == {
        "x.tar": "damaged_tar",
        "zeros.tar": "damaged_tar",
        "text.tar": "not_a_tar",
    }
    assert summary_in(tmp_path / "out")["kept"] == 2


def test_what_is_no_file_is_named_and_nothing_waits_for_it(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "good")
    os.mkfifo(tmp_path / "in" / "pipe.tar")
    os.mkfifo(tmp_path / "in" / "pipe.json")
    (tmp_path / "in" / "gone.json").symlink_to(tmp_path / "nowhere")
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    assert skipped_in(tmp_path / "out") == {"pipe.tar": "not_a_file", "pipe": "not_a_file", "gone": "missing"}


def test_text_that_is_no_text_harms_nobody(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "licence")
    path = tmp_path / "in" / "licence.json"
    content = json.loads(path.read_text())
    content["image"] |= {"licence": "\ud83d", "url": {"a": 1}}
    path.write_text(json.dumps(content))
    write_still(tmp_path / "in", "size", segmentation={"size": ["\ud800", 1], "counts": "4"})
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    assert skipped_in(tmp_path / "out") == {"size": "mask_size"}
    origin = samples_in(tmp_path / "out")[0].origin
    assert (origin["licence"], origin.get("url")) == ("\\ud83d", None)


def test_a_mask_without_a_stated_area_is_counted(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "a")
    path = tmp_path / "in" / "a.json"
    content = json.loads(path.read_text())
    del content["annotations"][0]["area"]
    path.write_text(json.dumps(content))
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    assert summary_in(tmp_path / "out")["kept"] == 1


def test_the_same_command_goes_on_and_repeats_bytes(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        write_still(tmp_path / "in", name, seed)
    for output in ("whole", "broken"):
        shard_sam(config_for(tmp_path / "in", tmp_path / output, stills_per_shard=1))
    for suffix in ("tar", "json"):
        (tmp_path / "broken" / f"stills-000001.{suffix}").unlink()
    shard_sam(config_for(tmp_path / "in", tmp_path / "broken", stills_per_shard=1))
    for path in (tmp_path / "whole").glob("stills-*"):
        assert path.read_bytes() == (tmp_path / "broken" / path.name).read_bytes()


def test_a_jpeg_damaged_in_its_middle_is_skipped(tmp_path: Path) -> None:
    for name in ("good", "damaged"):
        write_still(tmp_path / "in", name)
    path = tmp_path / "in" / "damaged.jpg"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(200) + content[len(content) // 2 + 200 :])
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    assert skipped_in(tmp_path / "out") == {"damaged": "bad_picture"}


def test_bad_masks_are_counted_and_the_still_is_kept(tmp_path: Path) -> None:
    write_still(tmp_path / "in", "a")
    path = tmp_path / "in" / "a.json"
    content = json.loads(path.read_text())
    note = content["annotations"][0]
    content["annotations"] += [{**note, "predicted_iou": None}, {**note, "segmentation": [[1, 2, 3, 4]]}]
    path.write_text(json.dumps(content))
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    assert summary_in(tmp_path / "out")["kept"] == 1
    assert summary_in(tmp_path / "out")["dropped_masks"] == {"bad_mask": 1, "bad_rating": 1}


def test_a_replaced_still_is_done_again(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_still(tmp_path / "in", name, seed)
    shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    before = {sample.key for sample in samples_in(tmp_path / "out")}
    write_still(tmp_path / "in", "a", seed=5)
    assert "; 1 changed -> " in shard_sam(config_for(tmp_path / "in", tmp_path / "out"))
    after = {sample.key for sample in samples_in(tmp_path / "out")}
    assert {key for key in after if key.startswith("b")} == {key for key in before if key.startswith("b")}
    new = {key for key in after if key.startswith("a")}
    assert {key.replace("edition2-", "") for key in new} == {key for key in before if key.startswith("a")}
    assert not new & before


def test_an_output_below_the_input_is_no_input(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        write_still(tmp_path, name, seed)
    for output in ("out", "other"):
        for _ in range(2):
            said = shard_sam(config_for(tmp_path, tmp_path / "runs" / output, stills_per_shard=1))
            assert said.startswith("kept 3 of 3 stills")
    assert "passed over: 1 folder of shards" in said
    assert summary_in(tmp_path / "runs" / "other")["passed_over"] == {"folder of shards": 1}


def test_mistakes_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder or tar"):
        shard_sam(config_for(tmp_path / "nowhere", tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no still"):
        shard_sam(config_for(tmp_path / "empty", tmp_path / "out"))
    with pytest.raises(ValueError, match="min_area"):
        ObjectMaskConfig(min_area=0.9, max_area=0.1)


def test_real_stills_and_their_own_areas_agree() -> None:
    stills = list_stills(real_data("sa1b"), output=Path("nowhere")).stills
    name, files = next(iter(stills.items()))
    assert name == "sa_000000.tar/sa_000000"
    areas = [note["area"] for note in json.loads(files.annotations.read())["annotations"]]
    still = read_still(files, ObjectMaskConfig(min_area=0.01), np.random.default_rng(0))
    assert still.image.shape == (512, 512, 3)
    assert all(int(mask.sum()) in areas for mask in still.masks)
