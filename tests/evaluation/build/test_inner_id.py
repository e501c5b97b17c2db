from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import CollectionConfig, InnerIdConfig, SizeConfig
from mimicbrush.evaluation.build.inner_id import build_inner_id, subject_quotas
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.segmentation.config import PhotographMaskConfig
from mimicbrush.segmentation.photographs import list_photographs
from tests.evaluation.build.conftest import disc_mask, write_photograph

DOGS, CATS = [f"dog/{i:02d}.jpg" for i in range(4)], [f"cat/{i:02d}.jpg" for i in range(3)]
SMALL = SizeConfig(max_side=128, min_side=64)


def config_of(folder: Path, output: Path, **options) -> InnerIdConfig:
    masks = options.pop("masks", PhotographMaskConfig())
    subjects = CollectionConfig(folder=folder, masks=masks, metadata=options.pop("metadata", None))
    return InnerIdConfig(subjects=subjects, output=output, **{"task": "texture", "size": SMALL, **options})


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file of a set; config.yaml names the folder itself."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "config.yaml")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def provenance(folder: Path) -> dict:
    return json.loads((folder / "provenance.json").read_text())


def test_set_is_sound_and_says_where_it_comes_from(make_photographs, tmp_path, capsys):
    folder, output = make_photographs(*DOGS, *CATS), tmp_path / "set"
    rows = [f"{dog},CC0,http://x/{dog}" for dog in DOGS]
    (tmp_path / "metadata.csv").write_text("\n".join(["file,licence,url", *rows]))
    build_inner_id(config_of(folder, output, triplets_per_subject=2, metadata=tmp_path / "metadata.csv"))

    benchmark = BenchmarkSet(folder=output, task="texture", track="inner_id")
    assert find_faults(benchmark, frozenset({"reference_mask"})) == []
    samples = list_samples(benchmark)
    assert [(sample.id, sample.group) for sample in samples] == [
        ("000", "cat"),
        ("001", "cat"),
        ("002", "dog"),
        ("003", "dog"),
    ]
    found = provenance(output)["triplets"]["002"]
    source = folder / found["source"]["file"]
    assert found["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert found["source"]["licence"] == "CC0" and found["source"]["size"] == [160, 140]
    assert found["source"]["mask"] == {"method": "grabcut", "iterations": 5, "seed": 0, "central_box": 0.9}
    expected = Image.open(source).resize((128, 112), Image.Resampling.LANCZOS)
    assert np.array_equal(np.array(Image.open(samples[2].source)), np.array(expected))
    assert not (output / "prompts.json").exists()
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "made 4 of 4 triplets; skipped 0 of 6 photographs tried",
        f"texture, inner_id: 4 triplets -> {output}; check the masks in {output / 'contact_sheet.html'}",
    ]


def test_triplets_are_of_one_subject_and_repeat_no_source(make_photographs):
    photographs = list_photographs(make_photographs(*DOGS, *CATS))
    for quota in subject_quotas(photographs, 3, seed=5):
        pairs = [(each.source, each.reference) for each in quota.candidates]
        assert all(source.split("/")[0] == reference.split("/")[0] == quota.name for source, reference in pairs)
        assert all(source != reference for source, reference in pairs)
        number = 4 if quota.name == "dog" else 3
        assert len(set(pairs)) == len(pairs) == number * (number - 1)
        assert len({source for source, _ in pairs[:number]}) == number


def test_draw_depends_on_the_seed_and_not_on_other_subjects(make_photographs):
    def drawn(files: list[str], seed: int) -> list[str]:
        quotas = subject_quotas(list_photographs(make_photographs(*files, folder=f"of{len(files)}")), 1, seed=seed)
        (dog,) = [quota for quota in quotas if quota.name == "dog"]
        return [each.source for each in dog.candidates]

    assert drawn(DOGS, 0) == drawn([*DOGS, *CATS], 0)
    assert len({tuple(drawn(DOGS, seed)) for seed in range(8)}) > 1


def test_same_command_gives_the_same_bytes_and_goes_on_where_it_stopped(make_photographs, tmp_path):
    folder = make_photographs(*DOGS, *CATS)
    build_inner_id(config_of(folder, tmp_path / "whole"))
    build_inner_id(config_of(folder, tmp_path / "again"))
    expected = contents(tmp_path / "whole")
    assert contents(tmp_path / "again") == expected
    for name in ("000_reference.png", "001_source_mask.png", "provenance.json", "groups.json"):
        (tmp_path / "again" / name).unlink()
    shutil.rmtree(tmp_path / "again" / "masks" / "dog")
    build_inner_id(config_of(folder, tmp_path / "again"))
    assert contents(tmp_path / "again") == expected


def test_masks_that_were_made_are_not_made_again(make_photographs, tmp_path, monkeypatch):
    folder = make_photographs(*DOGS)
    build_inner_id(config_of(folder, tmp_path / "set"))
    monkeypatch.setattr("mimicbrush.segmentation.grabcut.cv2.grabCut", None)
    build_inner_id(config_of(folder, tmp_path / "set"))


def test_mended_masks_are_read_as_files(make_photographs, tmp_path):
    folder = make_photographs(*DOGS)
    build_inner_id(config_of(folder, tmp_path / "set"))
    masks = shutil.copytree(tmp_path / "set" / "masks", tmp_path / "mended")
    Image.fromarray(disc_mask().astype(np.uint8) * 255).save(next(masks.rglob("*.png")))
    build_inner_id(config_of(folder, tmp_path / "second", masks=PhotographMaskConfig(method="files", folder=masks)))
    assert len(list((tmp_path / "second").glob("*_source.png"))) == 1


def test_another_run_and_other_inputs_are_refused(make_photographs, tmp_path):
    folder = make_photographs(*DOGS)
    build_inner_id(config_of(folder, tmp_path / "set"))
    with pytest.raises(UserError, match=r"holds another run: settings\.seed was 0, is 1"):
        build_inner_id(config_of(folder, tmp_path / "set", seed=1))
    write_photograph(folder / "dog/00.jpg", seed=99)
    with pytest.raises(UserError, match="holds another run: inputs was"):
        build_inner_id(config_of(folder, tmp_path / "set"))


def test_benchmark_of_unknown_origin_is_left_alone(make_photographs, make_set):
    output = make_set(number=1)
    with pytest.raises(UserError, match="holds a benchmark that was not built here"):
        build_inner_id(config_of(make_photographs(*DOGS), output))
    assert not (output / "config.yaml").exists()


def test_unusable_photographs_are_skipped_named_and_counted(make_photographs, tmp_path, capsys):
    folder = make_photographs(*DOGS, *CATS, "lone/00.jpg", "twins/00.jpg")
    (folder / "dog/00.jpg").write_bytes(b"no picture")
    (folder / "dog/01.jpg").write_bytes(b"")
    shutil.copy(folder / "twins/00.jpg", folder / "twins/01.jpg")
    build_inner_id(config_of(folder, tmp_path / "set"))
    said = capsys.readouterr().out
    found = provenance(tmp_path / "set")
    assert set(found["triplets"]) == {"000", "001"}
    assert {found["triplets"]["001"][side]["file"] for side in ("source", "reference")} == {"dog/02.jpg", "dog/03.jpg"}
    assert found["too_few"] == {"lone": "0 of 1", "twins": "0 of 1"}
    assert set(found["skipped"]) == {str(folder / "dog/00.jpg"), str(folder / "dog/01.jpg")}
    assert f"skipped {folder / 'dog/00.jpg'}: unreadable: " in said
    assert "skipped 2 of 8 photographs tried: 2 unreadable; too few from lone, twins" in said


def test_folder_in_which_all_is_broken_fails(make_photographs, tmp_path):
    folder = make_photographs("dog/00.jpg", "dog/01.jpg")
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"made 0 of 1 triplets; .* first .*00\.jpg: not a readable"):
        build_inner_id(config_of(folder, tmp_path / "set"))
    assert not (tmp_path / "set" / "config.yaml").exists()  # the output stays free for the corrected command


def test_photographs_outside_a_subjects_folder_are_refused(make_photographs, tmp_path):
    with pytest.raises(UserError, match=r"a\.jpg: lies in no subject's folder"):
        build_inner_id(config_of(make_photographs("a.jpg", "dog/00.jpg"), tmp_path / "set"))


def test_parts_need_to_be_told(make_photographs, tmp_path):
    folder = make_photographs(*DOGS)
    with pytest.raises(ValueError, match=r"subjects\.masks\.regions"):
        config_of(folder, tmp_path, task="parts")
    regions = {dog: {"box": [50, 60, 90, 80]} for dog in DOGS[1:3]}
    (tmp_path / "regions.json").write_text(json.dumps(regions))
    masks = PhotographMaskConfig(method="box", regions=tmp_path / "regions.json")
    build_inner_id(config_of(folder, tmp_path / "set", task="parts", masks=masks))
    (found,) = provenance(tmp_path / "set")["triplets"].values()
    assert {found["source"]["file"], found["reference"]["file"]} == set(DOGS[1:3])
    assert provenance(tmp_path / "set")["unmarked"] == [str(folder / DOGS[0]), str(folder / DOGS[3])]
    mask = np.array(Image.open(tmp_path / "set" / "000_source_mask.png"))
    assert np.flatnonzero(mask.any(axis=1)).tolist() == list(range(48, 64))  # 60 to 80 at 128 / 160


def test_masks_of_other_photographs_are_refused(make_photographs, tmp_path):
    (tmp_path / "masks").mkdir()
    masks = PhotographMaskConfig(method="files", folder=tmp_path / "masks")
    with pytest.raises(UserError, match=r"masks: has a mask, box or click for none of the 4 photographs"):
        build_inner_id(config_of(make_photographs(*DOGS), tmp_path / "set", masks=masks))
