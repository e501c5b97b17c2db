"""Scripts of our components, which browsers keep: with the bundle, or fetched once the controls are there."""

from __future__ import annotations

from hashlib import sha256

BUNDLES = "/startup/"
"""Folder of addresses for what this page serves itself."""
EARLY_SCRIPTS: dict[str, str] = {}
"""Those that come with the bundle; texts by file name, which is a digest of the text."""
COMPONENT_SCRIPTS: dict[str, str] = {}
"""All of them, for their addresses."""
PARAMETERS = "element, trigger, props, server, upload, watch"
"""Names that Gradio gives to the script of a component."""
RUN = """const run = (code) => Function("%(names)s", code)(%(names)s), code = window.mimicbrushScripts?.["%(file)s"];
if (code) run(code);
else fetch(".%(folder)s%(file)s").then((answer) => answer.text()).then(run)
  .catch((problem) => console.error("A part of the page is missing:", problem));"""
"""`mimicbrushScripts` are those of the bundle."""


def early_script(text: str) -> str:
    """Let the bundle bring a script; return one that runs it, and can be repeated on the page without its bytes."""
    EARLY_SCRIPTS[_file_of(text)] = text
    return late_script(text)


def late_script(text: str) -> str:
    """Keep a script for its address; return one that fetches and runs it."""
    COMPONENT_SCRIPTS[_file_of(text)] = text
    return RUN % {"names": PARAMETERS, "file": _file_of(text), "folder": BUNDLES}


def _file_of(text: str) -> str:
    return f"{sha256(text.encode()).hexdigest()[:32]}.js"
