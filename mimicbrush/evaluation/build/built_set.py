"""From candidates to a checked set: the steps that both tracks share."""

from __future__ import annotations

from collections.abc import Sequence

from mimicbrush.evaluation.benchmark import PROMPTS, BenchmarkSet, list_samples
from mimicbrush.evaluation.build.collection import Collection
from mimicbrush.evaluation.build.contact_sheet import write_contact_sheet
from mimicbrush.evaluation.build.plan import Quota
from mimicbrush.evaluation.build.triplets import make_triplets, write_texts
from mimicbrush.evaluation.faults import find_faults, refuse_faults


def build_set(benchmark: BenchmarkSet, quotas: Sequence[Quota], sources: Collection, references: Collection) -> None:
    """Write the set, its texts and its contact sheet, check it, and say what was made."""
    output = benchmark.folder
    account = make_triplets(quotas, sources, references, output)
    write_texts(account, output)
    refuse_faults({str(output): find_faults(benchmark, frozenset({"reference_mask"}))})
    samples = list_samples(benchmark)
    sheet = write_contact_sheet(account, samples, output)
    for path, why in account.skipped.items():
        print(f"skipped {path}: {why.reason}: {why.detail}")
    print(account.sentence())
    unfilled = sum(sample.prompt is None for sample in samples)
    prompts = f"; {unfilled} prompts to fill in: {output / PROMPTS}" if unfilled else ""
    print(f"look the masks over: {sheet}{prompts}")
    print(f"{benchmark.task}, {benchmark.track}: {len(samples)} triplets -> {output}")
