"""The work of evaluate.py: check, edit, score and report, or one task's share of it."""

from __future__ import annotations

import time
from collections.abc import Collection

from mimicbrush.evaluation.checks import check_inputs, not_computable
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.fingerprints import claim_results
from mimicbrush.evaluation.gather_results import gather_results, write_results
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.report.console_tables import console_text
from mimicbrush.evaluation.report.evaluation_page import write_report
from mimicbrush.evaluation.work import Samples, edit_all, refuse_failed_editors, score_all, share_of
from mimicbrush.folder_lock import held


def evaluate(config: EvaluateConfig) -> None:
    """Check all inputs, edit, score, and report; raises UserError where an input is unsound or an editor fails."""
    started = time.perf_counter()
    models = Models(config.models)
    not_computed = not_computable(config, models)
    samples = check_inputs(config, not_computed)
    # Tasks of an array share the folder; no other command may.
    with held(config.output, share=config.work.lock_name):
        _evaluate(config, samples, models=models, not_computed=not_computed, started=started)


def _evaluate(
    config: EvaluateConfig, samples: Samples, *, models: Models, not_computed: Collection[str], started: float
) -> None:
    claim_results(config, samples)
    share = share_of(samples, config.work)
    edit_all(config, share, samples)
    score_all(config, share, models=models, not_computed=not_computed)
    if config.work.is_shared:
        refuse_failed_editors(config, share, are_listed=False)
        print(f"{config.work} is done; the same command without --work gathers all")
        return
    seconds = time.perf_counter() - started
    results = gather_results(config, samples, models=models, not_computed=not_computed, seconds=seconds)
    write_results(results)
    report = write_report(results)
    print(console_text(results))
    print(f"results.json, results.csv and the edits -> {config.output}\nreport -> {report}")
    refuse_failed_editors(config, samples, are_listed=True)
