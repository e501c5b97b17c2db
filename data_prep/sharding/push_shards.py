"""The work of `push.py`: shards with their indexes and a card, to the hub."""

from __future__ import annotations

from data_prep.config import ShardPushConfig
from data_prep.records.data_card import STAYS_HERE, data_card
from mimicbrush.files import write_text
from mimicbrush.folder_lock import held
from mimicbrush.hub.upload import upload_folder


def push_shards(config: ShardPushConfig) -> str:
    """Write the card into the folder as README.md, and upload both; returns a line with the repository's address.

    Raises UserError if the folder is not merged, a shard is damaged, or the hub refuses.
    """
    card = data_card(config.folder, repo_id=config.repo_id, licence=config.licence)
    with held(config.folder):
        write_text(card, config.folder / "README.md")
        address = upload_folder(
            config.folder, config.repo_id, kind="dataset", private=config.private, leave_out=STAYS_HERE
        )
    return f"{config.folder}: shards and card -> {address}"
