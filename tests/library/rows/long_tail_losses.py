"""Settings of the losses for long tails, for the suite over every export."""

import keras
import numpy as np

from tfphen.losses.class_weighted import ClassWeightedCrossentropy
from tfphen.losses.deferred_reweighting import DeferredReweighting

COUNTS = [50, 20, 5]
WEIGHTS = [0.5, 1.0, 2.5]
WRONG_COUNTS = [
    ({"class_counts": [50, 0, 5]}, "class_counts"),
    ({"class_counts": [50, -20, 5]}, "class_counts"),
    ({"class_counts": [0.7, 0.2, 0.1]}, "class_counts"),
    ({"class_counts": [50, float("nan"), 5]}, "class_counts"),
    ({"class_counts": [50, 20]}, "class_counts"),
    ({"class_counts": [[50, 20, 5]]}, "class_counts"),
    ({"class_counts": 75}, "class_counts"),
    ({"class_weights": [1.0, 2.0]}, "class_weights"),
    ({"class_weights": [1.0, -1.0, 1.0]}, "class_weights"),
]


def _wrong(*names):
    """A negative and an infinite value of each named setting."""
    return [({name: value}, name) for name in names for value in (-0.5, float("inf"))]


def _cosines(generator, count):
    return generator.uniform(-1, 1, (count, 3))


def _classes_and_groups(generator, count):
    return np.stack([generator.integers(0, 3, count), generator.integers(0, 2, count)], -1)


def _model():
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(0.05), ClassWeightedCrossentropy(), jit_compile=False)
    return model


LOSSES = {
    "LDAMLoss": {
        "function": "ldam_loss",
        "settings": {"class_counts": COUNTS, "max_margin": 0.4, "scale": 10.0},
        "predictions": _cosines,
        "wrong": [*WRONG_COUNTS, *_wrong("max_margin", "scale"), ({"scale": 0.0}, "scale")],
    },
    "LDAMHingeLoss": {
        "function": "ldam_hinge_loss",
        "settings": {"class_counts": COUNTS, "class_weights": WEIGHTS},
        "predictions": _cosines,
        "wrong": [*WRONG_COUNTS, *_wrong("max_margin")],
    },
    "VSLoss": {
        "function": "vs_loss",
        "settings": {"class_counts": COUNTS, "gamma": 0.2, "tau": 1.25, "class_weights": WEIGHTS},
        "wrong": [*WRONG_COUNTS, *_wrong("gamma", "tau")],
    },
    "CDTLoss": {
        "function": "cdt_loss",
        "settings": {"class_counts": COUNTS, "gamma": 0.3},
        "wrong": [*WRONG_COUNTS, *_wrong("gamma")],
    },
    "LogitAdjustedLoss": {
        "function": "logit_adjusted_loss",
        "settings": {"class_counts": COUNTS, "tau": 1.5},
        "wrong": [*WRONG_COUNTS, *_wrong("tau")],
    },
    "GroupVSLoss": {
        "function": "group_vs_loss",
        "settings": {"group_counts": [[50, 5], [10, 20], [5, 2]], "gamma": 0.3, "tau": 1.0},
        "labels": _classes_and_groups,
        "wrong": [
            ({"group_counts": COUNTS}, "group_counts"),
            ({"group_counts": [[50, 5], [0, 20], [5, 2]]}, "group_counts"),
            ({"group_counts": [[50, 5], [10, 20]]}, "group_counts"),
            *_wrong("gamma", "tau"),
        ],
    },
    "ClassWeightedCrossentropy": {
        "function": "class_weighted_crossentropy",
        "settings": {"class_weights": WEIGHTS},
        # The divisor is summed over replicas, which is the harder of the two reductions.
        "replicas": {"reduction": "mean_with_sample_weight"},
        "wrong": [
            ({"class_weights": [1.0, 2.0]}, "class_weights"),
            ({"class_weights": [1.0, -1.0, 1.0]}, "class_weights"),
            ({"class_weights": [0.0, 0.0, 0.0]}, "class_weights"),
            ({"class_weights": [[1.0, 2.0, 3.0]]}, "class_weights"),
        ],
    },
    "PolyTailedLoss": {
        "function": "poly_tailed_loss",
        "settings": {"alpha": 1.5, "class_weights": [1.0, 4.0]},
        "outputs": 2,
        "labels": lambda generator, count: generator.integers(0, 2, count),
        "predictions": lambda generator, count: generator.normal(size=(count, 2)),
        "wrong": [
            *_wrong("alpha"),
            ({"alpha": 0.0}, "alpha"),
            ({"class_weights": [1.0, 2.0, 3.0]}, "class_weights"),
        ],
    },
}

CALLBACKS = {
    "DeferredReweighting": {
        "make": lambda: DeferredReweighting(COUNTS, start_epoch=1),
        "model": _model,
        "wrong": [
            (lambda: DeferredReweighting([50, 0, 5]), "class_counts"),
            (lambda: DeferredReweighting(COUNTS, start_epoch=-1), "start_epoch"),
            (lambda: DeferredReweighting(COUNTS, start_epoch=2.5), "start_epoch"),
            (lambda: DeferredReweighting(COUNTS, beta=1.5), "beta"),
        ],
    }
}

# Tested in tests/losses/test_class_counts.py, test_margins.py and test_vector_scaling.py.


def _counts(generator):
    return (generator.integers(1, 100, 4),)


_WRONG_COUNTS = [(([5, 0],), {}, "class_counts"), (([5, -1],), {}, "class_counts")]

FUNCTIONS = {
    "class_priors": {"arguments": _counts, "wrong": _WRONG_COUNTS},
    "class_temperatures": {
        "arguments": _counts,
        "settings": {"gamma": 0.3},
        "wrong": [((wrong, 0.3), {}, "class_counts") for (wrong,), _, _ in _WRONG_COUNTS],
    },
    "effective_number_weights": {"arguments": _counts, "wrong": _WRONG_COUNTS},
    "inverse_frequency_weights": {"arguments": _counts, "wrong": _WRONG_COUNTS},
    "ldam_margins": {"arguments": _counts, "wrong": _WRONG_COUNTS},
    "vector_scaled_logits": {
        "arguments": lambda generator: (
            generator.normal(size=(4, 3)).astype("float32"),
            [50, 20, 5],
        ),
        "settings": {"gamma": 0.3, "tau": 1.0},
        "wrong": [((np.zeros((4, 2)), [50, 20, 5], 0.3, 1.0), {}, "class_counts")],
    },
}
