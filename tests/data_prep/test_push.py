from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from data_prep.config import ShardPushConfig
from data_prep.inputs.input_files import check_push
from data_prep.photographs.source_to_pairs import shard_photographs
from data_prep.sharding.push_shards import push_shards
from mimicbrush.data.shard_index import list_shards
from mimicbrush.data.shards import read_pairs
from mimicbrush.errors import UserError
from tests.data_prep.photographs.conftest import config_for, write_subjects
from tests.hub_stand_in import running_hub


@pytest.mark.usefixtures("without_training_view")
def test_shards_arrive_with_a_card_that_tells_contents_licences_making_and_limits(tmp_path: Path, monkeypatch) -> None:
    folder = write_subjects(tmp_path / "in", mug=3)
    rows = ["mug/00.png,mug/01.png,CC0", "mug/01.png,mug/02.png,CC0", "mug/02.png,mug/00.png,", "mug/00.png,gone.png,"]
    (folder / "pairs.csv").write_text("\n".join(["source,reference,licence", *rows]))
    shards = tmp_path / "shards"
    shard_photographs(config_for(folder / "pairs.csv", shards))
    with running_hub(monkeypatch) as hub:
        said = push_shards(ShardPushConfig(folder=shards, repo_id="me/mugs", licence="cc0-1.0"))
    assert said == f"{shards}: shards and card -> {hub.address}/datasets/me/mugs"
    files = hub.files["me/mugs"]
    assert set(files) == {
        *("README.md", "excluded.json", "index.json", "summary.json", "sources-000000.json", "sources-000000.tar")
    }
    card = DatasetCard(files["README.md"].decode())
    assert card.data.license == "cc0-1.0" and "webdataset" in card.data.tags
    assert "Kept 3 of 4 sources, 3 pairs; 1 skipped: no such file (1)." in card.text
    assert "| CC0 | 2 |\n| not stated | 1 |" in card.text and "No licence is stated for 1 of 3 pairs." in card.text
    assert "| masks.method | grabcut |" in card.text and str(tmp_path) not in card.text
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in files.items():
        (copy / name).write_bytes(content)
    assert [each.key for each in read_pairs(list_shards(copy))] == [
        each.key for each in read_pairs(list_shards(shards))
    ]


def test_what_is_no_folder_of_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of shards"):
        check_push(ShardPushConfig(folder=tmp_path, repo_id="me/mugs", licence="other"))
