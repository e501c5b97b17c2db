"""Evaluate: editors x sets -> pictures, tables, a report. `python evaluate.py --config configs/eval/tiny.yaml`"""

from __future__ import annotations

import time
from pathlib import Path

from tqdm import tqdm

from mimicbrush.config import parse_config
from mimicbrush.errors import run_command
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.evaluation.edits import make_edits, unfinished
from mimicbrush.evaluation.reference_use import record_reference_use
from mimicbrush.evaluation.report import write_report
from mimicbrush.evaluation.results import console_table, gather_results, write_results
from mimicbrush.evaluation.run import EvaluateConfig, check_inputs, claim_results, load_editor
from mimicbrush.requests import Editor

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "eval" / "tiny.yaml"


def main() -> None:
    config = parse_config(EvaluateConfig, default=DEFAULT_CONFIG)
    started = time.perf_counter()
    samples = check_inputs(config)
    # All are built before the first edit and before folders are claimed: a wrong class path or a missing checkpoint
    # shows at once and leaves nothing behind.
    editors = {name: load_editor(spec) for name, spec in config.editors.items() if _has_work(name, config, samples)}
    claim_results(config, samples)
    _edit_all(editors, config, samples)
    _measure_all(editors, config)
    results = gather_results(config, samples, seconds=time.perf_counter() - started)
    write_results(results)
    report = write_report(results, samples)
    print(console_table(results))
    print(f"results.json, results.csv and the edits -> {config.output}\nreport -> {report}")


def _has_work(name: str, config: EvaluateConfig, samples: dict[str, list[Sample]]) -> bool:
    edits_left = any(unfinished(members, config.edits(set_name, name)) for set_name, members in samples.items())
    return edits_left or _lacks_reference_use(name, config)


def _lacks_reference_use(name: str, config: EvaluateConfig) -> bool:
    return config.heldout is not None and not (config.reference_use / f"{name}.json").is_file()


def _edit_all(editors: dict[str, Editor], config: EvaluateConfig, samples: dict[str, list[Sample]]) -> None:
    folders = {(name, set_name): config.edits(set_name, name) for name in editors for set_name in samples}
    total = sum(len(unfinished(samples[set_name], folder)) for (_, set_name), folder in folders.items())
    with tqdm(total=total, desc="edits", unit="edit", disable=not total) as progress:
        for (name, set_name), folder in folders.items():
            make_edits(
                editors[name],
                samples[set_name],
                folder,
                seed=config.seed,
                batch_size=config.batch_size,
                progress=progress,
            )


def _measure_all(editors: dict[str, Editor], config: EvaluateConfig) -> None:
    for name, editor in editors.items():
        if _lacks_reference_use(name, config):
            record_reference_use(editor, config.reference_use / f"{name}.json", config.heldout, seed=config.seed)


if __name__ == "__main__":
    run_command(main)
