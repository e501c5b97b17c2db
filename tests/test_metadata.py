from __future__ import annotations

from pathlib import Path

import pytest

from mimicbrush.errors import UserError
from mimicbrush.metadata import read_metadata


def test_metadata_is_read_by_file(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text("file,group,licence,other\na.mp4,cat,CC0,x\nb.mp4,,CC0,\n")
    rows = read_metadata(path, ["a.mp4", "b.mp4"])
    assert rows == {"a.mp4": {"group": "cat", "licence": "CC0"}, "b.mp4": {"licence": "CC0"}}
    assert read_metadata(None, ["a.mp4"]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such metadata"),
        ("name\na.mp4\n", "expected the columns file; found name"),
        ("file\nz.mp4\n", "names none of the inputs"),
    ],
)
def test_bad_metadata_is_explained(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "metadata.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_metadata(path, ["a.mp4"])
