"""Tiny clips and stills whose content is known."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from data_prep.config import EncodeConfig
from data_prep.frames.images import encode_image
from data_prep.stills.rle import encode_rle
from mimicbrush.video.clip_writer import write_h264
from mimicbrush.video.decoded_clip import VideoInfo

SIDE = 64
INFO = VideoInfo(duration=10.0, width=SIDE, height=SIDE, codec="h264")
REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


def texture(seed: int, height: int = 160, width: int = 240) -> np.ndarray:
    """(H, W, 3) smooth random colours with detail that keypoints find."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def panning_frames(seed: int, num: int = 24, step: int = 2, side: int = SIDE) -> list[np.ndarray]:
    """Frames of a camera that moves `step` pixels to the right each frame."""
    picture = texture(seed, side + 16, side + 16 + step * num)
    return [np.ascontiguousarray(picture[:side, step * i : step * i + side]) for i in range(num)]


def write_clip(path: Path, seed: int = 0, num: int = 24, **kwargs: int) -> Path:
    """A panning clip of 24 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_h264(path, panning_frames(seed, num, **kwargs), fps=24)
    return path


def write_audio_only(path: Path) -> Path:
    """An MP4 that holds half a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_truncated(path: Path) -> Path:
    """Write a clip whose index comes first and whose last half is missing, as an aborted download leaves it."""
    whole = path.with_name(f".{path.name}.whole.mp4")
    with av.open(str(whole), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "10"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for image in panning_frames(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    content = whole.read_bytes()
    whole.unlink()
    path.write_bytes(content[: len(content) // 2])
    return path


def write_damaged(path: Path, seed: int = 3) -> Path:
    """A clip with 40 bytes of its pictures overwritten."""
    content = bytearray(write_clip(path, seed).read_bytes())
    data = content.index(b"mdat")
    start = data + (len(content) - data) // 4
    content[start : start + 40] = np.random.default_rng(0).integers(0, 256, 40).astype(np.uint8).tobytes()
    path.write_bytes(content)
    return path


def forbid(*_: object) -> None:
    """Stands for a function that reads a file, where permissions forbid it; root, who may run the tests, reads all."""
    raise PermissionError(13, "Permission denied")


def write_still(folder: Path, name: str, seed: int = 0, **changes: object) -> None:
    """A 96 x 64 still with one centred square object; `changes` replace fields of its annotation."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((64, 96), bool)
    mask[16:48, 32:64] = True
    note = {
        "area": int(mask.sum()),
        "predicted_iou": 0.95,
        "stability_score": 0.97,
        "segmentation": {"size": [64, 96], "counts": encode_rle(mask)},
    }
    (folder / f"{name}.jpg").write_bytes(encode_image(texture(seed, 64, 96), EncodeConfig()))
    content = {"image": {"file_name": f"{name}.jpg"}, "annotations": [{**note, **changes}]}
    (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def without_training_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports show no batch of training, which takes longer than sharding a tiny clip."""
    monkeypatch.setattr("data_prep.shard_report.report_page.training_view", lambda samples: [])


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of five intact clips, one in a subfolder."""
    folder = tmp_path / "clips"
    for seed, name in enumerate(("a", "b", "c", "deep/d", "e")):
        write_clip(folder / f"{name}.mp4", seed, step=1)
    return folder


def real_data(name: str) -> Path:
    """A folder of real material; skips the test where it is absent."""
    path = REAL_DATA / name
    if not path.is_dir():
        pytest.skip(f"no real material at {path}")
    return path


def summary_in(output: Path) -> dict:
    """The summary that merging wrote into a folder of shards."""
    return json.loads((output / "summary.json").read_text())


def done_last(output: Path) -> int:
    """Number of inputs that the last command worked on."""
    return json.loads((output / "log.jsonl").read_text().splitlines()[-1])["done"]
