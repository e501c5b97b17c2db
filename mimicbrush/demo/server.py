"""The server of the page: one address, no links to other machines, and no files but the page's own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import gradio as gr
from gradio import routes
from starlette.middleware import Middleware

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.edit_queue import EditQueue
from mimicbrush.demo.page import STYLE, THEME, build_page
from mimicbrush.demo.preconditions import check_port
from mimicbrush.demo.protection.error_log import shorten_tracebacks
from mimicbrush.demo.protection.layers import protection_layers
from mimicbrush.demo.protection.upload_quotas import accept_one_file_per_upload
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.startup.startup_bundle import startup_bundle
from mimicbrush.demo.startup.startup_layers import CompressedPage, StartsFromBundle
from mimicbrush.demo.tabs import TABS
from mimicbrush.demo.temporary_folders import TemporaryFolders, delete, temporary_folders
from mimicbrush.edit.config import EditConfig
from mimicbrush.edit.editing import Loaded, find_editor, load_pipeline
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import Terminated
from mimicbrush.requests import EditRequest

T = TypeVar("T")

MAX_EVENTS = 64
"""Largest number of events that wait to be handled, such as checks of uploads; each may hold 4 MB of text in memory."""
CLOSING_SECONDS = 0.5
"""Time for the server to close its connections; running edits are not waited for."""


def serve(config: DemoConfig) -> None:
    """Load the weights and serve the page until interrupted; raises UserError if the port or the weights are wrong."""
    _end_with_terminal()
    # A single call of torch or of a file system may take seconds, in which the main thread could not handle signals.
    loaded = _in_thread(partial(load_editors, config))
    with temporary_folders(max_bytes=1e6 * config.limits.workspace_mb) as folders:
        page = build_page(share(loaded, config), config, folders)
        with _closing(page, folders):
            url = launch(page, config, folders)
            print(f"{url} shows the page; Ctrl-C ends it", flush=True)
            while True:
                time.sleep(3600)


def load_editors(config: DemoConfig) -> dict[type[EditRequest], Loaded]:
    """Load the editor of each tab; raises UserError if weights are missing or an editor does not fit its kind."""
    loaded = {}
    for request_class, tab in TABS.items():
        kind = tab.config_class.kind
        if kind in config.editors:
            spec = config.editors[kind]
            loaded[request_class] = find_editor(spec["class_path"], spec.get("init_args", {}), tab.config_class)
        elif kind == ReferenceEditConfig.kind:
            loaded[request_class] = load_pipeline(config)
        elif tab.has_default:
            loaded[request_class] = find_editor(*_default_editor(tab.config_class), tab.config_class)
    return loaded


def share(loaded: Mapping[type[EditRequest], Loaded], config: DemoConfig) -> dict[type[EditRequest], SharedEditor]:
    """Let all visitors share the editors of the tabs; the edits of all tabs wait in one queue."""
    queue = EditQueue(config.limits.waiting)
    return {kind: SharedEditor(each, config.limits, queue) for kind, each in loaded.items()}


def _default_editor(config_class: type[EditConfig]) -> tuple[str, dict]:
    """Class path and arguments of the editor that a config names by default."""
    options = {each.name: each for each in fields(config_class)}
    return options["editor"].default, options["init_args"].default_factory()


def _end_with_terminal() -> None:
    """End the page like SIGTERM when its terminal is closed, so that uploads are deleted."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread, and return its result or raise its exception, while this thread handles signals."""
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:  # raised again in the calling thread
            outcome.put((None, error))

    Thread(target=run, daemon=True).start()
    while True:
        try:
            result, error = outcome.get(timeout=1)  # Windows handles Ctrl-C only between two such calls
        except Empty:
            continue
        if error is not None:
            raise error
        return result


@contextmanager
def _closing(page: gr.Blocks, folders: TemporaryFolders) -> Iterator[None]:
    """Close the page at the end, without waiting for browsers.

    Uploads are deleted first, so that they are gone even if the process is killed before the end.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        # Other threads would print errors about deleted files and closed connections.
        logging.disable(logging.CRITICAL)
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
        raise
    finally:
        delete(folders.served)
        if server := getattr(page, "server", None):
            server.force_exit = True
        closer = Thread(target=page.close, kwargs={"verbose": False}, daemon=True)
        closer.start()
        closer.join(CLOSING_SECONDS)


def launch(page: gr.Blocks, config: DemoConfig, folders: TemporaryFolders) -> str:
    """Serve in the background, and return the address. Raises UserError if another program has taken the port."""
    check_port(config)  # again, because loading has taken some time
    shorten_tracebacks()
    accept_one_file_per_upload()
    routes.CustomCORSMiddleware = lambda app, **_: app  # it would answer other sites before the layers see the request
    if not config.allowed_hosts:
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # without a named proxy, X-Forwarded-For is the visitor's own
    folders.keep_present()
    startup_bundle()  # before the first request, which Gradio makes and which may take three seconds
    layers = [Middleware(CompressedPage), *protection_layers(config, folders), Middleware(StartsFromBundle)]
    _, url, _ = page.queue(max_size=MAX_EVENTS).launch(
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
        app_kwargs={"middleware": layers, "docs_url": None, "redoc_url": None},
    )
    return url
