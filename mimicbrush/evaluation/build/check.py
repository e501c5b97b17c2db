"""A benchmark folder checked without editing anything."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.benchmark_layout import find_pictures
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import CheckConfig
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults


def check_folder(config: CheckConfig) -> None:
    """Print a line for every set; raises one UserError that names every fault of every set."""
    # Faults depend on the pictures alone, so any task and track will do.
    sets = [BenchmarkSet(folder=folder, task="texture", track="inter_id") for folder in _set_folders(config.folder)]
    refuse_faults({str(benchmark.folder): find_faults(benchmark, frozenset(config.needs)) for benchmark in sets})
    for benchmark in sets:
        samples = list_samples(benchmark)
        masks = sum(sample.reference_mask is not None for sample in samples)
        prompts = sum(sample.prompt is not None for sample in samples)
        print(f"{benchmark.folder}: sound; {len(samples)} samples, {masks} reference masks, {prompts} prompts")


def _set_folders(folder: Path) -> list[Path]:
    folders = [inner for inner in (folder, *sorted(folder.rglob("*"))) if inner.is_dir() and find_pictures(inner)]
    # A folder without a picture is a fault of its own, which `find_faults` words.
    return folders or [folder]
