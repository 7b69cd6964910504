"""Metrics: functions of labels and predictions, in that order, in float64 on the host.

They take arrays, lists and tensors of any backend. The Keras metrics with the same names stream
over batches in `fit` and `evaluate`. A name is loaded when it is first used, so that importing this
package, or a metric without a Keras class, imports no Keras.
"""

from typing import TYPE_CHECKING, Any

from tfphen.core import references

# isort: off
if TYPE_CHECKING:
    # `name as name` marks an export.
    from tfphen.metrics.accuracy.balanced_accuracy import (
        BalancedAccuracy as BalancedAccuracy,
        balanced_accuracy as balanced_accuracy,
    )
    from tfphen.metrics.accuracy.class_accuracies import class_accuracies as class_accuracies
    from tfphen.metrics.accuracy.worst_class_accuracy import (
        WorstClassAccuracy as WorstClassAccuracy,
        worst_class_accuracy as worst_class_accuracy,
    )
    from tfphen.metrics.calibration.adaptive_calibration_error import (
        adaptive_calibration_error as adaptive_calibration_error,
    )
    from tfphen.metrics.calibration.brier_score import (
        BrierScore as BrierScore,
        brier_score as brier_score,
    )
    from tfphen.metrics.calibration.classwise_calibration_error import (
        ClasswiseCalibrationError as ClasswiseCalibrationError,
        classwise_calibration_error as classwise_calibration_error,
    )
    from tfphen.metrics.calibration.expected_calibration_error import (
        ExpectedCalibrationError as ExpectedCalibrationError,
        expected_calibration_error as expected_calibration_error,
    )
    from tfphen.metrics.calibration.negative_log_likelihood import (
        NegativeLogLikelihood as NegativeLogLikelihood,
        negative_log_likelihood as negative_log_likelihood,
    )
    from tfphen.metrics.calibration.reliability import (
        ReliabilityDiagram as ReliabilityDiagram,
        reliability_diagram as reliability_diagram,
    )
    from tfphen.metrics.curves.grokking_times import (
        GrokkingTimes as GrokkingTimes,
        grokking_times as grokking_times,
    )
    from tfphen.metrics.curves.slingshots import Slingshots as Slingshots, slingshots as slingshots
    from tfphen.metrics.flatness.hessian_products import (
        hessian_vector_product as hessian_vector_product,
        input_gradient as input_gradient,
    )
    from tfphen.metrics.flatness.layer_flatness import (
        LayerFlatness as LayerFlatness,
        relative_flatness_of_layer as relative_flatness_of_layer,
    )
    from tfphen.metrics.flatness.layer_traces import (
        perceptron_hessian_traces as perceptron_hessian_traces,
    )
    from tfphen.metrics.flatness.pac_bayes import (
        pac_bayes_orig as pac_bayes_orig,
        pac_bayes_sigma as pac_bayes_sigma,
    )
    from tfphen.metrics.flatness.relative_flatness import (
        maximal_relative_flatness as maximal_relative_flatness,
        relative_flatness as relative_flatness,
        standardize_neurons as standardize_neurons,
    )
    from tfphen.metrics.flatness.relative_flatness_penalty import (
        relative_flatness_penalty as relative_flatness_penalty,
    )
    from tfphen.metrics.flatness.sharpness import (
        fisher_rao_norm as fisher_rao_norm,
        hessian_max_eigenvalue as hessian_max_eigenvalue,
        hessian_trace as hessian_trace,
    )
    from tfphen.metrics.representation.class_activations import (
        ClassActivationCosine as ClassActivationCosine,
        UnitSelectivity as UnitSelectivity,
        activation_complexity as activation_complexity,
        class_activation_cosine as class_activation_cosine,
        unit_selectivity as unit_selectivity,
    )
    from tfphen.metrics.representation.class_flattening import (
        ClassFlattening as ClassFlattening,
        class_flattening as class_flattening,
    )
    from tfphen.metrics.representation.class_separation import class_separation as class_separation
    from tfphen.metrics.representation.feature_deviation import (
        FeatureDeviation as FeatureDeviation,
        feature_deviation as feature_deviation,
    )
    from tfphen.metrics.representation.inverse_participation import (
        inverse_participation_ratio as inverse_participation_ratio,
    )
    from tfphen.metrics.representation.linear_cka import (
        MinibatchCKA as MinibatchCKA,
        linear_cka as linear_cka,
    )
    from tfphen.metrics.representation.noisy_neighbours import (
        NoisyNeighbours as NoisyNeighbours,
        noisy_neighbours as noisy_neighbours,
    )
    from tfphen.metrics.robustness.critical_samples import (
        CriticalSamples as CriticalSamples,
        critical_sample_ratio as critical_sample_ratio,
    )
    from tfphen.metrics.robustness.dc_margin import DcMargin as DcMargin, dc_margin as dc_margin
    from tfphen.metrics.robustness.loss_sensitivity import (
        LossSensitivity as LossSensitivity,
        loss_sensitivity as loss_sensitivity,
    )
    from tfphen.metrics.robustness.out_of_distribution import (
        OutOfDistributionScores as OutOfDistributionScores,
        dempster_shafer_uncertainty as dempster_shafer_uncertainty,
        maximum_probability_uncertainty as maximum_probability_uncertainty,
        ood_scores as ood_scores,
    )
    from tfphen.metrics.robustness.shift_consistency import (
        prediction_consistency as prediction_consistency,
        shift_consistency as shift_consistency,
    )
    from tfphen.metrics.runs.bias_variance import (
        Alignment as Alignment,
        BiasVariance as BiasVariance,
        bias_variance as bias_variance,
        bias_variance_alignment as bias_variance_alignment,
    )
    from tfphen.metrics.runs.churn import churn as churn, disagreement as disagreement
    from tfphen.metrics.runs.inequality import (
        binomial_dispersion as binomial_dispersion,
        gini_coefficient as gini_coefficient,
    )
    from tfphen.metrics.runs.run_variance import (
        RunVariance as RunVariance,
        binary_variance_formula as binary_variance_formula,
        run_variance as run_variance,
    )
# isort: on

# The module of each public name.
_MODULES = {
    "Alignment": "runs.bias_variance",
    "BalancedAccuracy": "accuracy.balanced_accuracy",
    "BiasVariance": "runs.bias_variance",
    "BrierScore": "calibration.brier_score",
    "ClassActivationCosine": "representation.class_activations",
    "ClassFlattening": "representation.class_flattening",
    "ClasswiseCalibrationError": "calibration.classwise_calibration_error",
    "CriticalSamples": "robustness.critical_samples",
    "DcMargin": "robustness.dc_margin",
    "ExpectedCalibrationError": "calibration.expected_calibration_error",
    "FeatureDeviation": "representation.feature_deviation",
    "GrokkingTimes": "curves.grokking_times",
    "LayerFlatness": "flatness.layer_flatness",
    "LossSensitivity": "robustness.loss_sensitivity",
    "MinibatchCKA": "representation.linear_cka",
    "NegativeLogLikelihood": "calibration.negative_log_likelihood",
    "NoisyNeighbours": "representation.noisy_neighbours",
    "OutOfDistributionScores": "robustness.out_of_distribution",
    "ReliabilityDiagram": "calibration.reliability",
    "RunVariance": "runs.run_variance",
    "Slingshots": "curves.slingshots",
    "UnitSelectivity": "representation.class_activations",
    "WorstClassAccuracy": "accuracy.worst_class_accuracy",
    "activation_complexity": "representation.class_activations",
    "adaptive_calibration_error": "calibration.adaptive_calibration_error",
    "balanced_accuracy": "accuracy.balanced_accuracy",
    "bias_variance": "runs.bias_variance",
    "bias_variance_alignment": "runs.bias_variance",
    "binary_variance_formula": "runs.run_variance",
    "binomial_dispersion": "runs.inequality",
    "brier_score": "calibration.brier_score",
    "churn": "runs.churn",
    "class_accuracies": "accuracy.class_accuracies",
    "class_activation_cosine": "representation.class_activations",
    "class_flattening": "representation.class_flattening",
    "class_separation": "representation.class_separation",
    "classwise_calibration_error": "calibration.classwise_calibration_error",
    "critical_sample_ratio": "robustness.critical_samples",
    "dc_margin": "robustness.dc_margin",
    "dempster_shafer_uncertainty": "robustness.out_of_distribution",
    "disagreement": "runs.churn",
    "expected_calibration_error": "calibration.expected_calibration_error",
    "feature_deviation": "representation.feature_deviation",
    "fisher_rao_norm": "flatness.sharpness",
    "gini_coefficient": "runs.inequality",
    "grokking_times": "curves.grokking_times",
    "hessian_max_eigenvalue": "flatness.sharpness",
    "hessian_trace": "flatness.sharpness",
    "hessian_vector_product": "flatness.hessian_products",
    "input_gradient": "flatness.hessian_products",
    "inverse_participation_ratio": "representation.inverse_participation",
    "linear_cka": "representation.linear_cka",
    "loss_sensitivity": "robustness.loss_sensitivity",
    "maximal_relative_flatness": "flatness.relative_flatness",
    "maximum_probability_uncertainty": "robustness.out_of_distribution",
    "negative_log_likelihood": "calibration.negative_log_likelihood",
    "noisy_neighbours": "representation.noisy_neighbours",
    "ood_scores": "robustness.out_of_distribution",
    "pac_bayes_orig": "flatness.pac_bayes",
    "pac_bayes_sigma": "flatness.pac_bayes",
    "perceptron_hessian_traces": "flatness.layer_traces",
    "prediction_consistency": "robustness.shift_consistency",
    "relative_flatness": "flatness.relative_flatness",
    "relative_flatness_of_layer": "flatness.layer_flatness",
    "relative_flatness_penalty": "flatness.relative_flatness_penalty",
    "reliability_diagram": "calibration.reliability",
    "run_variance": "runs.run_variance",
    "shift_consistency": "robustness.shift_consistency",
    "slingshots": "curves.slingshots",
    "standardize_neurons": "flatness.relative_flatness",
    "unit_selectivity": "representation.class_activations",
    "worst_class_accuracy": "accuracy.worst_class_accuracy",
}

__all__ = sorted(_MODULES)


# Hidden from type checkers, which would take any name at all to be there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return references.load(f"{__name__}.{_MODULES[name]}:{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
