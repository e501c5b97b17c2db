from __future__ import annotations

import pytest

from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import UserError


def test_cells_come_by_line_and_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufefffile, note\n\n a.png,one\n,\nb.png\nc.png,three,\n", encoding="utf-8")
    assert read_rows(path, required=("file",)) == {
        3: {"file": " a.png", "note": "one"},
        5: {"file": "b.png", "note": ""},
        6: {"file": "c.png", "note": "three"},
    }
    assert read_rows(path, required=("file",), optional=("note",)).keys() == {3, 5, 6}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"note\n1\n", "expected the columns file, optionally group; found note$"),
        (b"file,note\na,1\n", "expected the columns file, optionally group; found file, note$"),
        (b"file;group\na;1\n", "found file;group; export it with commas between the columns"),
        (b"", "found none"),
        (b"file\na.png,b\n", 'line 2: 2 cells for 1 columns; put a cell that holds commas in "quotes"'),
        (b"file,group,file\na,1,b\n", "has several columns file; keep one of each name"),
        (b"file\na.png\nb\0.png\n", "line 3: holds a zero byte, which text does not"),
        (b"\xff\xfe\xfa", "is not text in UTF-8; expected a CSV"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / "a.csv", required=("file",), optional=("group",))
