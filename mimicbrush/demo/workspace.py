"""Folders for what visitors upload and make: all beneath one, which goes with the page."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from time import time

KEPT_SECONDS = 24 * 3600
"""Pictures older than that are deleted."""


class Workspace:
    """served: what Gradio hands out to browsers, uploads and copies of results; nothing else is ever served."""

    def __init__(self, root: Path) -> None:
        self.served = root / "served"
        self._made = root / "made"
        for folder in (self.served, self._made):
            folder.mkdir()
        # Gradio asks for both whenever it stores or serves a file; the second lies in the current folder otherwise.
        os.environ["GRADIO_TEMP_DIR"] = os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.served)

    def folder(self) -> Path:
        """A new one, not served; old ones go."""
        for old in self._made.iterdir():
            if time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._made))
