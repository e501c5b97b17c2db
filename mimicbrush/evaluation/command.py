"""The road of an evaluation: check the inputs, list the rounds, edit, measure reference use, score, gather, report."""

from __future__ import annotations

import time

from mimicbrush.evaluation.checks import check_inputs, not_computable
from mimicbrush.evaluation.config import EvaluateConfig
from mimicbrush.evaluation.edit_rounds import edit_all, refuse_failed_editors
from mimicbrush.evaluation.evaluation_rounds import list_rounds, take_share
from mimicbrush.evaluation.fingerprints import claim_folders
from mimicbrush.evaluation.gather_results import gather_results
from mimicbrush.evaluation.measure_reference_use import list_measurements, measure_all
from mimicbrush.evaluation.metrics.models import Models
from mimicbrush.evaluation.report.console_tables import console_text
from mimicbrush.evaluation.report.evaluation_page import write_report
from mimicbrush.evaluation.result_files import write_results
from mimicbrush.evaluation.score_rounds import score_all
from mimicbrush.folder_lock import held


def evaluate(config: EvaluateConfig) -> None:
    """Evaluate every editor on every set, or do one task's share; everything that is finished already is kept.

    Raises UserError where an input is missing or unsound, or where all edits of an editor fail.
    """
    started = time.perf_counter()
    models = Models(config.models)
    not_computed = not_computable(config, models)
    samples = check_inputs(config, not_computed)
    rounds, measurements = list_rounds(config, samples, not_computed), list_measurements(config, samples)
    # The tasks of an array share the folder; no other command may write into it.
    with held(config.output, share=config.work.lock_name):
        claim_folders(rounds, measurements)
        share = take_share(rounds, config.work)
        edit_all(share, batch_size=config.batch_size)
        measure_all(config.work.by_position(measurements))
        score_all(share, models)
        if config.work.is_shared:
            refuse_failed_editors(share, are_listed=False)
            print(f"{config.work} is finished; run the same command without --work to gather all")
            return
        seconds = time.perf_counter() - started
        results = gather_results(config, rounds, measurements, models, seconds=seconds)
        write_results(results)
        report = write_report(results)
        print(console_text(results))
        print(f"results.json, results.csv and the edits -> {config.output}\nreport -> {report}")
        refuse_failed_editors(rounds, are_listed=True)
