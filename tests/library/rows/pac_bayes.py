"""Settings of the PAC-Bayes measures for the generic suite."""

import numpy as np

FEATURES = np.array([[1.0, 0.5], [0.0, 2.0], [0.5, 1.0]])
KERNEL = np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 2.0]])
BIAS = np.array([0.1, 0.0, -0.1])
LABELS = np.array([0, 1, 2])
LAYER = FEATURES, KERNEL, BIAS, LABELS


def accurate_layer(generator):
    """Returns features `[60, 8]`, kernel `[8, 4]`, bias, and the labels that it predicts."""
    features, kernel = generator.normal(size=(60, 8)), generator.normal(size=(8, 4))
    bias = generator.normal(size=4)
    return features, kernel, bias, (features @ kernel + bias).argmax(-1)


METRICS = {
    "pac_bayes_sigma": {
        "arguments": accurate_layer,
        "settings": {"seed": 1},
        "wrong": [
            ((FEATURES, KERNEL.T, BIAS, LABELS), {}, "kernel"),
            ((FEATURES, KERNEL, BIAS[:2], LABELS), {}, "bias"),
            ((FEATURES, KERNEL, BIAS, LABELS + 1), {}, "labels"),
            ((FEATURES * np.nan, KERNEL, BIAS, LABELS), {}, "features"),
            (LAYER, {"accuracy_drop": 0.0}, "accuracy_drop"),
            (LAYER, {"tolerance": -0.1}, "tolerance"),
            (LAYER, {"num_draws": 0}, "num_draws"),
            (LAYER, {"upper": 0.0}, "upper"),
            (LAYER, {"max_iterations": 0}, "max_iterations"),
            (LAYER, {"noise": "variance"}, "noise"),
        ],
    },
    "pac_bayes_orig": {
        "arguments": lambda generator: (generator.normal(size=(8, 4)),),
        "settings": {"sigma": 0.5, "num_examples": 60},
        "wrong": [
            ((BIAS,), {"sigma": 0.5, "num_examples": 60}, "kernel"),
            ((KERNEL,), {"sigma": 0.0, "num_examples": 60}, "sigma"),
            ((KERNEL,), {"sigma": [0.5, 0.5], "num_examples": 60}, "sigma"),
            ((KERNEL,), {"sigma": 0.5, "num_examples": 0}, "num_examples"),
        ],
    },
}
