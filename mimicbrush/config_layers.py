"""Config files that build on others: the key `_base_` at the top of a YAML names the file that it changes.

_base_: mimicbrush.yaml     # relative to this file; that file may build on a third
output: runs/mimicbrush_40gb
run: {devices: 4}           # mappings are merged key by key; all else, lists too, replaces what the base has
"""

from __future__ import annotations

from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor
from yaml.representer import SafeRepresenter

from mimicbrush.errors import UserError

BASE_KEY = "_base_"


def config_source(path: Path) -> str:
    """The config file itself, as `--config` takes it, or YAML text where it builds on others: all of them merged.

    Raises UserError where the file or a base of it is missing, a key is there twice, or a file builds on itself.
    """
    document = _read(path)
    if document is None or _base_of(document, path) is None:
        return str(path)
    return yaml.serialize(_merged(path, document, ()), Dumper=yaml.SafeDumper)


def read_config_file(path: Path) -> object:
    """Parse a config file into plain YAML values, merged with the files that it builds on."""
    source = config_source(path)
    return yaml.safe_load(path.read_text(encoding="utf-8") if source == str(path) else source)


def merge_mappings(lower: dict, upper: dict) -> dict:
    """Lay plain YAML values over others, as a file is laid over its base."""
    nodes = (SafeRepresenter(sort_keys=False).represent_data(each) for each in (lower, upper))
    return SafeConstructor().construct_document(_merge(*nodes))


def _merged(path: Path, document: yaml.MappingNode, above: tuple[Path, ...]) -> yaml.MappingNode:
    """The document merged into its base. above: the files that build on this one."""
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
            f"{path}: builds on {base}, which is not there; copy that file too, or use the config.yaml of a run, which"
            " builds on no other"
        )
    lower = _read(base)
    if lower is None:
        raise UserError(f"{base}: holds no options, and {path} builds on it; write `name: value` lines")
    return _merge(_merged(base, lower, chain), document)


def _read(path: Path) -> yaml.MappingNode | None:
    """The file as a tree of YAML nodes, which keep how each value is written; None where it is not `name: value` lines.

    Raises UserError where it cannot be read, is no YAML, or names a key twice.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a YAML file")
    if not path.is_file():
        raise UserError(f"{path}: no such config file")
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_faults(document, path, above=(), checked=set())
        yaml.safe_load(text)  # refuses values that are none, such as an unknown !tag or the date 2024-13-45
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
    """In which line of a file YAML breaks off, and why."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    line = f", line {mark.line + 1}" if mark else ""
    return f"{line}: cannot be read as YAML ({problem or error})"


def _base_of(document: yaml.MappingNode, path: Path) -> Path | None:
    """The file that this one builds on, if any."""
    found = [value for key, value in document.value if key.value == BASE_KEY]
    if not found:
        return None
    if not isinstance(found[0], yaml.ScalarNode) or not found[0].value:
        raise UserError(f"{path}: {BASE_KEY} must be the path of one YAML file, relative to this one")
    return path.parent / found[0].value


def _merge(lower: yaml.MappingNode, upper: yaml.MappingNode) -> yaml.MappingNode:
    """Lay one mapping over another: keys stand in the order of the lower one, new keys after them."""
    for node in (lower, upper):
        # Resolves `<<`, so that what it brings is merged as well.
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
    """Raises UserError where a mapping names a key twice, of which YAML silently keeps the last, or holds itself.

    above: the nodes that this one lies in; checked: those found sound, which aliases may name again.
    """
    if id(node) in above:
        raise UserError(f"{path}: an alias (*name) lies inside what it names; take it out")
    if not isinstance(node, yaml.CollectionNode) or id(node) in checked:
        return
    children = node.value
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise UserError(f"{path}: {', '.join(repeated)} stands there twice; keep one of the two")
        children = [value for _, value in node.value]
    for child in children:
        _refuse_faults(child, path, above=(*above, id(node)), checked=checked)
    checked.add(id(node))
