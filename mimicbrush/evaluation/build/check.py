"""The command `check`: checks benchmark sets without editing anything."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.benchmark_layout import find_pictures
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import CheckConfig
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults


def check_folder(config: CheckConfig) -> None:
    """Print a line for every sound set; raises one UserError that names every fault of every set."""
    # Task and track do not matter: faults depend only on the pictures.
    sets = [BenchmarkSet(folder=folder, task="texture", track="inter_id") for folder in _set_folders(config.folder)]
    refuse_faults({str(benchmark.folder): find_faults(benchmark, frozenset(config.needs)) for benchmark in sets})
    for benchmark in sets:
        samples = list_samples(benchmark)
        masks = sum(sample.reference_mask is not None for sample in samples)
        prompts = sum(sample.prompt is not None for sample in samples)
        print(f"{benchmark.folder}: sound; {len(samples)} samples, {masks} reference masks, {prompts} prompts")


def _set_folders(folder: Path) -> list[Path]:
    folders = [inner for inner in (folder, *sorted(folder.rglob("*"))) if inner.is_dir() and find_pictures(inner)]
    # `find_faults` names a folder without pictures.
    return folders or [folder]
