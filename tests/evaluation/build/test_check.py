from __future__ import annotations

import pytest

from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.check import check_folder
from mimicbrush.evaluation.build.config import CheckConfig
from tests.evaluation.truth_sets import write_truth_sample


def test_sound_sets_are_counted_wherever_they_lie(make_set, tmp_path, capsys):
    first, second = make_set("bench/one", number=2), make_set("bench/two", number=3, reference_mask=False)
    (first / "prompts.json").write_text('{"001": "a #red# hat"}')
    check_folder(CheckConfig(folder=tmp_path / "bench"))
    assert capsys.readouterr().out.splitlines() == [
        f"{first}: sound; 2 samples, 2 reference masks, 1 prompts",
        f"{second}: sound; 3 samples, 0 reference masks, 0 prompts",
    ]


def test_faults_and_needs_of_all_sets_are_named_together(make_set, tmp_path):
    first, second = make_set("bench/one", number=2), make_set("bench/two", number=1, reference_mask=False)
    (first / "000_source.png").unlink()
    with pytest.raises(UserError) as caught:
        check_folder(CheckConfig(folder=tmp_path / "bench", needs=["reference_mask"]))
    assert str(caught.value).splitlines()[1:] == [
        f"- {first}",
        "  - 000: source is missing (000_source.png)",
        f"- {second}",
        "  - no reference mask (such as 000_reference_mask.png), which a chosen metric needs, for 000",
    ]


@pytest.mark.parametrize(("name", "message"), [("", "no triplet"), ("absent", "no such folder")])
def test_folder_without_sets_is_refused(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        check_folder(CheckConfig(folder=tmp_path / name))


def test_a_set_with_a_truth_is_checked_for_its_task(tmp_path, capsys):
    write_truth_sample(tmp_path / "set", "000", "video")
    with pytest.raises(UserError, match=r"holds samples\.json, so it is a set with a truth; name its task"):
        check_folder(CheckConfig(folder=tmp_path))
    check_folder(CheckConfig(folder=tmp_path, truth_task="video"))
    assert capsys.readouterr().out == f"{tmp_path / 'set'}: sound; 1 samples, 1 reference masks, 1 prompts\n"
    (tmp_path / "set" / "000_flow.npz").unlink()
    with pytest.raises(UserError, match="000: flow is missing"):
        check_folder(CheckConfig(folder=tmp_path, truth_task="video"))
