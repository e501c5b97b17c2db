"""Sets with a truth through editing, scoring and gathering: editors whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.checks import not_computable
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.edit_rounds import edit_all
from mimicbrush.evaluation.evaluation_rounds import EditRound, list_rounds
from mimicbrush.evaluation.fingerprints import claim_folders, find_other_runs
from mimicbrush.evaluation.gather_results import EvaluationResults, gather_results
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.metrics.truth import MAX_PSNR
from mimicbrush.evaluation.score_rounds import score_all
from mimicbrush.pictures.reading import read_frames
from mimicbrush.requests import Edited, Editor, MotionRequest
from tests.evaluation.small import IDENTITY
from tests.evaluation.truth_sets import SHIFT, truth_set, write_truth_sample


class WrongMask(Editor):
    """Proposes a mask of one frame that is smaller than the picture."""

    request_class = MotionRequest

    def edit(self, request: MotionRequest, *, on_progress=None) -> Edited:
        return Edited(request.source, {"mask": torch.zeros(1, 1, 5, 5)})


class Proposes(Editor):
    """Returns the source, and as its proposal whether the mask was withheld."""

    request_class = MotionRequest

    def edit(self, request: MotionRequest, *, on_progress=None) -> Edited:
        return Edited(request.source, {"mask": torch.full_like(request.source[:, :1], float(request.mask is None))})


def truth_editor(folder: Path, **arguments) -> dict:
    return {"class_path": "tests.evaluation.small.Truth", "init_args": {"folder": str(folder), **arguments}}


def config_of(folder: Path, task: str, editors: dict, **options) -> EvaluateConfig:
    sets = {"set": truth_set(folder, task, **options)}
    return EvaluateConfig(output=folder.with_name("out"), sets=sets, editors=editors)


def rounds_of(config: EvaluateConfig) -> list[EditRound]:
    samples = {name: list_samples(members) for name, members in config.sets.items()}
    return list_rounds(config, samples, not_computable(config, Models(device="cpu")))


def run(config: EvaluateConfig) -> EvaluationResults:
    rounds, models = rounds_of(config), Models(device="cpu")
    edit_all(rounds, batch_size=2)
    score_all(rounds, models)
    return gather_results(config, rounds, [], models, seconds=0)


def means(folder: Path, task: str, editors: dict, **options) -> dict[tuple[str, str], float]:
    summaries = run(config_of(folder, task, editors, **options)).summaries
    return {(editor, metric): summary.mean for (_, editor, metric), summary in summaries.items()}


def only_proposal(rounds: list[EditRound]) -> Path:
    return rounds[0].proposed_mask_path(rounds[0].samples[0])


def filled(folder: Path, task: str, number: int = 2, **facts) -> Path:
    for index in range(number):
        write_truth_sample(folder, f"{index:03d}", task, seed=index, **facts)
    return folder


@pytest.mark.parametrize("task", ["texture", "parts", "text", "motion", "video"])
def test_an_editor_that_returns_the_truth_scores_perfectly(tmp_path, task):
    folder = filled(tmp_path / task, task)
    found = means(folder, task, {"truth": truth_editor(folder), "identity": IDENTITY})
    assert found["truth", "truth_ssim"] == pytest.approx(1)
    assert found["truth", "truth_psnr"] == MAX_PSNR
    assert found["truth", "truth_colour_distance"] == pytest.approx(0, abs=1e-7)
    assert found["truth", "region_change_outside"] == found["truth", "change_outside"] == 0
    assert found["identity", "truth_ssim"] < 0.5 and found["identity", "truth_psnr"] < 12
    assert 0 < found["truth", "mask_overlap"] < 1 and found["identity", "mask_overlap"] is None
    if task in ("motion", "video"):
        assert found["truth", "uncovered_psnr"] == MAX_PSNR
    if task == "video":
        assert found["truth", "warp_error"] == pytest.approx(0, abs=1e-3)


def test_an_object_two_pixels_off_has_a_motion_error_of_two(tmp_path):
    folder = filled(tmp_path / "set", "motion")
    editors = {f"by_{shift}": truth_editor(folder, shift=shift) for shift in (0, 2)} | {"identity": IDENTITY}
    found = means(folder, "motion", editors)
    assert [found[f"by_{shift}", "motion_error"] for shift in (0, 2)] == [0, 2]
    assert found["identity", "motion_error"] == pytest.approx(math.hypot(*SHIFT))


def test_stochastic_materials_are_scored_by_colour_alone(tmp_path):
    folder = filled(tmp_path / "set", "text", scoring="stochastic")
    results = run(config_of(folder, "text", {"truth": truth_editor(folder)}))
    summary = results.summaries["set", "truth", "truth_ssim"]
    assert summary.mean is None and "2 of 2 not computed: its material is stochastic" in summary.note
    assert results.summaries["set", "truth", "truth_colour_distance"].mean == pytest.approx(0, abs=1e-7)


def test_seen_and_unseen_samples_are_scored_apart(tmp_path):
    folder = filled(tmp_path / "set", "text")
    write_truth_sample(folder, "002", "text", seed=7, vocabulary="unseen")
    counts = {
        vocabulary: run(config_of(folder, "text", {"identity": IDENTITY}, vocabulary=vocabulary)).summaries[
            "set", "identity", "truth_ssim"
        ]
        for vocabulary in ("seen", "unseen")
    }
    assert (counts["seen"].count, counts["unseen"].count) == (2, 1)


def test_a_proposed_mask_is_kept_beside_the_edit_and_scored_again_where_it_changes(tmp_path):
    folder = filled(tmp_path / "set", "motion", 1)
    config = config_of(folder, "motion", {"truth": truth_editor(folder)})
    before = run(config).summaries["set", "truth", "mask_overlap"].mean
    path = only_proposal(rounds_of(config))
    assert read_frames(path).mean() == 0.25
    path.write_bytes((folder / "000_truth_mask.png").read_bytes())
    assert run(config).summaries["set", "truth", "mask_overlap"].mean != before


def test_the_opacity_of_a_layer_is_kept_like_a_proposed_mask(tmp_path):
    folder = filled(tmp_path / "set", "text", 1)
    editor = {"class_path": "tests.editors.example_layer_editor.RedLayer"}
    scored = means(folder, "text", {"guided": editor, "unguided": editor | {"mask": "withheld"}})
    mask = read_frames(folder / "000_truth_mask.png")
    assert scored["guided", "mask_overlap"] == 1
    assert scored["unguided", "mask_overlap"] == pytest.approx(float(mask.mean()), abs=1e-4)


def test_an_editor_may_get_the_mask_of_the_object_instead_of_the_wider_region(tmp_path):
    folder = filled(tmp_path / "set", "motion", 1)
    (sample,) = list_samples(truth_set(folder, "motion"))
    given, narrow = (sample.request(0, guided_by=MotionRequest, mask_supply=supply) for supply in ("given", "object"))
    assert torch.equal(narrow.mask, read_frames(folder / "000_object_mask.png")[:, :1])
    assert given.mask.sum() > narrow.mask.sum() > 0
    (folder / "000_object_mask.png").unlink()
    with pytest.raises(UserError, match="no masks of its objects; give its editors `mask: given`"):
        sample.request(0, guided_by=MotionRequest, mask_supply="object")


def test_a_mask_of_another_size_is_refused(tmp_path):
    folder = filled(tmp_path / "set", "motion", 1)
    rounds = rounds_of(config_of(folder, "motion", {"wrong": {"class_path": f"{__name__}.WrongMask"}}))
    with pytest.raises(UserError, match=r"WrongMask answered with a mask or opacity of \(1, 1, 5, 5\)"):
        edit_all(rounds, batch_size=2)


def test_a_withheld_mask_does_not_reach_the_editor_and_is_another_evaluation(tmp_path):
    folder = filled(tmp_path / "set", "motion", 1)
    given, withheld = (
        rounds_of(config_of(folder, "motion", {"one": {"class_path": f"{__name__}.Proposes", "mask": supply}}))
        for supply in ("given", "withheld")
    )
    claim_folders(given, [])
    edit_all(given, batch_size=1)
    proposed = only_proposal(given)
    assert read_frames(proposed).mean() == 0
    (fault,) = find_other_runs(withheld, [], given[0].output)
    assert "mask" in fault
    given[0].edited_path(given[0].samples[0]).unlink()
    edit_all(withheld, batch_size=1)
    assert read_frames(proposed).mean() == 1
