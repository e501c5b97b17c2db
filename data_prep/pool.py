"""Worker processes that may crash, hang or swell without harm to anything but the task at hand.

A decoder can hang while it holds the interpreter's lock, where neither threads nor signal handlers help: each task has
a time limit, behind which its process is killed, and a bound on memory.
"""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import cv2
from pebble import ProcessExpired, ProcessPool

from mimicbrush.machine import PROC, usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

TASKS_PER_WORKER = 500
"""After so many tasks a worker is replaced, and with it whatever its libraries leaked."""
TASKS_AHEAD = 8
"""Tasks per worker that may be finished before an earlier one is: a slow clip does not idle the others."""
GIBIBYTE = 2**30
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "536870912"}
"""glibc keeps large arrays' memory instead of mapping it anew for each: SSIM takes a fifth of the time."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl."""


class Failure(NamedTuple):
    """What is given in place of a result, where a task cost its process twice."""

    reason: str
    """timeout or crashed."""
    detail: str


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int = 0,
    timeout: float | None = None,
    memory: float | None = None,
) -> Iterator[Result | Failure]:
    """`function` of each item, in the items' order, in `workers` processes; 0: one per usable core.

    timeout: seconds a task may take. memory: GiB of address space it may claim beyond the worker's own. A task that
    outlasts the one, or whose process dies, is tried once more and then gives a Failure. Results travel through one
    pipe: they must be small (a kibibyte), so that a dying worker cannot leave half of one. Exceptions of `function`
    rise here.
    """
    num_workers = workers or usable_cores()
    pool = ProcessPool(
        num_workers,
        max_tasks=TASKS_PER_WORKER,
        initializer=start_worker,
        initargs=(memory,),
        context=worker_context(),
    )
    left = iter(items)
    waiting: deque = deque()
    try:
        while True:
            for item in islice(left, TASKS_AHEAD * num_workers - len(waiting)):
                waiting.append((item, pool.schedule(function, args=(item,), timeout=timeout)))
            if not waiting:
                return
            item, future = waiting.popleft()
            result = _result(future, timeout)
            if isinstance(result, Failure):
                result = _result(pool.schedule(function, args=(item,), timeout=timeout), timeout)
            yield result
    finally:
        pool.stop()
        pool.join()


def _result(future, timeout: float | None) -> object:
    try:
        return future.result()
    except TimeoutError:
        return Failure("timeout", f"not done in {timeout:g} s, twice")
    except ProcessExpired as death:
        return Failure("crashed", f"its process died, twice ({_cause(death.exitcode)})")


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"exit status {exitcode}"


def end_with_parent() -> None:
    """Have Linux kill this process when its parent's thread ends: kill -9 of a command leaves no worker behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The command may have been killed since this process was forked: then no signal will come.
        command = multiprocessing.parent_process()
        if command is not None and not command.is_alive():
            os._exit(1)


def start_worker(memory: float | None = None) -> None:
    """What each worker does first; `memory`: as in `map_in_order`."""
    cv2.setNumThreads(1)
    end_with_parent()
    if memory is not None and sys.platform == "linux":
        import resource  # only where there is one

        pages = int((PROC / "statm").read_text().split()[0])
        bound = pages * mmap.PAGESIZE + int(memory * GIBIBYTE)
        resource.setrlimit(resource.RLIMIT_AS, (bound, resource.getrlimit(resource.RLIMIT_AS)[1]))


def worker_context() -> multiprocessing.context.BaseContext:
    """Workers forked from a clean server: OpenCV hangs in a fork of a process that has used its threads."""
    os.environ.update({name: os.environ.get(name, value) for name, value in ALLOCATOR.items()})
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["data_prep.forkserver"])
    from multiprocessing import forkserver, resource_tracker

    # First, as starting it unblocks signals.
    resource_tracker.ensure_running()
    # Ctrl-C reaches all processes of a terminal. The server inherits the block, and so do its workers: this process
    # ends them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        # Here rather than in a thread of the pool's, with which the server would end.
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return context
