from __future__ import annotations

import base64
import io
import re

from PIL import Image

from mimicbrush.evaluation.build.config import CollectionConfig, InnerIdConfig, SizeConfig
from mimicbrush.evaluation.build.inner_id import build_inner_id


def test_sheet_shows_both_pictures_of_every_triplet_and_what_was_skipped(make_photographs, tmp_path):
    folder = make_photographs("<dog>/00.jpg", "<dog>/01.jpg", "<dog>/02.jpg")
    (folder / "<dog>/01.jpg").write_bytes(b"no picture")
    subjects = CollectionConfig(folder=folder)
    size = SizeConfig(max_side=128, min_side=64)
    options = {"task": "texture", "size": size, "triplets_per_subject": 2}
    build_inner_id(InnerIdConfig(subjects=subjects, output=tmp_path / "set", **options))
    sheet = (tmp_path / "set" / "contact_sheet.html").read_text()
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^']+)'", sheet)]
    assert [picture.size for picture in pictures] == [(128, 112)] * 4
    assert not re.findall(r"(?:src|href)='(?!data:)", sheet)
    assert "000 · &lt;dog&gt;" in sheet and "<dog>" not in sheet
    assert "skipped 1 of 3 photographs" in sheet and "01.jpg: unreadable" in sheet
