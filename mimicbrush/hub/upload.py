"""Upload a folder to the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from huggingface_hub.utils import HFValidationError, validate_repo_id

from mimicbrush.errors import UserError
from mimicbrush.hub.library_messages import quiet_libraries, reason_of

RepositoryKind = Literal["model", "dataset"]


def require_repository_name(repo_id: str) -> None:
    """Raise UserError unless this is the name of a repository, such as `me/my-weights`."""
    try:
        validate_repo_id(repo_id)
        is_valid = "/" in repo_id
    except HFValidationError:
        is_valid = False
    if not is_valid:
        raise UserError(f"repo_id is {repo_id!r}, expected OWNER/NAME, such as me/my-weights")


def upload_folder(
    folder: Path, repo_id: str, *, kind: RepositoryKind, private: bool = False, leave_out: Sequence[str] = ()
) -> str:
    """Upload all files of a folder as one commit, and return the repository's address; it is made if needed.

    leave_out: patterns of files that stay here. The login is that of huggingface_hub (`hf auth login`, or HF_TOKEN).
    Content that the hub has already is not sent again. Raises UserError where the hub refuses or cannot be reached.
    """
    require_repository_name(repo_id)
    api = HfApi()
    try:
        with quiet_libraries():
            address = api.create_repo(repo_id, repo_type=kind, private=private or None, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id,
                repo_type=kind,
                folder_path=folder,
                ignore_patterns=list(leave_out),
                commit_message="Upload with mimicbrush",
            )
    except Exception as error:  # the hub's client raises a dozen kinds
        raise UserError(
            f"{repo_id} cannot be written ({reason_of(error)}); log in with `hf auth login`, check the name and the"
            " connection, and run the same command again"
        ) from None
    return str(address)


def markdown_table(header: Sequence[str], rows: Collection[Sequence[object]]) -> str:
    """Format a Markdown table; pipes in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)
