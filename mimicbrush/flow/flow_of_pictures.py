"""Estimate the flow between two picture files, and write it as a flow file and in colours."""

from __future__ import annotations

import torch

from mimicbrush.errors import UserError
from mimicbrush.flow.classical_flow import dis_flow
from mimicbrush.flow.colour_wheel import colour_flow
from mimicbrush.flow.config import TwoPicturesConfig
from mimicbrush.flow.flow_files import format_of, write_flow
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.reading import read_image
from mimicbrush.pictures.writing import write_image


def write_flow_of_pictures(config: TwoPicturesConfig) -> str:
    """Write the flow from the first picture to the second, and return what was made.

    Raises UserError for pictures that cannot be read or differ in size, and for a format that is not one of flow.
    """
    format_of(config.output)
    first, second = read_image(config.first), read_image(config.second)
    if first.shape != second.shape:
        sizes = [f"{picture.shape[2]} x {picture.shape[1]}" for picture in (first, second)]
        raise UserError(
            f"first {config.first} is {sizes[0]} pixels and second {config.second} is {sizes[1]}; give two frames of"
            " one size"
        )
    estimate = dis_flow() if config.weights is None else load_raft(config.weights)
    with torch.inference_mode():
        flow = estimate(first[None], second[None]).float().numpy()
    write_flow(flow, config.output)
    write_image(colour_flow(flow[0]), config.colours)
    longest = float(torch.from_numpy(flow).norm(dim=1).max())
    return f"flow of up to {longest:.1f} pixels -> {config.output}; in colours -> {config.colours}"
