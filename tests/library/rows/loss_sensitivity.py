"""Settings of loss sensitivity for the suites over every export."""

import functools

import keras
import numpy as np

INPUTS = np.array([[1.0, 0.5], [0.0, 2.0], [0.5, 1.0]])
LABELS = np.array([0, 1, 2])


def model_and_examples(generator):
    """Returns a model 5-4-3, built, with weights of the generator, inputs and labels."""
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]
    )
    for variable in model.variables:
        variable.assign(generator.normal(size=variable.shape))
    return (
        model,
        generator.normal(size=(12, 5)).astype("float32"),
        generator.integers(0, 3, 12),
    )


def softmax_regression():
    """Returns softmax regression on two features."""
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])


linear = functools.partial(softmax_regression)


_RATE = {"learning_rate": 0.1, "steps": 2}

METRICS = {
    "loss_sensitivity": {
        "arguments": model_and_examples,
        "settings": {"learning_rate": 0.3, "steps": 4, "at": [2, 4]},
        "wrong": [
            ((None, INPUTS, LABELS), _RATE, "model"),
            ((linear, INPUTS[:, :1], LABELS), _RATE, "inputs"),
            ((linear, INPUTS, LABELS + 1), _RATE, "labels"),
            ((linear, INPUTS, LABELS[:2]), _RATE, "labels"),
            ((linear, INPUTS, LABELS), {"learning_rate": -0.1, "steps": 2}, "learning_rate"),
            ((linear, INPUTS, LABELS), {"learning_rate": 0.1, "steps": -1}, "steps"),
            ((linear, INPUTS, LABELS), _RATE | {"at": [3]}, "at"),
            ((linear, INPUTS, LABELS), _RATE | {"weights": [INPUTS]}, "weights"),
        ],
    },
}
