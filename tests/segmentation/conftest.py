"""Photographs of a disc, as for benchmark sets."""

from tests.evaluation.build.conftest import make_photographs  # noqa: F401 - a fixture
