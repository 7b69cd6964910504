"""Metrics: pure functions, labels first and predictions second, NumPy in float64.

They take arrays, lists and tensors of any backend. The Keras metrics with the same names stream
over batches in `fit` and `evaluate`. Importing this imports no Keras: what needs it comes when it
is first used, so that reading records stays quick.
"""

import importlib

from tfphen.metrics.between_runs import (
    RunVariance,
    binary_variance_formula,
    churn,
    disagreement,
    run_variance,
)
from tfphen.metrics.bias_and_variance import (
    Alignment,
    BiasVariance,
    bias_variance,
    bias_variance_alignment,
)
from tfphen.metrics.calibration import (
    adaptive_calibration_error,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
)
from tfphen.metrics.class_accuracy import balanced_accuracy, class_accuracies, worst_class_accuracy
from tfphen.metrics.class_activations import (
    ClassActivationCosine,
    UnitSelectivity,
    activation_complexity,
    class_activation_cosine,
    unit_selectivity,
)
from tfphen.metrics.class_separation import class_separation
from tfphen.metrics.critical_samples import CriticalSamples, critical_sample_ratio
from tfphen.metrics.dc_margin import DcMargin, dc_margin
from tfphen.metrics.feature_deviation import FeatureDeviation, feature_deviation
from tfphen.metrics.flattening import ClassFlattening, class_flattening
from tfphen.metrics.hessian_products import hessian_vector_product, input_gradient
from tfphen.metrics.inequality import binomial_dispersion, gini_coefficient
from tfphen.metrics.inverse_participation import inverse_participation_ratio
from tfphen.metrics.layer_flatness import LayerFlatness, relative_flatness_of_layer
from tfphen.metrics.layer_traces import perceptron_hessian_traces
from tfphen.metrics.loss_sensitivity import LossSensitivity, loss_sensitivity
from tfphen.metrics.noisy_neighbours import NoisyNeighbours, noisy_neighbours
from tfphen.metrics.out_of_distribution import (
    OutOfDistributionScores,
    dempster_shafer_uncertainty,
    maximum_probability_uncertainty,
    ood_scores,
)
from tfphen.metrics.pac_bayes import pac_bayes_orig, pac_bayes_sigma
from tfphen.metrics.relative_flatness import (
    maximal_relative_flatness,
    relative_flatness,
    standardize_neurons,
)
from tfphen.metrics.reliability import ReliabilityDiagram, reliability_diagram
from tfphen.metrics.sharpness import fisher_rao_norm, hessian_max_eigenvalue, hessian_trace
from tfphen.metrics.shift_consistency import prediction_consistency, shift_consistency
from tfphen.metrics.similarity import MinibatchCKA, linear_cka
from tfphen.metrics.slingshot import GrokkingTimes, Slingshots, grokking_times, slingshots

# Where the names are that need Keras.
_LATER = {
    "BalancedAccuracy": "keras_class_accuracy",
    "BrierScore": "keras_calibration",
    "ClasswiseCalibrationError": "keras_calibration",
    "ExpectedCalibrationError": "keras_calibration",
    "NegativeLogLikelihood": "keras_calibration",
    "WorstClassAccuracy": "keras_class_accuracy",
    "relative_flatness_penalty": "flatness_penalty",
}

__all__ = [
    "Alignment",
    "BalancedAccuracy",
    "BiasVariance",
    "BrierScore",
    "ClassActivationCosine",
    "ClassFlattening",
    "ClasswiseCalibrationError",
    "CriticalSamples",
    "DcMargin",
    "ExpectedCalibrationError",
    "FeatureDeviation",
    "GrokkingTimes",
    "LayerFlatness",
    "LossSensitivity",
    "MinibatchCKA",
    "NegativeLogLikelihood",
    "NoisyNeighbours",
    "OutOfDistributionScores",
    "ReliabilityDiagram",
    "RunVariance",
    "Slingshots",
    "UnitSelectivity",
    "WorstClassAccuracy",
    "activation_complexity",
    "adaptive_calibration_error",
    "balanced_accuracy",
    "bias_variance",
    "bias_variance_alignment",
    "binary_variance_formula",
    "binomial_dispersion",
    "brier_score",
    "churn",
    "class_accuracies",
    "class_activation_cosine",
    "class_flattening",
    "class_separation",
    "classwise_calibration_error",
    "critical_sample_ratio",
    "dc_margin",
    "dempster_shafer_uncertainty",
    "disagreement",
    "expected_calibration_error",
    "feature_deviation",
    "fisher_rao_norm",
    "gini_coefficient",
    "grokking_times",
    "hessian_max_eigenvalue",
    "hessian_trace",
    "hessian_vector_product",
    "input_gradient",
    "inverse_participation_ratio",
    "linear_cka",
    "loss_sensitivity",
    "maximal_relative_flatness",
    "maximum_probability_uncertainty",
    "negative_log_likelihood",
    "noisy_neighbours",
    "ood_scores",
    "pac_bayes_orig",
    "pac_bayes_sigma",
    "perceptron_hessian_traces",
    "prediction_consistency",
    "relative_flatness",
    "relative_flatness_of_layer",
    "relative_flatness_penalty",
    "reliability_diagram",
    "run_variance",
    "shift_consistency",
    "slingshots",
    "standardize_neurons",
    "unit_selectivity",
    "worst_class_accuracy",
]


def __getattr__(name: str):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
