"""The server behind the page: one address, no links to the outside, no files but the page's own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.guard import Guard, tell_briefly
from mimicbrush.demo.page import STYLE, THEME, build_page
from mimicbrush.demo.start import check_port
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.tabs import TABS
from mimicbrush.demo.workspace import Workspace, delete, temporary_workspace
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import Loaded, find_editor, load_pipeline
from mimicbrush.errors import Terminated
from mimicbrush.requests import EditRequest

T = TypeVar("T")

CLOSING_SECONDS = 0.5
"""Time that the server has to close its connections; edits that are computed are not waited for."""


def serve(config: DemoConfig) -> None:
    """Load the weights and show the page until interrupted; raises UserError where the port or weights are wrong."""
    _end_with_terminal()
    # A single call of torch or of a file system may take seconds, in which the main thread would see no signal.
    loaded = _in_thread(partial(load_editors, config))
    with temporary_workspace() as workspace:
        page = build_page({kind: Studio(each, config.limits) for kind, each in loaded.items()}, config, workspace)
        with _closing(page, workspace):
            url = launch(page, config)
            print(f"{url} shows the page; Ctrl-C ends it", flush=True)
            while True:
                time.sleep(3600)


def load_editors(config: DemoConfig) -> dict[type[EditRequest], Loaded]:
    """What each tab edits with; raises UserError where weights are missing or an editor does not fit its kind."""
    loaded = {}
    for request_class, tab in TABS.items():
        kind = tab.config_class.kind
        if kind in config.editors:
            spec = config.editors[kind]
            loaded[request_class] = find_editor(spec["class_path"], spec.get("init_args", {}), tab.config_class)
        elif kind == EditConfig.kind:
            loaded[request_class] = load_pipeline(config)
    return loaded


def _end_with_terminal() -> None:
    """Let the end of the terminal end the page as SIGTERM does: uploads must not outlive it."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def _in_thread(work: Callable[[], T]) -> T:
    """Return or raise what `work` does in a thread of its own, while signals are handled in this one."""
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # on its way to the thread that asked
            outcome.put((None, error))

    Thread(target=run, daemon=True).start()
    while True:
        try:
            result, error = outcome.get(timeout=1)  # Windows handles Ctrl-C between two such calls alone
        except Empty:
            continue
        if error is not None:
            raise error
        return result


@contextmanager
def _closing(page: gr.Blocks, workspace: Workspace) -> Iterator[None]:
    """Close the page at the end, without waiting for browsers.

    Uploads are deleted first, so that they are gone even if the process is killed before the end.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        # Threads whose files and connections are taken away would print their complaints.
        logging.disable(logging.CRITICAL)
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
        raise
    finally:
        delete(workspace.served)
        if server := getattr(page, "server", None):
            server.force_exit = True
        closer = Thread(target=page.close, kwargs={"verbose": False}, daemon=True)
        closer.start()
        closer.join(CLOSING_SECONDS)


def launch(page: gr.Blocks, config: DemoConfig) -> str:
    """Serve in the background; returns the address. Raises UserError where somebody else has taken the port."""
    check_port(config)  # again: loading has taken a while
    tell_briefly()
    # Another site's name that is made to lead here (DNS rebinding) is not among those answered to.
    names = Middleware(TrustedHostMiddleware, allowed_hosts=config.names, www_redirect=False)
    _, url, _ = page.launch(
        server_name=config.host,
        server_port=config.port,
        inbrowser=config.open_browser,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=int(config.limits.upload_mb * 1e6),
        theme=THEME,
        css=STYLE,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [names, Middleware(Guard)], "docs_url": None, "redoc_url": None},
    )
    return url
