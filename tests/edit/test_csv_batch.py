from __future__ import annotations

import errno
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.edit import editing
from mimicbrush.edit.result_sheet import SIDE
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
from mimicbrush.reports.contact_sheet import GAP, LABEL_HEIGHT
from tests.edit.conftest import BATCH, arguments_for, pixels, run, write_batch


def test_a_batch_skips_what_is_there_and_names_what_is_broken(pictures, monkeypatch, capsys):
    (pictures / "text.png").write_text("no picture")
    Image.open(pictures / "s.png").save(pictures / "done.png")
    before = (pictures / "done.png").read_bytes()
    batch = write_batch(
        pictures,
        {"output": "a.png", "seed": "5"},
        {"output": "b.png", "keep_shape": "true"},
        {"output": "c.png", "source": "text.png"},
        {"output": "done.png"},
    )
    options = arguments_for(pictures, **BATCH, batch=batch)
    summary = r"edits\.csv: line 4 was skipped, for the reasons above; fix that and run the same command$"
    with pytest.raises(UserError, match=summary):
        run(*options)
    said = capsys.readouterr()
    assert f"edited 2 of 4 rows -> {pictures}; already there: 1; skipped: 1" in said.out
    assert said.err.count("text.png") == 1
    assert f"skipped line 4: source {pictures / 'text.png'}: not a readable picture" in said.err
    assert (pictures / "done.png").read_bytes() == before
    run(*arguments_for(pictures, seed=5))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "a.png"))
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    with pytest.raises(UserError, match=summary):
        run(*options)
    assert "edited 0 of 4 rows; already there: 3; skipped: 1" in capsys.readouterr().out


def test_a_batch_is_refused_where_another_command_writes(pictures):
    batch = write_batch(pictures, {"output": "a.png"}, {"output": "there/b.png"})
    for folder in (pictures, pictures / "there"):
        with held(folder), pytest.raises(UserError, match=f"{folder} is held by process"):
            run(*arguments_for(pictures, **BATCH, batch=batch))
    assert not (pictures / "a.png").exists()
    run(*arguments_for(pictures, **BATCH, batch=batch))
    assert not list(pictures.rglob(".lock*"))


def test_rows_with_bad_cells_or_places_are_named_together_and_the_others_are_made(pictures, monkeypatch, capsys):
    mkdir = Path.mkdir

    def refuse(path: Path, *args, **kwargs) -> None:
        if path.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refuse)
    bad = {"output": "b.png", "seed": "x"}, {"output": "c.png", "seed": "-4"}, {"output": "locked/d.png"}
    rows = {"output": "a.png"}, *bad
    with pytest.raises(UserError, match="3 lines were skipped"):
        run(*arguments_for(pictures, **BATCH, batch=write_batch(pictures, *rows)))
    assert (pictures / "a.png").exists()
    said = capsys.readouterr()
    assert "edited 1 of 4 rows" in said.out
    assert re.search(
        r"line 3: seed is x, .*\nskipped line 4: seed is -4.*\nskipped line 5: .*d\.png: cannot be written \(Perm",
        said.err,
    )


def forbidden(*_: object) -> None:
    raise AssertionError("nothing needs the weights")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"output": "a.jpg"}, r"line 2: output is .*a\.jpg, expected a name ending in \.png"),
        ({"output": "a.png", "source": " "}, "line 2: source empty"),
        ({"output": "a.png", "seed": "x"}, "line 2: seed is x, expected a whole number"),
        ({"output": "a.png", "keep_shape": "maybe"}, "line 2: keep_shape is maybe"),
        ({"output": "a.png", "reference_box": "[1, 2"}, r"line 2: \[1, 2 is not a list"),
        ({"output": "a.png", "reference_box": "1, 2, 3, 4"}, r"line 2: reference_box is .* expected \[left, top"),
        ({"output": "a.png", "reference_mask": "[m.png, null]"}, "line 2: 2 of reference_mask for 1 references"),
        ({"output": "s.png"}, r"line 2: output would overwrite source .*s\.png"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named_by_its_line(pictures, capsys, row, named):
    assert re.search(named, skipped(pictures, capsys, row))


def skipped(pictures, capsys, *rows: dict) -> str:
    """Run a batch in which some rows are skipped, and return the messages about its rows."""
    with pytest.raises(UserError, match="skipped, for the reasons above"):
        run(*arguments_for(pictures, **BATCH, batch=write_batch(pictures, *rows)))
    first, _, said = capsys.readouterr().err.partition("\n")
    assert first == f"loading {pictures / 'weights'} on a GPU if there is one, else the CPU ..."
    return said


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"source": "no.png", "mask": "none.png"}, ["source .*no.png: no such", "mask .*none.png: no such"]),
        ({"seed": "x", "reference_box": "[1, 2]"}, ["seed is x", r"reference_box is \[1, 2\], expected whole left"]),
        ({"seed": "x", "keep_shape": "y", "mask": "black.png"}, ["keep_shape is y", "seed is x", "mask .*is empty"]),
        ({"seed": "-4", "reference": "no.png", "output": ""}, ["output empty", "reference .*no.png: no such"]),
        ({"seed": "-4", "output": "a.jpg", "mask": "no.png"}, ["output is", "seed is -4", "mask .*no.png: no such"]),
        ({"mask": "black.png", "reference_box": "[0, 0, 99, 9]"}, ["mask .*is empty", "reference_box of .* within"]),
        ({"reference": "no.png", "reference_mask": "none.png"}, ["reference .*no.png", "reference_mask .*none.png"]),
        ({"seed": "x", "output": "r.png"}, ["seed is x", "output would overwrite reference"]),
    ],
)
def test_a_row_with_several_faults_names_them_all(pictures, capsys, row, named):
    Image.new("L", (70, 50)).save(pictures / "black.png")
    said = skipped(pictures, capsys, {"output": "a.png", **row})
    first, *faults = said.splitlines()
    assert first == f"skipped line 2: {len(named)} faults:"
    assert len(faults) == len(named)
    for expected in named:
        assert sum(bool(re.match(f"  - {expected}", fault)) for fault in faults) == 1, said


def test_a_batch_makes_only_the_results_that_are_missing(pictures):
    options = {**BATCH, "batch": write_batch(pictures, {"output": "a.png", "seed": "5"}), "num_images": 2}
    run(*arguments_for(pictures, **options))
    second = pixels(pictures / "a-2.png")
    (pictures / "a-2.png").unlink()
    Image.open(pictures / "s.png").save(pictures / "a-1.png")
    before = (pictures / "a-1.png").read_bytes()
    run(*arguments_for(pictures, **options))
    assert (pictures / "a-1.png").read_bytes() == before
    assert np.array_equal(pixels(pictures / "a-2.png"), second)


def test_rows_that_would_overwrite_are_named_and_the_others_are_made(pictures, capsys):
    twice, read = {"output": "a.png"}, {"output": "r.png", "reference": "s.png"}
    before = (pictures / "r.png").read_bytes()
    said = skipped(pictures, capsys, twice, {"output": "b.png"}, twice, read, {"output": "c.png"})
    assert re.search(
        r"skipped line 2: .*a\.png is written by lines 2 and 4.*\nskipped line 4: .*"
        r"\nskipped line 5: .*r\.png would overwrite the reference of line \d",
        said,
    )
    assert (pictures / "b.png").exists() and (pictures / "c.png").exists() and not (pictures / "a.png").exists()
    assert (pictures / "r.png").read_bytes() == before


def test_results_that_were_made_otherwise_are_named_and_stay(pictures, monkeypatch, capsys):
    batch = write_batch(pictures, {"output": "a.png"}, {"output": "b.png", "seed": "5"})
    options = arguments_for(pictures, **BATCH, batch=batch)
    run(*options)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    run(*options, "--vae_tiling", "--precision", "float32")
    with pytest.raises(UserError, match="2 lines were skipped"):
        run(*options, "--context", "3")
    assert re.search(
        r"line 2: .*a\.png exists and was made with other settings \(context was 2\.0, is 3\.0\)",
        capsys.readouterr().err,
    )
    with pytest.raises(UserError, match="line 2 was skipped"):
        run(*options, "--seed", "4")
    assert re.search(r"line 2: .*\(seed was 0, is 4\)[^\n]*\n$", capsys.readouterr().err)
    Image.open(pictures / "r.png").rotate(90).save(pictures / "r.png")
    with pytest.raises(UserError, match="2 lines were skipped"):
        run(*options)
    assert re.search(r"line 3: .*\(reference has changed since: .*r\.png\)", capsys.readouterr().err)


HEADER = "source,mask,reference,output"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "found none"),
        (f"{HEADER}\n", "no rows below the columns' names"),
        (HEADER.replace(",", ";") + "\ns.png;m.png;r.png;a.png\n", "commas between the columns"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused_before_anything_is_edited(pictures, monkeypatch, text, named):
    (pictures / "edits.csv").write_text(text)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    with pytest.raises(UserError, match=named):
        run(*arguments_for(pictures, **BATCH, batch=pictures / "edits.csv"))


def test_a_row_with_too_many_cells_is_skipped_by_name(pictures, capsys):
    (pictures / "edits.csv").write_text(f"{HEADER}\ns.png,m.png,[r.png, s.png],a.png\ns.png,m.png,r.png,b.png\n")
    with pytest.raises(UserError, match="line 2 was skipped"):
        run(*arguments_for(pictures, **BATCH, batch=pictures / "edits.csv"))
    shown = capsys.readouterr()
    assert 'skipped line 2: 5 cells for 4 columns; put a cell that holds commas in "quotes"' in shown.err
    assert "edited 1 of 2 rows" in shown.out
    assert (pictures / "b.png").is_file()


def test_a_row_that_ends_too_soon_names_its_empty_cells(pictures, capsys):
    (pictures / "edits.csv").write_text(f"{HEADER}\n\ns.png,m.png\n")
    with pytest.raises(UserError, match="line 3 was skipped"):
        run(*arguments_for(pictures, **BATCH, batch=pictures / "edits.csv"))
    assert "skipped line 3: reference, output empty; fill in" in capsys.readouterr().err


def test_a_grid_asked_for_later_is_made_of_the_finished_results(pictures, monkeypatch, capsys):
    options = arguments_for(pictures, **BATCH, batch=write_batch(pictures, {"output": "a.png"}), num_images=2)
    run(*options)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    run(*options, "--grid")
    assert "edited 0 of 1 rows; already there: 1; skipped: 0" in capsys.readouterr().out
    # Source, mask and reference above two results, of 70 x 50 pixels, each scaled to the sheet's width for one.
    row = LABEL_HEIGHT + round(SIDE * 50 / 70) + GAP
    assert Image.open(pictures / "a-grid.png").size == (3 * SIDE + 4 * GAP, 2 * row + GAP)
