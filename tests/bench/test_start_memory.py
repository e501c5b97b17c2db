"""The benchmark loads tiny parts in the file formats of the real ones."""

from __future__ import annotations

from mimicbrush.bench.start_memory import measure, write_parts
from mimicbrush.model.config import PartConfig
from tests.conftest import DEPTH, network_config


def test_every_part_is_written_and_loaded(tmp_path):
    network = write_parts(network_config(depth=PartConfig(arguments=DEPTH)), tmp_path)
    (half,) = (tmp_path / "imitative_unet").glob("*.safetensors")
    assert half.name == "diffusion_pytorch_model.fp16.safetensors"
    rows = [measure(str(straight), network, straight=straight) for straight in (True, False)]
    assert rows[0].held == rows[1].held > 0
    assert all(row.resident > row.private > row.held for row in rows)
