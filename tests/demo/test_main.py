from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED = """
import builtins, os, runpy, signal

# Ignored where the tests themselves run in a shell's background.
signal.signal(signal.SIGINT, signal.default_int_handler)
load = builtins.__import__

def load_or_stop(name, *rest, **options):
    if name == {library!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *rest, **options)

builtins.__import__ = load_or_stop
runpy.run_module("mimicbrush.demo", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("library", ["jsonargparse", "torch"])
def test_interrupted_while_libraries_load_it_ends_in_a_line(library):
    command = [sys.executable, "-c", INTERRUPTED.format(library=library)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (130, "stopped\n")
