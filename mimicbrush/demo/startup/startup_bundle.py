"""The files with which Gradio's page starts, in one: ninety requests one after the other are slow on a slow line."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from hashlib import sha256
from typing import NamedTuple

import brotli

from mimicbrush.demo.startup.component_scripts import EARLY_SCRIPTS
from mimicbrush.demo.startup.lighter_files import ASSETS, lighter_file, lighter_versions

EARLY = (
    *("accordion", "button", "checkbox", "column", "form", "html", "number"),
    *("radio", "row", "slider", "state", "tabitem", "tabs", "textbox"),
)
"""Gradio's components that visitors see first; others are fetched afterwards, file by file."""
START = re.compile(
    r'<script type="module" crossorigin src="\./assets/([\w-]+\.js)"></script>\s*'
    r'<link rel="stylesheet" crossorigin href="\./assets/[\w-]+\.css">'
)
"""The tags by which Gradio's page starts."""
LIST_OF_FILES = re.compile(r"m\.f=\[([^\]]*)\]")
DYNAMIC_IMPORT = re.compile(r"import\(`\./([^`]+)`\).{0,60}?__vite__mapDeps\(\[([\d,]*)\]\)")
COMPONENT = r"[,{]%s:\{[^}]*?\bcomponent:\(\)=>\w+\(\(\)=>import\(`\./([^`]+)`\)"


class StartupBundle(NamedTuple):
    """Scripts and styles in one JSON file: sources by file name; and versions of scripts that are fetched later."""

    entry: str
    """The script with which the page begins."""
    digest: str
    content: bytes
    by_encoding: dict[str, bytes]
    """The content, compressed."""


def startup_bundle() -> StartupBundle | None:
    """Make the bundle; None for a Gradio that is built in another way."""
    return _bundle(tuple(EARLY_SCRIPTS))


@cache
def _bundle(components: tuple[str, ...]) -> StartupBundle | None:
    entry, names = startup_files()
    if not names:
        return None
    parts: dict[str, dict[str, str]] = {"scripts": {}, "styles": {}}
    for name in names:
        parts["styles" if name.endswith(".css") else "scripts"][name] = lighter_file(name) or _text(name)
    parts["components"] = {name: EARLY_SCRIPTS[name] for name in components}
    parts["versions"] = {name: version for name, version in lighter_versions().items() if name not in names}
    content = json.dumps(parts).encode()
    by_encoding = {"br": brotli.compress(content, quality=11), "gzip": gzip.compress(content)}
    return StartupBundle(entry, sha256(content).hexdigest(), content, by_encoding)


def startup_files() -> tuple[str, tuple[str, ...]]:
    """The first script, and names of all scripts and styles that the page needs before its controls are there.

    Vite lists beside each dynamic import all files that it needs. Without names if one of them is not found.
    """
    start = START.search((ASSETS.parent / "index.html").read_text(encoding="utf-8"))
    entry = start[1] if start else ""
    first = _dynamic_imports(entry)
    index, core = (_first(first, word) for word in ("Index-", "core-"))
    later, text, components = _dynamic_imports(index), _text(core), _dynamic_imports(core)
    blocks = _first(later, "Blocks-")
    found = [re.search(COMPONENT % each, text) for each in EARLY]
    if not (index and core and blocks and all(found)):
        return entry, ()
    names = [entry, *first[index], *first[core], *later[blocks]]
    for match in found:
        names += [match[1], *components.get(match[1], ())]
    return entry, tuple(dict.fromkeys(names))


def _dynamic_imports(name: str) -> dict[str, list[str]]:
    """The files that a script imports when it needs them, each with all files that it needs itself."""
    text = _text(name)
    listed = LIST_OF_FILES.search(text)
    files = [each.strip('"').removeprefix("./") for each in listed[1].split(",")] if listed else []
    return {
        found: [files[int(number)] for number in numbers.split(",") if number]
        for found, numbers in DYNAMIC_IMPORT.findall(text)
    }


def _first(names: dict[str, list[str]], beginning: str) -> str:
    return next((name for name in names if name.startswith(beginning)), "")


def _text(name: str) -> str:
    path = ASSETS / name
    return path.read_text(encoding="utf-8") if name and path.is_file() else ""
