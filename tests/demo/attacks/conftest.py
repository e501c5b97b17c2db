"""A page that tests attack: each attack is refused, and the page still answers others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.pipeline import MimicBrushPipeline
from tests.demo.conftest import serve_page

EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
"""Headers that a browser sends for a page of another site."""


@pytest.fixture(scope="module")
def client(pipe: MimicBrushPipeline, weights: Path, served_folders: TemporaryFolders) -> Iterator[httpx.Client]:
    """A page that is open to everybody, with small limits."""
    limits = Limits(upload_mb=1, uploads_per_minute=1000)
    config = DemoConfig(weights=str(weights), device="cpu", limits=limits, allowed_hosts=["mimic.example.org"])
    with serve_page(SharedEditor(pipe, limits), config, served_folders) as client:
        yield client
