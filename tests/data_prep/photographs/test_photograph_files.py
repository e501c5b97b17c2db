from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.inputs.photograph_files import check_photographs, list_sources
from mimicbrush.errors import UserError
from mimicbrush.segmentation.config import PhotographMaskConfig
from tests.data_prep.photographs.conftest import config_for, write_subjects, write_view


def test_each_photograph_of_a_subject_is_paired_with_the_others(tmp_path: Path) -> None:
    folder = write_subjects(tmp_path / "in", dog=3, cup=1)
    (folder / "notes.txt").write_text("")
    sources, passed_over = list_sources(config_for(folder, tmp_path / "out"))
    assert list(sources) == ["cup/00.png", "dog/00.png", "dog/01.png", "dog/02.png"]
    assert list(sources["dog/01.png"].references) == ["dog/00.png", "dog/02.png"]
    assert sources["dog/01.png"].facts == {"group": "dog"}
    assert sources["cup/00.png"].fault == "single_photograph: cup has no other photograph"
    assert passed_over == {".txt": 1}


def test_ten_photographs_in_one_folder_show_one_thing(tmp_path: Path) -> None:
    for view in range(10):
        write_view(tmp_path / "mug" / f"{view}.png", shift=view)
    config = config_for(tmp_path / "mug", tmp_path / "out", pairs_per_photograph=4)
    sources, _ = list_sources(config)
    assert {each.facts["group"] for each in sources.values()} == {"mug"}
    assert {len(each.references) for each in sources.values()} == {4}
    write_view(tmp_path / "mug" / "new.png", shift=40)
    later, _ = list_sources(config)
    kept = [len(set(each.references) & set(later[name].references)) for name, each in sources.items()]
    assert min(kept) >= 3


def test_output_masks_and_hidden_files_are_no_subjects(tmp_path: Path) -> None:
    folder = write_subjects(tmp_path, dog=2)
    write_view(tmp_path / "masks" / "dog" / "00.png")
    write_view(tmp_path / ".hidden" / "00.png")
    write_view(tmp_path / "out" / "00.png")
    masks = PhotographMaskConfig(method="files", folder=tmp_path / "masks")
    assert list(list_sources(config_for(folder, tmp_path / "out", masks=masks))[0]) == ["dog/00.png", "dog/01.png"]


def test_rows_of_a_csv_name_everything_and_bad_ones_are_named_by_line(tmp_path: Path) -> None:
    for name in ("a", "b", "m"):
        write_view(tmp_path / f"{name}.png")
    (tmp_path / "pairs.csv").write_text(
        "source,reference,mask,group,prompt\n"
        'a.png,b.png,m.png,shop,"a red, round box"\n'
        "a.png,b.png,m.png,shop,again\n"
        "b.png,gone.png,none.png,,\n"
        "a.png,,,,\n"
        "a.png,a.png,,,\n"
        "a.png,b.png,,,,,too many\n"
        f"a.png,{'a red box ' * 30},,,\n"
        "a.png,folder,,,\n"
    )
    (tmp_path / "folder").mkdir()
    sources, passed_over = list_sources(config_for(tmp_path / "pairs.csv", tmp_path / "out"))
    long = ("a red box " * 30).strip()
    good = sources["a.png + b.png + m.png"]
    assert good.facts == {"group": "shop", "prompt": "a red, round box"} and not good.fault
    assert (good.source, good.mask) == (tmp_path / "a.png", tmp_path / "m.png")
    assert {name: each.fault for name, each in sources.items() if each.fault} == {
        "b.png + gone.png + none.png": "missing: line 4: reference gone.png, mask none.png",
        "a.png": "bad_row: line 5 has no reference",
        "a.png + a.png": "copies: line 6 names one picture as source and reference",
        f"a.png + {long}": f"missing: line 8: reference {long}",
        "a.png + folder": "not_a_file: line 9: reference folder",
        "line 7": 'bad_row: 7 cells for 5 columns; put a cell that holds commas in "quotes"',
    }
    assert passed_over == {"named twice": 1}


def test_triplets_are_found_by_their_names_with_prompts_and_groups(tmp_path: Path) -> None:
    for part in ("000_source", "000_source_mask", "000_reference", "001_source"):
        write_view(tmp_path / "set" / f"{part}.png")
    (tmp_path / "set" / "prompts.json").write_text(json.dumps({"000": "a cup", "001": "FILL IN"}))
    (tmp_path / "set" / "groups.json").write_text(json.dumps({"000": "cups"}))
    write_view(tmp_path / "set" / "loose.jpg")
    write_view(tmp_path / "set" / "deeper" / "view.webp")
    sources, passed_over = list_sources(config_for(tmp_path / "set", tmp_path / "out"))
    assert passed_over == {".jpg": 1, ".webp": 1}
    assert sources["000"].mask == tmp_path / "set" / "000_source_mask.png"
    assert sources["000"].facts == {"group": "cups", "prompt": "a cup"}
    assert sources["001"].fault == "missing: there is no picture 001_reference"
    (tmp_path / "set" / "prompts.json").write_text("{")
    with pytest.raises(UserError, match=r"prompts\.json: expected a JSON object of names and texts; correct it"):
        list_sources(config_for(tmp_path / "set", tmp_path / "out"))


def test_another_text_or_box_changes_the_content_of_its_own_source_alone(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_view(tmp_path / f"{name}.png")
    table, boxes = tmp_path / "pairs.csv", tmp_path / "boxes.json"
    config = config_for(table, tmp_path / "out", masks=PhotographMaskConfig(method="box", regions=boxes))

    def contents(prompt: str, edge: int) -> dict[str, str]:
        table.write_text(f"source,reference,prompt\na.png,b.png,{prompt}\nb.png,c.png,\nc.png,b.png,\n")
        boxes.write_text(json.dumps({"a.png": {"box": [1, 1, 40, 40]}, "c.png": {"box": [1, 1, 40, edge]}}))
        return {name: each.hash_content() for name, each in list_sources(config)[0].items()}

    before, text, box = contents("x", 40), contents("y", 40), contents("x", 50)
    assert {name for name in before if before[name] != text[name]} == {"a.png + b.png"}
    assert {name for name in before if before[name] != box[name]} == {"c.png + b.png"}
    states = {name: each.state for name, each in list_sources(config)[0].items()}
    table.write_text(table.read_text() + "\n\n")
    assert {name: each.state.bytes for name, each in list_sources(config)[0].items()} == {
        name: state.bytes for name, state in states.items()
    }


def test_mistakes_are_explained(tmp_path: Path) -> None:
    config = config_for(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match="no such CSV or folder of photographs"):
        check_photographs(config)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no photographs"):
        list_sources(replace(config, photographs=tmp_path / "empty"))
    (tmp_path / "columns.csv").write_text("source,refernce\na.png,b.png\n")
    with pytest.raises(UserError, match="expected the columns source, reference, optionally mask, group"):
        list_sources(replace(config, photographs=tmp_path / "columns.csv"))
    (tmp_path / "columns.csv").write_text("source,reference\n")
    with pytest.raises(UserError, match="has no rows; expected one for each pair"):
        list_sources(replace(config, photographs=tmp_path / "columns.csv"))
    with pytest.raises(UserError, match="only folders of subjects may have; add the columns group, licence and url"):
        list_sources(replace(config, photographs=tmp_path / "columns.csv", metadata=tmp_path / "columns.csv"))
    masks = PhotographMaskConfig(method="files", folder=tmp_path / "no_masks")
    with pytest.raises(UserError, match="no such folder of masks"):
        check_photographs(replace(config, photographs=tmp_path / "empty", masks=masks))
