"""Upload a network to the hub with its card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from diffusers import SchedulerMixin

from mimicbrush.files import write_text
from mimicbrush.hub.upload import upload_folder
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.exported_folder import save_pretrained
from mimicbrush.model.weights.model_card import model_card


def push_network(
    network: MimicBrushNetwork,
    repo_id: str,
    *,
    licence: str,
    weights: Path | None = None,
    evaluation: Path | None = None,
    private: bool = False,
    dtype: torch.dtype | None = None,
    scheduler: SchedulerMixin | None = None,
) -> str:
    """Upload a network in diffusers' layout with its card, and return the repository's address.

    weights: where the network comes from, of which the card tells the recipe and the data if it is a run; evaluation:
    output folder of its evaluate.py; licence: as the hub names it. Raises UserError where the hub refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "weights")
        save_pretrained(network, folder, dtype=dtype, scheduler=scheduler)
        card = model_card(folder, repo_id=repo_id, weights=weights, evaluation=evaluation, licence=licence)
        write_text(card, folder / "README.md")
        return upload_folder(folder, repo_id, kind="model", private=private)


class HubUpload:
    """The upload of a pipeline that has a `network` and a `scheduler`."""

    def push_to_hub(self, repo_id: str, *, licence: str, private: bool = False) -> str:
        """Upload the components and a card to the hub, and return the repository's address.

        licence: as the hub names it. `python -m mimicbrush.model.weights push` adds recipe, data and metrics of a run.
        Raises UserError where the hub refuses or cannot be reached.
        """
        return push_network(self.network, repo_id, licence=licence, private=private, scheduler=self.scheduler)
