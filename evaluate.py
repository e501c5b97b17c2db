"""Evaluate: editors x sets -> pictures, tables, a report. `python evaluate.py --config configs/eval/tiny.yaml`"""

from __future__ import annotations

import time
from pathlib import Path

from mimicbrush.config import parse_config
from mimicbrush.errors import run_command
from mimicbrush.evaluation.checks import check_inputs, claim_results
from mimicbrush.evaluation.metrics import Models
from mimicbrush.evaluation.report import write_report
from mimicbrush.evaluation.results import gather_results, refuse_failed_editors, write_results
from mimicbrush.evaluation.run import EvaluateConfig
from mimicbrush.evaluation.tables import console_text
from mimicbrush.evaluation.work import edit_all, score_all, share_of

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "eval" / "tiny.yaml"


def main() -> None:
    config = parse_config(EvaluateConfig, default=DEFAULT_CONFIG)
    started = time.perf_counter()
    models = Models(config.models)
    samples = check_inputs(config, models)
    claim_results(config, samples)
    share = share_of(samples, config.work)
    edit_all(config, share, samples)
    score_all(config, share, models)
    if config.work.num_tasks > 1:
        print(
            f"task {config.work.task} of {config.work.num_tasks} is done; the same command without --work gathers all"
        )
        return
    results = gather_results(config, samples, models, seconds=time.perf_counter() - started)
    write_results(results)
    report = write_report(results)
    print(console_text(results))
    print(f"results.json, results.csv and the edits -> {config.output}\nreport -> {report}")
    refuse_failed_editors(results)


if __name__ == "__main__":
    run_command(main)
