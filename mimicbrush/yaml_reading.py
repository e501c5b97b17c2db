"""YAML read by libyaml, where PyYAML has it: some ten times quicker than in Python, with the same result."""

from __future__ import annotations

import yaml

QUICK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> object:
    """The plain values of a document; raises yaml.YAMLError, or ValueError for a date such as 2024-13-45."""
    try:
        return yaml.load(text, Loader=QUICK_LOADER)
    except yaml.YAMLError:
        return yaml.safe_load(text)  # its messages are the plainer ones


def compose_yaml(text: str) -> yaml.Node | None:
    """The document as a tree of nodes, which keep how each value is written; raises yaml.YAMLError."""
    try:
        return yaml.compose(text, Loader=QUICK_LOADER)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)
