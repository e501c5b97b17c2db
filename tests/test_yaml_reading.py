"""YAML means the same to both readers, and faults are named in the words of the plainer one."""

import pytest
import yaml

from mimicbrush.yaml_reading import compose_yaml, parse_yaml
from tests.conftest import REPOSITORY

SHIPPED = sorted((REPOSITORY / "configs").rglob("*.yaml"))


def test_every_shipped_config_is_what_the_plain_reader_makes_of_it():
    for path in SHIPPED:
        text = path.read_text(encoding="utf-8")
        assert parse_yaml(text) == yaml.safe_load(text)
        written = [yaml.serialize(compose(text)) for compose in (compose_yaml, yaml.compose)]
        assert written[0] == written[1]


def test_every_kind_of_value_is_what_the_plain_reader_makes_of_it():
    text = "a: 1e-4\nb: 0o17\nc: yes\nd: null\ne: 2024-01-02\nf: [.inf, -.inf]\ng: &x {h: 'ü'}\ni: *x\n<<: {j: 1}\n"
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tb: 1", "a: *x", "a: !none 1", "a: \x07"])
def test_a_fault_is_named_as_by_the_plain_reader(text):
    with pytest.raises(yaml.YAMLError) as expected:
        yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError) as found:
        parse_yaml(text)
    assert str(found.value) == str(expected.value)
