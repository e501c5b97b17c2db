"""Editing the rounds of an evaluation: what it shows while a batch is under way."""

from __future__ import annotations

from mimicbrush.editors.baselines import Identity
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.config import BenchmarkSet, EvaluateConfig
from mimicbrush.evaluation.edit_rounds import edit_all
from mimicbrush.evaluation.evaluation_rounds import list_rounds
from mimicbrush.progress import SECONDS, ProgressLog

CLOCK = [0.0]


class SlowBatch(Identity):
    """Reports progress four times in a batch, each time a line's interval later."""

    def edit_batch(self, requests, *, on_progress=None):
        for quarter in range(1, 5):
            CLOCK[0] += SECONDS
            on_progress(quarter / 4, lambda: None)
        return super().edit_batch(requests)


def test_a_slow_batch_is_not_silent(make_set, tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr("mimicbrush.progress.LOG", ProgressLog(now=lambda: CLOCK[0], write=lines.append))
    members = BenchmarkSet(folder=make_set(number=2), task="texture", track="inner_id")
    config = EvaluateConfig(
        output=tmp_path / "out", sets={"small": members}, editors={"slow": {"class_path": f"{__name__}.SlowBatch"}}
    )
    edit_all(list_rounds(config, {"small": list_samples(members)}, {}), batch_size=2)
    assert [line.partition(",")[0] + line.partition(",")[2].partition(")")[0] for line in lines[:4]] == [
        f"edit 0 of 2 (slow {share} of a batch" for share in ("25%", "50%", "75%", "100%")
    ]
