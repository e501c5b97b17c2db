"""What an edit is judged by: METRICS, the networks that they use, and `measure`."""

from mimicbrush.evaluation.metrics.edit import Edit, Score
from mimicbrush.evaluation.metrics.measure import measure
from mimicbrush.evaluation.metrics.models import NETWORKS, Models, ModelsConfig
from mimicbrush.evaluation.metrics.table import METRICS, Metric, Need, metrics_of

__all__ = [
    "METRICS",
    "NETWORKS",
    "Edit",
    "Metric",
    "Models",
    "ModelsConfig",
    "Need",
    "Score",
    "measure",
    "metrics_of",
]
