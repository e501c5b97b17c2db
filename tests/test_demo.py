"""Check the results of `make demo` in runs/demo; `make check-demo` runs this file."""

import json

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.demo
DEMO = REPOSITORY / "runs" / "demo"


@pytest.fixture(scope="module")
def results() -> dict:
    path = DEMO / "results.json"
    assert path.is_file(), "run `make demo` first"
    return json.loads(path.read_text())


def test_the_network_imitates(results):
    use = results["reference_use"]["heldout"]["MimicBrush"]
    for wrong, least in {"another / both": 0.9, "shuffled / both": 0.75}.items():
        assert use[wrong]["mean"] >= least
        assert use[wrong]["low"] > 0.5
        assert use[wrong]["count"] >= 128


def test_editors_without_a_noise_prediction_are_not_defined(results):
    assert results["reference_use"]["heldout"]["reference_paste"] == "not defined"


def test_the_report_loads_no_other_files():
    report = (DEMO / "report.html").read_text()
    assert "MimicBrush" in report
    assert "src='data:image" in report
    assert "src='http" not in report
