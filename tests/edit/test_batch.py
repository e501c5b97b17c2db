from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.edit import editing
from mimicbrush.errors import UserError
from mimicbrush.folder_lock import held
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
    named = r"mend what was skipped, .*\n- line 4: source .*text\.png: not a readable picture"
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *options)
    assert f"edited 2 of 4 rows -> {pictures}; already there: 1; skipped: 1" in capsys.readouterr().out
    assert (pictures / "done.png").read_bytes() == before
    run(monkeypatch, *arguments_for(pictures, seed=5))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "a.png"))
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *options)
    assert "edited 0 of 4 rows; already there: 3; skipped: 1" in capsys.readouterr().out


def test_a_batch_is_refused_where_another_command_writes(pictures, monkeypatch):
    batch = write_batch(pictures, {"output": "a.png"}, {"output": "there/b.png"})
    for folder in (pictures, pictures / "there"):
        with held(folder), pytest.raises(UserError, match=f"{folder} is held by process"):
            run(monkeypatch, *arguments_for(pictures, **BATCH, batch=batch))
    assert not (pictures / "a.png").exists()
    run(monkeypatch, *arguments_for(pictures, **BATCH, batch=batch))
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
    named = r"\n- line 3: seed is x, .*\n- line 4: seed is -4.*\n- line 5: .*d\.png: cannot be written \(Permission"
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **BATCH, batch=write_batch(pictures, *rows)))
    assert (pictures / "a.png").exists()
    assert "edited 1 of 4 rows" in capsys.readouterr().out


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
def test_a_row_that_cannot_be_meant_is_named_by_its_line(pictures, monkeypatch, row, named):
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **BATCH, batch=write_batch(pictures, row)))


def test_a_batch_makes_only_the_results_that_are_missing(pictures, monkeypatch):
    options = {**BATCH, "batch": write_batch(pictures, {"output": "a.png", "seed": "5"}), "num_images": 2}
    run(monkeypatch, *arguments_for(pictures, **options))
    second = pixels(pictures / "a-2.png")
    (pictures / "a-2.png").unlink()
    Image.open(pictures / "s.png").save(pictures / "a-1.png")
    before = (pictures / "a-1.png").read_bytes()
    run(monkeypatch, *arguments_for(pictures, **options))
    assert (pictures / "a-1.png").read_bytes() == before
    assert np.array_equal(pixels(pictures / "a-2.png"), second)


def test_rows_that_would_overwrite_are_named_and_the_others_are_made(pictures, monkeypatch):
    twice, read = {"output": "a.png"}, {"output": "r.png", "reference": "s.png"}
    batch = write_batch(pictures, twice, {"output": "b.png"}, twice, read, {"output": "c.png"})
    before = (pictures / "r.png").read_bytes()
    named = (
        r"\n- line 2: .*a\.png is written by lines 2 and 4.*\n- line 4: .*"
        r"\n- line 5: .*r\.png would overwrite the reference of line \d"
    )
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **BATCH, batch=batch))
    assert (pictures / "b.png").exists() and (pictures / "c.png").exists() and not (pictures / "a.png").exists()
    assert (pictures / "r.png").read_bytes() == before


def test_results_that_were_made_otherwise_are_named_and_stay(pictures, monkeypatch):
    batch = write_batch(pictures, {"output": "a.png"}, {"output": "b.png", "seed": "5"})
    options = arguments_for(pictures, **BATCH, batch=batch)
    run(monkeypatch, *options)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    run(monkeypatch, *options, "--vae_tiling", "--precision", "float32")
    with pytest.raises(UserError, match=r"line 2: .*a\.png is there, and .* \(context was 2\.0, is 3\.0\)"):
        run(monkeypatch, *options, "--context", "3")
    with pytest.raises(UserError, match=r"\n- line 2: .*\(seed was 0, is 4\)[^\n]*$"):
        run(monkeypatch, *options, "--seed", "4")
    Image.open(pictures / "r.png").rotate(90).save(pictures / "r.png")
    with pytest.raises(UserError, match=r"line 3: .*\(reference has changed since: .*r\.png\)"):
        run(monkeypatch, *options)


HEADER = "source,mask,reference,output"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "found none"),
        (f"{HEADER}\n", "no rows below the columns' names"),
        (HEADER.replace(",", ";") + "\ns.png;m.png;r.png;a.png\n", "commas between the columns"),
        (f"{HEADER}\n\ns.png,m.png\n", "line 3: reference, output empty"),
        (f"{HEADER}\ns.png,m.png,[r.png, s.png],a.png\n", '5 cells for 4 columns; put a cell .* in "quotes"'),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused_before_anything_is_edited(pictures, monkeypatch, text, named):
    (pictures / "edits.csv").write_text(text)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **BATCH, batch=pictures / "edits.csv"))


def test_a_grid_asked_for_later_is_made_of_the_finished_results(pictures, monkeypatch, capsys):
    options = arguments_for(pictures, **BATCH, batch=write_batch(pictures, {"output": "a.png"}), num_images=2)
    run(monkeypatch, *options)
    monkeypatch.setattr(editing, "load_pipeline", forbidden)
    run(monkeypatch, *options, "--grid")
    assert "edited 0 of 1 rows; already there: 1; skipped: 0" in capsys.readouterr().out
    assert Image.open(pictures / "a-grid.png").size == (2 * 396 + 12, 2 * 432 + 12)
