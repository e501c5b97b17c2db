"""A folder of atlases: each clip's is made once, and found again."""

from __future__ import annotations

import pytest
import torch

from mimicbrush.atlas import made_atlases
from mimicbrush.atlas.config import AtlasTrainingConfig
from mimicbrush.atlas.made_atlases import find_atlas, find_or_make_atlas
from mimicbrush.errors import UserError

TRAINING = AtlasTrainingConfig(num_steps=2, batch_size=16)


def test_an_atlas_is_made_once_for_each_clip(tmp_path, monkeypatch):
    monkeypatch.setattr(made_atlases, "load_raft", lambda name: torch.nn.Identity())
    still = (torch.zeros(1, 2, 20, 20), torch.ones(1, 1, 20, 20, dtype=torch.bool))
    monkeypatch.setattr(made_atlases, "estimate_flow", lambda *arguments: still)
    frames, masks = torch.rand(2, 3, 20, 20), torch.zeros(2, 1, 20, 20)
    masks[:, :, 5:10, 5:10] = 1
    made = find_or_make_atlas(tmp_path, frames, masks, TRAINING)
    monkeypatch.setattr(made_atlases, "train_atlas", None)
    found = find_or_make_atlas(tmp_path, frames, None, TRAINING)
    assert found.path == find_atlas(tmp_path, frames).path == made.path and found.clip == (2, 20, 20)
    with pytest.raises(UserError, match="holds no atlas of this clip; make it by an edit with masks"):
        find_atlas(tmp_path, frames.flip(3))
    with pytest.raises(UserError, match="holds no atlas of this clip, and one cannot be made without masks"):
        find_or_make_atlas(tmp_path, frames.flip(3), None, TRAINING)
    one = torch.stack([masks[0], torch.zeros_like(masks[1])])
    assert find_or_make_atlas(tmp_path, frames, one, TRAINING).path == made.path
    with pytest.raises(UserError, match="cannot be made from the mask of a single frame; mask the object in every"):
        find_or_make_atlas(tmp_path, frames.flip(3), one, TRAINING)
    with pytest.raises(UserError, match="holds another run: num_steps was 2, is 3"):
        find_or_make_atlas(tmp_path, frames, masks, AtlasTrainingConfig(num_steps=3, batch_size=16))


def test_a_mistaken_option_leaves_the_folder_free(tmp_path):
    frames, masks = torch.rand(2, 3, 20, 20), torch.ones(2, 1, 20, 20)
    for name in ("first.pth", "second.pth"):
        with pytest.raises(UserError, match=name) as error:
            find_or_make_atlas(tmp_path, frames, masks, AtlasTrainingConfig(flow=str(tmp_path / name)))
        assert "another run" not in str(error.value)
