from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from data_prep.records.reasons import REASONS, describe_counts, explain
from tests.conftest import REPOSITORY

CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
SOURCES = [
    path
    for folder in ("data_prep", "mimicbrush/video")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
    if "demo" not in path.parts
]
CODE_ARGUMENT = {"UnusableInput": 0, "skipped": 0, "Failure": 0, "explain_error": 1}
"""Position of the code among the arguments of what is called."""


def strings(node: ast.AST) -> Iterator[str]:
    """Codes among the constants of an expression, also before the colon of `code: detail`; conditions are left out."""
    if isinstance(node, ast.IfExp):
        yield from strings(node.body)
        yield from strings(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield from strings(node.values[0])
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        code = node.value.partition(": ")[0]
        if CODE.fullmatch(code):
            yield code


def codes_in(source: str) -> set[str]:
    """The codes that a module gives as reasons: in calls, in variables and counts, and from functions of reasons."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = CODE_ARGUMENT.get(name)
            if place is not None and len(node.args) > place:
                found.update(strings(node.args[place]))
        elif isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & {
            "reason",
            "fault",
        }:
            found.update(strings(node.value))
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", "").startswith("dropped_"):
            found.update(strings(node.slice))
        elif isinstance(node, ast.FunctionDef) and re.search(r"\b(reason|fault)\b", (ast.get_docstring(node) or "")):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    found.update(strings(inner.value))
    return found


def test_every_code_in_the_sources_has_words() -> None:
    found = {code: path.name for path in SOURCES for code in codes_in(path.read_text(encoding="utf-8"))}
    # One of each way in which a code is written.
    assert {
        "hdr",
        "corrupt_frames",
        "timeout",
        "failed",
        "missing",
        "too_close",
        "blurred",
        "damaged_tar",
    } <= found.keys()
    missing = {code: name for code, name in found.items() if code not in REASONS}
    assert not missing, f"add words for them in data_prep/records/reasons.py: {missing}"


def test_no_two_reasons_read_alike() -> None:
    words = [reason.words for reason in REASONS.values()]
    assert len(set(words)) == len(words)
    assert all(reason.meaning.endswith(".") for reason in REASONS.values())
    assert not any("_" in word for word in words)


def test_options_that_are_named_exist() -> None:
    from data_prep.config import PhotographShardConfig, SamShardConfig, VideoShardConfig

    for option in re.findall(r"--([\w.]+\w)", " ".join(reason.meaning for reason in REASONS.values())):
        configs = [
            VideoShardConfig(videos=Path(), output=Path()),
            SamShardConfig(stills=Path(), output=Path()),
            PhotographShardConfig(photographs=Path(), output=Path()),
        ]
        for name in option.split("."):
            configs = [getattr(config, name) for config in configs if hasattr(config, name)]
        assert configs, option


def test_counts_are_described_in_words() -> None:
    assert describe_counts({"corrupt_frames": 1200, "hdr": 1}) == "damaged frames (1 200), HDR colours (1)"
    assert explain("of_another_version").words == "of another version"
