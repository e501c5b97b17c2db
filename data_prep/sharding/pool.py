"""Worker processes that may crash, hang or run out of memory without harm to other tasks.

A decoder can hang while it holds the interpreter's lock, where neither threads nor signal handlers help. So each task
has a time limit, after which its process is killed, and a memory limit.
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
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple, TypeVar

import cv2
from pebble import ProcessExpired, ProcessPool

from mimicbrush.machine import GIBIBYTE, PROC, usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

TASKS_PER_WORKER = 500
"""Number of tasks after which a worker is replaced, to free memory that its libraries have leaked."""
TASKS_AHEAD = 8
"""Number of tasks per worker that may be finished before an earlier one is, so that no worker waits for a slow clip."""
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "536870912"}
"""Environment variables that make glibc keep the memory of large arrays instead of mapping it anew for each: SSIM then
takes a fifth of the time."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""Environment variable that keeps NumPy to one thread: the workers already fill the cores."""
PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl: the signal that a process receives when its parent ends."""


class Failure(NamedTuple):
    """Given in place of a result if a task ran out of time, or its process died, twice."""

    reason: str
    """Either timeout or crashed."""
    detail: str


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int = 0,
    timeout: float | None = None,
    memory: float | None = None,
) -> Iterator[Result | Failure]:
    """Apply `function` to each item in worker processes; gives the results in the order of the items.

    workers: number of processes; 0: one per usable core. timeout: seconds that a task may take. memory: GiB of address
    space that a task may use beyond the worker's own. A task that takes longer, or whose process dies, is tried once
    more and then gives a Failure. Results pass through one pipe: they must be small (a kibibyte), so that a dying
    worker cannot leave half of one. Exceptions raised by `function` are raised here.
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
        with _signals_held():
            _ = pool.active  # starts the workers
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


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back: a worker whose start they interrupt is forgotten and ends with a traceback."""
    received: list[int] = []
    # Blocking them would not do: another thread would receive them, and have the main thread interrupted.
    handlers = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in received:
            signal.raise_signal(number)


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
    """Have Linux kill this process when its parent's thread ends, so that kill -9 of a command leaves no worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # If the command was killed since this process was forked, no signal will come.
        command = multiprocessing.parent_process()
        if command is not None and not command.is_alive():
            os._exit(1)


def start_worker(memory: float | None = None) -> None:
    """Initialise a worker process; `memory`: as in `map_in_order`."""
    cv2.setNumThreads(1)
    end_with_parent()
    if memory is not None and sys.platform == "linux":
        import resource  # here, as Windows has none

        pages = int((PROC / "statm").read_text().split()[0])
        bound = pages * mmap.PAGESIZE + int(memory * GIBIBYTE)
        resource.setrlimit(resource.RLIMIT_AS, (bound, resource.getrlimit(resource.RLIMIT_AS)[1]))


def worker_context() -> multiprocessing.context.BaseContext:
    """Workers are forked from a clean server: OpenCV hangs in a fork of a process that has used its threads."""
    os.environ.update({name: os.environ.get(name, value) for name, value in (ALLOCATOR | ONE_THREAD).items()})
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["data_prep.forkserver"])
    from multiprocessing import forkserver, resource_tracker

    # Started first, as starting it unblocks signals.
    resource_tracker.ensure_running()
    # Ctrl-C reaches all processes of a terminal. The server and its workers inherit the blocked signal: this process
    # ends them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        # Started here rather than in a thread of the pool: the server ends with the thread that started it.
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return context
