"""The server behind the page: one address, no links to the outside, no files but the page's own."""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.guard import Guard, tell_briefly
from mimicbrush.demo.page import STYLE, THEME, build_page
from mimicbrush.demo.studio import Studio
from mimicbrush.demo.workspace import Workspace
from mimicbrush.edit.editing import load_pipeline
from mimicbrush.errors import UserError
from mimicbrush.requests import ReferenceRequest


def serve(config: DemoConfig) -> None:
    """Load the weights and show the page until interrupted; raises UserError where the port or weights are wrong."""
    check_port(config)
    pipe = load_pipeline(config)
    # What visitors uploaded is deleted when the page is told to end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="mimicbrush-demo-") as folder:
        page = build_page({ReferenceRequest: Studio(pipe, config.limits)}, config, Workspace(Path(folder)))
        url = launch(page, config)
        print(f"{url} shows the page; Ctrl-C ends it", flush=True)
        try:
            page.block_thread()
        finally:
            page.close(verbose=False)


def check_port(config: DemoConfig) -> None:
    """Raises UserError where the page cannot be served at that address."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            raise UserError(
                f"cannot listen at {config.host}:{config.port} ({error.strerror}); choose another --port or --host"
            ) from None


def launch(page: gr.Blocks, config: DemoConfig) -> str:
    """Serve in the background; its address."""
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
