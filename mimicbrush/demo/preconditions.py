"""Checks before torch and Gradio are imported: the port and the weights; then a line says what is loaded."""

from __future__ import annotations

import socket

from mimicbrush.demo.config import DemoConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.locations import is_local
from mimicbrush.model.weights.find import find_weights


def announce(config: DemoConfig) -> None:
    """Raise UserError if the port is in use or the weights are missing on this machine; print what will be loaded."""
    faults = Faults()
    with faults.collect():
        if config.loads_weights and is_local(config.weights):
            find_weights(config.weights)
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
