"""Settings of the measurements and of the streamed metrics, for the suites over every export."""

import numpy as np

_P = [[0.75, 0.25], [0.6, 0.4]]
_NAN = [[float("nan"), 0.0], [0.0, 1.0]]


def _labels_and_logits(generator, count=60, classes=4):
    labels = generator.integers(0, classes, count)
    return labels, generator.normal(size=(count, classes)) + np.eye(classes)[labels]


def _ensemble(generator):
    labels, logits = _labels_and_logits(generator)
    return labels, logits + 0.3 * generator.normal(size=(5, *logits.shape))


def _squares(generator):
    bias = np.exp(generator.normal(size=40) - 3)
    return bias, bias * np.exp(0.1 * generator.normal(size=40))


def _features(generator, classes=3, count=40):
    labels = np.arange(count) % classes
    return generator.normal(size=(count, 5)) + np.eye(5)[labels] + 1.0, labels


def _two_sets(generator):
    return (*_features(generator), *_features(generator, count=30))


def _similar(generator):
    x = generator.normal(size=(30, 6))
    return x, x[:, :4] + generator.normal(size=(30, 4))


_CALIBRATION = {
    "arguments": _labels_and_logits,
    "settings": {"num_bins": 5},
    "wrong": [
        (([0, 1], _P), {"num_bins": 0, "from_logits": False}, "num_bins"),
        (([0, 1], _NAN), {}, "y_pred"),
        (([0, 2], _P), {}, "y"),
        (([0], _P), {}, "y"),
        (([0, 1], [[0.9, 0.9], [1.0, 0.0]]), {"from_logits": False}, "sum to 1"),
    ],
}
_SCORE = {
    "arguments": _labels_and_logits,
    "settings": {},
    "wrong": [
        (([0, 1], _NAN), {}, "y_pred"),
        (([0, 2], _P), {}, "y"),
        (([0], _P), {}, "y"),
        (([0, 1], [[0.9, 0.9], [1.0, 0.0]]), {"from_logits": False}, "sum to 1"),
    ],
}
_ACCURACY = {
    "arguments": _labels_and_logits,
    "settings": {},
    "wrong": [
        (([0, 1], _NAN), {}, "y_pred"),
        (([0, 2], _P), {}, "y"),
        (([0], _P), {}, "y"),
    ],
}
_UNCERTAINTY = {
    "arguments": lambda generator: (generator.normal(size=(20, 4)),),
    "settings": {},
    "wrong": [((_NAN,), {}, "logits"), (([[1.0]],), {}, "logits")],
}

METRICS = {
    "adaptive_calibration_error": _CALIBRATION,
    "balanced_accuracy": _ACCURACY,
    "bias_variance": {
        "arguments": _ensemble,
        "settings": {},
        "wrong": [
            (([0, 1], [_P]), {}, "y_pred"),
            (([0, 1], [_NAN, _P]), {}, "y_pred"),
            (([0, 2], [_P, _P]), {}, "y"),
        ],
    },
    "bias_variance_alignment": {
        "arguments": _squares,
        "settings": {},
        "wrong": [
            (([0.1], [0.1, 0.2]), {}, "variance"),
            (([float("nan")], [0.1]), {}, "squared_bias"),
            (([0.1], [0.1]), {"floor": -1.0}, "floor"),
        ],
    },
    "binary_variance_formula": {
        "arguments": lambda generator: (0.2, 1000),
        "settings": {},
        "wrong": [((1.5, 10), {}, "error"), ((0.5, 0), {}, "num_examples")],
    },
    "binomial_dispersion": {
        "arguments": lambda generator: (generator.integers(0, 2, (6, 20)),),
        "settings": {},
        "wrong": [(([[0.5, 1.0], [0.0, 1.0]],), {}, "correct"), (([[1, 0]],), {}, "correct")],
    },
    "brier_score": _SCORE,
    "churn": {
        "arguments": lambda generator: (generator.integers(0, 3, (4, 20)),),
        "settings": {},
        "wrong": [(([[0, 1]],), {}, "predictions"), (([[0.5], [1.0]],), {}, "predictions")],
    },
    "class_accuracies": _ACCURACY,
    "class_separation": {
        "arguments": _features,
        "settings": {},
        "wrong": [
            ((_NAN, [0, 1]), {}, "features"),
            (([[0.0, 0.0], [1.0, 0.0]], [0, 1]), {}, "features"),
            (([[0.0, 2.0], [1.0, 0.0]], [1, 1]), {}, "labels"),
        ],
    },
    "classwise_calibration_error": _CALIBRATION,
    "dempster_shafer_uncertainty": _UNCERTAINTY,
    "disagreement": {
        "arguments": lambda generator: tuple(generator.integers(0, 3, (2, 30))),
        "settings": {},
        "wrong": [(([0, 1], [0]), {}, "second"), (([0.5], [1.0]), {}, "first")],
    },
    "expected_calibration_error": _CALIBRATION,
    "feature_deviation": {
        "arguments": _two_sets,
        "settings": {"num_subsets": 5, "subset_size": 8},
        "wrong": [
            (([[1.0], [2.0]], [0, 1], [[1.0], [2.0]], [0, 0]), {}, "test_labels"),
            (([[1.0]], [0], [[1.0]], [0]), {"subset_size": 2}, "subset_size"),
            (([[float("nan")]], [0], [[1.0]], [0]), {}, "features"),
        ],
    },
    "gini_coefficient": {
        "arguments": lambda generator: (generator.exponential(size=30),),
        "settings": {},
        "wrong": [(([1.0, -1.0],), {}, "values"), (([float("nan")],), {}, "values")],
    },
    "linear_cka": {
        "arguments": _similar,
        "settings": {},
        "wrong": [
            (([1.0, 2.0], _P), {}, "x"),
            ((_P, [[1.0]]), {}, "y"),
            ((_P, _P), {"unbiased": True}, "x"),
            ((_P, _NAN), {}, "y"),
        ],
    },
    "maximum_probability_uncertainty": _UNCERTAINTY,
    "negative_log_likelihood": _SCORE,
    "ood_scores": {
        "arguments": lambda generator: (generator.normal(size=30), generator.normal(size=20) + 1),
        "settings": {},
        "wrong": [
            (([float("nan")], [1.0]), {}, "in_distribution_scores"),
            (([1.0], []), {}, "out_of_distribution_scores"),
            (([1.0], [1.0]), {"positive": "ood"}, "positive"),
            (([1.0], [1.0]), {"higher": "up"}, "higher"),
        ],
    },
    "reliability_diagram": {
        "arguments": _labels_and_logits,
        # No bin is empty, whose confidence would be NaN.
        "settings": {"num_bins": 2},
        "wrong": [
            (([0, 1], _P), {"num_bins": 0, "from_logits": False}, "num_bins"),
            (([0, 1], _NAN), {}, "y_pred"),
        ],
    },
    "run_variance": {
        "arguments": lambda generator: (generator.integers(0, 2, (6, 20)),),
        "settings": {},
        "wrong": [(([[0, 1]],), {}, "wrong"), (([[0.5, 1.0], [0.0, 1.0]],), {}, "wrong")],
    },
    "worst_class_accuracy": _ACCURACY,
}

METRIC_CLASSES = {
    "BalancedAccuracy": {
        "settings": {"num_classes": 3},
        "function": "balanced_accuracy",
        "function_settings": {},
        "wrong": [({"num_classes": 1}, "num_classes"), ({"num_classes": 2.5}, "num_classes")],
    },
    "BrierScore": {"settings": {}, "function": "brier_score", "wrong": []},
    "ClasswiseCalibrationError": {
        "settings": {"num_classes": 3, "num_bins": 5},
        "function": "classwise_calibration_error",
        "function_settings": {"num_bins": 5},
        "wrong": [({"num_classes": 1}, "num_classes"), ({"num_bins": 0}, "num_bins")],
    },
    "ExpectedCalibrationError": {
        "settings": {"num_bins": 10},
        "function": "expected_calibration_error",
        "wrong": [({"num_bins": 0}, "num_bins"), ({"num_bins": 1.5}, "num_bins")],
    },
    "NegativeLogLikelihood": {
        "settings": {},
        "function": "negative_log_likelihood",
        "wrong": [],
    },
    "WorstClassAccuracy": {
        "settings": {"num_classes": 3},
        "function": "worst_class_accuracy",
        "function_settings": {},
        "wrong": [({"num_classes": 0}, "num_classes")],
    },
}
