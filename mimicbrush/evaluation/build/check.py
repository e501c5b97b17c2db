"""The command `check`: checks benchmark sets without editing anything."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.benchmark_layout import CLIPS, SAMPLES, find_pictures
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.config import CheckConfig
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults


def check_folder(config: CheckConfig) -> None:
    """Print a line for every sound set; raises one UserError that names every fault of every set."""
    sets = [_set_of(folder, config) for folder in set_folders(config.folder)]
    refuse_faults({str(benchmark.folder): find_faults(benchmark, frozenset(config.needs)) for benchmark in sets})
    for benchmark in sets:
        samples = list_samples(benchmark)
        masks = sum(sample.reference_mask is not None for sample in samples)
        prompts = sum(sample.prompt is not None for sample in samples)
        print(f"{benchmark.folder}: sound; {len(samples)} samples, {masks} reference masks, {prompts} prompts")


def _set_of(folder: Path, config: CheckConfig) -> BenchmarkSet:
    """Describe the set in a folder; raises UserError where it has a truth and its task is not given."""
    if config.truth_task:
        return BenchmarkSet(folder=folder, task=config.truth_task, track="truth")
    if (folder / SAMPLES).is_file():
        raise UserError(f"{folder}: holds {SAMPLES}, so it is a set with a truth; name its task with --truth_task")
    if (folder / CLIPS).is_file():
        return BenchmarkSet(folder=folder, task="video", track="clips")
    # In the released layout task and track do not matter: faults depend only on the pictures.
    return BenchmarkSet(folder=folder, task="texture", track="inter_id")


def set_folders(folder: Path) -> list[Path]:
    """Folders of sets in a folder, at any depth, or the folder itself."""
    folders = [inner for inner in (folder, *sorted(folder.rglob("*"))) if inner.is_dir() and find_pictures(inner)]
    # `find_faults` names a folder without pictures.
    return folders or [folder]
