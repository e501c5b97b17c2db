"""Config files that build on others: the key `_base_` in a YAML file names the file that it changes.

_base_: mimicbrush.yaml     # relative to this file; that file may build on a third
output: runs/mimicbrush_40gb
run: {devices: 4}           # mappings are merged key by key; any other value, including a list, replaces the base's
"""

from __future__ import annotations

from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor
from yaml.representer import SafeRepresenter

from mimicbrush.errors import UserError
from mimicbrush.yaml_reading import compose_yaml, parse_yaml

BASE_KEY = "_base_"


def config_source(path: Path) -> str:
    """Return the value for the parser's `--config`: the path, or merged YAML text if the file builds on others.

    Raises UserError if the file or one of its bases is missing, a key appears twice, or a file builds on itself.
    """
    document = _read(path)
    if document is None or _base_of(document, path) is None:
        return str(path)
    return yaml.serialize(_merged(path, document, ()), Dumper=yaml.SafeDumper)


def read_config_file(path: Path) -> object:
    """Read a config file, merged with the files that it builds on, as plain YAML values."""
    source = config_source(path)
    return parse_yaml(path.read_text(encoding="utf-8") if source == str(path) else source)


def merge_mappings(lower: dict, upper: dict) -> dict:
    """Override plain YAML values by others, as a file overrides its base."""
    nodes = (SafeRepresenter(sort_keys=False).represent_data(each) for each in (lower, upper))
    return SafeConstructor().construct_document(_merge(*nodes))


def _merged(path: Path, document: yaml.MappingNode, above: tuple[Path, ...]) -> yaml.MappingNode:
    """Merge a document into its base. above: the files that build on this one."""
    chain = (*above, path)
    base = _base_of(document, path)
    if base is None:
        return document
    if base.resolve() in [each.resolve() for each in chain]:
        circle = " > ".join(str(each) for each in (*chain, base))
        raise UserError(f"{path}: builds on itself ({circle}); take {BASE_KEY} out of one of them")
    if base.is_dir():
        raise UserError(f"{path}: builds on {base}, which is a folder; name a YAML file in {BASE_KEY}")
    if not base.is_file():
        raise UserError(
            f"{path}: builds on {base}, which does not exist; copy that file too, or use the config.yaml of a run,"
            " which builds on no other file"
        )
    lower = _read(base)
    if lower is None:
        raise UserError(f"{base}: holds no options, and {path} builds on it; write `name: value` lines")
    return _merge(_merged(base, lower, chain), document)


def _read(path: Path) -> yaml.MappingNode | None:
    """Read a file as a tree of YAML nodes, which keep the spelling of each value; None if it holds no mapping.

    Raises UserError if it cannot be read, is not YAML, or has a key twice.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a YAML file")
    if not path.is_file():
        raise UserError(f"{path}: no such config file")
    try:
        text = path.read_text(encoding="utf-8")
        document = compose_yaml(text)
        _refuse_faults(document, path, above=(), checked=set())
        parse_yaml(text)  # refuses invalid values, such as an unknown !tag or the date 2024-13-45
    except UserError:
        raise
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_describe(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected a text file in UTF-8") from None
    except ValueError as error:
        raise UserError(f"{path}: holds a value that cannot be read as YAML ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return document if isinstance(document, yaml.MappingNode) else None


def _describe(error: yaml.YAMLError) -> str:
    """Describe a syntax error and its line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    line = f", line {mark.line + 1}" if mark else ""
    return f"{line}: cannot be read as YAML ({problem or error})"


def _base_of(document: yaml.MappingNode, path: Path) -> Path | None:
    """Return the file that this one builds on, or None."""
    found = [value for key, value in document.value if key.value == BASE_KEY]
    if not found:
        return None
    if not isinstance(found[0], yaml.ScalarNode) or not found[0].value:
        raise UserError(f"{path}: {BASE_KEY} must be the path of one YAML file, relative to this one")
    return path.parent / found[0].value


def _merge(lower: yaml.MappingNode, upper: yaml.MappingNode) -> yaml.MappingNode:
    """Override one mapping by another: keys keep the order of the lower mapping, new keys follow."""
    for node in (lower, upper):
        # Resolves `<<`, so that the keys it adds are merged as well.
        SafeConstructor().flatten_mapping(node)
    pairs = {key.value: (key, value) for key, value in lower.value if key.value != BASE_KEY}
    for key, value in upper.value:
        if key.value == BASE_KEY:
            continue
        below = pairs.get(key.value, (key, None))[1]
        both = isinstance(below, yaml.MappingNode) and isinstance(value, yaml.MappingNode)
        pairs[key.value] = (key, _merge(below, value) if both else value)
    return yaml.MappingNode(lower.tag, list(pairs.values()), flow_style=lower.flow_style)


def _refuse_faults(node: yaml.Node | None, path: Path, *, above: tuple[int, ...], checked: set[int]) -> None:
    """Raise UserError if a mapping has a key twice, of which YAML silently keeps the last, or contains itself.

    above: ids of the nodes around this one; checked: ids of nodes without faults, which an alias may repeat.
    """
    if id(node) in above:
        raise UserError(f"{path}: an alias (*name) is inside the value that it names; remove it")
    if not isinstance(node, yaml.CollectionNode) or id(node) in checked:
        return
    children = node.value
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise UserError(f"{path}: {', '.join(repeated)} appears twice; keep one of them")
        children = [value for _, value in node.value]
    for child in children:
        _refuse_faults(child, path, above=(*above, id(node)), checked=checked)
    checked.add(id(node))
