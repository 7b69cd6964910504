"""Settings of the flatness measures and of the critical sample ratio for the generic suite."""

import keras
import numpy as np
from keras import ops

FEATURES = np.array([[1.0, 0.5], [0.0, 2.0], [0.5, 1.0]])
KERNEL = np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 2.0]])
BIAS = np.array([0.1, 0.0, -0.1])
LABELS = np.array([0, 1, 2])
# Arguments that every measure of a last layer refuses, each with the name it must give.
WRONG = [
    ((FEATURES, KERNEL.T, BIAS, LABELS), {}, "kernel"),
    ((FEATURES, KERNEL, BIAS[:2], LABELS), {}, "bias"),
    ((FEATURES, KERNEL, BIAS, LABELS[:2]), {}, "labels"),
    ((FEATURES, KERNEL, BIAS, LABELS + 1), {}, "labels"),
    ((FEATURES * np.nan, KERNEL, BIAS, LABELS), {}, "features"),
    ((FEATURES, KERNEL, BIAS, LABELS), {"loss": "hinge"}, "loss"),
]


def last_layer(generator):
    """Returns features `[30, 8]`, kernel `[8, 4]`, bias and labels."""
    return (
        generator.normal(size=(30, 8)),
        generator.normal(size=(8, 4)),
        generator.normal(size=4),
        generator.integers(0, 4, 30),
    )


def small_model(generator):
    """Returns a model 5-4-3, built, with weights of the generator."""
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, "tanh", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    for variable in model.variables:
        variable.assign(generator.normal(size=variable.shape))
    return model


def model_and_examples(generator):
    """Returns a model, the name of its hidden layer, inputs and labels."""
    return (
        small_model(generator),
        "hidden",
        generator.normal(size=(20, 5)).astype("float32"),
        generator.integers(0, 3, 20),
    )


def cubes(x):
    """Returns the sum of the cubes: its gradient is 3 x², its Hessian the diagonal of 6 x."""
    return ops.sum(x**3)


def double_and_opposite(x):
    """Returns two logits for one feature, with the boundary at zero."""
    return ops.concatenate([x, -x], axis=-1)


METRICS = {
    "relative_flatness": {
        "arguments": last_layer,
        "settings": {"standardize": True},
        "wrong": WRONG,
    },
    "maximal_relative_flatness": {"arguments": last_layer, "settings": {}, "wrong": WRONG},
    "hessian_trace": {"arguments": last_layer, "settings": {}, "wrong": WRONG},
    "hessian_max_eigenvalue": {"arguments": last_layer, "settings": {}, "wrong": WRONG},
    "fisher_rao_norm": {
        "arguments": lambda generator: (
            generator.integers(0, 4, 30),
            generator.normal(size=(30, 4)),
        ),
        "settings": {"num_hidden_layers": 2},
        "wrong": [
            ((LABELS, KERNEL), {"num_hidden_layers": 1}, "y"),
            ((LABELS[:2], KERNEL), {"num_hidden_layers": -1}, "num_hidden_layers"),
        ],
    },
    "relative_flatness_penalty": {
        "arguments": lambda generator: last_layer(generator)[:3],
        "settings": {},
        "wrong": [
            ((FEATURES, KERNEL.T), {}, "kernel"),
            ((FEATURES, KERNEL, BIAS[:2]), {}, "bias"),
        ],
    },
    "relative_flatness_of_layer": {
        "arguments": model_and_examples,
        "settings": {},
        "wrong": [
            ((None, "hidden", FEATURES, LABELS), {"method": "fast"}, "method"),
            ((None, "hidden", FEATURES, LABELS), {"num_draws": 0}, "num_draws"),
            ((None, None, FEATURES, LABELS), {}, "layer"),
        ],
    },
    "critical_sample_ratio": {
        "arguments": lambda generator: (
            small_model(generator),
            generator.normal(size=(40, 5)).astype("float32"),
        ),
        "settings": {"radius": 0.1, "iterations": 5, "seed": 1},
        "wrong": [
            ((double_and_opposite, FEATURES[:, :1]), {"radius": -1.0}, "radius"),
            ((double_and_opposite, FEATURES[:, :1]), {"radius": 0.1, "noise": -1.0}, "noise"),
            (
                (double_and_opposite, FEATURES[:, :1]),
                {"radius": 0.1, "iterations": 0},
                "iterations",
            ),
            ((double_and_opposite, FEATURES[:, 0]), {"radius": 0.1}, "inputs"),
            ((cubes, FEATURES), {"radius": 0.1}, "model"),
        ],
    },
}
