"""Checks before torch and Gradio are imported: port, password and weights; then a line says what is loaded."""

from __future__ import annotations

import socket
from pathlib import Path

from mimicbrush.demo.config import DemoConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import require_local_network

MIN_PASSWORD = 8
"""Smallest number of characters of a password."""


def announce(config: DemoConfig) -> None:
    """Print what will be loaded; raises UserError if port, password or local weights cannot be used."""
    faults = Faults()
    with faults.collect():
        if config.loads_weights:
            config.check_local_weights()
    with faults.collect():
        if config.layer_clip is not None:
            require_local_network(config.layer_clip, "clip")
    with faults.collect():
        if config.password_file is not None:
            read_password(config.password_file)
    with faults.collect():
        check_port(config)
    faults.refuse()
    print(f"{config.announcement}; the address of the page follows", flush=True)


def check_port(config: DemoConfig) -> None:
    """Raise UserError if the page cannot be served at its address."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            raise UserError(
                f"cannot listen at {config.host}:{config.port} ({error.strerror}); choose another --port or --host"
            ) from None


def read_password(path: Path) -> str:
    """The first line of a file; raises UserError if it cannot be read or is too short for a password."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Windows puts a mark before the text
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; --password_file expects a file with the password in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no text; --password_file expects the password as UTF-8 text") from None
    password = lines[0].strip() if lines else ""
    if len(password) < MIN_PASSWORD:
        raise UserError(f"{path}: the first line has {len(password)} characters; expected a password of {MIN_PASSWORD}")
    return password
