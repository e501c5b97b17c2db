"""The work of `merge.py`: a folder of shards on this machine, or at an address.

From a folder at an address, the small files and the samples among which the report chooses are copied here. The copy
is merged like any other folder, and the merged files are written to the address.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from data_prep.config import MergeConfig
from data_prep.inputs.input_files import is_index_name
from data_prep.inputs.unpacked_tars import remove_unused_copies
from data_prep.records.folder_summary import SUMMARY_NAME
from data_prep.records.work_log import LOG_NAME
from data_prep.shard_report.pair_pictures import MAX_SHARDS, spread
from data_prep.shard_report.report_page import REPORT_NAME
from data_prep.sharding.shard_folder import merge
from mimicbrush.data.remote_files import Address, at_once, locate
from mimicbrush.data.shard_index import EXCLUDED_NAME, INDEX_NAME, check_shard, index_path, read_index, require_shards
from mimicbrush.errors import UserError
from mimicbrush.files import whole
from mimicbrush.folder_lock import held
from mimicbrush.run_folder import CONFIG_NAME

NUM_SAMPLES = 32
"""Number of samples of a shard at an address among which the report chooses."""
MERGED = (EXCLUDED_NAME, SUMMARY_NAME, REPORT_NAME, INDEX_NAME)
"""Files that merging writes; the list of shards is the last one, because readers begin with it."""


def merge_folder(config: MergeConfig) -> str:
    """Merge a folder while tasks may still be running: only finished shards are merged."""
    folder = locate(config.folder)
    if isinstance(folder, Address):
        return _merge_address(folder, config.output)
    with held(folder, share="merge"):
        line = merge(folder)
    remove_unused_copies(folder)
    return line


def _merge_address(folder: Address, output: Path | None) -> str:
    """Merge the folder at an address; the merged files go there, or into the folder `output`."""
    with TemporaryDirectory(prefix="merge-") as place:
        copy = Path(place) / folder.name  # the report has its name as a title
        copy.mkdir()
        _copy_folder(folder, copy)
        try:
            return merge(copy).replace(str(copy), str(output or folder))
        except UserError as error:
            found, written = (f"{where}/{REPORT_NAME}" for where in (copy, output or folder))
            faults = (fault.replace(found, written).replace(str(copy), str(folder)) for fault in error.faults)
            raise UserError(*faults) from None
        finally:  # the report is of use above all where there is nothing to train on
            for path in (copy / name for name in MERGED if (copy / name).is_file()):
                _write(path, output or folder)


def _write(path: Path, target: Path | Address) -> None:
    if isinstance(target, Address):
        (target / path.name).write_bytes(path.read_bytes())
        return
    with whole(target / path.name) as partial_path:
        partial_path.write_bytes(path.read_bytes())


def _copy_folder(folder: Address, copy: Path) -> None:
    """Copy what merging reads; a shard becomes a file of its size that holds a few samples, or none."""
    names = _list_small_files(folder)
    at_once(partial(_copy_file, folder, copy), names)
    shards = [copy / f"{Path(name).stem}.tar" for name in names if is_index_name(name)]
    filled = sorted(shard for shard in shards if read_index(shard).pairs)
    shown = set(spread(filled, MAX_SHARDS)) if filled else set()
    at_once(lambda shard: _copy_shard(folder / shard.name, shard, NUM_SAMPLES if shard in shown else 0), filled)


def _list_small_files(folder: Address) -> list[str]:
    """Names of the indexes of shards, and of other files that merging reads."""
    listed = folder.list_names()
    if not any(map(is_index_name, listed)):
        # A web server without pages for its folders: an earlier merge names the shards.
        shards = (index_path(shard).name for shard in require_shards(folder))
        listed = [*shards, *(name for name in (LOG_NAME, EXCLUDED_NAME) if (folder / name).is_file())]
    return [CONFIG_NAME, *(name for name in listed if is_index_name(name) or name in (LOG_NAME, EXCLUDED_NAME))]


def _copy_file(folder: Address, copy: Path, name: str) -> None:
    """Copy a file with the time of its last change, by which merging orders the indexes."""
    (copy / name).write_bytes((folder / name).read_bytes())
    changed = (folder / name).modified() if is_index_name(name) else None
    if changed is not None:
        os.utime(copy / name, (changed, changed))


def _copy_shard(shard: Address, copy: Path, num_samples: int) -> None:
    """Copy the first samples of a shard; raises UserError if it is missing or of another size than its index states.

    The rest of the file is a hole of zeros, which ends a tar, so it is a tar of these samples, of the shard's size.
    """
    index = read_index(copy)
    check_shard(shard, index)
    end = index.offsets[min(num_samples, index.pairs)] if index.offsets else 0
    with copy.open("wb") as file:
        file.write(shard.read_range(0, end))
        file.truncate(index.bytes)
