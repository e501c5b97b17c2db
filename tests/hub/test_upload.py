from __future__ import annotations

import pytest

from mimicbrush.errors import UserError
from mimicbrush.hub.upload import markdown_table, require_repository_name, upload_folder
from tests.hub_stand_in import running_hub


def test_every_file_of_a_folder_arrives_but_those_left_out(tmp_path, monkeypatch):
    (tmp_path / "unet").mkdir()
    contents = {"README.md": b"# card", "unet/model.safetensors": bytes(range(256)) * 40, "log.jsonl": b"{}"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with running_hub(monkeypatch) as hub:
        address = upload_folder(tmp_path, "me/mine", kind="model", private=True, leave_out=("log.jsonl",))
    assert address == f"{hub.address}/me/mine"
    del contents["log.jsonl"]
    assert hub.files["me/mine"] == contents
    assert hub.created[0]["visibility"] == "private" and hub.created[0]["type"] == "model"


def test_a_refusal_ends_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("card")
    with running_hub(monkeypatch) as hub:
        hub.refusal = 403
        with pytest.raises(UserError, match=r"me/mine cannot be written \(.*403.*\); log in with `hf auth login`"):
            upload_folder(tmp_path, "me/mine", kind="dataset")


@pytest.mark.parametrize("name", ["mine", "me/", "/mine", "me/my weights", "me/my/weights", "me/-mine"])
def test_a_repository_has_an_owner_and_a_name(name):
    with pytest.raises(UserError, match="expected OWNER/NAME"):
        require_repository_name(name)


def test_bars_do_not_break_a_table():
    assert markdown_table(("a", "b"), [("x|y", 1)]).splitlines() == ["| a | b |", "| --- | --- |", r"| x\|y | 1 |"]
