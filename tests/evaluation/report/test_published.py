from __future__ import annotations

import pytest

from mimicbrush.evaluation.report.published import COLUMNS, PUBLISHED, published_ablations, published_rows

ALL = [column for columns in COLUMNS.values() for column in columns]


@pytest.mark.parametrize(
    ("task", "table", "name", "values"),
    [
        ("parts", 1, "Paint-by-Example without box", [0.51, 15.17, 0.49, 41.44, 81.00, 29.45]),
        ("parts", 1, "AnyDoor with mask", [0.44, 14.09, 0.50, 61.30, 86.08, 29.39]),
        ("parts", 1, "MimicBrush", [0.70, 17.54, 0.28, 56.48, 84.30, 30.08]),
        ("texture", 3, "DINOv2 encoder as reference network", [0.74, 17.27, 0.27, 46.34, 78.00, 30.61]),
        ("texture", 4, "Grid, 0.75", [0.73, 16.69, 0.28, 52.46, 81.75, 30.02]),
        ("parts", 4, "Image data only", [0.67, 14.95, 0.33, 39.68, 79.90, 29.12]),
    ],
)
def test_rows_as_printed(task, table, name, values):
    (row,) = (row for row in PUBLISHED if (row.task, row.table, row.name) == (task, table, name))
    assert [row.values[column] for column in ALL] == values


def test_every_table_is_whole():
    number = {(task, table): 0 for task in ("parts", "texture") for table in (1, 3, 4)}
    for row in PUBLISHED:
        number[row.task, row.table] += 1
        assert list(row.values) == ALL
    assert list(number.values()) == [5, 3, 7, 0, 3, 7]


def test_full_method_is_the_same_in_every_table_but_for_one_known_number():
    for task, differing in (("parts", set()), ("texture", {"CLIP-T"})):
        full = [row.values for row in PUBLISHED if row.is_full and row.task == task]
        assert {column for column in ALL if len({values[column] for values in full}) > 1} == differing


def test_best_of_table_1_is_where_the_paper_prints_bold():
    rows = published_rows("parts")
    best = {column: max(rows, key=lambda row: row.values[column]).name for column in ALL if column != "LPIPS"}
    assert best == {
        "SSIM": "MimicBrush",
        "PSNR": "MimicBrush",
        "DINO-I": "AnyDoor with mask",
        "CLIP-I": "AnyDoor with mask",
        "CLIP-T": "MimicBrush",
    }
    assert min(rows, key=lambda row: row.values["LPIPS"]).name == "MimicBrush"


def test_no_baseline_is_published_for_texture_transfer():
    assert [row.name for row in published_rows("texture")] == [
        "MimicBrush (U-Net as reference network)",
        "MimicBrush (full pipeline)",
    ]
    assert len(published_ablations("texture")) == 8 and len(published_ablations("parts")) == 10
