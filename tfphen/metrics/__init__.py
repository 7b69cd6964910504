"""Metrics: pure functions, labels first and predictions second, NumPy in float64."""

from tfphen.metrics.between_runs import RunVariance, binary_variance_formula, churn, run_variance
from tfphen.metrics.bias_and_variance import (
    Alignment,
    BiasVariance,
    bias_variance,
    bias_variance_alignment,
)
from tfphen.metrics.calibration import brier_score, expected_calibration_error

__all__ = [
    "Alignment",
    "BiasVariance",
    "RunVariance",
    "bias_variance",
    "bias_variance_alignment",
    "binary_variance_formula",
    "brier_score",
    "churn",
    "expected_calibration_error",
    "run_variance",
]
