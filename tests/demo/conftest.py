"""Pictures as a visitor uploads them, and a page with the tiny network."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep

import httpx
import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.handlers import EditHandlers
from mimicbrush.demo.page import build_page
from mimicbrush.demo.saving.saved_tabs import SavedTab
from mimicbrush.demo.server import launch
from mimicbrush.demo.shared_editor import SharedEditor
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.demo.temporary_folders import TemporaryFolders
from mimicbrush.model.weights.build import initialise
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.pipeline import MimicBrushPipeline
from mimicbrush.requests import ReferenceRequest
from tests.conftest import network_config
from tests.demo.browsing import DESKTOP, HEIGHT, MILLISECONDS, WIDTH, upload

BOX = Stroke(tool="box", points=[(20, 15), (40, 30)])


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "weights"
    save_pretrained(initialise(network_config()).eval(), folder)
    return folder


@pytest.fixture
def config(weights: Path) -> DemoConfig:
    return DemoConfig(weights=str(weights), device="cpu")


@pytest.fixture(scope="session")
def pipe(weights: Path) -> MimicBrushPipeline:
    return MimicBrushPipeline.from_pretrained(weights)


@pytest.fixture
def editor(pipe: MimicBrushPipeline, config: DemoConfig) -> SharedEditor:
    return SharedEditor(pipe, config.limits)


@contextmanager
def make_folders(folder: Path, *, max_bytes: float = math.inf) -> Iterator[TemporaryFolders]:
    """Make temporary folders; the environment variables that they set are unset at the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
            patch.setenv(name, "")
        patch.setenv("FORWARDED_ALLOW_IPS", "")
        patch.delenv("FORWARDED_ALLOW_IPS")  # set by `launch`
        yield TemporaryFolders(folder, max_bytes=max_bytes)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[TemporaryFolders]:
    (tmp_path / "workspace").mkdir()
    with make_folders(tmp_path / "workspace") as folders:
        yield folders


def write_picture(path: Path, *, size: tuple[int, int] = (80, 60), seed: int = 0, mode: str = "RGB") -> Path:
    """Write random pixels in the format of the suffix."""
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(levels).convert(mode).save(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> PaintedPicture:
    return PaintedPicture(picture=write_picture(tmp_path / "photo.png"), strokes=(BOX,), size=(80, 60))


@pytest.fixture
def reference(tmp_path: Path) -> PaintedPicture:
    return PaintedPicture(picture=write_picture(tmp_path / "other.png", seed=1), size=(80, 60))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve_page(editor: SharedEditor, config: DemoConfig, folders: TemporaryFolders) -> Iterator[httpx.Client]:
    """Serve the page at a free port, and connect to it."""
    config = replace(config, port=free_port())
    page = build_page({ReferenceRequest: editor}, config, folders)
    url = launch(page, config, folders)
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client
    page.close()


def send_picture(client: httpx.Client, path: Path, **options: object) -> httpx.Response:
    """Upload a file as the page does."""
    return client.post("/gradio_api/upload", files={"files": (path.name, path.read_bytes())}, **options)


def call(client: httpx.Client, name: str, *data: object, event_data: dict | None = None) -> str:
    """Trigger an event of the page, and return the answer of the server."""
    functions = client.get("/config").json()["dependencies"]
    (number,) = (function["id"] for function in functions if function["api_name"] == name)
    event = {"data": data, "fn_index": number, "session_hash": "s", "event_data": event_data}
    joined = client.post("/gradio_api/queue/join", json=event)
    assert joined.status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s"}, timeout=60) as stream:
        return "".join(stream.iter_text())


@pytest.fixture(scope="module")
def served_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryFolders]:
    """Folders of one page that all tests of a file share."""
    with make_folders(tmp_path_factory.mktemp("workspace")) as folders:
        yield folders


@pytest.fixture(scope="session")
def url(pipe: MimicBrushPipeline, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page that all tests in the browser visit, each as another visitor."""
    config = DemoConfig(weights=str(weights), device="cpu", port=free_port(), num_inference_steps=3)
    with make_folders(tmp_path_factory.mktemp("folders")) as folders:
        page = build_page({ReferenceRequest: SharedEditor(pipe, config.limits)}, config, folders)
        yield launch(page, config, folders)
        page.close()


@pytest.fixture
def slowly(pipe) -> Iterator[None]:
    """Slow down the steps, to leave time for pressing a button."""
    hook = pipe.unet.register_forward_pre_hook(lambda *_: sleep(0.3))
    yield
    hook.remove()


@pytest.fixture
def visit(browser, url: str) -> Iterator[Callable]:
    """Open the page as another visitor; no request may leave this machine, and the page's own policy allows all."""
    contexts, asked, forbidden = [], set(), []

    def visit(viewport: dict = DESKTOP, **options: object):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", lambda request: asked.add(request.url))
        page.on("console", lambda line: forbidden.append(line.text) if "Security Policy" in line.text else None)
        page.goto(url)
        page.locator(".source .painter-drop").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    strangers = [address for address in asked if not address.startswith((url, "data:", "blob:"))]
    assert not strangers and (asked or not contexts)  # a test that was skipped opens nothing
    assert not forbidden


@pytest.fixture
def comes_late(monkeypatch) -> Callable:
    """A context at whose end the server answers what pages that are opened within it had saved."""
    come_back = EditHandlers.come_back

    @contextmanager
    def comes_late() -> Iterator[None]:
        is_over = threading.Event()

        def come_back_late(*args: object) -> SavedTab:
            is_over.wait(MILLISECONDS / 1000)
            return come_back(*args)

        monkeypatch.setattr(EditHandlers, "come_back", come_back_late)
        yield
        is_over.set()

    return comes_late


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_picture(tmp_path / "photo.png", size=(WIDTH, HEIGHT)),
        write_picture(tmp_path / "other.png", size=(100, 80), seed=1),
    )


@pytest.fixture
def page(visit, pictures):
    """The page with a picture and a reference on it."""
    page = visit()
    upload(page, "source", pictures[0])
    upload(page, "reference", pictures[1])
    return page
