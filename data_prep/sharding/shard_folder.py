"""Write one index, exclusion list, summary and report for all shards of a folder.

A sharding command that works alone ends with this; after a Slurm array, the command `merge.py` does it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from data_prep.config import WorkConfig
from data_prep.inputs.input_files import NOUNS, read_shard_config
from data_prep.inputs.input_states import InputStates
from data_prep.inputs.unpacked_tars import remove_copies
from data_prep.records.exclusions import find_gone, list_exclusions
from data_prep.records.folder_summary import SUMMARY_NAME
from data_prep.records.summary import describe, summarise
from data_prep.records.work_log import LOG_NAME, read_log
from data_prep.records.work_units import claim_output, latest_records, plan_units, read_indexes
from data_prep.shard_report.report_page import write_report
from data_prep.sharding.parallel_sharding import Effort, Outcome, shard_inputs
from mimicbrush.data.shard_index import EXCLUDED_NAME, INDEX_NAME, ShardIndex, index_path
from mimicbrush.errors import UserError, spaced
from mimicbrush.files import read_object, write_json
from mimicbrush.folder_lock import held, running_command


class NothingToTrainOnError(UserError):
    """All inputs were left out; the folder's summary and report say why."""


class ShardConfig(Protocol):
    """Settings that all sharding commands share."""

    output: Path
    work: WorkConfig


def shard_and_merge(
    config: ShardConfig,
    reader: Callable[[str], Callable[[], Outcome]],
    *,
    inputs: InputStates,
    kind: str,
    per_shard: int,
) -> str:
    """Shard all inputs that no finished shard covers and, unless this is one of several tasks, merge.

    Inputs that were replaced since are sharded again. reader: as in `shard_inputs`; kind: one of NOUNS in the singular.
    Returns a line on the result. Raises UserError for a mistake.
    """
    # Tasks of an array share the folder; no other command may.
    with held(config.output, share=config.work.lock_name):
        claim_output(config.output, config)
        records = latest_records(read_indexes(config.output).values())
        units = plan_units(config.output, f"{kind}s", inputs, per_shard, config.work, records=records)
        effort = shard_inputs(units, reader, inputs=inputs, work=config.work, noun=kind)
        listing = {
            "inputs": len(config.work.by_name(inputs.states)),
            "passed_over": dict(inputs.passed_over),
            "gone": sorted(config.work.by_name(records.keys() - inputs.states.keys())),
        }
        if not config.work.is_shared:
            remove_copies(config.output)
        return _finish(config.output, effort, listing=listing, noun=f"{kind}s", work=config.work)


def _finish(output: Path, effort: Effort, *, listing: dict, noun: str, work: WorkConfig) -> str:
    """Log the effort and, unless this is one of several tasks, merge; listing: facts of this task's inputs."""
    started = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), "command": running_command()}
    entry = {**started, "task": work.task, "num_tasks": work.num_tasks, **listing, **effort._asdict()}
    try:
        with (output / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise UserError(f"{output / LOG_NAME}: {error.strerror}; fix that and run the same command again") from None
    if not work.is_shared:
        return merge(output)
    return (
        f"{work}: did {spaced(effort.done)} of its {spaced(listing['inputs'])} {noun}, "
        f"{spaced(effort.pairs)} pairs -> {output}; after the last task: python data_prep/merge.py {output}"
    )


def merge(output: Path) -> str:
    """Write index.json, excluded.json, summary.json and report.html; returns a line on the folder's content.

    Raises UserError if there is nothing to train on.
    """
    config = read_shard_config(output)
    indexes = read_indexes(output)
    efforts = read_log(output)
    gone = find_gone(efforts)
    excluded = output / EXCLUDED_NAME
    others = read_object(excluded) if excluded.is_file() else {}
    min_share = config.get("duplicate_share", 2.0)
    exclusions = list_exclusions(list(indexes.values()), others, min_share=min_share, gone=gone)
    write_json(exclusions, excluded)
    write_json(_overview(indexes), output / INDEX_NAME)
    pairs = config.get("pairs")
    in_time = sorted(indexes, key=lambda shard: index_path(shard).stat().st_mtime_ns)
    summary = summarise(
        [indexes[shard] for shard in in_time],
        noun=next(noun for field, noun in NOUNS.items() if field in config),
        band=(pairs["ssim_low"], pairs["ssim_high"]) if pairs else None,
        efforts=efforts,
        excluded=exclusions,
        gone=gone,
    )
    write_json(summary, output / SUMMARY_NAME)
    report = write_report(output)
    if not summary["pairs"]:
        raise NothingToTrainOnError(f"nothing to train on: {describe(summary)}; {report} names every reason")
    return f"{describe(summary)}{_unfinished(efforts)} -> {output}; see {report}"


def _overview(indexes: Mapping[Path, ShardIndex]) -> dict:
    """Content of index.json: the shards that hold pairs."""
    listed = [
        {"name": shard.name, "pairs": index.pairs, "bytes": index.bytes, "sha256": index.sha256}
        for shard, index in indexes.items()
        if index.pairs
    ]
    return {"pairs": sum(index.pairs for index in indexes.values()), "shards": listed}


def _unfinished(efforts: Sequence[dict]) -> str:
    """The tasks of the last array that have not finished, as a command for sbatch."""
    if not efforts:
        return "; no command has finished yet"
    num_tasks = efforts[-1]["num_tasks"]
    done = {effort["task"] for effort in efforts if effort["num_tasks"] == num_tasks}
    left = [str(task) for task in range(num_tasks) if task not in done]
    again = f"sbatch --array={','.join(left)} slurm/shard_... --work.num_tasks {num_tasks}"
    return f"; {len(left)} of {num_tasks} tasks are not done: {again}" if left else ""
